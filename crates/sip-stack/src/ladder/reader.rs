//! Says of each message between two parties what it is.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use bytes::Bytes;
use offhook_sip::{Message, Method, Name, Request, Response, Status, Uri};

use super::words::{Known, explain, is_removal};
use super::{Language, Sound, sound};

/// The messages between two parties so far: what is needed to read the next one.
#[derive(Debug)]
pub struct Reader {
    language: Language,
    /// Messages seen lately, to know one that is sent again.
    seen: VecDeque<u64>,
    /// Requests seen lately.
    asked: VecDeque<Asked>,
    /// Call-IDs of calls that were answered.
    answered: VecDeque<String>,
}

/// A message as it is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The method and its target, or the status and its reason; then the codecs, where sound is offered or answered.
    pub label: String,
    /// The CSeq value: `1 INVITE`.
    pub cseq: String,
    /// A few words about it; none where its own say all.
    pub words: Option<&'static str>,
    /// Whether the very same was seen before.
    pub repeated: bool,
    /// The first sound stream that it describes.
    pub sound: Option<Sound>,
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

impl Reader {
    /// A reader that has seen nothing yet.
    pub fn new(language: Language) -> Self {
        Self { language, seen: VecDeque::new(), asked: VecDeque::new(), answered: VecDeque::new() }
    }

    /// Reads the next message.
    pub fn read(&mut self, bytes: &Bytes) -> Reading {
        let repeated = self.is_repeated(bytes);
        let Ok(message) = Message::parse(bytes.clone()) else {
            return Reading { label: "not SIP".to_owned(), repeated, ..Reading::default() };
        };
        let known = Known { repeated, established: self.is_established(&message), ..self.asked(&message) };
        let sound = sound(message.headers().body());
        let cseq = message.headers().cseq();
        Reading {
            label: label(&message, sound.as_ref()),
            cseq: cseq
                .map(|cseq| format!("{} {}", cseq.number, shortened(&cseq.method.to_string())))
                .unwrap_or_default(),
            words: explain(&message, known, self.language),
            repeated,
            sound,
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

fn label(message: &Message, sound: Option<&Sound>) -> String {
    let what = match message {
        Message::Request(request) => of_request(request),
        Message::Response(response) => of_response(response),
    };
    match sound {
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
pub(super) fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(32).collect()
}

/// Messages and requests remembered.
const REMEMBERED: usize = 64;
