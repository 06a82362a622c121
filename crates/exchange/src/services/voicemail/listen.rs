//! The owner of a mailbox hears its messages, and records a greeting.

use offhook_media::voice::{Clip, Recording};

use super::Next;
use crate::b2bua::{CallId, Calls, Point};
use crate::io::FileRequest;
use crate::mailbox::{Contents, GREETING, folder};
use crate::speech::Speech;

/// One who hears its messages.
pub(super) struct Listening {
    folder: String,
    step: Step,
    /// The files of the messages, in the order in which they are heard.
    files: Vec<String>,
    /// The number that it enters.
    number: String,
    /// How often it was asked without an answer.
    silent: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// It is told what there is, and asked what to do.
    Menu,
    /// It hears the message at this place.
    Hears(usize),
    /// It is told how to record a greeting.
    BeforeGreeting,
    /// It says its greeting.
    Greets,
    /// It enters to whom the message at this place is forwarded.
    Forwards(usize),
}

impl Listening {
    pub(super) fn new(folder: String, contents: &Contents) -> Self {
        let files = contents.messages.iter().map(|one| one.file(&folder)).collect();
        Self { folder, step: Step::Menu, files, number: String::new(), silent: 0 }
    }

    pub(super) fn folder(&self) -> &str {
        &self.folder
    }

    /// What is said first: how much there is.
    pub(super) fn welcome(&self, contents: &Contents) -> Speech {
        let (new, old) = contents.count();
        let speech = self.speech().pause(super::SETTLE_MS);
        let speech = match (new, old) {
            (0, 0) => speech.say("voicemail-no-messages"),
            (new, old) => {
                let mut speech = speech.say("voicemail-you-have");
                for (count, one, many) in [
                    (new, "voicemail-new-message", "voicemail-new-messages"),
                    (old, "voicemail-old-message", "voicemail-old-messages"),
                ] {
                    if count > 0 {
                        speech = speech.count(count).say(if count == 1 { one } else { many });
                    }
                }
                speech
            }
        };
        asked(speech.pause(300).say("voicemail-main-menu"))
    }

    pub(super) fn point(
        &mut self,
        call: CallId,
        point: Point,
        contents: &mut Contents,
        calls: &mut Calls<'_, '_, '_>,
    ) -> Next {
        if matches!(point, Point::Digit(_)) {
            self.silent = 0;
        }
        match (self.step, point) {
            (Step::Menu, Point::Digit('1')) => return self.hear(call, 0, contents, calls),
            (Step::Menu, Point::Digit('3')) => {
                self.step = Step::BeforeGreeting;
                calls.say(call, self.speech().say("voicemail-record-greeting").beep());
            }
            (Step::Menu, Point::Digit('4')) => {
                contents.greeting = false;
                calls.file(FileRequest::Remove(format!("{}/{GREETING}", self.folder)));
                self.menu(call, "voicemail-greeting-removed", calls);
            }
            (Step::Hears(at), Point::Digit(key)) => return self.pressed(call, (at, key), contents, calls),
            (Step::Forwards(at), Point::Digit('#')) => return self.forward(call, at, contents, calls),
            (Step::Forwards(at), Point::Digit('*')) => return self.hear(call, at, contents, calls),
            (Step::Forwards(_), Point::Digit(key)) => {
                if self.number.len() < LONGEST_NUMBER {
                    self.number.push(key);
                }
            }
            (Step::BeforeGreeting, Point::Played) => self.greet(call, calls),
            (Step::Greets, Point::Digit(_)) => calls.stop_recording(call),
            (Step::Greets, Point::Recorded(outcome)) => {
                contents.greeting |= outcome.is_ok();
                let said =
                    if outcome.is_ok() { "voicemail-greeting-saved" } else { "voicemail-not-recorded" };
                self.menu(call, said, calls);
            }
            (Step::Menu | Step::Hears(_) | Step::Forwards(_), Point::Played) => {
                self.silent += 1;
                if self.silent >= MOST_SILENT {
                    return Next::Go(self.speech().say("voicemail-goodbye"));
                }
                let menu = match self.step {
                    Step::Menu => "voicemail-main-menu",
                    Step::Forwards(_) => "voicemail-forward-to",
                    _ => "voicemail-menu",
                };
                calls.say(call, asked(self.speech().say(menu)));
            }
            (Step::Menu | Step::BeforeGreeting, Point::Digit(_))
            | (Step::Greets, Point::Played)
            | (
                _,
                Point::Recorded(_) | Point::Room(_) | Point::Closed(_) | Point::Dialled(_) | Point::Ended,
            ) => {}
        }
        Next::Stay
    }

