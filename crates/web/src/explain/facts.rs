//! What the messages of a call say, put together.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use offhook_sip::{Message, Method, Name, Request, Response};
use offhook_sip_stack::ladder::{Sound, Way, sound};

use crate::trace::{Entry, Passed, What};

/// A call as its messages tell it.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) caller: Party,
    /// The tag of From in the caller's requests, by which they are known on whatever way they come.
    caller_tag: String,
    /// What was dialled: the user of the Request-URI.
    pub(super) dialled: String,
    pub(super) began: Duration,
    /// The caller's INVITEs with credentials and without.
    pub(super) proofs: usize,
    /// 401 or 407 that the exchange sent to the caller: to an INVITE without credentials, and to one with them, unless only
    /// their time was over.
    pub(super) challenges: usize,
    pub(super) proofs_refused: usize,
    /// The sound that the caller offered last.
    pub(super) offered: Option<Sound>,
    /// The last final answer to the caller's INVITE, if it is no challenge.
    pub(super) answer: Option<Answer>,
    /// How often a 2xx went to the caller, and when it was acknowledged.
    pub(super) answers_sent: usize,
    pub(super) acknowledged: Option<Duration>,
    pub(super) cancelled: Option<Duration>,
    /// Those who were called.
    pub(super) legs: Vec<Leg>,
    pub(super) end: Option<End>,
    pub(super) notes: Vec<String>,
    /// The last moment of which something is known.
    pub(super) last: Duration,
    /// Messages from outside that came more than once.
    pub(super) repeated: usize,
}

/// A phone or a server.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Party {
    pub(super) name: String,
    pub(super) address: String,
    pub(super) remote: Option<SocketAddr>,
}

/// An INVITE to somebody who is called.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) party: Party,
    pub(super) began: Duration,
    pub(super) times_sent: usize,
    pub(super) responded: bool,
    pub(super) ringing: Option<Duration>,
    pub(super) answer: Option<Answer>,
    pub(super) cancelled: bool,
    call: String,
}

/// A final answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Answer {
    pub(super) at: Duration,
    pub(super) code: u16,
    pub(super) reason: String,
    pub(super) warning: Option<String>,
    pub(super) sound: Option<Sound>,
}

/// A BYE.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) at: Duration,
    pub(super) by: By,
    /// The text of its Reason (RFC 3326).
    pub(super) reason: Option<String>,
    pub(super) confirmed: bool,
}

/// Who hung up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum By {
    Caller,
    Callee(Party),
    Exchange,
}

impl Facts {
    pub(super) fn of(entries: &[Entry], accounts: &BTreeMap<SocketAddr, String>) -> Self {
        let mut facts = Self::default();
        let mut seen: Vec<&[u8]> = Vec::new();
        for entry in entries {
            facts.last = entry.at;
            match &entry.what {
                What::Leg(_) => {}
                What::Note(text) => facts.notes.push(text.clone()),
                What::Message(passed) => {
                    let again = seen.contains(&&passed.bytes[..]);
                    if seen.len() < MOST_SEEN {
                        seen.push(&passed.bytes);
                    }
                    facts.repeated += usize::from(again && passed.way == Way::Received);
                    facts.message(entry, passed, again, accounts);
                }
            }
        }
        facts
    }

    fn message(
        &mut self,
        entry: &Entry,
        passed: &Passed,
        again: bool,
        accounts: &BTreeMap<SocketAddr, String>,
    ) {
        let (at, remote) = (entry.at, passed.flow.remote);
        let address = format!("{} {remote}", passed.flow.transport);
        match (Message::parse(passed.bytes.clone()), passed.way) {
            (Ok(Message::Request(request)), Way::Received) => {
                let account = accounts.get(&remote).map(|account| user(account).to_owned());
                let name = account.or_else(|| from_user(&request)).unwrap_or_else(|| remote.to_string());
                self.came(at, &request, Party { name, address, remote: Some(remote) });
            }
            (Ok(Message::Request(request)), Way::Sent) => {
                let account = accounts.get(&remote).map(|account| user(account).to_owned());
                let name = account.or_else(|| callee(&request)).unwrap_or_else(|| remote.to_string());
                self.went(at, &entry.call, &request, again, Party { name, address, remote: Some(remote) });
            }
            (Ok(Message::Response(response)), Way::Received) => {
                self.answered(at, &entry.call, &response, remote);
            }
            (Ok(Message::Response(response)), Way::Sent) => self.told(at, &response),
            (Err(_), _) => {}
        }
    }

