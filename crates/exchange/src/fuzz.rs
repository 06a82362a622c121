//! What the fuzz targets run on arbitrary bytes. Not part of the crate's interface.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use offhook_sip::{Message, Request};

use crate::directory::AddressOfRecord;
use crate::presence::Publications;
use crate::route::Numbering;
use crate::stir;

/// Publishes a document (PIDF), whatever it is; a second time it is as good or as bad as the first.
pub fn published(document: &[u8]) {
    let fields = "Event: presence\r\nContent-Type: application/pidf+xml\r\n";
    let Some(request) = request("PUBLISH", fields, document) else { return };
    let (mut publications, alice) = (Publications::default(), AddressOfRecord::new("alice", "example.com"));
    let mut publish = || publications.publish(&alice, &request, ("etag".to_owned(), "tag"), NOW).is_ok();
    let first = publish();
    assert_eq!(publish(), first);
    let said = publications.of(&alice, NOW);
    assert!(first || said == Default::default());
    assert!(said.activities.len() <= 8 && said.note.is_none_or(|note| note.len() <= 4 * 200));
}

/// Reads an Identity header field (RFC 8224), and one whose token says this of the call. It proves nothing without a certificate.
pub fn identity(bytes: &[u8]) {
    let read = |value: &str| {
        let fields = format!("Identity: {value}\r\n");
        let request = request("INVITE", &fields, b"")?;
        Some(stir::claims(&request, &Numbering::default(), &|host| host == "example.com", NOW))
    };
    let text: String = String::from_utf8_lossy(bytes).chars().filter(|one| !one.is_control()).collect();
    let _ = read(&text);
    let address = "https://example.com/one.pem";
    let header = format!(r#"{{"alg":"ES256","ppt":"shaken","typ":"passport","x5u":"{address}"}}"#);
    let [header, claims] = [header.as_bytes(), bytes].map(|part| URL_SAFE_NO_PAD.encode(part));
    let claim = read(&format!("{header}.{claims}.AAAA;info=<{address}>;alg=ES256;ppt=shaken"));
    if let Some(Ok(Some(claim))) = claim {
        assert_eq!(claim.address, address);
    }
}

fn request(method: &str, fields: &str, body: &[u8]) -> Option<Request> {
    let head = format!(
        "{method} sip:+493012345@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKf\r\nMax-Forwards: 70\r\n\
         From: <sip:+493054321@example.com>;tag=f\r\nTo: <sip:+493012345@example.com>\r\nCall-ID: f\r\nCSeq: 1 {method}\r\n\
         {fields}Content-Length: {}\r\n\r\n",
        body.len()
    );
    match Message::parse(Bytes::from([head.as_bytes(), body].concat())) {
        Ok(Message::Request(request)) => Some(request),
        _ => None,
    }
}

/// A moment in Unix seconds.
const NOW: u64 = 1_800_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn arbitrary_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            published(&bytes);
            identity(&bytes);
        }

        #[test]
        fn what_is_nearly_right_is_survived(cut in 0..1000usize, at in 0..1000usize, byte in any::<u8>()) {
            let document = "<?xml version=\"1.0\"?><presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:a\">\
                <tuple id=\"a\"><status><basic>open</basic></status><note>here</note></tuple></presence>";
            let claims = format!(
                r#"{{"attest":"A","dest":{{"tn":["493012345"]}},"iat":{NOW},"orig":{{"tn":"493054321"}},"origid":"x"}}"#
            );
            for (text, run) in [(document, published as fn(&[u8])), (&claims, identity)] {
                let mut bytes = text.as_bytes().to_vec();
                run(&bytes);
                let length = bytes.len();
                bytes[at % length] = byte;
                run(&bytes);
                run(&bytes[..cut % length]);
            }
        }
    }
}
