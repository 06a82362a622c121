//! The files of recordings, and the thread that writes them: sound never waits for a disk.
//!
//! A recording is written under a temporary name and gets its own when it is complete and on the disk, so a crash leaves
//! none that is half there.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File};
use std::io::{self, BufReader, BufWriter};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use offhook_exchange::io::FileRequest;
use offhook_exchange::services::PROMPTS;
use offhook_media::command::StreamId;
use offhook_media::player::Player;
use offhook_media::recorder::{RecordError, Recorder};
use offhook_media::voice::file::{Answer, MUSIC, Request};
use offhook_media::voice::{Lost, RATE};

use crate::call_recordings::CallRecordings;
use crate::clock;
use crate::mail::Notices;
use crate::music::Music;
use crate::shards::Mailbox;

/// The way of other threads to the files.
#[derive(Clone)]
pub(crate) struct Files {
    work: Sender<Work>,
    /// Samples that wait to be written.
    waiting: Arc<AtomicUsize>,
}

/// A folder, and the names of the files in it.
pub(crate) type Shown = (String, Vec<String>);

enum Work {
    Sound(Request),
    Change(FileRequest),
    Changed(String),
    /// From, to, and who is told whether that is done.
    Copy(String, String, Sender<io::Result<()>>),
    Stop,
}

impl Files {
    pub(crate) fn new() -> (Self, Works) {
        let (work, works) = channel();
        let waiting = Arc::<AtomicUsize>::default();
        (Self { work, waiting: Arc::clone(&waiting) }, Works { works, waiting })
    }

    /// Asks for what media wants. Where the disk is too slow for so much sound, the answer is there at once: that
    /// recording is lost.
    pub(crate) fn ask(&self, request: Request) -> Option<Answer> {
        if let Request::Sound { stream, order, samples } = &request {
            if self.waiting.load(Relaxed) > MOST_WAITING {
                let (stream, order) = (*stream, *order);
                let _ = self.work.send(Work::Sound(Request::End { stream, order, keep: false }));
                return Some(Answer::Recorded { stream, order, outcome: Err(Lost::Unwritten) });
            }
            self.waiting.fetch_add(samples.len(), Relaxed);
        }
        // It fails only when the other thread is gone, at the end of the process.
        let _ = self.work.send(Work::Sound(request));
        None
    }

    /// Changes a file.
    pub(crate) fn change(&self, request: FileRequest) {
        let _ = self.work.send(Work::Change(request));
    }

    /// Keeps a file in another place as well, and waits until that is done.
    ///
    /// # Errors
    /// When it is not there, or cannot be written.
    pub(crate) fn copy(&self, from: String, to: String) -> io::Result<()> {
        let (done, answer) = channel();
        let _ = self.work.send(Work::Copy(from, to, done));
        answer.recv().unwrap_or_else(|_| Err(io::Error::other("the exchange is stopping")))
    }

    /// A folder was changed by others.
    pub(crate) fn changed(&self, folder: String) {
        let _ = self.work.send(Work::Changed(folder));
    }

    /// Recordings under way are complete now, and the thread ends.
    pub(crate) fn stop(&self) {
        let _ = self.work.send(Work::Stop);
    }
}

/// The other end of [`Files`].
pub(crate) struct Works {
    works: Receiver<Work>,
    waiting: Arc<AtomicUsize>,
}

/// The thread's own.
pub(crate) struct Recordings {
    place: PathBuf,
    /// How many days a message is kept; 0: for ever.
    keep_days: u64,
    takes: HashMap<(StreamId, u32), Take>,
    taken: u64,
    /// Who writes mails about messages, if anybody does.
    mails: Option<Notices>,
    /// Of calls, which have a place of their own.
    calls: CallRecordings,
    music: Music,
}

/// A recording under way.
struct Take {
    file: Arc<str>,
    temporary: PathBuf,
    recorder: Result<Recorder<BufWriter<File>>, RecordError>,
}

/// To whom the thread speaks.
pub(crate) struct Listeners {
    pub(crate) media: Mailbox<Answer>,
    /// By shard.
    pub(crate) shards: Vec<Mailbox<Shown>>,
}

