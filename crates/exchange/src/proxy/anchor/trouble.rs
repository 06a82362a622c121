//! Media that fails: what the relay reports, in words for both phones.

use std::time::{Duration, Instant};

use offhook_media::command::{Counters, InsecureReason, Report};
use offhook_sip::Status;

use super::{Anchor, Anchors, CountedFor, Opened, SET_ASIDE};
use crate::config::Config;
use crate::event::{Event, Reception};

/// Why a call cannot go on with the media that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Nothing has come for a while.
    Stopped,
    /// It has been on hold for too long.
    Held,
    /// A port could not be had.
    NoPort,
    /// A handshake failed.
    Insecure(InsecureReason),
    /// A phone answered without the protection that must be.
    Unprotected,
}

impl Trouble {
    /// The value of a Reason header (RFC 3326), and with what a call is refused that was not answered yet.
    pub(crate) fn words(self) -> (String, Status, &'static str) {
        match self {
            Self::Stopped => {
                ("SIP;cause=408;text=\"Media stopped\"".to_owned(), Status::REQUEST_TIMEOUT, "Media stopped")
            }
            Self::Held => {
                let words = "On hold too long";
                (format!("SIP;cause=408;text=\"{words}\""), Status::REQUEST_TIMEOUT, words)
            }
            Self::NoPort => {
                let words = "A media port cannot be had";
                (format!("SIP;cause=503;text=\"{words}\""), Status::SERVICE_UNAVAILABLE, words)
            }
            Self::Insecure(reason) => {
                let words = "Media could not be secured";
                (format!("SIP;cause=488;text=\"{words}: {reason}\""), Status::NOT_ACCEPTABLE_HERE, words)
            }
            Self::Unprotected => {
                let words = "The phone did not encrypt its media";
                (format!("SIP;cause=488;text=\"{words}\""), Status::NOT_ACCEPTABLE_HERE, words)
            }
        }
    }
}

impl Anchors {
    /// What a report of the relay tells of the sound of a call that is over.
    pub(crate) fn counted(&self, report: &Report) -> Option<Event> {
        let Report::Closed { stream, counters, .. } = report else { return None };
        let CountedFor { call, leg, ends_here } = self.streams.get(stream)?.counted.as_deref()?;
        let [caller, callee] = counters.each_ref().map(reception);
        let heard = [Some(caller), (!ends_here).then_some(callee)];
        Some(Event::MediaEnded { call: call.clone(), leg: leg.clone(), heard })
    }

    /// Takes a report of the relay; returns the anchor whose call cannot go on because of it, and why.
    pub(crate) fn report(&mut self, report: Report, config: &Config, now: Instant) -> Option<(u64, Trouble)> {
        match report {
            Report::Closed { stream, ports, .. } => {
                self.streams.remove(&stream);
                if self.streams.len() < self.streams.capacity() / 8 {
                    self.streams.shrink_to(self.streams.len() * 2);
                }
                for pair in ports {
                    self.lease.give_back(now, pair);
                }
                None
            }
            Report::Latched { .. }
            | Report::Secured { .. }
            | Report::Heard { .. }
            | Report::Tapped { .. } => None,
            Report::Insecure { stream, reason, .. } => {
                Some((self.streams.get(&stream)?.anchor, Trouble::Insecure(reason)))
            }
            // It was never opened, so nothing will say that it is closed.
            Report::Refused { stream, .. } => {
                let Opened { anchor, ports, .. } = self.streams.remove(&stream)?;
                for pair in ports {
                    self.lease.set_aside(now, pair, SET_ASIDE);
                }
                Some((anchor, Trouble::NoPort))
            }
            Report::PortUnavailable { stream, port } => {
                let Opened { anchor, ports, .. } = self.streams.get(&stream)?;
                for pair in ports.iter().filter(|one| one.contains(port)) {
                    self.lease.set_aside(now, *pair, SET_ASIDE);
                }
                Some((*anchor, Trouble::NoPort))
            }
            Report::Stopped { stream, .. } => {
                let number = self.streams.get(&stream)?.anchor;
                let anchor = self.anchors.get_mut(&number)?;
                let recently = config.media_timeout + Duration::from_secs(5);
                for one in anchor.streams.iter_mut().flatten().filter(|one| one.id == stream) {
                    one.stopped_at = Some(now);
                }
                // A silent picture does not end a call in which someone speaks.
                let all = anchor.streams.iter().flatten().all(|one| {
                    one.may_be_silent() || one.stopped_at.is_some_and(|at| now.duration_since(at) < recently)
                });
                (all && anchor.answered.is_some()).then_some((number, Trouble::Stopped))
            }
        }
    }

    /// The anchors of answered calls that have been on hold for too long.
    pub(crate) fn held_too_long(&self, config: &Config, now: Instant) -> Vec<u64> {
        let too_long = |one: &Anchor| {
            // Of a direct one nothing is heard, and its BYE may be lost.
            let most = if one.is_direct { LONGEST_DIRECT } else { config.hold_timeout };
            one.quiet_since.is_some_and(|since| now.duration_since(since) >= most)
        };
        let anchors = self.anchors.iter();
        let over = anchors.filter(|(_, one)| one.answered.is_some() && too_long(one));
        over.map(|(number, _)| *number).collect()
    }
}

fn reception(counters: &Counters) -> Reception {
    Reception {
        packets: counters.received,
        lost: counters.lost,
        bursts: counters.bursts,
        jitter: Duration::from_micros(counters.jitter_us.into()),
    }
}

/// A call of whose media nothing is heard stands for no longer than this.
const LONGEST_DIRECT: Duration = Duration::from_secs(24 * 3600);
