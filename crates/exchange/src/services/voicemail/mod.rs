//! Voicemail: who does not answer has a mailbox. Callers leave messages in it; its owner hears them by dialling the
//! number of the service.
//!
//! A mailbox is a folder of files, which the driver shows to every shard ([`Service::mailbox`]); what changes in it, it
//! changes.

mod deposit;
mod listen;

use std::collections::BTreeMap;
use std::time::Duration;

use offhook_media::voice::Clip;

use super::{Kind, Service, Settings as All, Verdict, Why};
use crate::b2bua::{CallId, Calls, Endpoint, Point};
use crate::directory::{AddressOfRecord, Answering, RING_SECONDS};
use crate::io::FileRequest;
use crate::mailbox::{self, Contents, Message, folder};
use crate::speech::Speech;
use deposit::Deposit;
use listen::Listening;

pub(super) const KIND: Kind = Kind {
    name: "voicemail",
    summary: "takes messages for who does not answer; its number plays those of the caller",
    number: |settings| settings.voicemail.number.as_deref(),
    make: |settings| Box::new(Voicemail::new(settings)),
};

/// The settings of the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What is dialled to hear one's messages, and before a number to leave it one; `None`: there is no voicemail.
    pub number: Option<String>,
    /// The longest message.
    pub longest: Duration,
    /// How many messages a mailbox holds.
    pub most: usize,
    /// Whether it takes the calls that any account does not, unless those are forwarded; else only what accounts forward
    /// to it.
    pub for_all: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { number: Some("*97".into()), longest: Duration::from_secs(180), most: 100, for_all: false }
    }
}

pub(super) struct Voicemail {
    settings: Settings,
    /// By folder.
    boxes: BTreeMap<String, Contents>,
    visits: BTreeMap<CallId, Visit>,
}

/// What a caller does here.
enum Visit {
    Leaves(Deposit),
    Hears(Listening),
    /// It is told why it goes, and goes.
    Goes,
}

/// What comes of a step.
enum Next {
    Stay,
    Go(Speech),
    /// A file of a message is also to be this message in that folder.
    Forward {
        from: String,
        message: Message,
        to: String,
    },
}

impl Voicemail {
    fn new(settings: &All) -> Self {
        let (boxes, visits) = (BTreeMap::new(), BTreeMap::new());
        Self { settings: settings.voicemail.clone(), boxes, visits }
    }

    /// Takes a message for an account.
    fn take_message(
        &mut self,
        call: CallId,
        account: &AddressOfRecord,
        calls: &mut Calls<'_, '_, '_>,
    ) -> Verdict {
        let caller = calls.caller_number(call).unwrap_or_default();
        let answered = calls.answer(call, Endpoint::Voice);
        if answered.is_ok() {
            self.greet(call, account, caller, calls);
        }
        answered.into()
    }

    /// Tells a caller how to leave a message.
    fn greet(
        &mut self,
        call: CallId,
        account: &AddressOfRecord,
        caller: String,
        calls: &mut Calls<'_, '_, '_>,
    ) {
        let (folder, number) = (folder(account), calls.number_of(account));
        calls.speak_like(call, account);
        let contents = self.boxes.entry(folder.clone()).or_default();
        let speech = Speech::new().pause(SETTLE_MS);
        if contents.messages.len() >= self.settings.most {
            calls.say(call, speech.say("voicemail-full"));
            self.visits.insert(call, Visit::Goes);
        } else {
            let speech = match contents.greeting {
                true => speech.clip(Clip::File(format!("{folder}/{}", mailbox::GREETING).into())),
                false => standard_greeting(speech, &number),
            };
            calls.say(call, speech.beep());
            self.visits.insert(call, Visit::Leaves(Deposit::new(folder, caller)));
        }
    }

    /// Lets the caller hear its own messages.
    fn let_listen(
        &mut self,
        call: CallId,
        account: &AddressOfRecord,
        calls: &mut Calls<'_, '_, '_>,
    ) -> Verdict {
        let answered = calls.answer(call, Endpoint::Voice);
        if answered.is_ok() {
            self.welcome(call, account, calls);
        }
        answered.into()
    }

    fn welcome(&mut self, call: CallId, account: &AddressOfRecord, calls: &mut Calls<'_, '_, '_>) {
        let folder = folder(account);
        let contents = self.boxes.entry(folder.clone()).or_default();
        let listening = Listening::new(folder, contents);
        calls.say(call, listening.welcome(contents));
        self.visits.insert(call, Visit::Hears(listening));
    }
}

impl Service for Voicemail {
    fn configure(&mut self, settings: &All) {
        self.settings.clone_from(&settings.voicemail);
    }

