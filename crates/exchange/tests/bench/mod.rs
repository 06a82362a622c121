//! A shard on a table: texts go in, texts come out, the clock is turned by hand.
#![allow(dead_code, reason = "each test file uses a part of it")]

pub(crate) mod call;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use offhook_exchange::Shard;
use offhook_exchange::command::{Answer, Command, Status, Ticket};
use offhook_exchange::config::{AnchorPolicy, Config, Epoch, Key, Listener};
use offhook_exchange::directory::{Account, AddressOfRecord, Delta, Secrets};
use offhook_exchange::event::Event;
use offhook_exchange::io::{Input, Outbox, ShardMessage, StoreRequest};
use offhook_exchange::message::{TextAnswer, TextRequest};
use offhook_media::command as media;
use offhook_media::lease::PortBlock;
use offhook_sip::digest::{self, Algorithm, Parts, Qop};
use offhook_sip::{Message, Name, Request, Response};
use offhook_sip_stack::locate::{DnsFailure, Question, Reach, Records};
use offhook_sip_stack::{ConnectionId, Flow, Transport};

pub(crate) const SERVER: &str = "192.0.2.1:5060";

pub(crate) struct Bench {
    pub(crate) shard: Shard,
    pub(crate) now: Instant,
    pub(crate) out: Outbox,
    pub(crate) events: Vec<Event>,
    pub(crate) stored: Vec<StoreRequest>,
    pub(crate) media: Vec<media::Command>,
    pub(crate) answers: Vec<Answer>,
    /// Questions to the DNS that were not answered yet.
    pub(crate) questions: Vec<(u64, Question)>,
    /// Who has to answer at which address.
    pub(crate) expected: Vec<(SocketAddr, String)>,
    /// What is on its way to other shards.
    pub(crate) told: Vec<(u8, ShardMessage)>,
    /// What a phone was asked when it registered.
    pub(crate) asked: Option<Request>,
    /// How many of `media` the relay has seen.
    reported: usize,
    pub(crate) sent: Vec<(Flow, Bytes)>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// With accounts alice (1001), bob (1002) and carol, whose passwords are their names.
    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::shard(3, change)
    }

    /// The same as this shard of several.
    pub(crate) fn shard(number: u8, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new(vec!["example.com".into(), "192.0.2.1".into()], Key([7; 32]));
        config.listeners.push(Listener { transport: Transport::Udp, address: SERVER.parse().unwrap() });
        config.anchor = AnchorPolicy::Never;
        change(&mut config);
        #[allow(clippy::disallowed_methods, reason = "a moment to begin with; nothing depends on it")]
        let now = Instant::now();
        let epoch = Epoch { instant: now, unix: Duration::from_secs(1_800_000_000) };
        let ports = [PortBlock { first: 20_000, pairs: 8 }];
        let shard = Shard::new(number, config, epoch, [9; 32], &ports);
        let mut bench = Self {
            shard,
            now,
            out: Outbox::default(),
            events: Vec::new(),
            stored: Vec::new(),
            media: Vec::new(),
            answers: Vec::new(),
            questions: Vec::new(),
            expected: Vec::new(),
            told: Vec::new(),
            asked: None,
            reported: 0,
            sent: Vec::new(),
        };
        for (user, number) in [("alice", Some("1001")), ("bob", Some("1002")), ("carol", None)] {
            bench.account(user, number);
        }
        bench
    }

    /// An account in another domain.
    pub(crate) fn account_at(&mut self, user: &str, domain: &str, password: &str) {
        self.add(AddressOfRecord::new(user, domain), None, password);
    }

    pub(crate) fn account(&mut self, user: &str, number: Option<&str>) {
        self.add(AddressOfRecord::new(user, "example.com"), number, user);
    }

    fn add(&mut self, address: AddressOfRecord, number: Option<&str>, password: &str) {
        let user = address.user().to_owned();
        let ha1 = |algorithm| digest::ha1(algorithm, &user, "example.com", password);
        let account = Account {
            address: address.clone(),
            name: Some(user.to_uppercase()),
            number: number.map(str::to_owned),
            language: None,
            realm: "example.com".into(),
            secrets: Secrets { md5: ha1(Algorithm::Md5), sha256: ha1(Algorithm::Sha256) },
        };
        self.input(Input::Command(Ticket(0), Command::Apply(Box::new(Delta::Account(account)))));
        if let Some(number) = number {
            let delta = Delta::Number(number.into(), Some(address));
            self.input(Input::Command(Ticket(0), Command::Apply(Box::new(delta))));
        }
    }

    pub(crate) fn input(&mut self, input: Input) {
        self.shard.handle(self.now, input, &mut self.out);
        self.sent.extend(self.out.sip.transmits.drain(..).map(|one| (one.flow, one.bytes)));
        self.events.append(&mut self.out.events);
        self.stored.append(&mut self.out.store);
        self.media.append(&mut self.out.media);
        self.told.append(&mut self.out.shards);
        self.questions.append(&mut self.out.resolves);
        self.expected.append(&mut self.out.expected);
        self.answers.extend(self.out.answers.drain(..).map(|(_, answer)| answer));
        // Nothing is kept on a table.
        for (ticket, asked) in std::mem::take(&mut self.out.texts) {
            if matches!(asked, TextRequest::Keep(_) | TextRequest::Next(..)) {
                self.input(Input::Stored(ticket, TextAnswer::Failed));
            }
        }
    }

    /// Answers all questions: names have this address and nothing else.
    pub(crate) fn resolve(&mut self, address: &str) {
        while let Some((ticket, question)) = self.questions.pop() {
            let local = SERVER.parse::<SocketAddr>().unwrap().ip();
            let reach = Reach { remote: address.parse().unwrap(), local };
            let answer = match question {
                Question::Addresses(_) => Ok(Records::Addresses(vec![reach])),
                Question::Naptr(_) | Question::Srv(_) => Err(DnsFailure::NoRecords),
            };
            self.input(Input::Resolved(ticket, answer));
        }
    }

    /// Sends a message from a phone's address; line ends may be bare.
    pub(crate) fn send(&mut self, from: &str, text: &str) {
        let text = text.replace("\r\n", "\n").replace('\n', "\r\n");
        self.send_bytes(from, Bytes::from(text));
    }

    pub(crate) fn send_bytes(&mut self, from: &str, bytes: Bytes) {
        self.input(Input::Datagram { flow: udp(from), bytes });
    }

    /// Sends a message on any way; line ends may be bare.
    pub(crate) fn send_on(&mut self, flow: Flow, text: &str) {
        let bytes = Bytes::from(text.replace("\r\n", "\n").replace('\n', "\r\n"));
        self.input(match flow.connection {
            Some(_) => Input::StreamMessage { flow, bytes },
            None => Input::Datagram { flow, bytes },
        });
    }

    /// How the shard is.
    pub(crate) fn status(&mut self) -> Status {
        self.input(Input::Command(Ticket(0), Command::Status));
        match self.answers.pop() {
            Some(Answer::Status(status)) => status,
            other => panic!("{other:?}"),
        }
    }

    /// What the relay would report of the streams that were closed since it was last asked.
    pub(crate) fn relay(&mut self) {
        let from = std::mem::replace(&mut self.reported, self.media.len());
        for at in from..self.reported {
            if let media::Command::Close { stream } = self.media[at]
                && let Some(ports) = opened(&self.media, stream)
            {
                let (ports, counters) = (ports.into(), [media::Counters::default(); 2]);
                self.input(Input::Media(media::Report::Closed { stream, ports, counters }));
            }
        }
    }

    /// The streams that were opened and not closed.
    pub(crate) fn open_streams(&self) -> Vec<media::StreamId> {
        let mut open = Vec::new();
        for command in &self.media {
            match command {
                media::Command::Open { stream, .. } | media::Command::OpenEnd { stream, .. } => {
                    open.push(*stream);
                }
                media::Command::Close { stream } => open.retain(|one| one != stream),
                media::Command::Update { .. }
                | media::Command::Carry { .. }
                | media::Command::Transcode { .. }
                | media::Command::Press { .. }
                | media::Command::KeyFrame { .. }
                | media::Command::Echo { .. }
                | media::Command::Order { .. }
                | media::Command::Tap { .. } => {}
            }
        }
        open
    }

    /// The ports of a stream.
    pub(crate) fn ports(&self, stream: media::StreamId) -> [media::PortPair; 2] {
        opened(&self.media, stream).unwrap_or_else(|| panic!("{stream:?} was never opened"))
    }

    /// What the relay knows of one side of a stream.
    pub(crate) fn remote(&self, stream: media::StreamId, side: media::SideName) -> media::Remote {
        let known = self.media.iter().rev().find_map(|command| match command {
            media::Command::Open { stream: one, sides, .. } if *one == stream => {
                Some(sides[side.index()].remote.clone())
            }
            media::Command::Update { stream: one, side: of, remote, .. } if *one == stream && *of == side => {
                Some(remote.as_ref().clone())
            }
            _ => None,
        });
        known.unwrap_or_else(|| panic!("{stream:?} was never opened"))
    }

    /// Lets time pass, with all that happens in it.
    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(deadline) = self.shard.next_deadline().filter(|deadline| *deadline <= until) {
            self.now = deadline.max(self.now);
            self.input(Input::Deadline);
        }
        self.now = until;
    }

    /// What was sent to an address since it was last asked for.
    pub(crate) fn take(&mut self, to: &str) -> Vec<Message> {
        self.take_with_way(to).into_iter().map(|(_, message)| message).collect()
    }

    /// The same, with the way of each.
    pub(crate) fn take_with_way(&mut self, to: &str) -> Vec<(Flow, Message)> {
        let to: SocketAddr = to.parse().unwrap();
        let (mine, others) =
            std::mem::take(&mut self.sent).into_iter().partition(|(flow, _)| flow.remote == to);
        self.sent = others;
        mine.into_iter().map(|(flow, bytes)| (flow, Message::parse(bytes).unwrap())).collect()
    }

    /// Everything that was sent since it was last asked for.
    pub(crate) fn take_all(&mut self) -> Vec<(Flow, Bytes)> {
        std::mem::take(&mut self.sent)
    }

    pub(crate) fn nothing_sent(&self) -> bool {
        self.sent.is_empty()
    }

    /// The last response sent to an address.
    pub(crate) fn response(&mut self, to: &str) -> Response {
        let last = self.take(to).into_iter().rev().find_map(|one| one.as_response().cloned());
        last.unwrap_or_else(|| panic!("no response to {to}"))
    }

    /// The last request sent to an address.
    pub(crate) fn request(&mut self, to: &str) -> Request {
        let last = self.take(to).into_iter().rev().find_map(|one| one.as_request().cloned());
        last.unwrap_or_else(|| panic!("no request to {to}"))
    }

    pub(crate) fn codes(&mut self, to: &str) -> Vec<u16> {
        self.take(to).iter().filter_map(|one| one.as_response().map(|one| one.status().code())).collect()
    }

    /// Sends a request; if it is challenged, again with credentials. Returns the last answer.
    pub(crate) fn authenticated(&mut self, from: &str, user: &str, text: &str) -> Response {
        self.send(from, text);
        let challenge = self.response(from);
        if !matches!(challenge.status().code(), 401 | 407) {
            return challenge;
        }
        if text.starts_with("INVITE") {
            self.send(from, &ack_of(text, &challenge));
        }
        self.send(from, &with_credentials(text, user, user, &challenge));
        self.take(from).iter().rev().find_map(|one| one.as_response().cloned()).unwrap()
    }

    /// Sends a request again, with credentials for a challenge.
    pub(crate) fn authenticated_again(&mut self, from: &str, user: &str, text: &str, challenge: &Response) {
        self.authenticated_with(from, user, user, text, challenge);
    }

    /// The same with a password that is not the user's name.
    pub(crate) fn authenticated_with(
        &mut self,
        from: &str,
        user: &str,
        password: &str,
        text: &str,
        challenge: &Response,
    ) {
        self.send(from, &with_credentials(text, user, password, challenge));
    }

    pub(crate) fn register(&mut self, user: &str, at: &str) {
        let text = register(user, at, &format!("Contact: <sip:{user}@{at}>\nExpires: 600\n"));
        assert_eq!(self.authenticated(at, user, &text).status().code(), 200, "{user} registers");
    }
}