    /// A key while a message is heard, or after it.
    fn pressed(
        &mut self,
        call: CallId,
        (at, key): (usize, char),
        contents: &mut Contents,
        calls: &mut Calls<'_, '_, '_>,
    ) -> Next {
        match key {
            '1' => return self.hear(call, at, contents, calls),
            '7' => {
                if let Some(file) = self.files.get(at) {
                    contents.messages.retain(|one| one.file(&self.folder) != *file);
                    calls.file(FileRequest::Remove(file.clone()));
                    self.files.remove(at);
                }
                return self.hear_after(call, at, "voicemail-deleted", contents, calls);
            }
            '8' => {
                self.step = Step::Forwards(at);
                self.number.clear();
                calls.say(call, asked(self.speech().say("voicemail-forward-to")));
            }
            '9' => return self.hear_after(call, at + 1, "voicemail-kept", contents, calls),
            '0' | '#' => return self.hear(call, at + 1, contents, calls),
            '*' => {
                self.step = Step::Menu;
                calls.say(call, asked(self.speech().say("voicemail-main-menu")));
            }
            _ => {}
        }
        Next::Stay
    }

    /// A number is complete: who has it gets the message as well.
    fn forward(
        &mut self,
        call: CallId,
        at: usize,
        contents: &Contents,
        calls: &mut Calls<'_, '_, '_>,
    ) -> Next {
        let to = calls.account_of(&self.number).map(|account| folder(&account));
        let file = self.files.get(at);
        let message = contents.messages.iter().find(|one| Some(&one.file(&self.folder)) == file);
        match (to.filter(|to| *to != self.folder), message) {
            (Some(to), Some(message)) => {
                Next::Forward { from: message.file(&self.folder), message: message.forwarded(), to }
            }
            _ => {
                self.forwarded(call, false, calls);
                Next::Stay
            }
        }
    }

    /// Tells whether that was done, and goes on with the message.
    pub(super) fn forwarded(&mut self, call: CallId, done: bool, calls: &mut Calls<'_, '_, '_>) {
        if let Step::Forwards(at) = self.step {
            self.step = Step::Hears(at);
        }
        let word = if done { "voicemail-forwarded" } else { "voicemail-not-forwarded" };
        calls.say(call, asked(self.speech().say(word).pause(300).say("voicemail-menu")));
    }

    fn hear(
        &mut self,
        call: CallId,
        at: usize,
        contents: &mut Contents,
        calls: &mut Calls<'_, '_, '_>,
    ) -> Next {
        self.hear_after(call, at, "", contents, calls)
    }

    /// Says a word about what was done, and then the message at a place: when and from whom it is, and itself. Then it
    /// is no longer new.
    fn hear_after(
        &mut self,
        call: CallId,
        at: usize,
        word: &str,
        contents: &mut Contents,
        calls: &mut Calls<'_, '_, '_>,
    ) -> Next {
        let speech = self.speech();
        let speech = if word.is_empty() { speech } else { speech.say(word).pause(300) };
        let found = self.files.get(at).cloned();
        let message = found.and_then(|file| {
            let message = contents.messages.iter_mut().find(|one| one.file(&self.folder) == file)?;
            Some((file, message))
        });
        let Some((file, message)) = message else {
            self.step = Step::Menu;
            let speech = speech.say("voicemail-no-more").pause(300).say("voicemail-main-menu");
            calls.say(call, asked(speech));
            return Next::Stay;
        };
        let (now, zone) = calls.clock();
        let speech = speech.moment(message.at, now, &zone).say("voicemail-from");
        let caller = message.caller();
        let speech =
            match caller.bytes().all(|byte| byte.is_ascii_digit() || byte == b'+') && !caller.is_empty() {
                true => speech.digits(caller),
                false => speech.say("voicemail-unknown-caller"),
            };
        if message.is_new {
            message.is_new = false;
            let old = message.file(&self.folder);
            calls.file(FileRequest::Rename(file, old.clone()));
            self.files[at] = old;
        }
        let speech = speech.pause(300).clip(Clip::File(self.files[at].as_str().into())).pause(500);
        self.step = Step::Hears(at);
        calls.say(call, asked(speech.say("voicemail-menu")));
        Next::Stay
    }

    fn greet(&mut self, call: CallId, calls: &mut Calls<'_, '_, '_>) {
        self.step = Step::Greets;
        let file = format!("{}/{GREETING}", self.folder).into();
        let recording = Recording { file, most_ms: 60_000, silence_ms: 5000, least_ms: 1000 };
        calls.record(call, recording);
    }

    fn menu(&mut self, call: CallId, first: &str, calls: &mut Calls<'_, '_, '_>) {
        self.step = Step::Menu;
        let speech = self.speech().say(first).pause(300).say("voicemail-main-menu");
        calls.say(call, asked(speech));
    }

    fn speech(&self) -> Speech {
        Speech::new()
    }
}

/// With the time to press a key.
fn asked(speech: Speech) -> Speech {
    speech.pause(6000)
}

/// Who was asked so often and pressed nothing is gone.
const MOST_SILENT: u8 = 3;
/// No number of a mailbox is longer.
const LONGEST_NUMBER: usize = 40;