    /// A request came in.
    fn came(&mut self, at: Duration, request: &Request, party: Party) {
        let is_new = request.to_tag().is_none();
        let tag = request.from_tag().unwrap_or_default();
        match request.method() {
            Method::Invite if is_new && (self.caller.remote.is_none() || tag == self.caller_tag) => {
                if self.caller.remote.is_none() {
                    (self.caller, self.caller_tag, self.began) = (party, tag.to_owned(), at);
                }
                self.dialled = to_user(request).unwrap_or_default();
                self.offered = sound(request.body()).or(self.offered.take());
                if request.has(Name::Authorization) || request.has(Name::ProxyAuthorization) {
                    self.proofs += 1;
                }
            }
            Method::Ack if self.answers_sent > 0 => self.acknowledged = self.acknowledged.or(Some(at)),
            Method::Cancel => self.cancelled = self.cancelled.or(Some(at)),
            Method::Bye => {
                let by = if tag == self.caller_tag { By::Caller } else { By::Callee(party) };
                self.ended(at, by, request);
            }
            _ => {}
        }
    }

    /// A request went out.
    fn went(&mut self, at: Duration, call: &str, request: &Request, again: bool, party: Party) {
        match request.method() {
            Method::Invite if request.to_tag().is_none() => {
                // What gets no answer may be tried by another transport, too.
                let is_same = |leg: &Leg| {
                    (again || !leg.responded) && leg.party.remote == party.remote && leg.call == call
                };
                match self.legs.iter().position(is_same) {
                    Some(at) => self.legs[at].times_sent += 1,
                    None if self.legs.len() < MOST_LEGS => self.legs.push(Leg::new(party, at, call)),
                    None => {}
                }
            }
            Method::Cancel => {
                let cancelled = self.legs.iter_mut().filter(|leg| leg.party.remote == party.remote);
                cancelled.for_each(|leg| leg.cancelled = true);
            }
            // One that is passed on has come in before.
            Method::Bye => self.ended(at, By::Exchange, request),
            _ => {}
        }
    }

    fn ended(&mut self, at: Duration, by: By, request: &Request) {
        if self.end.is_none() {
            let reason = request.raw(Name::Reason).map(text).and_then(|value| quoted(&value));
            self.end = Some(End { at, by, reason, confirmed: false });
        }
    }

    /// A response came in.
    fn answered(&mut self, at: Duration, call: &str, response: &Response, remote: SocketAddr) {
        let Ok(cseq) = response.cseq() else { return };
        if cseq.method == Method::Bye {
            self.end.iter_mut().for_each(|end| end.confirmed = true);
        }
        let of_leg = |leg: &&mut Leg| leg.party.remote == Some(remote) && leg.call == call;
        if cseq.method != Method::Invite {
            return;
        }
        let Some(leg) = self.legs.iter_mut().rev().find(of_leg) else { return };
        leg.responded = true;
        match response.status().code() {
            180 | 183 => leg.ringing = leg.ringing.or(Some(at)),
            code if code >= 200 && leg.answer.is_none() => leg.answer = Some(Answer::of(at, response)),
            _ => {}
        }
    }

