//! Cameras: pictures and sound that come from outside of any call, and go to all who watch.
//!
//! Whoever has the cameras opens one when it is asked to ([`Ask`]) and hands on what it sends ([`Feed`]). Pictures pass as they
//! are, in packets of ours ([`packetize`]); sound is heard as part of what an end of ours says
//! ([`Clip::Live`](crate::voice::Clip)).

mod packetize;

pub use packetize::{Coding, packetize};

use bytes::Bytes;

/// Names a camera: its place in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CameraId(pub u32);

/// What media wants of whoever has the cameras.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Somebody watches it.
    Open(CameraId),
    /// Nobody does any more.
    Close(CameraId),
}

/// What a camera sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Feed {
    /// A picture: NAL units, each after its length in four bytes, highest byte first. One that stands for itself begins with
    /// its parameter sets.
    Picture {
        /// Which camera.
        camera: CameraId,
        /// How it is coded.
        coding: Coding,
        /// At most [`LARGEST_PICTURE`]; a larger one is left out.
        units: Bytes,
        /// Its moment, in units of 1/90000 s; goes on across sessions with the camera.
        timestamp: u32,
        /// Whether it can be seen without those before it.
        is_key: bool,
    },
    /// Sound in G.711.
    Sound {
        /// Which camera.
        camera: CameraId,
        /// Whether it is A-law; µ-law otherwise.
        is_a_law: bool,
        /// Its bytes.
        bytes: Bytes,
    },
    /// It sends, or no longer does.
    State {
        /// Which camera.
        camera: CameraId,
        /// Whether it sends.
        is_up: bool,
    },
}

/// The largest picture that is passed on, in bytes.
pub const LARGEST_PICTURE: usize = 1 << 20;
