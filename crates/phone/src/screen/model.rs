//! What the screen shows, without saying how.

use std::collections::VecDeque;
use std::time::Instant;

use offhook_ua::{CallId, Event, MediaReport};

use crate::{Language, clock};

/// Everything on the screen.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) language: Language,
    pub(crate) identity: String,
    pub(crate) registration: Registration,
    /// What is being typed.
    pub(crate) input: String,
    /// Keys go into the call.
    pub(crate) keypad: bool,
    pub(crate) last_key: Option<char>,
    pub(crate) calls: Vec<Row>,
    pub(crate) selected: usize,
    pub(crate) ladder: VecDeque<String>,
    /// Lines that the ladder is moved up by.
    pub(crate) scrolled: usize,
    pub(crate) notice: String,
    pub(crate) now: Instant,
}

/// Whether calls to us arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Registration {
    /// There is no account.
    None,
    Trying,
    Registered,
    Failed(String),
}

/// A call.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) call: CallId,
    pub(crate) who: String,
    pub(crate) state: State,
    pub(crate) held_by_us: bool,
    pub(crate) held_by_peer: bool,
    pub(crate) quality: Option<MediaReport>,
}

/// How far a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Incoming,
    Calling,
    Ringing,
    Talking { since: Instant },
}

impl Model {
    pub(crate) fn new(identity: &str, has_account: bool, language: Language) -> Self {
        Self {
            language,
            identity: shown(identity),
            registration: if has_account { Registration::Trying } else { Registration::None },
            input: String::new(),
            keypad: false,
            last_key: None,
            calls: Vec::new(),
            selected: 0,
            ladder: VecDeque::new(),
            scrolled: 0,
            notice: String::new(),
            now: clock::now(),
        }
    }

    /// A message passed.
    pub(crate) fn ladder_line(&mut self, line: String) {
        if self.ladder.len() >= LADDER {
            self.ladder.pop_front();
        }
        self.ladder.push_back(line);
        // What is being read stays where it is.
        if self.scrolled > 0 {
            self.scrolled += 1;
        }
    }

    /// We call someone.
    pub(crate) fn calling(&mut self, call: CallId, who: &str) {
        self.add(call, who, State::Calling);
    }

    /// The call that keys are for.
    pub(crate) fn present(&self) -> Option<&Row> {
        self.calls.get(self.selected)
    }

    pub(crate) fn row(&self, call: CallId) -> Option<&Row> {
        self.calls.iter().find(|row| row.call == call)
    }

    /// Takes note of what happened.
    pub(crate) fn event(&mut self, event: &Event) {
        let language = self.language;
        match event {
            Event::Registered { .. } => self.registration = Registration::Registered,
            Event::RegistrationFailed { code, reason, .. } => {
                self.registration = Registration::Failed(format!("{code} {}", shown(reason)));
            }
            Event::Incoming { call, from, display_name, .. } => {
                let who = display_name.as_ref().map_or(from.to_string(), |name| format!("{name} <{from}>"));
                self.add(*call, &who, State::Incoming);
            }
            Event::Transferring { new, target, .. } => self.add(*new, target.as_str(), State::Calling),
            Event::Progress { call, .. } => self.change(*call, |row| row.state = State::Ringing),
            Event::Answered { call, .. } => {
                let since = clock::now();
                self.change(*call, |row| row.state = State::Talking { since });
            }
            Event::Held { call, by_us, by_peer } => self.change(*call, |row| {
                (row.held_by_us, row.held_by_peer) = (*by_us, *by_peer);
            }),
            Event::ModifyFailed { code, .. } => {
                self.notice = format!("{} {code}", language.pick("refused:", "被拒绝："));
            }
            Event::Digit { digit, .. } => self.notice = format!("{} {digit}", language.pick("key", "按键")),
            Event::Transfer { code, .. } => {
                self.notice = format!("{} {code}", language.pick("transfer:", "转接："));
            }
            Event::MessageReceived { from, text, .. } => self.notice = shown(&format!("{from}: {text}")),
            Event::Response { code, reason, .. } => self.notice = shown(&format!("{code} {reason}")),
            Event::Ended { call, code, reason, .. } => self.ended(*call, *code, reason),
            Event::Unregistered
            | Event::Calling { .. }
            | Event::DigitsSent { .. }
            | Event::Notified { .. }
            | Event::Dropped(_)
            | Event::Requested { .. } => {}
        }
    }

    fn add(&mut self, call: CallId, who: &str, state: State) {
        let row = Row { call, who: shown(who), state, held_by_us: false, held_by_peer: false, quality: None };
        self.calls.push(row);
        self.selected = self.calls.len() - 1;
        self.notice.clear();
    }

    fn change(&mut self, call: CallId, how: impl FnOnce(&mut Row)) {
        if let Some(row) = self.calls.iter_mut().find(|row| row.call == call) {
            how(row);
        }
    }

    fn ended(&mut self, call: CallId, code: u16, reason: &str) {
        let Some(at) = self.calls.iter().position(|row| row.call == call) else { return };
        let row = self.calls.remove(at);
        self.notice = match row.state {
            State::Talking { .. } if code < 300 => {
                self.language.pick("ended: ", "已结束：").to_owned() + &row.who
            }
            _ => shown(&format!("{}: {code} {reason}", row.who)),
        };
        self.selected = self.selected.min(self.calls.len().saturating_sub(1));
        if self.calls.is_empty() {
            self.keypad = false;
        }
    }
}

/// What came from the network, without what a terminal would obey, and not too long.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}

/// Lines of the ladder that are kept.
const LADDER: usize = 1000;
