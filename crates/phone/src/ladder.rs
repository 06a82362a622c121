//! Draws each SIP message as an arrow between the phone and the other side.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Instant;

use bytes::Bytes;
use offhook_sip::{Message, Method, Name, Request, Response, Status, Uri};

use crate::Language;
use crate::explain::{Known, explain, is_removal};

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Sent,
    Received,
}

/// The picture so far: what is needed to draw the next arrow.
#[derive(Debug)]
pub(crate) struct Ladder {
    language: Language,
    peer: String,
    begun: Option<Instant>,
    /// Messages seen lately, to know one that is sent again.
    seen: VecDeque<u64>,
    /// Requests seen lately.
    asked: VecDeque<Asked>,
    /// Call-IDs of calls that were answered.
    answered: VecDeque<String>,
}

/// A request, and what its response should be read with.
#[derive(Debug)]
struct Asked {
    call_id: String,
    number: u32,
    proved: bool,
    proved_to_proxy: bool,
    removal: bool,
}

impl Ladder {
    /// A picture of a phone and `peer`.
    pub(crate) fn new(peer: &str, language: Language) -> Self {
        Self {
            language,
            peer: peer.to_owned(),
            begun: None,
            seen: VecDeque::new(),
            asked: VecDeque::new(),
            answered: VecDeque::new(),
        }
    }

    /// The arrow of a message.
    pub(crate) fn draw(&mut self, at: Instant, way: Way, bytes: &Bytes) -> String {
        let begun = *self.begun.get_or_insert(at);
        let seconds = at.saturating_duration_since(begun).as_secs_f64();
        let repeated = self.is_repeated(bytes);
        let Ok(message) = Message::parse(bytes.clone()) else {
            return format!("  {seconds:5.3}  phone {} {}", arrow(way, "not SIP"), self.peer);
        };
        let known = Known { repeated, established: self.is_established(&message), ..self.asked(&message) };
        let arrow = arrow(way, &label(&message));
        let line = format!("  {seconds:5.3}  phone {arrow} {}", self.peer);
        match explain(&message, known, self.language) {
            Some(words) => format!("{line}   {words}"),
            None => line,
        }
    }

    fn is_repeated(&mut self, bytes: &Bytes) -> bool {
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        let hash = hasher.finish();
        let repeated = self.seen.contains(&hash);
        remember(&mut self.seen, hash);
        repeated
    }

    /// Remembers requests, and says of a response what its request was.
    fn asked(&mut self, message: &Message) -> Known {
        let headers = message.headers();
        let (Ok(call_id), Ok(cseq)) = (headers.call_id(), headers.cseq()) else { return Known::default() };
        match message {
            Message::Response(response) => {
                let of = |asked: &&Asked| asked.call_id == call_id && asked.number == cseq.number;
                let Some(asked) = self.asked.iter().rev().find(of) else { return Known::default() };
                let had_credentials = match response.status() {
                    Status::PROXY_AUTHENTICATION_REQUIRED => asked.proved_to_proxy,
                    _ => asked.proved,
                };
                Known { had_credentials, was_removal: asked.removal, ..Known::default() }
            }
            Message::Request(request) => {
                let asked_before = self.asked.iter().any(|asked| asked.call_id == call_id);
                let asked = Asked {
                    call_id: call_id.to_owned(),
                    number: cseq.number,
                    proved: request.has(Name::Authorization),
                    proved_to_proxy: request.has(Name::ProxyAuthorization),
                    removal: is_removal(request),
                };
                remember(&mut self.asked, asked);
                Known { asked_before, ..Known::default() }
            }
        }
    }

    /// Remembers calls that are answered, and says whether this one was before.
    fn is_established(&mut self, message: &Message) -> bool {
        let headers = message.headers();
        let (Ok(call_id), Ok(cseq)) = (headers.call_id(), headers.cseq()) else { return false };
        let before = self.answered.iter().any(|known| known == call_id);
        let success = message.as_response().is_some_and(|response| response.status().is_success());
        if success && !before && cseq.method == Method::Invite {
            remember(&mut self.answered, call_id.to_owned());
        }
        before
    }
}

