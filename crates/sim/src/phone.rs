//! A phone in the world, and how its user behaves.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use offhook_media::tone;
use offhook_ua::{CallId, Event, Outbox, UserAgent};

/// The number of a phone in its world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhoneId(pub usize);

/// What a user does when someone calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habit {
    /// Rings, and answers after a while.
    Answer(Duration),
    /// Refuses with this status.
    Refuse(u16),
    /// Rings and never answers.
    Ignore,
}

/// A phone.
pub struct Phone {
    /// Its name in ladders.
    pub name: String,
    /// The user part of its account.
    pub account: String,
    /// Its own address for SIP.
    pub address: SocketAddr,
    /// What its user does when someone calls.
    pub habit: Habit,
    /// The user agent.
    pub ua: UserAgent,
    /// Everything that the phone told its user.
    pub events: Vec<Event>,
    /// The frequency that its microphone hears, in Hz; none: no sound at all.
    pub sings: Option<f32>,
    /// What came out of its loudspeaker, 8 kHz.
    pub heard: Vec<i16>,
    /// Whether it has been unplugged.
    pub dead: bool,
    pub(crate) nat: Option<usize>,
    pub(crate) singing: BTreeSet<CallId>,
    pub(crate) sung: u64,
    pub(crate) next_frame: Option<Instant>,
}

impl Phone {
    /// The events of a call's end: status code and reason, oldest first.
    pub fn ends(&self) -> Vec<(u16, String)> {
        let ends = self.events.iter().filter_map(|event| match event {
            Event::Ended { code, reason, .. } => Some((*code, reason.clone())),
            _ => None,
        });
        ends.collect()
    }

    /// Whether one of its calls was answered.
    pub fn was_answered(&self) -> bool {
        self.events.iter().any(|event| matches!(event, Event::Answered { .. }))
    }

    /// The strongest frequency in what it heard during the last `seconds`, in Hz.
    pub fn heard_hz(&self, seconds: f32) -> f32 {
        let from = self.heard.len().saturating_sub((seconds * 8000.0) as usize);
        tone::analyse(&self.heard[from..], 8000).dominant_hz
    }

    /// Panics unless that is this, within 10 Hz, for the last two seconds.
    pub fn must_hear(&self, hz: f32) {
        let heard = self.heard_hz(2.0);
        assert!((heard - hz).abs() < 10.0, "{} hears {heard} Hz, not {hz}", self.name);
    }

    /// The call that it is in, or the first of several.
    pub fn first_call(&self) -> offhook_ua::CallId {
        self.ua.calls()[0]
    }

    /// Moves 20 ms of sound through every call.
    pub(crate) fn sing(&mut self, now: Instant, out: &mut Outbox) {
        let Some(hz) = self.sings else { return };
        let frame: Vec<i16> = (0..160)
            .map(|n| {
                let time = (self.sung * 160 + n) as f32 / 8000.0;
                ((time * hz * std::f32::consts::TAU).sin() * 8000.0) as i16
            })
            .collect();
        self.sung += 1;
        for call in self.singing.clone() {
            let mut loudspeaker = [0; 160];
            self.ua.audio(now, call, &frame, &mut loudspeaker, out);
            self.heard.extend_from_slice(&loudspeaker);
        }
    }
}