    fn incoming(&mut self, call: CallId, calls: &mut Calls<'_, '_, '_>) -> Verdict {
        let Some(number) = self.settings.number.as_deref() else { return Verdict::Continue };
        let rest = calls.dialled(call).and_then(|dialled| dialled.strip_prefix(number)).map(str::to_owned);
        let Some(rest) = rest else { return Verdict::Continue };
        match (rest.as_str(), calls.diverted_by(call)) {
            // Who sends its calls here has a mailbox for them.
            ("", Some(account)) => self.take_message(call, &account, calls),
            (_, None) if !calls.is_from_account(call) => Verdict::Continue,
            ("", None) => match calls.caller_account(call) {
                Some(account) => self.let_listen(call, &account, calls),
                None => Verdict::Continue,
            },
            (rest, _) => match calls.account_of(rest) {
                Some(account) => self.take_message(call, &account, calls),
                None => Verdict::Continue,
            },
        }
    }

    fn given(
        &mut self,
        call: CallId,
        (to, _): (&str, Option<&AddressOfRecord>),
        calls: &mut Calls<'_, '_, '_>,
    ) -> bool {
        let user = self.settings.number.as_deref().and_then(|number| to.strip_prefix(number));
        let account = user.and_then(|user| calls.account_of(user));
        let Some(account) = account.filter(|_| calls.take(call)) else { return false };
        let caller = calls.party_number(call).unwrap_or_default();
        self.greet(call, &account, caller, calls);
        true
    }

    fn replaced(&mut self, call: CallId, by: CallId, calls: &mut Calls<'_, '_, '_>) -> bool {
        let folder = match self.visits.get(&call) {
            Some(Visit::Leaves(deposit)) => deposit.folder(),
            Some(Visit::Hears(listening)) => listening.folder(),
            Some(Visit::Goes) | None => return false,
        };
        let Some(account) = mailbox::owner(folder).filter(|_| calls.take(by)) else { return false };
        // What the one before has said so far is a message of its own; this one begins anew.
        match self.visits.remove(&call) {
            Some(Visit::Hears(_)) => self.welcome(by, &account, calls),
            _ => {
                let caller = calls.party_number(by).unwrap_or_default();
                self.greet(by, &account, caller, calls);
            }
        }
        true
    }

    fn routed(&mut self, call: CallId, calls: &mut Calls<'_, '_, '_>) -> Verdict {
        if self.settings.for_all && self.settings.number.is_some() && calls.called(call).is_some() {
            let usual = Duration::from_secs(RING_SECONDS.into());
            let rings_for = calls.answering(call).map_or(usual, Answering::rings_for);
            calls.attend(Some(rings_for));
        }
        Verdict::Continue
    }

    fn unanswered(&mut self, call: CallId, _why: Why, calls: &mut Calls<'_, '_, '_>) -> Verdict {
        match calls.called(call).filter(|_| self.settings.for_all && self.settings.number.is_some()) {
            Some(account) => self.take_message(call, &account, calls),
            None => Verdict::Continue,
        }
    }

    fn point(&mut self, call: CallId, point: Point, calls: &mut Calls<'_, '_, '_>) {
        let Some(visit) = self.visits.get_mut(&call) else { return };
        let next = match (visit, point) {
            (_, Point::Ended) => {
                self.visits.remove(&call);
                return;
            }
            (Visit::Goes, Point::Played) => return calls.hang_up(call),
            (
                Visit::Goes,
                Point::Digit(_) | Point::Recorded(_) | Point::Room(_) | Point::Closed(_) | Point::Dialled(_),
            ) => return,
            (Visit::Leaves(deposit), point) => deposit.point(call, point, &self.settings, calls),
            (Visit::Hears(listening), point) => {
                let contents = self.boxes.entry(listening.folder().to_owned()).or_default();
                listening.point(call, point, contents, calls)
            }
        };
        match next {
            Next::Stay => {}
            Next::Go(speech) => {
                calls.say(call, speech);
                self.visits.insert(call, Visit::Goes);
            }
            Next::Forward { from, message, to } => {
                let has_room = self.boxes.get(&to).is_none_or(|one| one.messages.len() < self.settings.most);
                if has_room {
                    calls.file(FileRequest::Copy(from, message.file(&to)));
                }
                if let Some(Visit::Hears(listening)) = self.visits.get_mut(&call) {
                    listening.forwarded(call, has_room, calls);
                }
            }
        }
    }

    fn mailbox(&mut self, folder: &str, files: &[String]) -> Option<(AddressOfRecord, u32, u32)> {
        let contents = Contents::read(files);
        let (new, old) = contents.count();
        if contents == Contents::default() {
            self.boxes.remove(folder);
        } else {
            self.boxes.insert(folder.to_owned(), contents);
        }
        mailbox::owner(folder).map(|account| (account, new, old))
    }
}

fn standard_greeting(speech: Speech, number: &str) -> Speech {
    match number {
        "" => speech,
        number => speech.say("voicemail-person-at").digits(number).pause(300),
    }
    .say("voicemail-leave")
}

/// What a phone needs until it is at the caller's ear.
const SETTLE_MS: u32 = 500;
