//! One caller in a menu: what it is asked, and what comes of its keys.

use std::time::Duration;

use super::{Action, MOST_KEYS, Menu, Prompt, say, spelling};
use crate::b2bua::{CallId, Calls, Dial, Dialled, Point, ShownAs};
use crate::speech::{Speech, ringing};

/// A caller, from when it comes in until it goes elsewhere.
pub(super) struct Visit {
    /// The place of the menu that it is in.
    menu: usize,
    step: Step,
    /// How often it has been asked again in this menu.
    retries: u8,
    /// How often it has said nothing, in all menus.
    silent: u8,
    /// Menus and numbers to which it was led since it last waited for nothing, or pressed a key.
    hops: u8,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// It hears the menu, or waits after it; it has pressed these.
    Chooses(String),
    /// It hears something, and then the menu.
    Hears,
    /// It spells a name.
    Spells(String),
    /// Of the accounts that it may have meant, by their numbers, it is told of the one at a place.
    Picks(Vec<String>, usize),
    /// Somebody is called for it, whom it talks with afterwards.
    Rings,
    Talks,
    /// It hears why it goes, and goes.
    Goes,
}

impl Visit {
    pub(super) fn new() -> Self {
        let step = Step::Chooses(String::new());
        Self { menu: 0, step, retries: 0, silent: 0, hops: 0 }
    }

    /// It comes into a menu.
    pub(super) fn enter(&mut self, call: CallId, at: usize, menus: &[Menu], calls: &mut Calls<'_, '_, '_>) {
        let Some(menu) = menus.get(at) else { return self.go(call, calls) };
        self.hops += 1;
        if self.hops > MOST_HOPS {
            return self.go(call, calls);
        }
        (self.menu, self.retries) = (at, 0);
        match &menu.closed {
            Some(closed) if !menu.is_open(calls) => self.act(call, &closed.clone(), menus, calls),
            _ => self.ask(call, &[], menus, calls),
        }
    }

    pub(super) fn point(
        &mut self,
        call: CallId,
        point: Point,
        menus: &[Menu],
        calls: &mut Calls<'_, '_, '_>,
    ) {
        match point {
            Point::Digit(key) => self.pressed(call, key, menus, calls),
            Point::Played => self.played(call, menus, calls),
            Point::Dialled(Dialled::Answered(_)) => self.step = Step::Talks,
            Point::Dialled(Dialled::Failed(_)) => self.unavailable(call, menus, calls),
            Point::Dialled(Dialled::Ringing)
            | Point::Recorded(_)
            | Point::Room(_)
            | Point::Closed(_)
            | Point::Ended => {}
        }
    }

    fn pressed(&mut self, call: CallId, key: char, menus: &[Menu], calls: &mut Calls<'_, '_, '_>) {
        (self.silent, self.hops) = (0, 0);
        let Some(menu) = menus.get(self.menu) else { return };
        match &mut self.step {
            Step::Rings | Step::Talks | Step::Goes => {}
            Step::Hears => {
                self.step = Step::Chooses(String::new());
                self.pressed(call, key, menus, calls)
            }
            Step::Chooses(keys) => {
                keys.push(key);
                let keys = keys.clone();
                let begun = keys.strip_suffix('#').filter(|before| !before.is_empty());
                match begun.filter(|_| !menu.keys.keys().any(|one| one.starts_with(&keys))) {
                    Some(complete) => self.choose(call, complete, menus, calls),
                    None if menu.may_go_on(&keys) && keys.len() < MOST_KEYS => {
                        self.wait(call, menu.digit_timeout, calls)
                    }
                    None => self.choose(call, &keys, menus, calls),
                }
            }
            Step::Spells(_) | Step::Picks(..) if key == '*' => self.ask(call, &[], menus, calls),
            Step::Spells(keys) if key == '#' => {
                let keys = keys.clone();
                self.find(call, &keys, menus, calls)
            }
            Step::Spells(keys) => {
                keys.push(key);
                let keys = keys.clone();
                match keys.len() < MOST_KEYS {
                    true => self.wait(call, SPELLING, calls),
                    false => self.find(call, &keys, menus, calls),
                }
            }
            Step::Picks(found, at) if key == '1' => {
                if let Some(number) = found.get(*at).cloned() {
                    self.leave(call, number, calls);
                }
            }
            Step::Picks(found, at) => {
                let (found, at) = (std::mem::take(found), *at + 1);
                self.offer(call, found, at, menus, calls)
            }
        }
    }

