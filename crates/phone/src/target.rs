//! Whom a command means: a SIP or tel URI, a number or a name.

use offhook_sip::{SipUri, Uri};
use offhook_sip_stack::Transport;

use crate::Failure;
use crate::settings::Settings;

/// Reads a target: a URI as it is, `name@host` as a SIP URI, anything else as a number or name of our domain.
///
/// # Errors
/// When it is none of these, or a name without a domain to belong to.
pub(crate) fn target(text: &str, settings: &Settings) -> Result<Uri, Failure> {
    let wrong = || Failure::usage(format!("`{text}` is neither a SIP address nor a number"));
    match text.parse::<Uri>() {
        Ok(Uri::Sip(uri)) if uri.secure() => {
            return Err(Failure::usage("sips: is not spoken by this phone: use sip: and --transport tls"));
        }
        Ok(Uri::Sip(uri)) => return Ok(over(uri, settings).into()),
        Ok(Uri::Tel(uri)) if settings.server.is_some() => return Ok(uri.into()),
        Ok(Uri::Tel(_)) => return Err(needs_server(text)),
        Ok(Uri::Other(_)) | Err(_) => {}
    }
    let text = text.trim();
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err(wrong());
    }
    if text.contains('@') {
        let uri = format!("sip:{text}").parse::<SipUri>().map_err(|_| wrong())?;
        return Ok(over(uri, settings).into());
    }
    if text.contains(':') {
        return Err(Failure::usage(format!("`{text}` is no number; did you mean `sip:{text}`?")));
    }
    let domain = settings.domain().ok_or_else(|| needs_server(text))?;
    Ok(domain.with_user(&dialled(text)).into())
}

/// With the transport that was asked for, where no server is in between and the address names none.
fn over(uri: SipUri, settings: &Settings) -> SipUri {
    let silent = settings.server.is_none() && uri.transport().is_none();
    if silent && settings.transport != Transport::Udp {
        return uri.with_param("transport", Some(settings.transport.uri_name()));
    }
    uri
}

/// A phone number without what people put in between its digits; a name as it is.
fn dialled(text: &str) -> String {
    let digits: String = text.chars().filter(|c| !" -()./".contains(*c)).collect();
    let is_number = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit() || "+*#".contains(c));
    if is_number { digits } else { text.to_owned() }
}

fn needs_server(text: &str) -> Failure {
    Failure::usage(format!(
        "to reach `{text}`, say by which exchange: --account and --server, or start `offhook demo` in this directory"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Flags;
    use crate::settings::Demo;

    #[test]
    fn numbers_and_names_belong_to_the_domain_and_addresses_stand_for_themselves() {
        let flags = Flags {
            account: Some("sip:alice@example.com".into()),
            server: Some("192.0.2.1".into()),
            transport: "udp".into(),
            srtp: "off".into(),
            ..Flags::default()
        };
        let settings = Settings::new(&flags, Demo::Welcome).unwrap();
        for (text, expected) in [
            ("1002", "sip:1002@example.com"),
            ("*43", "sip:*43@example.com"),
            ("bob", "sip:bob@example.com"),
            ("+86 138-0000 0000", "sip:+8613800000000@example.com"),
            ("bob@other.example", "sip:bob@other.example"),
            ("sip:127.0.0.2:5070", "sip:127.0.0.2:5070"),
            ("tel:+4930123", "tel:+4930123"),
        ] {
            assert_eq!(target(text, &settings).unwrap().as_str(), expected);
        }
        for text in ["", "127.0.0.1:5060", "sips:bob@example.com", "a b@c"] {
            assert_eq!(target(text, &settings).unwrap_err().exit.code(), 2, "{text}");
        }
    }

    #[test]
    fn the_transport_flag_holds_for_direct_calls_too() {
        let flags = Flags { transport: "tcp".into(), srtp: "off".into(), ..Flags::default() };
        let settings = Settings::new(&flags, Demo::For("sip:x@192.0.2.9")).unwrap();
        let uri = |text| target(text, &settings).unwrap().to_string();
        assert_eq!(uri("sip:x@192.0.2.9:5070"), "sip:x@192.0.2.9:5070;transport=tcp");
        assert_eq!(uri("sip:x@192.0.2.9;transport=udp"), "sip:x@192.0.2.9;transport=udp");
    }

    #[test]
    fn a_name_without_an_exchange_is_a_usage_error() {
        let flags = Flags { transport: "udp".into(), srtp: "off".into(), ..Flags::default() };
        let settings = Settings::new(&flags, Demo::For("sip:x@192.0.2.9")).unwrap();
        for text in ["1002", "tel:+4930123"] {
            assert!(target(text, &settings).unwrap_err().text.contains("--account"));
        }
    }
}
