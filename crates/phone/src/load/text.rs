//! The messages of a load, written into a buffer that is used again.

use std::io::Write as _;
use std::net::IpAddr;

use offhook_sip::digest::{self, Algorithm, Ha1, Parts, Qop};

use super::heard::Heard;
use super::plan::Plan;
use super::speech::Speech;

/// Who sends a request, and as the how-manieth of the load.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sender<'a> {
    pub(super) plan: &'a Plan,
    /// The number of its account, its call, and the letter of its Call-ID.
    pub(super) account: u32,
    pub(super) unit: u32,
    pub(super) kind: u8,
    /// The port of its socket.
    pub(super) port: u16,
    pub(super) branch: u32,
    pub(super) cseq: u32,
}

/// Whom a load registers and who calls: the user part, a number after it if there are several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Crowd {
    pub(super) user: String,
    pub(super) host: String,
    /// `None`: one account, by its own name.
    pub(super) accounts: Option<u32>,
}

impl Crowd {
    pub(super) fn user(&self, number: u32) -> String {
        match self.accounts {
            Some(_) => format!("{}{number}", self.user),
            None => self.user.clone(),
        }
    }

    pub(super) fn len(&self) -> u32 {
        self.accounts.unwrap_or(1)
    }
}

/// A REGISTER of one contact.
pub(super) fn register(sender: Sender<'_>, crowd: &Crowd, authorization: &[u8], out: &mut Vec<u8>) {
    let Sender { plan, account, unit, kind, port, cseq, .. } = sender;
    let (run, ip, kind) = (plan.run, Ip(plan.local), char::from(kind));
    let (user, host, expires) = (crowd.user(account), &crowd.host, plan.expires.as_secs());
    let param = plan.contact_param();
    out.clear();
    // Writing to a `Vec` does not fail, here and below.
    let _ = write!(out, "REGISTER sip:{host} SIP/2.0\r\n");
    via(sender, out);
    let _ = write!(
        out,
        "Max-Forwards: 70\r\nFrom: <sip:{user}@{host}>;tag={run:x}.{kind}{unit}\r\nTo: <sip:{user}@{host}>\r\n\
         Call-ID: {kind}{unit}-{run:x}@load\r\nCSeq: {cseq} REGISTER\r\nContact: <sip:{user}@{ip}:{port}{param}>\r\n\
         Expires: {expires}\r\nUser-Agent: offhook-load\r\n"
    );
    out.extend_from_slice(authorization);
    out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
}

/// An INVITE with an offer of what the callers speak.
pub(super) fn invite(sender: Sender<'_>, target: &str, sound: u16, authorization: &[u8], out: &mut Vec<u8>) {
    let Sender { plan, port, .. } = sender;
    let (ip, user, param) = (Ip(plan.local), plan.callers.user(sender.account), plan.contact_param());
    out.clear();
    let _ = write!(out, "INVITE {target} SIP/2.0\r\n");
    via(sender, out);
    out.extend_from_slice(b"Max-Forwards: 70\r\n");
    dialog(sender, &[b"<", target.as_bytes(), b">"], "INVITE", out);
    let _ = write!(
        out,
        "Contact: <sip:{user}@{ip}:{port}{param}>\r\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE\r\n\
         User-Agent: offhook-load\r\n"
    );
    out.extend_from_slice(plan.headers.as_bytes());
    out.extend_from_slice(authorization);
    body(sender.unit, plan.local, sound, &plan.description, out);
}

/// What a caller learned from the answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Dialog {
    /// Route fields.
    pub(super) routes: Vec<u8>,
    pub(super) target: Vec<u8>,
    pub(super) to: Vec<u8>,
}

/// An ACK of a 2xx, or a BYE.
pub(super) fn within(sender: Sender<'_>, dialogue: &Dialog, method: &str, out: &mut Vec<u8>) {
    out.clear();
    let _ = write!(out, "{method} ");
    out.extend_from_slice(&dialogue.target);
    out.extend_from_slice(b" SIP/2.0\r\n");
    via(sender, out);
    out.extend_from_slice(&dialogue.routes);
    out.extend_from_slice(b"Max-Forwards: 70\r\n");
    dialog(sender, &[&dialogue.to], method, out);
    out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
}