/// The way of a datagram from a phone.
pub(crate) fn udp(from: &str) -> Flow {
    Flow {
        transport: Transport::Udp,
        local: SERVER.parse().unwrap(),
        remote: from.parse().unwrap(),
        connection: None,
    }
}

/// The way of a message on a connection that a phone opened.
pub(crate) fn tcp(from: &str, connection: u64) -> Flow {
    Flow { transport: Transport::Tcp, connection: Some(ConnectionId(connection)), ..udp(from) }
}

fn opened(commands: &[media::Command], stream: media::StreamId) -> Option<[media::PortPair; 2]> {
    commands.iter().find_map(|command| match command {
        media::Command::Open { stream: one, sides, .. } if *one == stream => {
            Some([sides[0].ports, sides[1].ports])
        }
        _ => None,
    })
}

/// The message with an SDP as its body, instead of none.
pub(crate) fn with_sdp(text: &str, sdp: &str) -> String {
    let sdp = sdp.replace('\n', "\r\n");
    let length = format!("Content-Type: application/sdp\nContent-Length: {}\n\n{sdp}", sdp.len());
    text.replace("Content-Length: 0\n\n", &length)
}

pub(crate) fn register(user: &str, at: &str, headers: &str) -> String {
    format!(
        "REGISTER sip:example.com SIP/2.0\nVia: SIP/2.0/UDP {at};branch=z9hG4bKreg{user}1;rport\nMax-Forwards: 70\n\
         From: <sip:{user}@example.com>;tag=r{user}\nTo: <sip:{user}@example.com>\nCall-ID: reg-{user}\n\
         CSeq: 1 REGISTER\n{headers}Content-Length: 0\n\n"
    )
}

