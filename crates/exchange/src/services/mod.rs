//! Value-added services. Each is a file that implements [`Service`] and a line in [`SERVICES`].

mod clock;
mod conference;
mod echo;
mod forward;
mod menu;
mod privacy;
mod trunk;
mod voicemail;

use std::time::Duration;

use crate::b2bua::{Arriving, CallId, Calls, Env, Handed, Point, Table};
use crate::config::Config;
use crate::directory::AddressOfRecord;
use crate::proxy::Target;
use crate::refusal::Refusal;
use crate::speech::Language;
pub use conference::Settings as ConferenceSettings;
pub use menu::{Action as MenuAction, MOST_KEYS, Menu, Menus, PROMPTS, Prompt};
pub use voicemail::Settings as VoicemailSettings;

/// All services, in the order in which they are asked about a call.
pub const SERVICES: &[Kind] = &[
    echo::KIND,
    clock::KIND,
    conference::KIND,
    menu::KIND,
    forward::KIND,
    voicemail::KIND,
    privacy::KIND,
    trunk::KIND,
];

/// What a service is.
pub struct Kind {
    /// By which its settings and measures are known.
    pub name: &'static str,
    /// What it does for those who dial it.
    pub summary: &'static str,
    /// What is dialled for it; `None`: nothing is, or it is turned off.
    pub number: fn(&Settings) -> Option<&str>,
    make: fn(&Settings) -> Box<dyn Service>,
}

/// The settings of all services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What is dialled for the echo test; `None`: there is none.
    pub echo_number: Option<String>,
    /// What is dialled for the speaking clock; `None`: there is none.
    pub clock_number: Option<String>,
    /// Of rooms in which all hear each other.
    pub conference: ConferenceSettings,
    /// Of voicemail.
    pub voicemail: VoicemailSettings,
    /// Voice menus.
    pub menus: Menus,
    /// What is spoken.
    pub language: Language,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            echo_number: Some("*43".into()),
            clock_number: Some("*60".into()),
            conference: ConferenceSettings::default(),
            voicemail: VoicemailSettings::default(),
            menus: Menus::default(),
            language: Language::default(),
        }
    }
}

/// A service, at the points of a call in which it may take part. It has verbs in [`Calls`] and never sees SIP.
pub(crate) trait Service: Send {
    /// Somebody calls, and it is not known where that goes.
    fn incoming(&mut self, _call: CallId, _calls: &mut Calls<'_, '_, '_>) -> Verdict {
        Verdict::Continue
    }

    /// A call that another service has answered is sent on to this number; true: this one has it now.
    fn handed(&mut self, _call: CallId, _to: &str, _calls: &mut Calls<'_, '_, '_>) -> bool {
        false
    }

    /// No service has taken a call that this one has sent on to a number.
    fn kept(&mut self, _call: CallId, _to: &str, _calls: &mut Calls<'_, '_, '_>) {}

    /// Something has happened to a call that the service has.
    fn point(&mut self, _call: CallId, _point: Point, _calls: &mut Calls<'_, '_, '_>) {}

    /// A folder of recordings holds these files now; returns whose mailbox it is, with its new messages and the others.
    fn mailbox(&mut self, _folder: &str, _files: &[String]) -> Option<(AddressOfRecord, u32, u32)> {
        None
    }

    /// It is known whom a call is for, and which phones that has, if any.
    fn routed(&mut self, _call: CallId, _calls: &mut Calls<'_, '_, '_>) -> Verdict {
        Verdict::Continue
    }

    /// Nobody takes a call: one of which a service has said that it attends it, or one that cannot ring anywhere.
    fn unanswered(&mut self, _call: CallId, _why: Why, _calls: &mut Calls<'_, '_, '_>) -> Verdict {
        Verdict::Continue
    }
}

/// What a service says of a call.
pub(crate) enum Verdict {
    /// It goes on as if the service was not there.
    Continue,
    /// It goes no further.
    Reject(Refusal),
    /// It does not ring: it is as if nobody had taken it for this reason, of which the caller is told this.
    Unanswered(Why, Refusal),
    /// It goes to somebody else.
    Divert(Diversion),
    /// The service has dealt with it by its verbs.
    Handled,
}

/// Where a call goes on to.
#[derive(Clone, Debug)]
pub(crate) struct Diversion {
    /// A number, the name of an account, or a URI.
    pub(crate) to: String,
    pub(crate) why: Why,
}

/// Why a call is not taken by the one who is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// All its calls go elsewhere.
    Always,
    /// It is busy, or declines.
    Busy,
    /// It does not want to be disturbed.
    DoNotDisturb,
    /// Its phones have rung.
    NoAnswer,
    /// It has no phone that can be reached.
    Unavailable,
    /// A phone has sent the call on by itself.
    Deflected,
}

impl Why {
    /// As a Diversion header says it (RFC 5806 §4).
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Always => "unconditional",
            Self::Busy => "user-busy",
            Self::DoNotDisturb => "do-not-disturb",
            Self::NoAnswer => "no-answer",
            Self::Unavailable => "unavailable",
            Self::Deflected => "deflection",
        }
    }
}

