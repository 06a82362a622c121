use offhook_sip::Message;

use super::*;

fn publish(headers: &str, body: &str) -> Request {
    let length = body.len();
    let text = format!(
        "PUBLISH sip:alice@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\n\
         From: <sip:alice@example.com>;tag=1\r\nTo: <sip:alice@example.com>\r\nCall-ID: 1\r\nCSeq: 1 PUBLISH\r\n\
         Event: presence\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    );
    match Message::parse(text.into()) {
        Ok(Message::Request(request)) => request,
        other => panic!("{other:?}"),
    }
}

const TYPE: &str = "Content-Type: application/pidf+xml\r\n";
const AWAY: &str = r#"<?xml version="1.0"?><presence xmlns="urn:ietf:params:xml:ns:pidf"
  xmlns:r="urn:ietf:params:xml:ns:pidf:rpid" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model"
  entity="pres:alice@example.com"><tuple id="1"><status><basic>closed</basic></status><note>At &lt;lunch&gt;</note></tuple>
  <dm:person id="p"><r:activities><r:away/><r:note>x</r:note></r:activities></dm:person></presence>"#;

fn alice() -> AddressOfRecord {
    AddressOfRecord::new("alice", "example.com")
}

fn status(result: Result<Response, Refusal>) -> u16 {
    result.map_or_else(|refusal| refusal.status.code(), |answer| answer.status().code())
}

#[test]
fn a_publication_is_made_refreshed_changed_and_removed() {
    let mut all = Publications::default();
    let made = all.publish(&alice(), &publish(TYPE, AWAY), ("e1".into(), ""), 100).unwrap();
    assert_eq!(made.raw(Name::SipETag), Some(&b"e1"[..]));
    assert_eq!(made.expires(), Some(3600));
    let said = all.of(&alice(), 101);
    assert_eq!((said.open, said.note.as_deref()), (Some(false), Some("At <lunch>")));
    assert_eq!(said.activities, ["away"]);
    // A refresh has no body, and a new tag.
    let refresh = publish("SIP-If-Match: e1\r\nExpires: 60\r\n", "");
    assert_eq!(status(all.publish(&alice(), &refresh, ("e2".into(), ""), 200)), 200);
    assert_eq!(status(all.publish(&alice(), &refresh, ("e3".into(), ""), 200)), 412);
    assert_eq!(all.of(&alice(), 201), said);
    let open = AWAY.replace("closed", "open");
    let change = publish(&format!("SIP-If-Match: e2\r\n{TYPE}"), &open);
    assert_eq!(status(all.publish(&alice(), &change, ("e4".into(), ""), 210)), 200);
    assert_eq!(all.of(&alice(), 211).open, Some(true));
    let remove = publish("SIP-If-Match: e4\r\nExpires: 0\r\n", "");
    assert_eq!(status(all.publish(&alice(), &remove, ("e5".into(), ""), 220)), 200);
    assert!(all.0.is_empty());
}

proptest::proptest! {
    #[test]
    fn any_document_is_read_or_refused(text in "(<presence>|</?status>|</?basic>|</?activities>|<a b='|'/>|&#?[a-z0-9]*;|\\PC|\n)*") {
        let _ = super::said(&text);
    }
}

#[test]
fn what_expires_is_said_no_more() {
    let mut all = Publications::default();
    let soon = publish(&format!("Expires: 60\r\n{TYPE}"), AWAY);
    all.publish(&alice(), &soon, ("e1".into(), ""), 100).unwrap();
    assert_eq!(all.of(&alice(), 160), Said::default());
    assert!(all.forget_expired(159).is_empty());
    assert_eq!(all.forget_expired(160), [alice()]);
    assert!(all.0.is_empty());
}

#[test]
fn what_cannot_be_published_is_refused_with_the_reason() {
    let mut all = Publications::default();
    let dtd = format!("<!DOCTYPE presence [<!ENTITY a \"aa\">]>{}", &AWAY[21..]);
    let deep = format!("<presence>{}", "<a>".repeat(2_000));
    let wide = format!("<presence>{}</presence>", "<a/>".repeat(2_000));
    let cases = [
        (publish("", ""), 400),
        (publish("SIP-If-Match: e9\r\n", ""), 412),
        (publish(&format!("Expires: 1\r\n{TYPE}"), AWAY), 423),
        (publish("Content-Type: text/plain\r\n", AWAY), 415),
        (publish(TYPE, "<presence"), 400),
        (publish(TYPE, "<other/>"), 400),
        (publish(TYPE, &dtd), 400),
        (publish(TYPE, &deep), 400),
        (publish(TYPE, &wide), 400),
        (publish(TYPE, &" ".repeat(LONGEST + 1)), 413),
    ];
    for (request, expected) in cases {
        assert_eq!(status(all.publish(&alice(), &request, ("e".into(), ""), 1)), expected);
    }
    let other = publish(TYPE, AWAY).edit().set(Name::Event, "dialog").finish();
    assert_eq!(status(all.publish(&alice(), &other, ("e".into(), ""), 1)), 489);
    assert!(all.0.is_empty());
    for number in 0..=MOST {
        let answer = all.publish(&alice(), &publish(TYPE, AWAY), (number.to_string(), ""), 1);
        assert_eq!(status(answer), if number < MOST { 200 } else { 503 });
    }
}
