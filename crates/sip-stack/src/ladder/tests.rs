use super::*;
use bytes::Bytes;

const INVITE: &str = "INVITE sip:*43@pbx SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n\
    From: <sip:alice@pbx>;tag=a\r\nTo: <sip:*43@pbx>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\n";
const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
    m=audio 4000 RTP/AVP 96 8 0 101\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\n";

fn invite(number: u32, more: &str, body: &str) -> Bytes {
    let head = INVITE.replace("CSeq: 1", &format!("CSeq: {number}"));
    format!("{head}{more}Content-Length: {}\r\n\r\n{body}", body.len()).into()
}

fn response(code: &str, cseq: &str) -> Bytes {
    format!(
        "SIP/2.0 {code}\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:alice@pbx>;tag=a\r\n\
         To: <sip:*43@pbx>;tag=b\r\nCall-ID: c\r\nCSeq: {cseq}\r\nContent-Length: 0\r\n\r\n"
    )
    .into()
}

fn draw(language: Language, messages: &[(Way, Bytes)]) -> Vec<String> {
    let mut reader = Reader::new(language);
    let times = (0..).map(|n| f64::from(n) / 1e3);
    let draw =
        |((way, bytes), at): (&(Way, Bytes), f64)| line(at, "phone", *way, "exchange", &reader.read(bytes));
    messages.iter().zip(times).map(draw).collect()
}

#[test]
fn a_call_reads_like_a_conversation() {
    let lines = draw(
        Language::English,
        &[
            (Way::Sent, invite(1, "", SDP)),
            (Way::Received, response("401 Unauthorized", "1 INVITE")),
            (Way::Sent, invite(2, "Authorization: Digest username=\"alice\"\r\n", "")),
            (Way::Received, response("200 OK", "2 INVITE")),
        ],
    );
    let expected = [
        "  0.000  phone ── INVITE *43 (SDP: opus, pcma, pcmu) ───────▶ exchange   please talk to me",
        "  0.001  phone ◀─ 401 Unauthorized ────────────────────────── exchange   asks who we are (normal)",
        "  0.002  phone ── INVITE *43 ───────────────────────────────▶ exchange   the same with proof of who we are",
        "  0.003  phone ◀─ 200 OK ──────────────────────────────────── exchange   answered",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_second_401_means_that_the_password_is_wrong() {
    let lines = draw(
        Language::English,
        &[
            (Way::Sent, invite(7, "Authorization: Digest username=\"alice\"\r\n", "")),
            (Way::Received, response("401 Unauthorized", "7 INVITE")),
        ],
    );
    assert!(lines[1].ends_with("name or password is wrong"), "{}", lines[1]);
}

#[test]
fn proof_of_another_kind_or_out_of_date_is_asked_for_again_as_usual() {
    let invite = || (Way::Sent, invite(7, "Authorization: Digest username=\"alice\"\r\n", ""));
    let proxy = (Way::Received, response("407 Proxy Authentication Required", "7 INVITE"));
    let stale = "CSeq: 7 INVITE\r\nWWW-Authenticate: Digest realm=\"pbx\", nonce=\"n\", stale=true";
    let text = String::from_utf8(response("401 Unauthorized", "7 INVITE").to_vec()).unwrap();
    let stale = (Way::Received, Bytes::from(text.replace("CSeq: 7 INVITE", stale)));
    for challenge in [proxy, stale] {
        let lines = draw(Language::English, &[invite(), challenge]);
        assert!(lines[0].ends_with("please talk to me"), "{}", lines[0]);
        assert!(lines[1].ends_with("asks who we are (normal)"), "{}", lines[1]);
    }
}

#[test]
fn what_is_sent_again_is_said_to_be() {
    let lines = draw(Language::English, &[(Way::Sent, invite(1, "", "")), (Way::Sent, invite(1, "", ""))]);
    assert!(lines[1].ends_with("sent again: no answer yet"));
}

#[test]
fn explanations_follow_the_language_and_sip_stays_english() {
    let lines = draw(Language::Chinese, &[(Way::Received, response("486 Busy Here", "1 INVITE"))]);
    assert_eq!(lines[0], "  0.000  phone ◀─ 486 Busy Here ───────────────────────────── exchange   忙");
}

#[test]
fn a_hold_shows_its_direction() {
    let hold = invite(2, "", &format!("{SDP}a=sendonly\r\n"));
    let (answer, agreement) = (response("200 OK", "1 INVITE"), response("200 OK", "2 INVITE"));
    let lines =
        draw(Language::English, &[(Way::Received, answer), (Way::Sent, hold), (Way::Received, agreement)]);
    assert!(lines[1].contains("(SDP: opus, pcma, pcmu, sendonly)"), "{}", lines[1]);
    assert!(lines[0].ends_with("answered") && lines[2].ends_with("agreed"), "{lines:?}");
}

#[test]
fn garbage_and_control_characters_do_no_harm() {
    let bell = response("486 Busy\x07\x1b[2J", "1 INVITE");
    let lines =
        draw(Language::English, &[(Way::Received, Bytes::from_static(b"\x00\x01")), (Way::Received, bell)]);
    assert!(lines[0].contains("not SIP"));
    assert!(!lines[1].chars().any(char::is_control), "{}", lines[1]);
}

#[test]
fn encrypted_sound_is_named() {
    let encrypted = SDP.replace("RTP/AVP", "RTP/SAVP");
    let beside = format!("{SDP}a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:*\r\n");
    for (number, sdp) in [(1, encrypted), (2, beside)] {
        let lines = draw(Language::English, &[(Way::Sent, invite(number, "", &sdp))]);
        assert!(lines[0].contains("(SDP: opus, pcma, pcmu, srtp)"), "{}", lines[0]);
    }
}
