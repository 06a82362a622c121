//! Session timers (RFC 4028): whether both sides still hold the session, known by refreshing it.

use std::time::{Duration, Instant};

use offhook_sip::{Headers, Refresher, SessionExpires};

/// What we want of session timers, as configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionTimers {
    /// The interval that we ask for, in seconds; zero never asks, but obeys a peer that does.
    pub interval: u32,
    /// The smallest interval that we take, in seconds (§5: not below 90).
    pub minimum: u32,
}

/// What a request that creates or refreshes a session says about session timers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    /// Its Session-Expires.
    pub expires: Option<SessionExpires>,
    /// Its Min-SE, in seconds.
    pub minimum: Option<u32>,
    /// Whether it lists `timer` in Supported.
    pub supported: bool,
}

impl Ask {
    /// Reads a request. A malformed header counts as none: it must not break a call.
    pub fn of(request: &Headers) -> Self {
        Self {
            expires: request.session_expires().ok().flatten(),
            minimum: request.min_se().ok().flatten(),
            supported: request.supports("timer"),
        }
    }
}

/// What our 2xx says about session timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The Session-Expires header to write.
    pub expires: SessionExpires,
    /// Whether to write `Require: timer` (§9: when the peer is to refresh).
    pub require: bool,
}

/// The running timer of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionTimer {
    interval: Duration,
    we_refresh: bool,
    refreshed: Instant,
}

/// What is due when the timer's deadline has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// We send a refresh (§7.4 and §9: at half time).
    Refresh,
    /// Nobody refreshed: the session is over (§10).
    Expired,
}

impl Default for SessionTimers {
    fn default() -> Self {
        Self { interval: 1800, minimum: SMALLEST_INTERVAL }
    }
}

impl SessionTimers {
    /// The Session-Expires of a request of ours. `current` keeps the roles while a session is refreshed, so that
    /// the refresher does not change unasked (§7.4); `minimum` is the largest Min-SE seen in a 422.
    pub fn offer(&self, current: Option<&SessionTimer>, minimum: u32) -> Option<SessionExpires> {
        let wanted = match current {
            Some(timer) => u32::try_from(timer.interval.as_secs()).unwrap_or(u32::MAX),
            None if self.interval == 0 => return None,
            None => self.interval,
        };
        let refresher = current.map(|timer| if timer.we_refresh { Refresher::Uac } else { Refresher::Uas });
        Some(SessionExpires { seconds: wanted.max(minimum).max(self.minimum), refresher })
    }

    /// Our answer, as UAS, to what a request asks (§9).
    ///
    /// # Errors
    /// The Min-SE to name in a 422 when the interval is too small for us.
    pub fn answer(&self, ask: Ask, now: Instant) -> Result<Option<(Grant, SessionTimer)>, u32> {
        let minimum = ask.minimum.unwrap_or(0).max(SMALLEST_INTERVAL);
        let interval = match ask.expires {
            // §9: a 422 is only for those who understand it; for the others a proxy has set the interval.
            Some(expires) if expires.seconds < self.minimum && ask.supported => return Err(self.minimum),
            Some(expires) if self.interval == 0 => expires.seconds,
            Some(expires) => expires.seconds.min(self.interval.max(minimum)),
            None if self.interval == 0 => return Ok(None),
            None => self.interval.max(minimum),
        }
        .max(SMALLEST_INTERVAL);
        // §9, table 2.
        let refresher = match ask.expires.and_then(|expires| expires.refresher) {
            _ if !ask.supported => Refresher::Uas,
            Some(refresher) => refresher,
            None => Refresher::Uac,
        };
        let grant = Grant {
            expires: SessionExpires { seconds: interval, refresher: Some(refresher) },
            require: refresher == Refresher::Uac,
        };
        Ok(Some((grant, SessionTimer::new(interval, refresher == Refresher::Uas, now))))
    }
}

impl SessionTimer {
    /// A timer that starts now.
    pub fn new(seconds: u32, we_refresh: bool, now: Instant) -> Self {
        let interval = Duration::from_secs(u64::from(seconds.max(SMALLEST_INTERVAL)));
        Self { interval, we_refresh, refreshed: now }
    }

