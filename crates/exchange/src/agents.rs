//! What is known of phones by their User-Agent, where they cannot do what everybody else can.

use offhook_sip::Request;
use offhook_sip_stack::auth::Offer;

/// The algorithms with which a request is challenged (RFC 8760 §2.3).
///
/// baresip before 2.0 ends its registration at a challenge with another algorithm than MD5, wherever it stands. What
/// tells no name is a test tool or a simple device: SIPp 3.6 looks at the first challenge only and knows MD5 only.
pub(crate) fn offer(request: &Request) -> Offer {
    match request.user_agent().map(<[u8]>::trim_ascii) {
        None | Some([]) => Offer::Md5First,
        Some(agent) if MD5_ONLY.iter().any(|name| agent.starts_with(name)) => Offer::Md5Only,
        Some(_) => Offer::Sha256First,
    }
}

const MD5_ONLY: [&[u8]; 2] = [b"baresip v0.", b"baresip v1."];

#[cfg(test)]
mod tests {
    use offhook_sip::Message;

    use super::*;

    fn offered(agent: &str) -> Offer {
        let text = format!(
            "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n\
             From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 REGISTER\r\n{agent}\r\n"
        );
        let message = Message::parse(text.into_bytes().into()).unwrap();
        offer(message.as_request().unwrap())
    }

    #[test]
    fn sha_256_comes_first_for_who_can_tell_challenges_apart() {
        assert_eq!(offered("User-Agent: baresip v3.10.1 (x86_64/Linux)\r\n"), Offer::Sha256First);
        assert_eq!(offered("User-Agent: baresip v1.0.0 (x86_64/linux)\r\n"), Offer::Md5Only);
        assert_eq!(offered(""), Offer::Md5First);
    }
}
