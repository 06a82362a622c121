//! The files of recordings, in memory.

use std::collections::{BTreeMap, BTreeSet};

use offhook_exchange::io::FileRequest;
use offhook_media::command::StreamId;
use offhook_media::resample::Resampler;
use offhook_media::voice::file::{Answer, Request};
use offhook_media::voice::{Lost, RATE};

/// What a driver has on its disk.
#[derive(Default)]
pub struct Recordings {
    /// The sound of each file, and its samples a second, of all channels together.
    pub files: BTreeMap<String, (Vec<i16>, u32)>,
    /// Whether the disk is full.
    pub full: bool,
    /// Whether it becomes full while a recording is under way.
    pub cut: bool,
    under_way: BTreeMap<(StreamId, u32), (String, Vec<i16>, u32)>,
}

impl Recordings {
    /// Does what media asks for; returns the answer, and the folder that has changed.
    pub(crate) fn take(&mut self, request: Request) -> (Option<Answer>, Option<String>) {
        match request {
            Request::Load { stream, file } => {
                let sound = self.files.get(&*file).map(|(samples, rate)| {
                    let mut sound = Vec::new();
                    Resampler::new(*rate, RATE).push(samples, &mut sound);
                    sound.into()
                });
                (Some(Answer::Loaded { stream, file, sound }), None)
            }
            Request::Begin { stream, order, file, rate, channels } => {
                let rate = rate * u32::from(channels);
                self.under_way.insert((stream, order), (file.to_string(), Vec::new(), rate));
                (None, None)
            }
            Request::Sound { stream, order, samples } => {
                let Some((_, all, _)) = self.under_way.get_mut(&(stream, order)) else { return (None, None) };
                all.extend(samples);
                if self.cut {
                    // The disk is full: what has been written stays.
                    if let Some((file, samples, rate)) = self.under_way.remove(&(stream, order)) {
                        self.files.insert(file, (samples, rate));
                    }
                    return (Some(Answer::Recorded { stream, order, outcome: Err(Lost::Unwritten) }), None);
                }
                (None, None)
            }
            Request::End { stream, order, keep } => {
                let Some((file, samples, rate)) = self.under_way.remove(&(stream, order)) else {
                    return (None, None);
                };
                let ms = samples.len() as u64 * 1000 / u64::from(rate);
                let outcome = match (keep, self.full) {
                    (false, _) => Err(Lost::Short),
                    (true, true) => Err(Lost::Unwritten),
                    (true, false) => Ok(ms as u32),
                };
                let changed = outcome.is_ok().then(|| folder(&file));
                if outcome.is_ok() {
                    self.files.insert(file, (samples, rate));
                }
                (Some(Answer::Recorded { stream, order, outcome }), changed)
            }
        }
    }

    /// Does what a shard asks for; returns the folder that has changed.
    pub(crate) fn change(&mut self, request: FileRequest) -> Option<String> {
        match request {
            FileRequest::Rename(from, to) => {
                let file = self.files.remove(&from)?;
                self.files.insert(to, file);
                Some(folder(&from))
            }
            FileRequest::Copy(from, to) => {
                let file = self.files.get(&from)?.clone();
                let changed = folder(&to);
                self.files.insert(to, file);
                Some(changed)
            }
            FileRequest::Remove(file) => {
                self.files.remove(&file)?;
                Some(folder(&file))
            }
        }
    }

    /// The process is killed: what was under way is lost.
    pub(crate) fn die(&mut self) {
        self.under_way.clear();
    }

    pub(crate) fn list(&self, folder: &str) -> Vec<String> {
        let within = |file: &String| Some(file.strip_prefix(folder)?.strip_prefix('/')?.to_owned());
        self.files.keys().filter_map(within).collect()
    }

    pub(crate) fn folders(&self) -> BTreeSet<String> {
        self.files.keys().map(|file| folder(file)).collect()
    }
}

fn folder(file: &str) -> String {
    file.split('/').next().unwrap_or_default().to_owned()
}