impl Recordings {
    /// The recordings at a place, which is made; what a crash has left half done is removed.
    ///
    /// # Errors
    /// When the place cannot be used.
    pub(crate) fn open(
        place: PathBuf,
        keep_days: u64,
        calls: CallRecordings,
        music: Music,
    ) -> io::Result<Self> {
        let temporary = place.join(TEMPORARY);
        let _ = fs::remove_dir_all(&temporary);
        DirBuilder::new().recursive(true).mode(0o700).create(&temporary)?;
        Ok(Self { place, keep_days, takes: HashMap::new(), taken: 0, mails: None, calls, music })
    }

    /// The same, with somebody who is told of messages.
    pub(crate) fn tell(self, mails: Option<Notices>) -> Self {
        Self { mails, ..self }
    }

    /// All folders with their files.
    pub(crate) fn all(&self) -> Vec<Shown> {
        let folders = names(&self.place).into_iter().filter(|folder| folder != TEMPORARY);
        folders.map(|folder| self.list(&folder)).filter(|(_, files)| !files.is_empty()).collect()
    }

    /// Works until nobody can ask any more; recordings under way are complete then.
    pub(crate) fn run(mut self, works: &Works, mut listeners: Listeners) {
        let mut swept = clock::now();
        loop {
            let work = works.works.recv_timeout(SWEEP);
            let changed = match work {
                Ok(Work::Sound(request)) => {
                    if let Request::Sound { samples, .. } = &request {
                        works.waiting.fetch_sub(samples.len(), Relaxed);
                    }
                    let (answer, changed) = self.sound(request);
                    listeners.media.post(&mut answer.into_iter().collect());
                    changed.into_iter().collect()
                }
                Ok(Work::Change(request)) => self.change(&request).into_iter().collect(),
                Ok(Work::Changed(folder)) => vec![folder],
                Ok(Work::Copy(from, to, done)) => {
                    let copied = self.copy(&from, &to);
                    let changed = copied.is_ok().then(|| folder_of(&to));
                    let _ = done.send(copied);
                    changed.into_iter().collect()
                }
                Err(RecvTimeoutError::Timeout) => Vec::new(),
                Ok(Work::Stop) | Err(RecvTimeoutError::Disconnected) => break,
            };
            for folder in changed.into_iter().chain(self.sweep(&mut swept)) {
                let shown = self.list(&folder);
                listeners.shards.iter_mut().for_each(|shard| shard.post(&mut vec![shown.clone()]));
            }
        }
        for ((stream, order), _) in std::mem::take(&mut self.takes) {
            self.sound(Request::End { stream, order, keep: true });
        }
    }

    /// Does what media asks for; returns the answer, and the folder that has changed.
    fn sound(&mut self, request: Request) -> (Option<Answer>, Option<String>) {
        match request {
            Request::Load { stream, file } => {
                let sound = if &*file == MUSIC { self.music.next() } else { self.load(&file) };
                if &*file == MUSIC && sound.is_err() {
                    return (Some(Answer::Loaded { stream, file, sound: None }), None);
                }
                if let Err(error) = &sound {
                    tracing::warn!(%file, %error, "a sound cannot be played");
                }
                (Some(Answer::Loaded { stream, file, sound: sound.ok() }), None)
            }
            Request::Begin { stream, order, file, rate, channels } => {
                self.taken += 1;
                let (temporary, made) = match self.calls.is_of_call(&file) {
                    true => self.calls.begin(&file),
                    false => {
                        let temporary = self.place.join(TEMPORARY).join(format!("{}.wav", self.taken));
                        let made = File::create(&temporary);
                        (temporary, made)
                    }
                };
                let made = made.map_err(RecordError::from);
                let recorder =
                    made.and_then(|made| Recorder::with_channels(BufWriter::new(made), rate, channels));
                self.takes.insert((stream, order), Take { file, temporary, recorder });
                (None, None)
            }
            Request::Sound { stream, order, samples } => {
                let Some(take) = self.takes.get_mut(&(stream, order)) else { return (None, None) };
                let Ok(recorder) = &mut take.recorder else { return (None, None) };
                let Err(error) = recorder.write(&samples) else { return (None, None) };
                if !self.calls.is_of_call(&take.file) {
                    take.recorder = Err(error);
                    return (None, None);
                }
                tracing::error!(file = %take.file, %error, "a recording ends before its call");
                let ended = self.takes.remove(&(stream, order));
                ended.into_iter().for_each(|take| self.cut(take));
                (Some(Answer::Recorded { stream, order, outcome: Err(Lost::Unwritten) }), None)
            }
            Request::End { stream, order, keep } => {
                let Some(take) = self.takes.remove(&(stream, order)) else { return (None, None) };
                let folder = Some(folder_of(&take.file)).filter(|_| !self.calls.is_of_call(&take.file));
                let outcome = self.complete(take, keep);
                let changed = folder.filter(|_| outcome.is_ok());
                (Some(Answer::Recorded { stream, order, outcome }), changed)
            }
        }
    }

