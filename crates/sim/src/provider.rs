//! A provider of telephone lines, as one server: it registers customers by digest and answers their calls itself.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use offhook_exchange::route::{Choice, Destination, Pattern, Rule, Trunk, TrunkAccount, TrunkAuth};
use offhook_sip::digest::{self, Algorithm, Parts, Qop};
use offhook_sip::{Message, Method, Name, Request, Response, Status, Uri};
use offhook_sip_stack::auth::Password;

/// One server of a provider. Each answer takes no time; nothing is sent again.
#[derive(Debug)]
pub struct Provider {
    /// Its name in ladders.
    pub name: String,
    /// Where it is.
    pub address: SocketAddr,
    /// What it does.
    pub manners: Manners,
    /// The Contact of the customer, as it was registered.
    pub registered: Option<String>,
    /// What the sound of calls was offered as: the `m=` lines.
    pub offered: Vec<String>,
    issued: u32,
}

/// What a provider does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manners {
    /// Asks for credentials once, and serves those who have them.
    Serves,
    /// Asks for credentials, whatever it is given.
    NeverContent,
    /// Registers, and answers calls with this.
    Refuses(u16),
    /// Registers, and answers calls to which this sound is offered; refuses others with this status.
    Takes(Sound, u16),
    /// Knows its customers by their address, and answers their calls.
    Trusts,
    /// The same, but sends their calls on: the Contact of its 302.
    SendsOn(&'static str),
    /// Says nothing.
    Silent,
}

/// The only sound that a provider takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sound {
    /// The profile.
    pub profile: &'static str,
    /// A format that has to be among the offered.
    pub format: &'static str,
}

impl Provider {
    /// The customer's user name, and its password.
    pub const USER: (&'static str, &'static str) = ("t0815", "secret");

    /// The exchange's trunk to the one of this name, as its customer.
    pub fn trunk(name: &str) -> Trunk {
        let server = |uri: String| match uri.parse() {
            Ok(Uri::Sip(uri)) => uri,
            _ => unreachable!("a plain URI"),
        };
        let (username, password) = Self::USER;
        let account = TrunkAccount {
            username: username.into(),
            auth_username: None,
            password: Password::new(password),
            realm: None,
            registrar: server(format!("sip:{name}")),
            expires: Some(600),
            from_username: false,
        };
        Trunk::new(name, server(format!("sip:{name}:5060")), TrunkAuth::Password(Box::new(account)))
    }

    /// The rule by which calls to numbers outside leave by these trunks, tried in this order.
    pub fn outside(names: &[&str]) -> Rule {
        let choice =
            |(at, name): (usize, &&str)| Choice { trunk: (*name).into(), priority: at as u32, weight: 1 };
        let to = Destination::Trunk(names.iter().enumerate().map(choice).collect());
        Rule { patterns: Pattern::parse("+*").into_iter().collect(), ..Rule::new("outside", to) }
    }

    pub(crate) fn new(name: &str, ip: IpAddr) -> Self {
        let address = SocketAddr::new(ip, 5060);
        Self {
            name: name.into(),
            address,
            manners: Manners::Serves,
            registered: None,
            offered: Vec::new(),
            issued: 0,
        }
    }

    /// What it answers to a message.
    pub(crate) fn take(&mut self, bytes: Bytes) -> Vec<Bytes> {
        let Ok(Message::Request(request)) = Message::parse(bytes) else { return Vec::new() };
        if self.manners == Manners::Silent {
            return Vec::new();
        }
        if let (Method::Invite, Manners::SendsOn(to)) = (request.method(), self.manners) {
            let sent_on = answer(&request, Status::MOVED_TEMPORARILY).header(Name::Contact, to);
            return vec![sent_on.finish().bytes().clone()];
        }
        let answers = match request.method() {
            Method::Register | Method::Invite if !self.is_content_with(&request) => vec![self.ask(&request)],
            Method::Register => vec![self.register(&request)],
            Method::Invite => self.invite(&request),
            Method::Ack => Vec::new(),
            _ => vec![answer(&request, Status::OK).finish()],
        };
        answers.into_iter().map(|answer| answer.bytes().clone()).collect()
    }