/// What services have made of a call that was on its way to phones.
pub(crate) enum Outcome {
    /// It rings there; services are asked again if nobody takes it and one has said so, after so long.
    Phones(Vec<Target>, Option<Option<Duration>>),
    /// See [`Verdict::Unanswered`].
    Unanswered(Why, Refusal),
    /// See [`Verdict::Divert`].
    Diverted(Diversion),
    /// A service has dealt with it.
    Handled,
}

impl From<Result<(), Refusal>> for Verdict {
    fn from(done: Result<(), Refusal>) -> Self {
        done.map_or_else(Self::Reject, |()| Self::Handled)
    }
}

/// The services of a shard.
pub(crate) struct Services(Vec<Box<dyn Service>>);

impl Services {
    pub(crate) fn new(config: &Config) -> Self {
        Self(SERVICES.iter().map(|kind| (kind.make)(&config.services)).collect())
    }

    /// Asks them about a call, one after the other; false if none has dealt with it.
    ///
    /// # Errors
    /// What the caller is told when one of them wants it to go no further.
    pub(crate) fn incoming(
        &mut self,
        table: &mut Table,
        env: &mut Env<'_, '_>,
        arriving: Arriving<'_>,
    ) -> Result<bool, Refusal> {
        let (call, mut calls) = Calls::new(table, env, arriving);
        for (number, service) in self.0.iter_mut().enumerate() {
            calls.service = number;
            match service.incoming(call, &mut calls) {
                Verdict::Continue | Verdict::Divert(_) => {}
                Verdict::Reject(refusal) | Verdict::Unanswered(_, refusal) => return Err(refusal),
                Verdict::Handled => return Ok(true),
            }
        }
        Ok(false)
    }

    /// Tells the service that has a call what has happened to it.
    pub(crate) fn point(
        &mut self,
        table: &mut Table,
        env: &mut Env<'_, '_>,
        (call, service, point): (CallId, usize, Point),
    ) {
        let mut calls = Calls::at_point(table, env, service);
        if let Some(service) = self.0.get_mut(service) {
            service.point(call, point, &mut calls);
        }
    }

    /// Lets one of them have a call that another hands on.
    pub(crate) fn hand_on(&mut self, table: &mut Table, env: &mut Env<'_, '_>, handed: &Handed) {
        let Handed { call, by, to } = handed;
        if !table.has(*call) {
            return;
        }
        for (number, service) in self.0.iter_mut().enumerate().filter(|(number, _)| number != by) {
            if service.handed(*call, to, &mut Calls::at_point(table, env, number)) {
                table.give(*call, number);
                return self.point(table, env, (*call, *by, Point::Ended));
            }
        }
        let mut calls = Calls::at_point(table, env, *by);
        if let Some(service) = self.0.get_mut(*by) {
            service.kept(*call, to, &mut calls);
        }
    }

    /// Tells all of them what a folder of recordings holds now.
    pub(crate) fn mailbox(&mut self, folder: &str, files: &[String]) -> Option<(AddressOfRecord, u32, u32)> {
        self.0.iter_mut().filter_map(|service| service.mailbox(folder, files)).last()
    }

    /// The same as [`Services::incoming`], for a call of which it is known whom it is for.
    ///
    /// # Errors
    /// As before.
    pub(crate) fn routed(
        &mut self,
        table: &mut Table,
        env: &mut Env<'_, '_>,
        arriving: Arriving<'_>,
    ) -> Result<Outcome, Refusal> {
        let (call, mut calls) = Calls::new(table, env, arriving);
        for (number, service) in self.0.iter_mut().enumerate() {
            calls.service = number;
            if let Some(outcome) = outcome(service.routed(call, &mut calls))? {
                return Ok(outcome);
            }
        }
        let (targets, rings_for) = calls.into_targets();
        Ok(Outcome::Phones(targets, rings_for))
    }

    /// The same, for a call that nobody takes; `None` if nothing becomes of it.
    ///
    /// # Errors
    /// As before.
    pub(crate) fn unanswered(
        &mut self,
        table: &mut Table,
        env: &mut Env<'_, '_>,
        arriving: Arriving<'_>,
        why: Why,
    ) -> Result<Option<Outcome>, Refusal> {
        let (call, mut calls) = Calls::new(table, env, arriving);
        for (number, service) in self.0.iter_mut().enumerate() {
            calls.service = number;
            match outcome(service.unanswered(call, why, &mut calls))? {
                // It was so before.
                None | Some(Outcome::Unanswered(..)) => {}
                other => return Ok(other),
            }
        }
        Ok(None)
    }
}

/// What a verdict means for a call that is for somebody; `None`: nothing.
fn outcome(verdict: Verdict) -> Result<Option<Outcome>, Refusal> {
    Ok(match verdict {
        Verdict::Continue => None,
        Verdict::Reject(refusal) => return Err(refusal),
        Verdict::Unanswered(why, refusal) => Some(Outcome::Unanswered(why, refusal)),
        Verdict::Divert(diversion) => Some(Outcome::Diverted(diversion)),
        Verdict::Handled => Some(Outcome::Handled),
    })
}