fn remember<T>(queue: &mut VecDeque<T>, value: T) {
    if queue.len() >= REMEMBERED {
        queue.pop_front();
    }
    queue.push_back(value);
}

/// The label between two ends of a line, which all are of one length if the label allows.
fn arrow(way: Way, label: &str) -> String {
    let rest = "─".repeat(WIDTH.saturating_sub(label.chars().count()).max(1));
    match way {
        Way::Sent => format!("── {label} {rest}▶"),
        Way::Received => format!("◀─ {label} ─{rest}"),
    }
}

fn label(message: &Message) -> String {
    let what = match message {
        Message::Request(request) => of_request(request),
        Message::Response(response) => of_response(response),
    };
    match sound(message.headers().body()) {
        Some(sound) => format!("{what} (SDP: {sound})"),
        None => what,
    }
}

fn of_request(request: &Request) -> String {
    let method = request.method();
    // Inside a dialog the target is a contact, which says nothing to a reader.
    let names_target =
        !matches!(method, Method::Ack | Method::Bye | Method::Prack) && request.to_tag().is_none();
    let target = if names_target { request.uri().ok().map(|uri| short(&uri)) } else { None };
    match target {
        Some(target) => format!("{method} {}", shortened(&target)),
        None => method.to_string(),
    }
}

fn of_response(response: &Response) -> String {
    let reason = String::from_utf8_lossy(response.reason()).into_owned();
    let reason = if reason.is_empty() { response.status().reason().to_owned() } else { reason };
    format!("{} {}", response.status(), shortened(&reason))
}

fn short(uri: &Uri) -> String {
    match uri {
        Uri::Sip(uri) => match uri.user_unescaped() {
            Some(user) => user.into_owned(),
            None => uri.host().to_string(),
        },
        Uri::Tel(_) | Uri::Other(_) => uri.as_str().to_owned(),
    }
}

/// Without control characters, which are the network's and not for a terminal, and not too long.
fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(32).collect()
}

/// The codecs of the first sound stream in a body, whether it is encrypted, and whether it is held.
fn sound(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let (_, after) = text.split_once("m=audio ")?;
    let stream = after.split("\nm=").next().unwrap_or(after);
    let mut lines = stream.lines();
    let mut words = lines.next()?.split_ascii_whitespace().skip(1);
    let encrypted = words.next()?.contains("SAVP") || stream.contains("\na=crypto:");
    let formats: Vec<&str> = words.take(16).collect();
    let mapped = |number: &str| {
        let map = |line: &'_ str| -> Option<String> {
            let (known, name) = line.strip_prefix("a=rtpmap:")?.split_once(' ')?;
            (known == number).then(|| name.split('/').next().unwrap_or(name).to_ascii_lowercase())
        };
        stream.lines().find_map(map)
    };
    let name = |number: &&str| mapped(number).or_else(|| fixed(number)).map(|name| shortened(&name));
    let mut names: Vec<String> =
        formats.iter().filter_map(name).filter(|name| name != "telephone-event").take(6).collect();
    if encrypted {
        names.push("srtp".to_owned());
    }
    if let Some(direction) =
        lines.find(|line| matches!(line.trim(), "a=sendonly" | "a=recvonly" | "a=inactive"))
    {
        names.push(direction.trim().trim_start_matches("a=").to_owned());
    }
    Some(names.join(", "))
}

/// RFC 3551 §6.
fn fixed(number: &str) -> Option<String> {
    let name = match number {
        "0" => "pcmu",
        "3" => "gsm",
        "8" => "pcma",
        "9" => "g722",
        "18" => "g729",
        _ => return None,
    };
    Some(name.to_owned())
}

/// Characters between the two ends of an arrow.
const WIDTH: usize = 41;
/// Messages and requests remembered.
const REMEMBERED: usize = 64;

#[cfg(test)]
mod tests;