pub(crate) fn request(method: &str, uri: &str, user: &str, at: &str, headers: &str, body: &str) -> String {
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\n" };
    format!(
        "{method} {uri} SIP/2.0\nVia: SIP/2.0/UDP {at};branch=z9hG4bK{method}{user}1;rport\nMax-Forwards: 70\n\
         From: \"Me\" <sip:{user}@example.com>;tag=f{user}\nTo: <{uri}>\nCall-ID: call-{user}\n\
         CSeq: 1 {method}\nContact: <sip:{user}@{at}>\n{headers}{kind}Content-Length: {}\n\n{body}",
        body.replace('\n', "\r\n").len()
    )
}

/// The request with credentials for a challenge: a new branch and CSeq number.
pub(crate) fn with_credentials(text: &str, user: &str, password: &str, challenge: &Response) -> String {
    let (name, credentials) = match challenge.status().code() {
        401 => (Name::WwwAuthenticate, "Authorization"),
        _ => (Name::ProxyAuthenticate, "Proxy-Authorization"),
    };
    let offered = challenge.challenges(name).flatten().next().unwrap();
    let algorithm = offered.algorithm().unwrap();
    let (realm, nonce) = (offered.realm().unwrap(), offered.nonce().unwrap());
    let mut words = text.split_ascii_whitespace();
    let (method, uri) = (words.next().unwrap(), words.next().unwrap());
    let ha1 = digest::ha1(algorithm, user, &realm, password);
    let qop = Some(Qop::Auth { nc: "00000001", cnonce: "abc" });
    let response = digest::response(algorithm, &ha1, &Parts { nonce: &nonce, method, uri, qop });
    let header = format!(
        "{credentials}: Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", \
         response=\"{response}\", algorithm={}, cnonce=\"abc\", qop=auth, nc=00000001",
        algorithm.name()
    );
    let opaque = offered.opaque().map(|opaque| format!(", opaque=\"{opaque}\"")).unwrap_or_default();
    text.replacen("1;rport", "2;rport", 1).replacen(
        &format!("CSeq: 1 {method}"),
        &format!("CSeq: 2 {method}\n{header}{opaque}"),
        1,
    )
}