/// The ACK of a refusal: the Via of the INVITE, the To of the refusal (RFC 3261 §17.1.1.3).
pub(super) fn ack_refusal(sender: Sender<'_>, target: &str, to: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let _ = write!(out, "ACK {target} SIP/2.0\r\n");
    via(sender, out);
    out.extend_from_slice(b"Max-Forwards: 70\r\n");
    dialog(sender, &[to], "ACK", out);
    out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
}

/// A response of a callee in the call of this number, at this port, with an answer of PCMU if a port for that is given.
pub(super) fn response(
    request: &Heard<'_>,
    status: &str,
    (plan, number, port): (&Plan, usize, u16),
    sound: Option<u16>,
    out: &mut Vec<u8>,
) {
    out.clear();
    let _ = write!(out, "SIP/2.0 {status}\r\n");
    let lines = [(&b"Via: "[..], &request.vias), (b"Record-Route: ", &request.record_routes)];
    for (name, values) in lines {
        for value in values.iter() {
            field(name, &[value], out);
        }
    }
    field(b"From: ", &[request.from], out);
    out.extend_from_slice(b"To: ");
    out.extend_from_slice(request.to);
    if !request.has_to_tag() {
        let _ = write!(out, ";tag=b{:x}.{number}", plan.run);
    }
    out.extend_from_slice(b"\r\n");
    field(b"Call-ID: ", &[request.call_id], out);
    field(b"CSeq: ", &[request.cseq], out);
    let (ip, param) = (Ip(plan.local), plan.contact_param());
    let _ = write!(out, "Contact: <sip:callee@{ip}:{port}{param}>\r\n");
    match sound {
        Some(sound) => body(number as u32, plan.local, sound, &Speech::Plain.description(), out),
        None => out.extend_from_slice(b"Content-Length: 0\r\n\r\n"),
    }
}

fn via(sender: Sender<'_>, out: &mut Vec<u8>) {
    let Sender { plan, unit, kind, port, branch, .. } = sender;
    let (ip, run, kind) = (Ip(plan.local), plan.run, char::from(kind));
    let name = plan.transport.via_name();
    let _ =
        write!(out, "Via: SIP/2.0/{name} {ip}:{port};rport;branch=z9hG4bK{run:x}{kind}{unit}.{branch}\r\n");
}

/// The fields that name a dialog.
fn dialog(sender: Sender<'_>, to: &[&[u8]], method: &str, out: &mut Vec<u8>) {
    let Sender { plan, account, unit, kind, cseq, .. } = sender;
    let (run, kind) = (plan.run, char::from(kind));
    let (user, host) = (plan.callers.user(account), &plan.callers.host);
    let _ = write!(out, "From: \"{user}\" <sip:{user}@{host}>;tag={run:x}.{kind}{unit}\r\n");
    field(b"To: ", to, out);
    let _ = write!(out, "Call-ID: {kind}{unit}-{run:x}@load\r\nCSeq: {cseq} {method}\r\n");
}

fn field(name: &[u8], value: &[&[u8]], out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    for part in value {
        out.extend_from_slice(part);
    }
    out.extend_from_slice(b"\r\n");
}

/// A session description, whose sound goes on with `tail` after the port, and the fields about it.
fn body(id: u32, ip: IpAddr, port: u16, tail: &str, out: &mut Vec<u8>) {
    let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
    let head =
        format!("v=0\r\no=- {id} 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\nm=audio {port}");
    let length = head.len() + tail.len();
    let _ = write!(out, "Content-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n{head}{tail}");
}