    /// Keeps what stands in a recording that cannot go on.
    fn cut(&self, take: Take) {
        let Take { file, temporary, recorder } = take;
        drop(recorder);
        if let Err(error) = self.put(&temporary, &file) {
            tracing::error!(%file, %error, "what was recorded waits for the next start");
        }
    }

    fn complete(&self, take: Take, keep: bool) -> Result<u32, Lost> {
        let Take { file, temporary, recorder } = take;
        // Of a call, what a slow disk has taken is better than nothing.
        let keep = keep || self.calls.is_of_call(&file);
        let kept = recorder.map_err(|error| error.to_string()).and_then(|recorder| {
            let ms = u64::from(recorder.len()) * 1000 / u64::from(recorder.rate().max(1));
            recorder.finish().map_err(|error| error.to_string())?;
            if keep {
                self.put(&temporary, &file).map_err(|error| error.to_string())?;
            }
            Ok(u32::try_from(ms).unwrap_or(u32::MAX))
        });
        // What was recorded of a call is put in its place at the next start.
        if !keep || kept.is_err() && !self.calls.is_of_call(&file) {
            let _ = fs::remove_file(&temporary);
        }
        match kept {
            Ok(ms) if keep => Ok(ms),
            Ok(_) => Err(Lost::Short),
            Err(error) => {
                tracing::error!(%file, %error, "a recording is lost");
                Err(Lost::Unwritten)
            }
        }
    }

    /// Gives a complete recording its name, once it is on the disk.
    fn put(&self, temporary: &Path, file: &str) -> io::Result<()> {
        let noted = self.mails.as_ref().and_then(|mails| Some((mails, mails.note(file)?)));
        let put = self.put_there(temporary, file);
        if let Some((mails, noted)) = noted {
            mails.announce(noted, put.is_ok());
        }
        put
    }

    fn put_there(&self, temporary: &Path, file: &str) -> io::Result<()> {
        let path = self.path(file)?;
        File::open(temporary)?.sync_all()?;
        let folder = path.parent().unwrap_or(&self.place);
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        fs::rename(temporary, &path)?;
        File::open(folder)?.sync_all()
    }