fn ack_of(invite: &str, answer: &Response) -> String {
    let mut lines: Vec<String> =
        invite.lines().take_while(|line| !line.is_empty()).map(str::to_owned).collect();
    lines[0] = lines[0].replacen("INVITE", "ACK", 1);
    lines.retain(|line| !line.starts_with("Content-") && !line.starts_with("Contact"));
    for line in &mut lines {
        if line.starts_with("To:") {
            *line = format!("To: {}", String::from_utf8_lossy(answer.raw(Name::To).unwrap()));
        }
        if line.starts_with("CSeq:") {
            *line = line.replace("INVITE", "ACK");
        }
    }
    lines.join("\n") + "\nContent-Length: 0\n\n"
}

/// A response of a phone to a request that it got, with its own tag and perhaps more headers and an SDP.
pub(crate) fn reply(request: &Request, code: u16, tag: &str, headers: &str, body: &str) -> String {
    let status = offhook_sip::Status::new(code).unwrap();
    let answer = Response::to_request(request, status).to_tag(tag).copy_record_route(request);
    let answer = if body.is_empty() {
        answer.finish()
    } else {
        answer.body("application/sdp", body.replace('\n', "\r\n").as_bytes()).finish()
    };
    let text = String::from_utf8_lossy(answer.bytes()).into_owned();
    let (first, rest) = text.split_once("\r\n").unwrap();
    format!("{first}\r\n{}{rest}", headers.replace('\n', "\r\n"))
}