    /// The timer that a 2xx to a request of ours sets; none when it has no Session-Expires (§7.2).
    pub fn granted(expires: Option<SessionExpires>, now: Instant) -> Option<Self> {
        let expires = expires?;
        // §7.2: a 2xx without the parameter leaves the work to us.
        Some(Self::new(expires.seconds, expires.refresher != Some(Refresher::Uas), now))
    }

    /// Whether we are the one who refreshes.
    pub fn we_refresh(&self) -> bool {
        self.we_refresh
    }

    /// When something is due.
    pub fn deadline(&self) -> Instant {
        if self.we_refresh { self.refreshed + self.interval / 2 } else { self.expiry() }
    }

    /// When the session ends unless it is refreshed: before the interval is over by a third of it, at most 32 s,
    /// so that our BYE arrives while the peer still knows the session (§10).
    pub fn expiry(&self) -> Instant {
        self.refreshed + (self.interval - (self.interval / 3).min(LARGEST_MARGIN))
    }

    /// What is due at `now`, if anything.
    pub fn due(&self, now: Instant) -> Option<Due> {
        if now >= self.expiry() {
            Some(Due::Expired)
        } else if self.we_refresh && now >= self.deadline() {
            Some(Due::Refresh)
        } else {
            None
        }
    }
}

/// The smallest interval that the protocol allows (§4), in seconds.
pub const SMALLEST_INTERVAL: u32 = 90;

const LARGEST_MARGIN: Duration = Duration::from_secs(32);

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Instant {
        super::super::tests::epoch()
    }

    fn ask(interval: u32, refresher: Option<Refresher>, supported: bool) -> Ask {
        Ask { expires: Some(SessionExpires { seconds: interval, refresher }), minimum: None, supported }
    }

    #[test]
    fn an_interval_below_ours_is_refused_with_our_minimum() {
        let timers = SessionTimers { interval: 1800, minimum: 120 };
        assert_eq!(timers.answer(ask(100, None, true), start()), Err(120));
        assert!(timers.answer(ask(100, None, false), start()).is_ok());
    }

    #[test]
    fn a_peer_without_session_timers_is_refreshed_by_us() {
        let timers = SessionTimers::default();
        let (grant, timer) = timers.answer(Ask::default(), start()).unwrap().unwrap();
        assert_eq!(grant.expires.refresher, Some(Refresher::Uas));
        assert!(!grant.require && timer.we_refresh());
    }

    #[test]
    fn the_side_that_the_request_names_refreshes() {
        let timers = SessionTimers::default();
        let (grant, timer) = timers.answer(ask(600, Some(Refresher::Uas), true), start()).unwrap().unwrap();
        assert!(!grant.require && timer.we_refresh());
        let (grant, timer) = timers.answer(ask(600, None, true), start()).unwrap().unwrap();
        assert!(grant.require && !timer.we_refresh());
        assert_eq!(grant.expires.seconds, 600);
    }

    #[test]
    fn the_refresher_is_woken_at_half_time_and_the_other_before_the_end() {
        let start = start();
        let we = SessionTimer::new(600, true, start);
        assert_eq!(we.deadline() - start, Duration::from_secs(300));
        assert_eq!(we.due(start + Duration::from_secs(300)), Some(Due::Refresh));
        let they = SessionTimer::new(90, false, start);
        assert_eq!(they.deadline() - start, Duration::from_secs(60));
        assert_eq!(they.due(start + Duration::from_secs(59)), None);
        assert_eq!(they.due(start + Duration::from_secs(60)), Some(Due::Expired));
    }

    #[test]
    fn a_refresh_keeps_interval_and_roles() {
        let timers = SessionTimers::default();
        let timer = SessionTimer::new(600, false, start());
        let offer = timers.offer(Some(&timer), 0).unwrap();
        assert_eq!(offer, SessionExpires { seconds: 600, refresher: Some(Refresher::Uas) });
        assert_eq!(timers.offer(None, 3600).unwrap().seconds, 3600);
    }

    #[test]
    fn a_hostile_interval_does_not_overflow() {
        let timers = SessionTimers { interval: 0, minimum: 90 };
        let (grant, timer) = timers.answer(ask(u32::MAX, None, true), start()).unwrap().unwrap();
        assert_eq!(grant.expires.seconds, u32::MAX);
        assert!(timer.deadline() > start());
    }
}