    fn is_content_with(&self, request: &Request) -> bool {
        let name = match request.method() {
            Method::Register => Name::Authorization,
            _ => Name::ProxyAuthorization,
        };
        if self.manners == Manners::Trusts {
            return true;
        }
        let given = request.credentials(name).flatten().next();
        self.manners != Manners::NeverContent
            && given.is_some_and(|given| {
                let (user, password) = Self::USER;
                let text = |value: Option<std::borrow::Cow<'_, str>>| value.unwrap_or_default().into_owned();
                let (nc, cnonce) = (text(given.nc()), text(given.cnonce()));
                let (nonce, uri) = (text(given.nonce()), text(given.uri()));
                let qop = Some(Qop::Auth { nc: &nc, cnonce: &cnonce });
                let parts = Parts { nonce: &nonce, method: request.method().as_str(), uri: &uri, qop };
                let ha1 = digest::ha1(Algorithm::Md5, user, &self.name, password);
                given.response().as_deref() == Some(&digest::response(Algorithm::Md5, &ha1, &parts))
            })
    }

    fn ask(&mut self, request: &Request) -> Response {
        self.issued += 1;
        let (status, name) = match request.method() {
            Method::Register => (Status::UNAUTHORIZED, Name::WwwAuthenticate),
            _ => (Status::PROXY_AUTHENTICATION_REQUIRED, Name::ProxyAuthenticate),
        };
        let challenge =
            format!("Digest realm=\"{}\", nonce=\"{}\", qop=\"auth\", algorithm=MD5", self.name, self.issued);
        answer(request, status).header(name, challenge).finish()
    }

    fn register(&mut self, request: &Request) -> Response {
        let contact = String::from_utf8_lossy(request.raw(Name::Contact).unwrap_or_default()).into_owned();
        let expires = request.expires().unwrap_or(600);
        self.registered = (expires > 0).then(|| contact.clone());
        answer(request, Status::OK).header(Name::Contact, format!("{contact};expires={expires}")).finish()
    }

    fn invite(&mut self, request: &Request) -> Vec<Response> {
        let body = String::from_utf8_lossy(request.body()).into_owned();
        let offered = body.lines().find(|line| line.starts_with("m=audio ")).unwrap_or_default();
        self.offered.push(offered.to_owned());
        let (refused, sound) = match self.manners {
            Manners::Refuses(code) => (Status::new(code), PLAIN),
            Manners::Takes(sound, code) => (Status::new(code).filter(|_| !sound.is_in(offered)), sound),
            Manners::Serves
            | Manners::NeverContent
            | Manners::Trusts
            | Manners::SendsOn(_)
            | Manners::Silent => (None, PLAIN),
        };
        if let Some(status) = refused {
            return vec![answer(request, status).finish()];
        }
        let ip = self.address.ip();
        let Sound { profile, format } = sound;
        let mut sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 4000 {profile} {format}\r\n"
        );
        if profile == "RTP/SAVP" {
            sdp.push_str(KEY);
        }
        let contact = format!("<sip:gateway@{}>", self.address);
        let with = |status| answer(request, status).header(Name::Contact, &contact);
        vec![
            with(Status::RINGING).finish(),
            with(Status::OK).body("application/sdp", sdp.as_bytes()).finish(),
        ]
    }
}

impl Sound {
    fn is_in(self, offered: &str) -> bool {
        let mut words = offered.split_ascii_whitespace().skip(2);
        words.next() == Some(self.profile) && words.any(|format| format == self.format)
    }
}

fn answer(request: &Request, status: Status) -> offhook_sip::ResponseBuilder {
    Response::to_request(request, status).to_tag("provider").copy_record_route(request)
}

const PLAIN: Sound = Sound { profile: "RTP/AVP", format: "0" };
const KEY: &str = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n";
