//! Key frames that are asked of who sends video when somebody new is to see it: a decoder that begins in the middle shows
//! nothing before the next one.

use super::Stream;
use super::bridge::Admitted;
use crate::command::{KeyFrameRequest, SideName};
use crate::relay::{Outbox, Send};
use offhook_rtp::srtp::GROWTH;
use std::time::{Duration, Instant};

/// What is asked of one side.
#[derive(Debug, Default)]
pub(super) struct Pictures {
    asking: Option<Asking>,
    /// When it was asked last, and the number of that request (RFC 5104 §4.3.1.2).
    last: Option<Instant>,
    sequence: u8,
}

#[derive(Debug)]
struct Asking {
    by: KeyFrameRequest,
    /// Our source.
    ours: u32,
    /// How often it is said, so that a lost datagram is no lost picture.
    left: u8,
    due: Instant,
}

impl Stream {
    /// Asks a side for a key frame, with the next packet of it that goes on: before that, nobody sees it.
    pub(crate) fn want_picture(&mut self, now: Instant, of: SideName, by: KeyFrameRequest, ours: u32) {
        let pictures = &mut self.pictures.get_or_insert_default()[of.index()];
        let due = pictures.last.map_or(now, |last| now.max(last + PAUSE));
        pictures.sequence = pictures.sequence.wrapping_add(1);
        pictures.asking = Some(Asking { by, ours, left: TIMES, due });
    }

    /// Whether a picture is wanted of a side.
    pub(super) fn wants_picture(&self) -> bool {
        self.pictures.as_ref().is_some_and(|both| both.iter().any(|one| one.asking.is_some()))
    }

    /// A packet of a side has gone on: now it can be asked, and of which source is known.
    pub(super) fn ask_for_picture(&mut self, now: Instant, of: SideName, packet: &[u8], out: &mut Outbox) {
        let Some(pictures) = self.pictures.as_mut().map(|both| &mut both[of.index()]) else { return };
        let Some(asking) = pictures.asking.as_mut().filter(|asking| asking.due <= now) else { return };
        // In the clear, be the packet protected or not (RFC 3711 §3.1).
        let Some(theirs) = packet.get(8..12).and_then(|ssrc| ssrc.try_into().ok()) else { return };
        let theirs = u32::from_be_bytes(theirs);
        asking.left = asking.left.saturating_sub(1);
        asking.due = now + PAUSE;
        pictures.last = Some(now);
        let mut request = Vec::with_capacity(LONGEST + GROWTH);
        let written = asking.by.write((asking.ours, theirs), NAME, pictures.sequence, &mut request);
        if asking.left == 0 {
            pictures.asking = None;
        }
        let flow = &mut self.flows[of.index()];
        let (Ok(()), Some(path)) = (written, flow.path(now, true)) else { return };
        let length = request.len();
        request.resize(length + GROWTH, 0);
        let admitted = Admitted { control: true, latched: false, opened: Some(length) };
        let Ok(protected) = flow.protect(&admitted, &[], &mut request) else { return };
        request.truncate(protected.unwrap_or(length));
        out.sends.push(Send { from_port: path.from_port, to: path.to, bytes: request.into() });
    }
}

/// Between two requests to one side at least: a key frame is large.
const PAUSE: Duration = Duration::from_secs(1);
/// A request is said twice.
const TIMES: u8 = 2;
/// Of an empty report, our name and a request.
const LONGEST: usize = 48;
/// Our CNAME (RFC 7022 §3).
const NAME: &str = "offhook";
