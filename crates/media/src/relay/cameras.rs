//! Who watches which camera, and how what it sends comes to all of them.

use super::{Outbox, Relay};
use crate::SAMPLE_RATE;
use crate::camera::{Ask, CameraId, Feed, LARGEST_PICTURE, packetize};
use crate::command::{Numbers, Report, StreamId};
use crate::resample::Resampler;
use crate::stream::Picture;
use crate::voice::{Closed, Heard, RATE};
use audio_codec_algorithms::{decode_alaw, decode_ulaw};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// The cameras that somebody watches.
#[derive(Debug, Default)]
pub(super) struct Cameras {
    cameras: BTreeMap<CameraId, Camera>,
    /// By stream: a stream is of one camera.
    watched: BTreeMap<StreamId, CameraId>,
}

#[derive(Debug, Default)]
struct Camera {
    /// Of pictures, of sound.
    streams: BTreeSet<StreamId>,
    is_down: bool,
    /// The last picture that stands for itself: who comes sees that at once.
    key: Option<Picture>,
    resampler: Option<Resampler>,
}

impl Cameras {
    fn is_full(&self, stream: StreamId, camera: CameraId) -> bool {
        let one = self.cameras.get(&camera);
        one.is_some_and(|one| one.streams.len() >= MOST_STREAMS && !one.streams.contains(&stream))
    }

    fn join(&mut self, stream: StreamId, camera: CameraId, out: &mut Outbox) -> &mut Camera {
        if self.watched.insert(stream, camera).is_some_and(|before| before != camera) {
            self.forget(stream, out);
            self.watched.insert(stream, camera);
        }
        let one = self.cameras.entry(camera).or_default();
        if one.streams.is_empty() {
            out.cameras.push(Ask::Open(camera));
        }
        one.streams.insert(stream);
        one
    }

    /// A stream is gone.
    pub(super) fn forget(&mut self, stream: StreamId, out: &mut Outbox) {
        self.watched.remove(&stream);
        self.cameras.retain(|camera, one| {
            let left = one.streams.remove(&stream) && one.streams.is_empty();
            out.cameras.extend(left.then_some(Ask::Close(*camera)));
            !one.streams.is_empty()
        });
    }
}

impl Relay {
    /// A stream shows a camera.
    pub(super) fn watch(
        &mut self,
        now: Instant,
        id: StreamId,
        (camera, payload_type, numbers): (CameraId, Option<u8>, Numbers),
        out: &mut Outbox,
    ) {
        let Some(stream) = self.stream_mut(id) else { return };
        stream.watch(now, payload_type, numbers);
        if !stream.shows() || self.cameras.is_full(id, camera) {
            return;
        }
        self.cameras.join(id, camera, out);
        self.show_key(now, id, camera, out);
    }

    fn show_key(&mut self, now: Instant, id: StreamId, camera: CameraId, out: &mut Outbox) {
        let Relay { cameras, names, streams, scratch, .. } = self;
        let key = cameras.cameras.get(&camera).and_then(|one| one.key.as_ref());
        let stream = names.get(&id).and_then(|place| streams.get_mut(*place as usize));
        if let (Some(key), Some(stream)) = (key, stream) {
            stream.show(now, (key, true), &mut scratch[..], out);
        }
    }

    /// A stream is to say what a camera hears.
    pub(super) fn listen_to(&mut self, id: StreamId, camera: CameraId, out: &mut Outbox) {
        if self.cameras.is_full(id, camera) {
            out.reports.push(Report::Heard { stream: id, heard: Heard::Closed(Closed::Full) });
            return;
        }
        let is_down = self.cameras.join(id, camera, out).is_down;
        if is_down && let Some(stream) = self.stream_mut(id) {
            stream.live_state(camera, false);
        }
    }

    /// A camera sends something.
    pub(super) fn feed(&mut self, now: Instant, feed: Feed, out: &mut Outbox) {
        let Relay { cameras, names, streams, scratch, .. } = self;
        let (Feed::Picture { camera, .. } | Feed::Sound { camera, .. } | Feed::State { camera, .. }) = &feed;
        let (camera, Some(one)) = (*camera, cameras.cameras.get_mut(camera)) else { return };
        let places: Vec<u32> = one.streams.iter().filter_map(|id| names.get(id).copied()).collect();
        match feed {
            Feed::Picture { coding, units, timestamp, is_key, .. } => {
                let mut payloads = Vec::new();
                if units.len() <= LARGEST_PICTURE {
                    packetize(coding, &units, MOST_PAYLOAD, &mut payloads);
                }
                if payloads.is_empty() {
                    return;
                }
                let picture = Picture { payloads, timestamp, is_key };
                for place in places {
                    let Some(stream) = streams.get_mut(place as usize) else { continue };
                    // Until its address and keys were known, there was nobody to show that to.
                    if let Some(key) = one.key.as_ref().filter(|_| !is_key && stream.wants_key()) {
                        stream.show(now, (key, true), &mut scratch[..], out);
                    }
                    stream.show(now, (&picture, false), &mut scratch[..], out);
                }
                if is_key {
                    one.key = Some(picture);
                }
            }
            Feed::Sound { is_a_law, bytes, .. } => {
                let decode = if is_a_law { decode_alaw } else { decode_ulaw };
                let heard: Vec<i16> = bytes.iter().take(MOST_SOUND).map(|byte| decode(*byte)).collect();
                let mut samples = Vec::with_capacity(heard.len() * 2);
                one.resampler
                    .get_or_insert_with(|| Resampler::new(SAMPLE_RATE, RATE))
                    .push(&heard, &mut samples);
                for place in places {
                    if let Some(stream) = streams.get_mut(place as usize) {
                        stream.hear_live(camera, &samples);
                    }
                }
            }
            Feed::State { is_up, .. } => {
                one.is_down = !is_up;
                if !is_up {
                    one.key = None;
                }
                for place in places {
                    if let Some(stream) = streams.get_mut(place as usize) {
                        stream.live_state(camera, is_up);
                    }
                }
            }
        }
    }
}

/// Streams of one camera, of pictures and of sound.
const MOST_STREAMS: usize = 200;
/// The longest payload: with all headers and protection a packet passes any network that a phone is in.
const MOST_PAYLOAD: usize = 1_200;
/// The longest piece of sound, in samples: a second.
const MOST_SOUND: usize = 8_000;

#[cfg(test)]
mod tests;
