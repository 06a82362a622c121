//! `UserAgent`: the phone as one state machine.

use std::time::Instant;

use offhook_sip_stack::Rng;

use crate::{CallId, Config, FRAME, Input, MediaReport, Outbox, RequestId};

/// A phone: give it inputs and sound, do what its outbox says.
#[derive(Debug)]
pub struct UserAgent {
    config: Config,
    numbers: u64,
}

#[allow(clippy::todo, unused_variables)]
impl UserAgent {
    /// A phone that does nothing yet. `rng` makes its tags and Call-IDs; the same seed repeats a run.
    pub fn new(config: Config, rng: Rng) -> Self {
        Self { config, numbers: 0 }
    }

    /// Handles one input and everything that is due at `now`.
    pub fn handle(&mut self, now: Instant, input: Input, out: &mut Outbox) {
        todo!()
    }

    /// When [`Input::Deadline`] is wanted next.
    pub fn next_deadline(&self) -> Option<Instant> {
        todo!()
    }

    /// Moves 20 ms of sound through a call; the driver calls it every 20 ms of its sound clock, from
    /// [`Event::Progress`](crate::Event::Progress) with early media or [`Event::Answered`](crate::Event::Answered) to
    /// [`Event::Ended`](crate::Event::Ended). Both are 16-bit samples at 8 kHz: a short microphone frame is filled
    /// with silence, the loudspeaker is always filled. A call without sound takes and gives silence.
    pub fn audio(
        &mut self,
        now: Instant,
        call: CallId,
        microphone: &[i16],
        loudspeaker: &mut [i16; FRAME],
        out: &mut Outbox,
    ) {
        todo!()
    }

    /// A number for a call to be placed.
    pub fn next_call(&mut self) -> CallId {
        self.numbers += 1;
        CallId(self.numbers)
    }

    /// A number for a request to be sent.
    pub fn next_request(&mut self) -> RequestId {
        self.numbers += 1;
        RequestId(self.numbers)
    }

    /// The calls that have not ended, oldest first.
    pub fn calls(&self) -> Vec<CallId> {
        todo!()
    }

    /// What the sound of a call is like so far.
    pub fn media_report(&self, call: CallId) -> Option<MediaReport> {
        todo!()
    }

    /// Whether nothing is left of any call, request or transaction: the leak test. A registration may stay.
    pub fn is_idle(&self) -> bool {
        todo!()
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
    }
}
