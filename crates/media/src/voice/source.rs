//! What an end says: clips in a row.

use super::file::{MUSIC, Request};
use super::live::Live;
use super::melody::Melody;
use super::{Clip, FRAME, Frame, MOST_CLIPS, RATE};
use crate::camera::CameraId;
use crate::command::StreamId;
use crate::prompts::{self, Prompt};
use crate::tone::Tone;
use std::collections::VecDeque;
use std::sync::Arc;

/// The clips of one order, as far as they have not been said.
#[derive(Debug, Default)]
pub(super) struct Source {
    order: Option<u32>,
    pieces: VecDeque<Piece>,
    /// Whether the next piece of music is to be asked for.
    wants_music: bool,
}

#[derive(Debug)]
enum Piece {
    Sound {
        samples: Arc<[i16]>,
        at: usize,
    },
    Prompt(Box<Spoken>),
    Tone {
        tone: Tone,
        left: usize,
    },
    Silence {
        left: usize,
    },
    /// On its way from the driver.
    Loading(Arc<str>),
    Music(Music),
    Live(Live),
}

#[derive(Debug)]
enum Music {
    /// The next piece is on its way.
    Loading,
    Sound {
        samples: Arc<[i16]>,
        at: usize,
    },
    Melody(Melody),
}

/// A prompt, decoded as it is said.
#[derive(Debug)]
struct Spoken {
    prompt: Prompt,
    decoded: Vec<i16>,
}

impl Source {
    /// In place of what is being said.
    pub(super) fn play(
        &mut self,
        stream: StreamId,
        order: u32,
        clips: Vec<Clip>,
        requests: &mut Vec<Request>,
    ) {
        let pieces = clips.into_iter().take(MOST_CLIPS).filter_map(|clip| match clip {
            Clip::Prompt(name) => {
                let prompt = prompts::open(&name, RATE)?;
                Some(Piece::Prompt(Spoken { prompt, decoded: Vec::new() }.into()))
            }
            Clip::Tone { hz, ms } => {
                Some(Piece::Tone { tone: Tone::sine(hz.into(), LOUDNESS, RATE), left: samples(ms) })
            }
            Clip::Silence(ms) => Some(Piece::Silence { left: samples(ms) }),
            Clip::File(file) => {
                requests.push(Request::Load { stream, file: Arc::clone(&file) });
                Some(Piece::Loading(file))
            }
            Clip::Music => {
                requests.push(Request::Load { stream, file: MUSIC.into() });
                Some(Piece::Music(Music::Loading))
            }
            Clip::Live(camera) => Some(Piece::Live(Live::new(camera))),
        });
        self.pieces = pieces.collect();
        self.order = Some(order);
        self.wants_music = false;
    }

    /// Whether anything is being said, or will be.
    pub(super) fn is_busy(&self) -> bool {
        self.order.is_some()
    }

    /// Whether that is music.
    pub(super) fn is_music(&self) -> bool {
        matches!(self.pieces.front(), Some(Piece::Music(_)))
    }

    /// Asks for the next piece of music, if the one before is over.
    pub(super) fn ask(&mut self, stream: StreamId, requests: &mut Vec<Request>) {
        if std::mem::take(&mut self.wants_music) {
            requests.push(Request::Load { stream, file: MUSIC.into() });
        }
    }

    /// Whose sound is said now or will be, if any is a camera's.
    pub(super) fn live(&mut self) -> Option<&mut Live> {
        self.pieces.iter_mut().find_map(|piece| match piece {
            Piece::Live(live) => Some(live),
            _ => None,
        })
    }

    /// A camera has come or gone. What is said until it comes is no longer said then.
    pub(super) fn live_state(&mut self, camera: CameraId, is_up: bool) {
        let is_it = |piece: &Piece| matches!(piece, Piece::Live(live) if live.is_of(camera));
        let Some(at) = self.pieces.iter().position(is_it) else { return };
        if is_up {
            self.pieces.drain(..at);
        }
        if let Some(live) = self.live() {
            live.state(is_up);
        }
    }

    /// A file has come, or will not.
    pub(super) fn loaded(&mut self, file: &str, sound: Option<&Arc<[i16]>>) {
        self.pieces.retain_mut(|piece| match (&*piece, sound) {
            (Piece::Loading(wanted), None) => **wanted != *file,
            (Piece::Loading(wanted), Some(sound)) if **wanted == *file => {
                *piece = Piece::Sound { samples: Arc::clone(sound), at: 0 };
                true
            }
            (Piece::Music(Music::Loading), sound) if file == MUSIC => {
                let music = match sound.filter(|sound| !sound.is_empty()) {
                    Some(sound) => Music::Sound { samples: Arc::clone(sound), at: 0 },
                    None => Music::Melody(Melody::default()),
                };
                *piece = Piece::Music(music);
                true
            }
            _ => true,
        });
    }

    /// Fills the next 20 ms; returns the order that ends before them. `None` in the frame's place: nothing is said.
    pub(super) fn next(&mut self) -> (Option<Frame>, Option<u32>) {
        let mut frame = [0; FRAME];
        let mut filled = 0;
        while filled < FRAME {
            let Some(piece) = self.pieces.front_mut() else { break };
            if let Piece::Music(music) = piece {
                self.wants_music |= music.fill(&mut frame[filled..]);
                filled = FRAME;
                break;
            }
            if let Piece::Live(live) = piece
                && live.fill(&mut frame[filled..])
            {
                filled = FRAME;
                break;
            }
            let Some(count) = piece.fill(&mut frame[filled..]) else { break };
            filled += count;
            if filled < FRAME {
                self.pieces.pop_front();
            }
        }
        let over = self.pieces.is_empty() && filled == 0;
        let ended = if over { self.order.take() } else { None };
        ((!over).then_some(frame), ended)
    }
}

