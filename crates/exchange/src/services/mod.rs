//! Value-added services. Each is a file that implements [`Service`] and a line in [`SERVICES`].

mod echo;
mod privacy;
mod trunk;

use crate::b2bua::{Arriving, CallId, Calls, Env, Table};
use crate::config::Config;
use crate::proxy::Target;
use crate::refusal::Refusal;

/// All services, in the order in which they are asked about a call.
pub const SERVICES: &[Kind] = &[echo::KIND, privacy::KIND, trunk::KIND];

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
}

impl Default for Settings {
    fn default() -> Self {
        Self { echo_number: Some("*43".into()) }
    }
}

/// A service, at the points of a call in which it may take part. It has verbs in [`Calls`] and never sees SIP.
pub(crate) trait Service: Send {
    /// Somebody calls, and it is not known where that goes.
    fn incoming(&mut self, _call: CallId, _calls: &mut Calls<'_, '_, '_>) -> Verdict {
        Verdict::Continue
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
        for service in &mut self.0 {
            match service.incoming(call, &mut calls) {
                Verdict::Continue => {}
                Verdict::Reject(refusal) => return Err(refusal),
                Verdict::Handled => return Ok(true),
            }
        }
        Ok(false)
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
        for service in &mut self.0 {
            match service.routed(call, &mut calls) {
                Verdict::Continue => {}
                Verdict::Reject(refusal) => return Err(refusal),
                Verdict::Handled => return Ok(None),
            }
        }
        Ok(Some(calls.into_targets()))
    }
}
