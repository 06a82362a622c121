//! Relay, latch, jitter buffer, player and recorder; sans-IO.
//!
//! Two halves: the server's relays (`command`, `lease`, `relay`, `latch`; `turn`) pass packets on between two
//! phones; the endpoint's media (`session`, `handshake`, `playout`, `transcode`, `codec`, `player`, `recorder`, `tone`, `dtmf`,
//! `echo`) makes packets from sound and sound from packets. Nothing here opens a socket, a file or a
//! sound device, and time is an argument.

pub mod camera;
pub mod codec;
pub mod command;
pub mod conceal;
pub mod dtmf;
pub mod echo;
#[doc(hidden)]
pub mod fuzz;
pub mod handshake;
pub mod ice;
pub mod identity;
pub mod latch;
pub mod lease;
pub mod noise;
pub mod ogg_opus;
pub mod player;
pub mod playout;
pub mod prompts;
mod protection;
pub mod recorder;
pub mod relay;
pub mod resample;
mod secure;
pub mod session;
mod spectrum;
mod stream;
pub mod stun;
pub mod tap;
pub mod tone;
pub mod transcode;
pub mod turn;
pub mod voice;

/// Samples a second of all sound inside the program, mono.
pub const SAMPLE_RATE: u32 = 8000;

/// Samples in a frame of 20 ms.
pub const FRAME: usize = 160;

/// 20 ms of mono sound at [`SAMPLE_RATE`].
pub type Frame = [i16; FRAME];

/// Nothing to hear.
pub const SILENCE: Frame = [0; FRAME];

#[cfg(test)]
mod test_signal;
