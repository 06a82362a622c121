//! Paths through a whole shard. Phones' messages are made outside of what is counted.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use offhook_exchange::Shard;
use offhook_exchange::config::{AnchorPolicy, Authentication, Config, Epoch, Key, Listener};
use offhook_exchange::io::{Input, Outbox};
use offhook_media::lease::PortBlock;
use offhook_sip::{Message, Name, Request, Response, Status};
use offhook_sip_stack::{Flow, Transport};

use crate::Counted;

/// A phone registers again; its first transaction is long over.
pub(crate) fn register(counted: &mut Counted) {
    let mut desk = Desk::new();
    counted.repeat(WARM, TIMES, |counted, number| {
        desk.now += BETWEEN;
        let user = format!("u{}", number % 100);
        assert_eq!(desk.register(counted, &user, CALLER, number), 200);
    });
}

/// An INVITE comes once more, while it rings: what was answered is answered again.
pub(crate) fn invite_again(counted: &mut Counted) {
    let mut desk = Desk::new();
    assert_eq!(desk.register(&Counted::default(), "bob", CALLEE, 0), 200);
    let invite = invite(0);
    desk.send(&Counted::default(), CALLER, invite.clone());
    counted.repeat(100, TIMES, |counted, _| {
        assert_eq!(status(&desk.send(counted, CALLER, invite.clone()), CALLER), 100);
    });
}

/// INVITE, 100, 180, 200, ACK, BYE, 200.
pub(crate) fn call(counted: &mut Counted) {
    let mut desk = Desk::new();
    assert_eq!(desk.register(&Counted::default(), "bob", CALLEE, 0), 200);
    counted.repeat(WARM, TIMES, |counted, number| {
        desk.now += BETWEEN;
        desk.one_call(counted, number);
    });
}

/// A shard, and what it sent last.
struct Desk {
    shard: Shard,
    now: Instant,
    out: Outbox,
}

impl Desk {
    fn new() -> Self {
        let mut config = Config::new(vec!["example.com".into()], Key([7; 32]));
        config.listeners.push(Listener { transport: Transport::Udp, address: server() });
        config.anchor = AnchorPolicy::Never;
        config.authentication = Authentication::Off;
        config.max_calls_per_account = 1_000;
        #[allow(clippy::disallowed_methods, reason = "a moment to begin with; nothing depends on it")]
        let now = Instant::now();
        let epoch = Epoch { instant: now, unix: Duration::from_secs(1_800_000_000) };
        let ports = [PortBlock { first: 20_000, pairs: 8 }];
        Self { shard: Shard::new(0, config, epoch, [9; 32], &ports), now, out: Outbox::default() }
    }

    /// Hands a datagram in and takes everything out, as the signal thread does.
    fn send(&mut self, counted: &Counted, from: &str, bytes: Bytes) -> Vec<(SocketAddr, Bytes)> {
        self.now += Duration::from_millis(1);
        let input = Input::Datagram { flow: flow(from), bytes };
        counted.work(|| self.shard.handle(self.now, input, &mut self.out));
        let sent = self.out.sip.transmits.drain(..).map(|one| (one.flow.remote, one.bytes)).collect();
        self.out.store.clear();
        self.out.media.clear();
        self.out.shards.clear();
        self.out.events.clear();
        sent
    }

    fn register(&mut self, counted: &Counted, user: &str, at: &str, number: u32) -> u16 {
        let text = format!(
            "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bKr{number};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{user}@example.com>;tag=f{user}\r\nTo: <sip:{user}@example.com>\r\n\
             Call-ID: register-{user}@phone\r\nCSeq: {} REGISTER\r\nContact: <sip:{user}@{at}>\r\nExpires: 3600\r\n\
             User-Agent: phone 1\r\nContent-Length: 0\r\n\r\n",
            number + 1
        );
        status(&self.send(counted, at, text.into()), at)
    }