    /// A response went out.
    fn told(&mut self, at: Duration, response: &Response) {
        let code = response.status().code();
        let is_invite = response.cseq().is_ok_and(|cseq| cseq.method == Method::Invite);
        let is_callers = response.from_tag() == Some(&self.caller_tag);
        // Later ones belong to changes of the call.
        if !is_invite || code < 200 || !is_callers || self.end.is_some() {
            return;
        }
        match code {
            401 | 407 if self.legs.is_empty() => {
                let challenges = response.challenges(Name::WwwAuthenticate);
                let mut challenges = challenges.chain(response.challenges(Name::ProxyAuthenticate)).flatten();
                let stale = challenges.any(|challenge| challenge.stale());
                self.challenges += 1;
                self.proofs_refused += usize::from(self.proofs > 0 && !stale);
            }
            200..=299 => {
                self.answers_sent += 1;
                if self.answers_sent == 1 {
                    self.answer = Some(Answer::of(at, response));
                }
            }
            _ => self.answer = self.answer.take().or_else(|| Some(Answer::of(at, response))),
        }
    }

    /// The answer to the caller, if it is this one and nobody who was called gave it.
    pub(super) fn refused_here(&self, codes: &[u16], words: &str) -> Option<&Answer> {
        self.answer.as_ref().filter(|answer| codes.contains(&answer.code) && answer.reason.contains(words))
    }

    /// Who of those called answered with one of these.
    pub(super) fn leg_with(&self, codes: &[u16]) -> Option<(&Leg, &Answer)> {
        if self.is_answered() {
            return None;
        }
        let with = |leg| Some((leg, Leg::answer(leg)?));
        self.legs.iter().filter_map(with).find(|(_, answer)| codes.contains(&answer.code))
    }

    pub(super) fn is_answered(&self) -> bool {
        self.answers_sent > 0
    }

    /// The leg that was answered.
    pub(super) fn winner(&self) -> Option<&Leg> {
        self.legs.iter().find(|leg| leg.answer.as_ref().is_some_and(|answer| answer.code < 300))
    }

    pub(super) fn has_note(&self, words: &str) -> bool {
        self.notes.iter().any(|note| note.contains(words))
    }
}

impl Leg {
    fn new(party: Party, began: Duration, call: &str) -> Self {
        Self {
            party,
            began,
            times_sent: 1,
            responded: false,
            ringing: None,
            answer: None,
            cancelled: false,
            call: call.to_owned(),
        }
    }

    fn answer(&self) -> Option<&Answer> {
        self.answer.as_ref()
    }
}

impl Answer {
    fn of(at: Duration, response: &Response) -> Self {
        Self {
            at,
            code: response.status().code(),
            reason: printable(&text(response.reason())),
            warning: response.raw(Name::Warning).map(text).and_then(|value| quoted(&value)),
            sound: sound(response.body()),
        }
    }
}

fn from_user(request: &Request) -> Option<String> {
    Some(printable(&request.from().ok()?.uri.as_sip()?.user_unescaped()?))
}

fn callee(request: &Request) -> Option<String> {
    Some(printable(&request.to().ok()?.uri.as_sip()?.user_unescaped()?))
}

fn to_user(request: &Request) -> Option<String> {
    let uri = request.uri().ok()?;
    let user = uri.as_sip().and_then(|uri| uri.user_unescaped());
    Some(printable(&user.map_or_else(|| uri.as_str().to_owned(), |user| user.into_owned())))
}

/// `1001` of `sip:1001@example.com`.
fn user(account: &str) -> &str {
    let user = account.split_once(':').map_or(account, |(_, rest)| rest);
    user.split_once('@').map_or(user, |(user, _)| user)
}

/// What stands in the first pair of quotes.
fn quoted(value: &str) -> Option<String> {
    let (_, rest) = value.split_once('"')?;
    Some(printable(rest.split_once('"')?.0))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

const MOST_LEGS: usize = 64;
/// Messages among which those that are sent again are looked for.
const MOST_SEEN: usize = 1_000;
