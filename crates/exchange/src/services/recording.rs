//! Recording: the calls of accounts that want it are recorded, always or while they say so by keys.
//!
//! The work is done where the sound of a call passes: in one that stays forwarded (`proxy/anchor/tap`), and where two meet whom
//! the exchange has connected (`b2bua/record`).

use std::time::Duration;

use offhook_media::voice::Clip;

use super::{Kind, Service};
use crate::speech::Speech;

pub(super) const KIND: Kind = Kind {
    name: "recording",
    summary: "in a call: begins and ends its recording, for accounts that may; *3 pauses it",
    number: |settings| settings.recording.toggle.as_deref(),
    make: |_| Box::new(Recording),
};

/// How calls are recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The keys that begin and end a recording; `None`: none do.
    pub toggle: Option<String>,
    /// The keys that pause it and let it go on; `None`: none do.
    pub pause: Option<String>,
    /// What the parties hear of it.
    pub announce: Announce,
    /// The longest.
    pub longest: Duration,
}

/// What the parties of a call hear when its recording begins, pauses or ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Announce {
    /// A tone.
    #[default]
    Beep,
    /// A voice that says so.
    Spoken,
    /// Nothing.
    Silent,
}

/// What is told of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announced {
    /// It begins.
    Begins,
    /// It ends.
    Ends,
    /// It stands still.
    Pauses,
    /// It goes on.
    GoesOn,
}

/// What keys ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// That a recording begins, or ends.
    Toggle,
    /// That it pauses, or goes on.
    Pause,
}

impl Announced {
    /// What is heard of it; `None`: nothing.
    pub(crate) fn speech(self, announce: Announce) -> Option<Speech> {
        let (tones, phrase): (&[u16], _) = match self {
            Self::Begins => (&[BEGINS], "recording-begins"),
            Self::Ends => (&[ENDS], "recording-ends"),
            Self::Pauses => (&[BEGINS, ENDS], "recording-paused"),
            Self::GoesOn => (&[ENDS, BEGINS], "recording-goes-on"),
        };
        let tone = |speech: Speech, hz: &u16| speech.clip(Clip::Tone { hz: *hz, ms: 200 }).pause(60);
        match announce {
            Announce::Silent => None,
            Announce::Beep => Some(tones.iter().fold(Speech::new(), tone)),
            Announce::Spoken => Some(Speech::new().say(phrase)),
        }
    }
}

impl Settings {
    /// What the keys of a party ask for with one more; those that have meant something are forgotten.
    pub(crate) fn wish(&self, keys: &mut String, key: char) -> Option<Wish> {
        keys.push(key);
        if keys.len() > MOST_KEYS {
            keys.remove(0);
        }
        let is = |code: &Option<String>| code.as_ref().is_some_and(|code| keys.ends_with(code.as_str()));
        let wish = match (is(&self.toggle), is(&self.pause)) {
            (true, _) => Wish::Toggle,
            (false, true) => Wish::Pause,
            (false, false) => return None,
        };
        keys.clear();
        Some(wish)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            toggle: Some("*1".into()),
            pause: Some("*3".into()),
            announce: Announce::Beep,
            longest: Duration::from_secs(4 * 3600),
        }
    }
}

/// It takes no calls.
struct Recording;

impl Service for Recording {}

/// Tones, in Hz.
const BEGINS: u16 = 1400;
const ENDS: u16 = 700;
/// More keys than any code has.
const MOST_KEYS: usize = 16;
