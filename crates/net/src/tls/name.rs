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
        ServerName::DnsName(domain) => of(names).contains(&plain(domain.as_ref())),
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

/// The SIP domains that a certificate is for, in small letters and without a dot at their end (§7.1).
pub(super) fn domains(certificate: &[u8]) -> Vec<String> {
    let Ok((_, parsed)) = parse_x509_certificate(certificate) else { return Vec::new() };
    let names = parsed.subject_alternative_name().ok().flatten();
    names.map(|names| of(&names.value.general_names)).unwrap_or_default()
}

fn of(names: &[GeneralName<'_>]) -> Vec<String> {
    let sip: Vec<String> = names.iter().filter_map(sip_domain).map(plain).collect();
    // §7.1: a DNS name counts only where there is no SIP URI.
    if !sip.is_empty() {
        return sip;
    }
    let dns = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(one) => Some(plain(one)),
        _ => None,
    };
    names.iter().filter_map(dns).collect()
}

/// The domain of a SIP URI without a user (§7.1).
fn sip_domain<'a>(name: &GeneralName<'a>) -> Option<&'a str> {
    let GeneralName::URI(uri) = name else { return None };
    let (scheme, rest) = uri.split_once(':')?;
    let host = rest.split([';', '?', ':']).next()?;
    (scheme.eq_ignore_ascii_case("sip") && !rest.contains('@')).then_some(host)
}

/// As two spellings of one domain are the same.
fn plain(domain: &str) -> String {
    domain.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    fn certificate(names: &[SanType]) -> rcgen::Certificate {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names = names.to_vec();
        params.distinguished_name.push(rcgen::DnType::CommonName, "common.example");
        params.self_signed(&KeyPair::generate().unwrap()).unwrap()
    }

    fn proves(names: &[SanType], wanted: &str) -> bool {
        is_proven(certificate(names).der(), &ServerName::try_from(wanted.to_owned()).unwrap())
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
    fn a_client_is_the_domains_of_its_sip_uris_or_else_of_its_dns_names_and_never_of_its_common_name() {
        let address = SanType::IpAddress("192.0.2.1".parse().unwrap());
        for (names, domains) in [
            (
                vec![uri("sip:Carrier.Example"), uri("sip:b.example:5061"), dns("c.example")],
                vec!["carrier.example", "b.example"],
            ),
            (
                vec![dns("Carrier.example"), dns("b.example"), address.clone()],
                vec!["carrier.example", "b.example"],
            ),
            (vec![uri("sip:alice@carrier.example"), uri("sips:carrier.example")], vec![]),
            (vec![address], vec![]),
            (vec![], vec![]),
        ] {
            assert_eq!(super::domains(certificate(&names).der()), domains, "{names:?}");
        }
        assert!(super::domains(b"nonsense").is_empty());
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