    fn one_call(&mut self, counted: &Counted, number: u32) {
        let sent = self.send(counted, CALLER, invite(number));
        let invited = request(&sent, CALLEE);
        self.send(counted, CALLEE, answer(&invited, Status::RINGING));
        let sent = self.send(counted, CALLEE, answer(&invited, Status::OK));
        let answered = response(&sent, CALLER);
        let sent = self.send(counted, CALLER, within("ACK", 1, number, &answered));
        assert_eq!(request(&sent, CALLEE).method().as_str(), "ACK");
        let sent = self.send(counted, CALLER, within("BYE", 2, number, &answered));
        let bye = request(&sent, CALLEE);
        let sent = self.send(counted, CALLEE, answer(&bye, Status::OK));
        assert_eq!(status(&sent, CALLER), 200);
    }
}

fn invite(number: u32) -> Bytes {
    let sdp = "v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 101\r\n\
        a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=sendrecv\r\n";
    let text = format!(
        "INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP {CALLER};branch=z9hG4bKi{number};rport\r\n\
         Max-Forwards: 70\r\nFrom: \"Alice\" <sip:alice@example.com>;tag=a{number}\r\nTo: <sip:bob@example.com>\r\n\
         Call-ID: c{number}@phone\r\nCSeq: 1 INVITE\r\nContact: <sip:alice@{CALLER}>\r\n\
         Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE\r\nUser-Agent: phone 1\r\nContent-Type: application/sdp\r\n\
         Content-Length: {}\r\n\r\n{sdp}",
        sdp.len()
    );
    text.into()
}

/// The callee's response.
fn answer(request: &Request, status: Status) -> Bytes {
    let answer = Response::to_request(request, status).to_tag("b1").copy_record_route(request);
    let text = String::from_utf8_lossy(answer.finish().bytes()).into_owned();
    text.replacen("\r\nCall-ID", &format!("\r\nContact: <sip:bob@{CALLEE}>\r\nCall-ID"), 1).into()
}

/// A request of the caller in the dialog that a 200 made.
fn within(method: &str, cseq: u32, number: u32, ok: &Response) -> Bytes {
    let mut routes: Vec<_> =
        ok.record_routes().flatten().map(|route| format!("Route: {route}\r\n")).collect();
    routes.reverse();
    let text = |name| String::from_utf8_lossy(ok.raw(name).unwrap()).into_owned();
    let (from, to, target) =
        (text(Name::From), text(Name::To), ok.contacts().unwrap().list()[0].uri().to_string());
    let text = format!(
        "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {CALLER};branch=z9hG4bK{method}{number};rport\r\n\
         {}Max-Forwards: 70\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: c{number}@phone\r\nCSeq: {cseq} {method}\r\n\
         Content-Length: 0\r\n\r\n",
        routes.concat()
    );
    text.into()
}

/// The last message that was sent to a phone.
fn last(sent: &[(SocketAddr, Bytes)], to: &str) -> Message {
    let to: SocketAddr = to.parse().unwrap();
    let (_, bytes) = sent.iter().rev().find(|(remote, _)| *remote == to).unwrap();
    Message::parse(bytes.clone()).unwrap()
}

fn request(sent: &[(SocketAddr, Bytes)], to: &str) -> Request {
    last(sent, to).as_request().unwrap().clone()
}

fn response(sent: &[(SocketAddr, Bytes)], to: &str) -> Response {
    last(sent, to).as_response().unwrap().clone()
}

fn status(sent: &[(SocketAddr, Bytes)], to: &str) -> u16 {
    response(sent, to).status().code()
}

fn flow(from: &str) -> Flow {
    Flow { transport: Transport::Udp, local: server(), remote: from.parse().unwrap(), connection: None }
}

fn server() -> SocketAddr {
    "192.0.2.1:5060".parse().unwrap()
}

const CALLER: &str = "192.0.2.10:5060";
const CALLEE: &str = "192.0.2.20:5060";
/// Between two units.
const BETWEEN: Duration = Duration::from_millis(100);
/// Until then the first transactions have ended, and as many end as begin.
const WARM: u32 = 400;
const TIMES: u32 = 300;