/// The field that answers a challenge, or `None` if it cannot be answered. `secret` finds H(user:realm:password).
pub(super) fn authorization(
    challenge: &Heard<'_>,
    digest: Option<Algorithm>,
    method: &str,
    uri: &str,
    user: &str,
    password: &str,
) -> Option<Vec<u8>> {
    let offers = challenge.challenges.iter();
    let parsed = offers.filter_map(|value| {
        let offer = offhook_sip::Challenge::parse(bytes::Bytes::copy_from_slice(value)).ok()?;
        let name = offer.param("algorithm").map_or("MD5".into(), |name| name.into_owned());
        Some((Algorithm::parse(&name)?, offer))
    });
    // The first that is understood: servers name the one that they like best first (RFC 7616 §3.7).
    let (algorithm, offer) =
        parsed.into_iter().find(|(one, _)| digest.is_none_or(|wanted| wanted == *one))?;
    let (realm, nonce) = (offer.realm()?, offer.param("nonce")?);
    let qop = offer.param("qop").is_some();
    let (nc, cnonce) = ("00000001", "0a4f113b");
    let secret: Ha1 = digest::ha1(algorithm, user, &realm, password);
    let parts = Parts { nonce: &nonce, method, uri, qop: qop.then_some(Qop::Auth { nc, cnonce }) };
    let response = digest::response(algorithm, &secret, &parts);
    let name = if challenge.proxy { "Proxy-Authorization" } else { "Authorization" };
    let mut field = format!(
        "{name}: Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", \
         response=\"{response}\", algorithm={algorithm}"
    );
    if qop {
        field += &format!(", qop=auth, nc={nc}, cnonce=\"{cnonce}\"");
    }
    if let Some(opaque) = offer.param("opaque") {
        field += &format!(", opaque=\"{opaque}\"");
    }
    field += "\r\n";
    Some(field.into_bytes())
}

/// An address as it stands before a port.
struct Ip(IpAddr);

impl std::fmt::Display for Ip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            IpAddr::V4(ip) => ip.fmt(f),
            IpAddr::V6(ip) => write!(f, "[{ip}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use offhook_sip::{Limits, Message};

    fn parsed(bytes: &[u8]) -> Message {
        let _ = Limits::default();
        Message::parse(bytes::Bytes::copy_from_slice(bytes)).unwrap()
    }

    #[test]
    fn every_request_is_one_that_the_exchange_can_read() {
        let plan = Plan::for_tests();
        let sender = Sender { plan: &plan, account: 3, unit: 7, kind: b'c', port: 5070, branch: 2, cseq: 1 };
        let mut out = Vec::new();
        register(sender, &plan.callers, b"", &mut out);
        assert!(parsed(&out).as_request().is_some());
        invite(sender, "sip:b@127.0.0.1", 4000, b"", &mut out);
        assert!(parsed(&out).as_request().is_some());
        let heard = Heard::read(&out).unwrap();
        assert_eq!(heard.unit(plan.run), Some((b'c', 7)));
        let mut answer = Vec::new();
        response(&heard, "200 OK", (&plan, 7, 5080), Some(4002), &mut answer);
        assert!(parsed(&answer).as_response().is_some());
        // Who is called over a connection is to get its BYE on one too.
        let over_tcp = Plan { transport: offhook_sip_stack::Transport::Tcp, ..Plan::for_tests() };
        let mut to_tcp = Vec::new();
        response(&heard, "200 OK", (&over_tcp, 7, 5060), None, &mut to_tcp);
        assert!(
            String::from_utf8_lossy(&to_tcp).contains("Contact: <sip:callee@127.0.0.1:5060;transport=tcp>")
        );
        let dialogue = Dialog { target: b"sip:x@127.0.0.1:9".to_vec(), ..Dialog::default() };
        let to = Heard::read(&answer).unwrap().to.to_vec();
        within(sender, &Dialog { to, ..dialogue }, "BYE", &mut out);
        assert!(parsed(&out).as_request().is_some());
    }

    #[test]
    fn of_several_challenges_the_first_is_answered_unless_told_otherwise() {
        let text = "SIP/2.0 401 Unauthorized\r\nVia: SIP/2.0/UDP a\r\nFrom: <sip:a>\r\nTo: <sip:a>\r\n\
            Call-ID: c\r\nCSeq: 1 REGISTER\r\n\
            WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", algorithm=SHA-256, qop=\"auth\"\r\n\
            WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"\r\n\r\n";
        let heard = Heard::read(text.as_bytes()).unwrap();
        let answered = |digest| {
            let field = authorization(&heard, digest, "REGISTER", "sip:h", "u", "p").unwrap();
            String::from_utf8(field).unwrap()
        };
        assert!(answered(None).contains("algorithm=SHA-256"));
        assert!(answered(Some(Algorithm::Md5)).contains("algorithm=MD5"));
    }
}
