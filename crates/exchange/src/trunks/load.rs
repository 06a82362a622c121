//! How many calls each trunk has, and how many have just begun: here, as we count them, and at the other shards, as they
//! say.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::route::Trunk;

/// The calls of all trunks. What another shard counts is known here as soon as its fact arrives: calls that begin at two
/// shards within that time, a few microseconds under load and a batch at most, may pass a limit by one for each shard.
pub(crate) struct Load {
    shards: u8,
    trunks: Vec<Count>,
    /// Trunks of which the others have not been told.
    untold: Vec<usize>,
}

#[derive(Default)]
struct Count {
    calls: u32,
    /// When those of the last second began.
    begun: VecDeque<Instant>,
    /// By shard: its calls, those that began within a second, and when it said so.
    elsewhere: Vec<Option<(u32, u32, Instant)>>,
}

impl Count {
    fn forget_old(&mut self, now: Instant) {
        while self.begun.front().is_some_and(|at| now.duration_since(*at) >= SECOND) {
            self.begun.pop_front();
        }
    }

    fn all_calls(&self) -> u32 {
        let elsewhere: u32 = self.elsewhere.iter().flatten().map(|(calls, _, _)| calls).sum();
        self.calls.saturating_add(elsewhere)
    }

    fn all_begun(&self, now: Instant) -> u32 {
        let recent = |(_, begun, at): &(u32, u32, Instant)| {
            if now.saturating_duration_since(*at) < SECOND { *begun } else { 0 }
        };
        let elsewhere: u32 = self.elsewhere.iter().flatten().map(recent).sum();
        u32::try_from(self.begun.len()).unwrap_or(u32::MAX).saturating_add(elsewhere)
    }
}

impl Load {
    pub(crate) fn new(trunks: usize, shards: u8) -> Self {
        let count = || Count { elsewhere: vec![None; shards.into()], ..Count::default() };
        Self { shards, trunks: (0..trunks).map(|_| count()).collect(), untold: Vec::new() }
    }

    /// There are so many trunks now, or more.
    pub(crate) fn grow(&mut self, trunks: usize) {
        while self.trunks.len() < trunks {
            let elsewhere = vec![None; self.shards.into()];
            self.trunks.push(Count { elsewhere, ..Count::default() });
        }
    }

    /// Counts a call that we place, unless the trunk has as many as it may have. A call for help always goes.
    ///
    /// # Errors
    /// Which limit it is, in words.
    pub(crate) fn begin(
        &mut self,
        at: usize,
        trunk: &Trunk,
        emergency: bool,
        now: Instant,
    ) -> Result<(), String> {
        let Some(count) = self.trunks.get_mut(at) else { return Ok(()) };
        count.forget_old(now);
        let name = &trunk.name;
        if !emergency && trunk.max_calls.is_some_and(|most| count.all_calls() >= most) {
            return Err(format!("The trunk {name} has as many calls as it may have"));
        }
        if !emergency && trunk.max_calls_per_second.is_some_and(|most| count.all_begun(now) >= most) {
            return Err(format!("The trunk {name} has begun as many calls in this second as it may"));
        }
        // Without a limit nobody asks how many there were.
        if trunk.max_calls_per_second.is_some() {
            count.begun.push_back(now);
        }
        self.count_one_more(at);
        Ok(())
    }

    /// Counts a call that came in.
    pub(crate) fn came_in(&mut self, at: usize) {
        self.count_one_more(at);
    }

    /// One call less.
    pub(crate) fn end(&mut self, at: usize) {
        if let Some(count) = self.trunks.get_mut(at) {
            count.calls = count.calls.saturating_sub(1);
        }
        self.is_to_be_told(at);
    }

    /// Takes over what another shard counted.
    pub(crate) fn note(&mut self, shard: u8, at: usize, calls: u32, begun: u32, now: Instant) {
        let place = self.trunks.get_mut(at).and_then(|count| count.elsewhere.get_mut(usize::from(shard)));
        if let Some(place) = place {
            *place = Some((calls, begun, now));
        }
    }

    /// The next trunk whose number may have changed here: its calls, and those that began within a second.
    pub(crate) fn changed(&mut self, now: Instant) -> Option<(usize, u32, u32)> {
        let at = self.untold.pop()?;
        let count = self.trunks.get_mut(at)?;
        count.forget_old(now);
        Some((at, count.calls, u32::try_from(count.begun.len()).unwrap_or(u32::MAX)))
    }

    /// The calls of a trunk at this shard.
    pub(crate) fn calls(&self, at: usize) -> u32 {
        self.trunks.get(at).map_or(0, |count| count.calls)
    }

    /// Whether no call is counted here.
    pub(crate) fn is_empty(&self) -> bool {
        self.trunks.iter().all(|count| count.calls == 0)
    }

    fn count_one_more(&mut self, at: usize) {
        if let Some(count) = self.trunks.get_mut(at) {
            count.calls = count.calls.saturating_add(1);
        }
        self.is_to_be_told(at);
    }

    fn is_to_be_told(&mut self, at: usize) {
        if self.shards > 1 && !self.untold.contains(&at) {
            self.untold.push(at);
        }
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use offhook_sip::{Host, SipUri};

    use super::*;
    use crate::route::TrunkAuth;

    fn trunk() -> Trunk {
        let server = SipUri::new(None, Host::parse("provider.example").unwrap());
        Trunk {
            max_calls: Some(2),
            max_calls_per_second: Some(2),
            ..Trunk::new("provider", server, TrunkAuth::Address)
        }
    }

    #[expect(clippy::disallowed_methods, reason = "a moment to begin with; nothing depends on it")]
    fn now() -> Instant {
        Instant::now()
    }

    #[test]
    fn calls_at_other_shards_count_and_help_is_always_called() {
        let (mut load, trunk, now) = (Load::new(1, 2), trunk(), now());
        load.note(1, 0, 1, 0, now);
        assert_eq!(load.begin(0, &trunk, false, now), Ok(()));
        let refused = load.begin(0, &trunk, false, now).unwrap_err();
        assert_eq!(refused, "The trunk provider has as many calls as it may have");
        assert_eq!(load.begin(0, &trunk, true, now), Ok(()));
        assert_eq!(load.changed(now), Some((0, 2, 2)));
        assert_eq!(load.changed(now), None);
        load.end(0);
        load.end(0);
        assert!(load.is_empty());
        load.note(1, 0, 0, 0, now);
        assert_eq!(load.begin(0, &trunk, false, now + SECOND), Ok(()));
    }

    #[test]
    fn so_many_calls_begin_in_a_second_and_no_more() {
        let (mut load, trunk, now) = (Load::new(1, 2), trunk(), now());
        load.note(1, 0, 0, 1, now);
        assert_eq!(load.begin(0, &trunk, false, now), Ok(()));
        load.end(0);
        let refused = load.begin(0, &trunk, false, now + SECOND / 2).unwrap_err();
        assert_eq!(refused, "The trunk provider has begun as many calls in this second as it may");
        assert_eq!(load.begin(0, &trunk, false, now + SECOND), Ok(()));
    }
}