    /// All has been said, and nothing was pressed since.
    fn played(&mut self, call: CallId, menus: &[Menu], calls: &mut Calls<'_, '_, '_>) {
        match &mut self.step {
            Step::Goes => calls.hang_up(call),
            // It rings for as long as it takes.
            Step::Rings => calls.play(call, ringing()),
            Step::Talks => {}
            Step::Hears => self.ask(call, &[], menus, calls),
            Step::Chooses(keys) | Step::Spells(keys) if keys.is_empty() => self.nothing(call, menus, calls),
            Step::Chooses(keys) => {
                let keys = keys.clone();
                self.choose(call, &keys, menus, calls)
            }
            Step::Spells(keys) => {
                let keys = keys.clone();
                self.find(call, &keys, menus, calls)
            }
            Step::Picks(found, at) => {
                let (found, at) = (std::mem::take(found), *at + 1);
                self.offer(call, found, at, menus, calls)
            }
        }
    }

    /// It goes on to a number: of a service, which then has it, or of somebody who is called.
    fn leave(&mut self, call: CallId, to: String, calls: &mut Calls<'_, '_, '_>) {
        self.step = Step::Rings;
        let speech = self.speech().say("menu-connecting");
        calls.say(call, ringing().into_iter().fold(speech, Speech::clip));
        // Who comes from outside is led to accounts here, and no further.
        let by = calls.account(call);
        calls.dial(call, Dial::new(to, by, ShownAs::Party(call)));
    }

    /// Where it wanted to go nobody takes it: it is told so, and is asked again.
    fn unavailable(&mut self, call: CallId, menus: &[Menu], calls: &mut Calls<'_, '_, '_>) {
        self.hops += 1;
        if self.hops > MOST_HOPS {
            return self.go(call, calls);
        }
        self.again(call, &[Prompt::Phrase("menu-unavailable".into())], menus, calls)
    }

    /// It has chosen.
    fn choose(&mut self, call: CallId, keys: &str, menus: &[Menu], calls: &mut Calls<'_, '_, '_>) {
        let Some(menu) = menus.get(self.menu) else { return };
        if let Some(action) = menu.keys.get(keys) {
            return self.act(call, &action.clone(), menus, calls);
        }
        if menu.extensions && calls.account_of(keys).is_some() {
            return self.leave(call, keys.to_owned(), calls);
        }
        let invalid = menu.invalid.clone();
        self.again(call, &invalid, menus, calls)
    }

    fn act(&mut self, call: CallId, action: &Action, menus: &[Menu], calls: &mut Calls<'_, '_, '_>) {
        match action {
            Action::Call(number) => self.leave(call, number.clone(), calls),
            Action::Voicemail(of) => match calls.mailbox_number(of) {
                Some(number) => self.leave(call, number, calls),
                None => self.go(call, calls),
            },
            Action::Menu(at) => self.enter(call, *at, menus, calls),
            Action::Directory => self.spell(call, "", calls),
            Action::Say(prompts) => {
                self.step = Step::Hears;
                let speech = say(self.speech(), prompts, calls);
                calls.say(call, speech.pause(SHORTLY_MS));
            }
            Action::Repeat => self.ask(call, &[], menus, calls),
            Action::HangUp => self.go(call, calls),
        }
    }