impl Piece {
    /// How many samples it has for this place; fewer than that is long: it ends. `None`: it is not there yet.
    fn fill(&mut self, place: &mut [i16]) -> Option<usize> {
        match self {
            Piece::Sound { samples, at } => {
                let rest = samples.get(*at..).unwrap_or_default();
                let count = rest.len().min(place.len());
                place[..count].copy_from_slice(&rest[..count]);
                *at += count;
                Some(count)
            }
            Piece::Prompt(spoken) => {
                while spoken.decoded.len() < place.len() && spoken.prompt.read(&mut spoken.decoded) {}
                let count = spoken.decoded.len().min(place.len());
                place[..count].copy_from_slice(&spoken.decoded[..count]);
                spoken.decoded.drain(..count);
                Some(count)
            }
            Piece::Tone { tone, left } => {
                let count = place.len().min(*left);
                tone.fill(&mut place[..count]);
                *left -= count;
                Some(count)
            }
            Piece::Silence { left } => {
                let count = place.len().min(*left);
                *left -= count;
                Some(count)
            }
            // It has ended.
            Piece::Live(_) => Some(0),
            Piece::Loading(_) | Piece::Music(_) => None,
        }
    }
}

impl Music {
    /// Fills a place; whether the piece is over and another wanted.
    fn fill(&mut self, place: &mut [i16]) -> bool {
        match self {
            Music::Loading => false,
            Music::Melody(melody) => {
                melody.fill(place);
                false
            }
            Music::Sound { samples, at } => {
                let rest = samples.get(*at..).unwrap_or_default();
                let count = rest.len().min(place.len());
                place[..count].copy_from_slice(&rest[..count]);
                *at += count;
                let over = *at >= samples.len();
                if over {
                    *self = Music::Loading;
                }
                over
            }
        }
    }
}

fn samples(ms: u32) -> usize {
    (RATE / 1000) as usize * ms as usize
}

/// As loud as speech, in dBov.
const LOUDNESS: f32 = -20.0;

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: StreamId = StreamId(1);

    fn said(source: &mut Source) -> (Vec<i16>, Option<u32>) {
        let mut all = Vec::new();
        for _ in 0..1000 {
            match source.next() {
                (Some(frame), None) => all.extend_from_slice(&frame),
                (None, ended) => return (all, ended),
                (Some(_), Some(_)) => unreachable!("an order ends when nothing is said"),
            }
        }
        (all, None)
    }

    #[test]
    fn clips_follow_each_other_without_a_gap_and_the_end_is_told_once() {
        let (mut source, mut requests) = (Source::default(), Vec::new());
        let file: Arc<str> = "a.wav".into();
        let clips = vec![Clip::Silence(5), Clip::File(file.clone()), Clip::Tone { hz: 440, ms: 10 }];
        source.play(STREAM, 7, clips, &mut requests);
        assert_eq!(requests, [Request::Load { stream: STREAM, file }]);
        assert_eq!(source.next(), (Some([0; FRAME]), None), "the file is on its way");
        source.loaded("a.wav", Some(&Arc::from(vec![9; 1000])));
        let (all, ended) = said(&mut source);
        assert_eq!(ended, Some(7));
        assert_eq!(all.iter().filter(|sample| **sample == 9).count(), 1000);
        assert_eq!(source.next(), (None, None));
    }

    #[test]
    fn music_goes_on_with_the_next_piece_and_is_a_melody_where_there_is_none() {
        let (mut source, mut requests) = (Source::default(), Vec::new());
        source.play(STREAM, 1, vec![Clip::Silence(1), Clip::Music], &mut requests);
        let asked = Request::Load { stream: STREAM, file: MUSIC.into() };
        assert_eq!(requests, std::slice::from_ref(&asked));
        source.loaded(MUSIC, Some(&Arc::from(vec![5; 500])));
        let all: Vec<i16> = (0..3).flat_map(|_| source.next().0.unwrap()).collect();
        assert_eq!(all.iter().filter(|sample| **sample == 5).count(), 500);
        source.ask(STREAM, &mut requests);
        source.ask(STREAM, &mut requests);
        assert_eq!(requests, [asked.clone(), asked]);
        source.loaded(MUSIC, None);
        for _ in 0..3000 {
            let (frame, ended) = source.next();
            assert!(frame.is_some() && ended.is_none(), "it has no end");
        }
        assert!(source.next().0.unwrap().iter().any(|sample| *sample != 0));
        source.play(STREAM, 2, Vec::new(), &mut requests);
        assert_eq!(source.next(), (None, Some(2)));
    }

    #[test]
    fn what_cannot_be_had_is_left_out() {
        let (mut source, mut requests) = (Source::default(), Vec::new());
        let clips = vec![Clip::Prompt("en/no such prompt".into()), Clip::File("gone".into())];
        source.play(STREAM, 1, clips, &mut requests);
        source.loaded("gone", None);
        assert_eq!(source.next(), (None, Some(1)));
    }
}