    /// Does what a shard asks for; returns the folder that has changed.
    fn change(&self, request: &FileRequest) -> Option<String> {
        let (done, file) = match request {
            FileRequest::Rename(from, to) => (self.rename(from, to), from),
            FileRequest::Copy(from, to) => (self.copy(from, to), to),
            FileRequest::Remove(file) => (self.path(file).and_then(fs::remove_file), file),
        };
        match done {
            Ok(()) => Some(folder_of(file)),
            Err(error) => {
                // Whoever removes it at the same time was quicker.
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::error!(%file, %error, "a recording cannot be changed");
                }
                None
            }
        }
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (self.path(from)?, self.path(to)?);
        if let Some(folder) = to.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        fs::rename(from, to)
    }

    fn copy(&self, from: &str, to: &str) -> io::Result<()> {
        let temporary = self.place.join(TEMPORARY).join("copy");
        fs::copy(self.path(from)?, &temporary)?;
        self.put(&temporary, to)
    }

    fn load(&self, file: &str) -> Result<Arc<[i16]>, String> {
        let path = self.path(file).map_err(|error| error.to_string())?;
        let is_prompt = Path::new(file).starts_with(PROMPTS);
        let beside = self.place.parent().filter(|_| is_prompt).map(|data_dir| data_dir.join(file));
        read(&beside.unwrap_or(path))
    }

    fn list(&self, folder: &str) -> Shown {
        (folder.to_owned(), list(&self.place, folder))
    }

    /// Removes what is older than it may be; returns the folders that have changed.
    fn sweep(&self, swept: &mut Instant) -> Vec<String> {
        if clock::now().duration_since(*swept) < SWEEP {
            return Vec::new();
        }
        *swept = clock::now();
        self.calls.sweep(clock::unix().as_secs());
        if self.keep_days == 0 {
            return Vec::new();
        }
        let oldest = clock::unix().as_secs().saturating_sub(self.keep_days * 86_400);
        let is_old = |file: &str| {
            let at = file.rsplit('/').next().and_then(|name| name.split('-').next()?.parse::<u64>().ok());
            at.is_some_and(|at| at < oldest)
        };
        let all = self.all();
        let remove = |(folder, files): &Shown| {
            let old = files.iter().filter(|file| is_old(file));
            let removed =
                old.filter_map(|file| self.change(&FileRequest::Remove(format!("{folder}/{file}"))));
            removed.count() > 0
        };
        all.into_iter().filter(remove).map(|(folder, _)| folder).collect()
    }

    /// Where a file is: always below our place.
    fn path(&self, file: &str) -> io::Result<PathBuf> {
        let plain = Path::new(file).components().all(|one| matches!(one, Component::Normal(_)));
        if file.is_empty() || !plain {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        Ok(self.calls.path(file).unwrap_or_else(|| self.place.join(file)))
    }
}

/// Reads a sound of any kind and rate.
pub(crate) fn read(path: &Path) -> Result<Arc<[i16]>, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let player = Player::new(BufReader::new(file), &name, false).map_err(|error| error.to_string())?;
    Ok(player.into_samples(RATE).into())
}

/// The files in a folder of a place, and in its folders.
pub(crate) fn list(place: &Path, folder: &str) -> Vec<String> {
    let mut files = Vec::new();
    for name in names(&place.join(folder)) {
        let path = place.join(folder).join(&name);
        match path.is_dir() {
            true => files.extend(names(&path).into_iter().map(|file| format!("{name}/{file}"))),
            false => files.push(name),
        }
    }
    files
}

fn folder_of(file: &str) -> String {
    file.split('/').next().unwrap_or_default().to_owned()
}

/// The names in a folder, in order; none if it is none.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort_unstable();
    names
}

