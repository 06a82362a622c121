//! Whether a certificate is that of a SIP domain (RFC 5922 §7).

use rustls::pki_types::ServerName;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

/// Whether a certificate proves `wanted`: one of its SIP identities is the domain, letter for letter but for case, without
/// wildcards (§7.2); or, for an address, one of its addresses is it.
pub(super) fn is_proven(certificate: &[u8], wanted: &ServerName<'_>) -> bool {
    let Ok((_, parsed)) = parse_x509_certificate(certificate) else { return false };
    let Ok(Some(names)) = parsed.subject_alternative_name() else { return false };
    let names = &names.value.general_names;
    match wanted {
        ServerName::DnsName(domain) => {
            let domain = domain.as_ref();
            let sip: Vec<&str> = names.iter().filter_map(sip_domain).collect();
            // §7.1: a DNS name counts only where there is no SIP URI.
            if sip.is_empty() {
                names.iter().any(|name| matches!(name, GeneralName::DNSName(one) if same(one, domain)))
            } else {
                sip.into_iter().any(|one| same(one, domain))
            }
        }
        ServerName::IpAddress(ip) => {
            let octets = match std::net::IpAddr::from(*ip) {
                std::net::IpAddr::V4(ip) => ip.octets().to_vec(),
                std::net::IpAddr::V6(ip) => ip.octets().to_vec(),
            };
            names.iter().any(|name| matches!(name, GeneralName::IPAddress(one) if **one == octets[..]))
        }
        _ => false,
    }
}

/// The domain of a SIP URI without a user (§7.1).
fn sip_domain<'a>(name: &GeneralName<'a>) -> Option<&'a str> {
    let GeneralName::URI(uri) = name else { return None };
    let (scheme, rest) = uri.split_once(':')?;
    let host = rest.split([';', '?', ':']).next()?;
    (scheme.eq_ignore_ascii_case("sip") && !rest.contains('@')).then_some(host)
}

fn same(one: &str, other: &str) -> bool {
    one.trim_end_matches('.').eq_ignore_ascii_case(other.trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    fn proves(names: &[SanType], wanted: &str) -> bool {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names = names.to_vec();
        let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        is_proven(made.der(), &ServerName::try_from(wanted.to_owned()).unwrap())
    }

    fn dns(name: &str) -> SanType {
        SanType::DnsName(name.try_into().unwrap())
    }

    fn uri(name: &str) -> SanType {
        SanType::URI(name.try_into().unwrap())
    }

    #[test]
    fn a_sip_uri_comes_first_and_then_a_dns_name() {
        assert!(proves(&[uri("sip:example.com")], "example.com"));
        assert!(proves(&[dns("Example.COM")], "example.com"));
        assert!(proves(&[uri("https://example.com/"), dns("example.com")], "example.com"));
        assert!(!proves(&[uri("sip:example.com"), dns("sip1.example.com")], "sip1.example.com"));
        assert!(!proves(&[uri("sip:alice@example.com")], "example.com"));
        assert!(!proves(&[], "example.com"));
    }

    #[test]
    fn there_are_no_wildcards_for_sip_domains() {
        assert!(!proves(&[dns("*.example.com")], "sip.example.com"));
        assert!(!proves(&[dns("example.com")], "sip.example.com"));
    }

    #[test]
    fn an_address_is_proven_by_an_address_only() {
        assert!(proves(&[SanType::IpAddress("192.0.2.1".parse().unwrap())], "192.0.2.1"));
        assert!(proves(&[SanType::IpAddress("2001:db8::1".parse().unwrap())], "2001:db8::1"));
        assert!(!proves(&[SanType::IpAddress("192.0.2.2".parse().unwrap())], "192.0.2.1"));
        assert!(!proves(&[dns("localhost")], "127.0.0.1"));
    }
}