pub(crate) fn sdp(address: &str, port: u16) -> String {
    format!(
        "v=0\no=- 1 1 IN IP4 {address}\ns=-\nc=IN IP4 {address}\nt=0 0\nm=audio {port} RTP/AVP 0 8 101\n\
         a=rtpmap:101 telephone-event/8000\na=sendrecv\n"
    )
}

/// The text of the first header of a name.
pub(crate) fn raw(headers: &offhook_sip::Headers, name: Name) -> String {
    String::from_utf8_lossy(headers.raw(name).unwrap_or_default()).into_owned()
}

/// A request of one party inside the dialog that an INVITE and its 200 made.
pub(crate) fn in_dialog(
    method: &str,
    cseq: u32,
    invite: &Request,
    ok: &Response,
    by_caller: bool,
    at: &str,
) -> String {
    // The caller reads the routes of the 200 from the end, the callee those of the INVITE from the start.
    let mut routes: Vec<String> = if by_caller { ok.record_routes() } else { invite.record_routes() }
        .flatten()
        .map(|route| route.to_string())
        .collect();
    if by_caller {
        routes.reverse();
    }
    let (from, to, target) = if by_caller {
        (raw(ok, Name::From), raw(ok, Name::To), ok.contacts().unwrap())
    } else {
        (raw(ok, Name::To), raw(ok, Name::From), invite.contacts().unwrap())
    };
    let target = target.list()[0].uri().to_string();
    let routes: String = routes.iter().map(|route| format!("Route: {route}\n")).collect();
    format!(
        "{method} {target} SIP/2.0\nVia: SIP/2.0/UDP {at};branch=z9hG4bK{method}{cseq};rport\nMax-Forwards: 70\n\
         {routes}From: {from}\nTo: {to}\nCall-ID: {}\nCSeq: {cseq} {method}\nContent-Length: 0\n\n",
        invite.call_id().unwrap()
    )
}
