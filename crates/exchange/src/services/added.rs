//! What a new service takes: this file, and its name in `services/mod.rs`. It is there in tests only; nothing else in the
//! project knows of it.

use super::{Kind, Service, Verdict};
use crate::b2bua::{CallId, Calls, Endpoint, Point};
use crate::speech::Speech;

pub(super) const KIND: Kind = Kind {
    name: "added",
    summary: "beeps, and hangs up when a key is pressed",
    number: |_| Some("*999"),
    make: |_| Box::new(Added),
};

struct Added;

impl Service for Added {
    fn incoming(&mut self, call: CallId, calls: &mut Calls<'_, '_, '_>) -> Verdict {
        if calls.dialled(call) != Some("*999") || !calls.is_from_account(call) {
            return Verdict::Continue;
        }
        let answered = calls.answer(call, Endpoint::Voice);
        calls.say(call, Speech::new().beep());
        answered.into()
    }

    fn point(&mut self, call: CallId, point: Point, calls: &mut Calls<'_, '_, '_>) {
        if let Point::Digit(_) = point {
            calls.hang_up(call);
        }
    }
}

mod tests {
    use std::time::{Duration, Instant};

    use bytes::Bytes;
    use offhook_media::command::{Command, Heard, Order, Report};
    use offhook_media::lease::PortBlock;
    use offhook_sip_stack::{Flow, Transport};

    use crate::Shard;
    use crate::config::{Authentication, Config, Epoch, Key};
    use crate::io::{Input, Outbox};
    use crate::services::SERVICES;

    const INVITE: &str = "INVITE sip:*999@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\n\
        From: <sip:alice@example.com>;tag=1\r\nTo: <sip:*999@example.com>\r\nCall-ID: added\r\nCSeq: 1 INVITE\r\n\
        Contact: <sip:alice@192.0.2.9>\r\nMax-Forwards: 70\r\nContent-Type: application/sdp\r\nContent-Length: 103\r\n\r\n\
        v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\na=ptime:20\r\n";

    #[test]
    fn a_new_service_is_one_file_and_its_name() {
        assert!(SERVICES.iter().any(|kind| kind.name == "added"), "it is in the list that users are shown");
        #[allow(clippy::disallowed_methods, reason = "a moment to begin with; nothing depends on it")]
        let now = Instant::now();
        let mut config = Config::new(vec!["example.com".into()], Key([7; 32]));
        config.authentication = Authentication::Off;
        let epoch = Epoch { instant: now, unix: Duration::from_secs(1_800_000_000) };
        let mut shard = Shard::new(0, config, epoch, [9; 32], &[PortBlock { first: 20_000, pairs: 8 }]);
        let address = |text: &str| text.parse().unwrap();
        let (local, remote) = (address("192.0.2.1:5060"), address("192.0.2.9:5060"));
        let flow = Flow { transport: Transport::Udp, local, remote, connection: None };
        let mut out = Outbox::default();
        let (head, body) = INVITE.split_once("\r\n\r\n").unwrap();
        let head = head.replace("Content-Length: 103", &format!("Content-Length: {}", body.len()));
        let invite = Bytes::from(format!("{head}\r\n\r\n{body}"));
        shard.handle(now, Input::Datagram { flow, bytes: invite }, &mut out);
        let said = |out: &Outbox, words: &str| {
            out.sip.transmits.iter().any(|one| String::from_utf8_lossy(&one.bytes).starts_with(words))
        };
        assert!(said(&out, "SIP/2.0 200"));
        let plays = out.media.iter().find_map(|command| match command {
            Command::Order { stream, order: Order::Play { .. } } => Some(*stream),
            _ => None,
        });
        let heard = Report::Heard { stream: plays.unwrap(), heard: Heard::Digit('1') };
        let ack = format!("{head}\r\n\r\n").replace("INVITE sip", "ACK sip").replace("1 INVITE", "1 ACK");
        let tag = out.sip.transmits.iter().find_map(|one| {
            let text = String::from_utf8_lossy(&one.bytes).into_owned();
            let to = text.lines().find(|line| text.starts_with("SIP/2.0 200") && line.starts_with("To:"))?;
            Some(to.to_owned())
        });
        let ack = ack.replace("To: <sip:*999@example.com>", &tag.unwrap()).replace("bK1", "bK2");
        let ack = ack.replace(&format!("Content-Length: {}", body.len()), "Content-Length: 0");
        shard.handle(now, Input::Datagram { flow, bytes: ack.into() }, &mut out);
        shard.handle(now, Input::Media(heard), &mut out);
        assert!(said(&out, "BYE "));
    }
}