/// Below the place: recordings under way.
const TEMPORARY: &str = ".under-way";
/// Ten minutes of sound at our rate, of all recordings together.
const MOST_WAITING: usize = 600 * RATE as usize;
/// How often it is looked for what is too old.
const SWEEP: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: StreamId = StreamId(1);

    /// A place that ends with the test.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("offhook-recordings-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            Self(path)
        }

        fn open(&self) -> Recordings {
            let calls = CallRecordings::new(self.0.join("calls"), 0);
            Recordings::open(self.0.join("mail"), 0, calls, Music::new(self.0.join("music"))).unwrap()
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn begin(recordings: &mut Recordings, order: u32, file: &str) {
        let file = file.into();
        recordings.sound(Request::Begin { stream: STREAM, order, file, rate: 8000, channels: 1 });
        recordings.sound(Request::Sound { stream: STREAM, order, samples: vec![5000; 8000] });
    }

    fn end(recordings: &mut Recordings, order: u32, keep: bool) -> Result<u32, Lost> {
        match recordings.sound(Request::End { stream: STREAM, order, keep }).0 {
            Some(Answer::Recorded { outcome, .. }) => outcome,
            other => unreachable!("{other:?}"),
        }
    }

    #[test]
    fn a_recording_is_there_when_it_is_complete_and_survives_a_restart() {
        let place = Place::new("complete");
        let mut recordings = place.open();
        begin(&mut recordings, 1, "a@b/new/0000000001-1-5.wav");
        begin(&mut recordings, 2, "a@b/new/0000000002-2-5.wav");
        assert!(recordings.all().is_empty());
        assert_eq!(end(&mut recordings, 1, true), Ok(1000));
        // The second is being recorded when the process is killed.
        drop(recordings);
        let recordings = place.open();
        assert_eq!(recordings.all(), [("a@b".to_owned(), vec!["new/0000000001-1-5.wav".to_owned()])]);
        assert!(names(&place.0.join("mail").join(TEMPORARY)).is_empty());
        let sound = recordings.load("a@b/new/0000000001-1-5.wav").unwrap();
        assert!(sound.len().abs_diff(RATE as usize) < 100, "{}", sound.len());
    }

    #[test]
    fn what_is_not_wanted_or_cannot_be_written_is_not_kept() {
        let place = Place::new("unwanted");
        let mut recordings = place.open();
        begin(&mut recordings, 1, "a@b/greeting.wav");
        assert_eq!(end(&mut recordings, 1, false), Err(Lost::Short));
        for file in ["../elsewhere.wav", "/tmp/elsewhere.wav", "", "a@b/../../x.wav"] {
            begin(&mut recordings, 2, file);
            assert_eq!(end(&mut recordings, 2, true), Err(Lost::Unwritten), "{file}");
        }
        let _ = fs::remove_dir_all(&place.0);
        begin(&mut recordings, 3, "a@b/greeting.wav");
        assert_eq!(end(&mut recordings, 3, true), Err(Lost::Unwritten));
    }

    #[test]
    fn files_are_renamed_and_removed_within_the_place_only() {
        let place = Place::new("change");
        let mut recordings = place.open();
        begin(&mut recordings, 1, "a@b/new/0000000001-1-5.wav");
        end(&mut recordings, 1, true).unwrap();
        let rename =
            FileRequest::Rename("a@b/new/0000000001-1-5.wav".into(), "a@b/old/0000000001-1-5.wav".into());
        assert_eq!(recordings.change(&rename).as_deref(), Some("a@b"));
        assert_eq!(recordings.list("a@b").1, ["old/0000000001-1-5.wav"]);
        assert_eq!(recordings.change(&rename), None, "it is not there any more");
        let copy = |to: &str| FileRequest::Copy("a@b/old/0000000001-1-5.wav".into(), to.into());
        assert_eq!(recordings.change(&copy("c@d/new/0000000001-1-5.wav")).as_deref(), Some("c@d"));
        assert_eq!(recordings.list("c@d").1, ["new/0000000001-1-5.wav"]);
        assert_eq!(recordings.change(&copy("a@b/../../elsewhere.wav")), None);
        let remove = FileRequest::Remove("c@d/new/0000000001-1-5.wav".into());
        assert_eq!(recordings.change(&remove).as_deref(), Some("c@d"));
        assert_eq!(recordings.change(&FileRequest::Remove("a@b/../../../etc/passwd".into())), None);
        let remove = FileRequest::Remove("a@b/old/0000000001-1-5.wav".into());
        assert_eq!(recordings.change(&remove).as_deref(), Some("a@b"));
        assert!(recordings.all().is_empty());
    }

    #[test]
    fn too_much_sound_at_once_costs_the_recording_and_not_the_memory() {
        let (files, works) = Files::new();
        let sound = || Request::Sound { stream: STREAM, order: 1, samples: vec![0; MOST_WAITING] };
        assert_eq!(files.ask(sound()), None);
        let more = Request::Sound { stream: STREAM, order: 1, samples: vec![0; 10] };
        assert_eq!(files.ask(more.clone()), None);
        let lost = Answer::Recorded { stream: STREAM, order: 1, outcome: Err(Lost::Unwritten) };
        assert_eq!(files.ask(more), Some(lost));
        assert_eq!(works.works.try_iter().count(), 3);
    }
}