    /// Says something, and then the menu, and waits for keys.
    fn ask(&mut self, call: CallId, first: &[Prompt], menus: &[Menu], calls: &mut Calls<'_, '_, '_>) {
        let Some(menu) = menus.get(self.menu) else { return };
        self.step = Step::Chooses(String::new());
        let speech = say(self.speech(), first, calls);
        let speech = if first.is_empty() { speech } else { speech.pause(SHORTLY_MS) };
        let speech = say(speech, &menu.prompts, calls);
        calls.say(call, speech.pause(ms(menu.timeout)));
    }

    /// It has chosen nothing that there is.
    fn again(&mut self, call: CallId, first: &[Prompt], menus: &[Menu], calls: &mut Calls<'_, '_, '_>) {
        let Some(menu) = menus.get(self.menu) else { return };
        if self.retries >= menu.retries {
            return self.act(call, &menu.otherwise.clone(), menus, calls);
        }
        self.retries += 1;
        self.ask(call, first, menus, calls)
    }

    /// It has said nothing.
    fn nothing(&mut self, call: CallId, menus: &[Menu], calls: &mut Calls<'_, '_, '_>) {
        self.silent += 1;
        self.hops = 0;
        // Menus may lead to each other for ever; nobody listens for so long.
        if self.silent > MOST_SILENT { self.go(call, calls) } else { self.again(call, &[], menus, calls) }
    }

    fn spell(&mut self, call: CallId, first: &str, calls: &mut Calls<'_, '_, '_>) {
        self.step = Step::Spells(String::new());
        let speech =
            if first.is_empty() { self.speech() } else { self.speech().say(first).pause(SHORTLY_MS) };
        calls.say(call, speech.say("directory-spell").pause(PATIENCE_MS));
    }

    fn find(&mut self, call: CallId, keys: &str, menus: &[Menu], calls: &mut Calls<'_, '_, '_>) {
        let found = match keys {
            "" => Vec::new(),
            keys => calls.numbers_of(MOST_FOUND, |account| spelling::means(account, keys)),
        };
        self.offer(call, found, 0, menus, calls)
    }

    /// Tells of one that may be meant.
    fn offer(
        &mut self,
        call: CallId,
        found: Vec<String>,
        at: usize,
        menus: &[Menu],
        calls: &mut Calls<'_, '_, '_>,
    ) {
        let Some(number) = found.get(at) else {
            let most = menus.get(self.menu).map_or(0, |menu| menu.retries);
            if self.retries >= most {
                return self.again(call, &[], menus, calls);
            }
            self.retries += 1;
            return self.spell(call, "directory-nobody", calls);
        };
        let speech = self.speech().say("directory-number").digits(number).pause(SHORTLY_MS);
        self.step = Step::Picks(found, at);
        calls.say(call, speech.say("directory-choose").pause(PATIENCE_MS));
    }

    /// Another key may follow.
    fn wait(&self, call: CallId, time: Duration, calls: &mut Calls<'_, '_, '_>) {
        calls.say(call, Speech::new().pause(ms(time)));
    }

    fn go(&mut self, call: CallId, calls: &mut Calls<'_, '_, '_>) {
        self.step = Step::Goes;
        calls.say(call, self.speech().say("voicemail-goodbye"));
    }

    fn speech(&self) -> Speech {
        // What a phone needs until it is at the caller's ear, and a breath between two things said.
        Speech::new().pause(SHORTLY_MS)
    }
}

fn ms(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

const SHORTLY_MS: u32 = 300;
const PATIENCE_MS: u32 = 5000;
/// Between two letters of a name.
const SPELLING: Duration = Duration::from_secs(3);
/// Accounts that may be meant by a name.
const MOST_FOUND: usize = 9;
/// Who was asked so often and pressed nothing is gone.
const MOST_SILENT: u8 = 20;
/// Menus that are closed, and numbers that nobody takes, which lead to each other without a word.
const MOST_HOPS: u8 = 16;
