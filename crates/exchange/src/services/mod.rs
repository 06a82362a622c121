//! Value-added services. Each is a file that implements [`Service`] and a line in [`SERVICES`].

mod clock;
mod echo;
mod privacy;
mod voicemail;

use crate::b2bua::{Arriving, CallId, Calls, Env, Point, Table};
use crate::config::Config;
use crate::directory::AddressOfRecord;
use crate::proxy::Target;
use crate::refusal::Refusal;
use crate::speech::Language;
pub use voicemail::Settings as VoicemailSettings;

/// All services, in the order in which they are asked about a call.
pub const SERVICES: &[Kind] = &[echo::KIND, clock::KIND, voicemail::KIND, privacy::KIND];

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
    /// Of voicemail.
    pub voicemail: VoicemailSettings,
    /// What is spoken.
    pub language: Language,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            echo_number: Some("*43".into()),
            clock_number: Some("*60".into()),
            voicemail: VoicemailSettings::default(),
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

    /// Something has happened to a call that the service has.
    fn point(&mut self, _call: CallId, _point: Point, _calls: &mut Calls<'_, '_, '_>) {}

    /// A folder of recordings holds these files now; returns whose mailbox it is, with its new messages and the others.
    fn mailbox(&mut self, _folder: &str, _files: &[String]) -> Option<(AddressOfRecord, u32, u32)> {
        None
    }

    /// It is known which phones a call is for.
    fn routed(&mut self, _call: CallId, _calls: &mut Calls<'_, '_, '_>) -> Verdict {
        Verdict::Continue
    }
}

/// What a service says of a call.
pub(crate) enum Verdict {
    /// It goes on as if the service was not there.
    Continue,
    /// It goes no further.
    Reject(Refusal),
    /// The service has dealt with it by its verbs.
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
                Verdict::Continue => {}
                Verdict::Reject(refusal) => return Err(refusal),
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

    /// Tells all of them what a folder of recordings holds now.
    pub(crate) fn mailbox(&mut self, folder: &str, files: &[String]) -> Option<(AddressOfRecord, u32, u32)> {
        self.0.iter_mut().filter_map(|service| service.mailbox(folder, files)).last()
    }

    /// The same, for a call whose targets are known; returns them if no service has dealt with it.
    ///
    /// # Errors
    /// As before.
    pub(crate) fn routed(
        &mut self,
        table: &mut Table,
        env: &mut Env<'_, '_>,
        arriving: Arriving<'_>,
    ) -> Result<Option<Vec<Target>>, Refusal> {
        let (call, mut calls) = Calls::new(table, env, arriving);
        for (number, service) in self.0.iter_mut().enumerate() {
            calls.service = number;
            match service.routed(call, &mut calls) {
                Verdict::Continue => {}
                Verdict::Reject(refusal) => return Err(refusal),
                Verdict::Handled => return Ok(None),
            }
        }
        Ok(Some(calls.into_targets()))
    }
}
