//! The sound of one call: what is said, and what becomes of what is heard.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::time::Duration;

use offhook_media::SAMPLE_RATE;
use offhook_media::echo::Echo;
use offhook_media::player::Player;
use offhook_media::recorder::{RecordError, Recorder};
use offhook_media::resample::Resampler;
use offhook_media::tone::{Analyser, Heard};

use crate::device::Devices;
use crate::{Failure, Language};

/// What a call says and where it is heard.
#[derive(Debug)]
pub(crate) struct Sound {
    source: Source,
    recording: Option<Recording>,
    analyser: Analyser,
    /// Of what is heard.
    rate: u32,
    state: State,
    heard_frames: u64,
    /// What went wrong with the recording.
    failed: Option<String>,
}

/// Where the words come from.
#[derive(Debug)]
pub(crate) enum Source {
    /// Nothing is said.
    Silence,
    /// A file, and silence after it.
    File(Player),
    /// What was heard a moment ago.
    Echo(Box<EchoLine>),
    /// A microphone and a loudspeaker.
    Devices(Box<Devices>),
}

/// An echo and what it was last given.
#[derive(Debug)]
pub(crate) struct EchoLine {
    echo: Echo,
    heard: Vec<i16>,
}

/// A file that what is heard is written to; at the rate of the first sound.
#[derive(Debug)]
struct Recording {
    place: PathBuf,
    recorder: Recorder<BufWriter<File>>,
    /// From another rate that came later.
    resampler: Option<(u32, Resampler)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No sound moves yet.
    Waiting,
    /// Only what comes is heard.
    Early,
    /// Both ways.
    Answered,
    Ended,
}

impl Sound {
    /// With this to say.
    pub(crate) fn new(source: Source) -> Self {
        Self {
            source,
            recording: None,
            analyser: Analyser::new(SAMPLE_RATE),
            rate: SAMPLE_RATE,
            state: State::Waiting,
            heard_frames: 0,
            failed: None,
        }
    }

    /// An echo.
    pub(crate) fn echo() -> Self {
        let line = EchoLine { echo: Echo::new(Duration::from_millis(40)), heard: Vec::new() };
        Self::new(Source::Echo(Box::new(line)))
    }

    /// Also writes what is heard into a file.
    pub(crate) fn recording(mut self, place: &Path) -> Result<Self, Failure> {
        let wrong =
            |error: &dyn std::fmt::Display| Failure::usage(format!("--record {}: {error}", place.display()));
        let recorder = create(place, SAMPLE_RATE).map_err(|error| wrong(&error))?;
        self.recording = Some(Recording { place: place.to_owned(), recorder, resampler: None });
        Ok(self)
    }

    /// Says something else from now on.
    pub(crate) fn play(&mut self, player: Player) {
        self.source = Source::File(player);
    }

    /// Sound may be heard before the answer.
    pub(crate) fn early(&mut self) {
        if self.state == State::Waiting {
            self.state = State::Early;
        }
    }

    /// The call is answered: now we speak, and only what is heard from now on is judged.
    pub(crate) fn answered(&mut self) {
        self.state = State::Answered;
        self.forget();
    }

    /// The call is over.
    pub(crate) fn ended(&mut self) {
        self.state = State::Ended;
        if let Some(recording) = self.recording.take()
            && let Err(error) = recording.recorder.finish()
        {
            self.failed = Some(error.to_string());
        }
    }

    /// Whether sound moves at present.
    pub(crate) fn is_moving(&self) -> bool {
        matches!(self.state, State::Early | State::Answered)
    }

    /// The next 20 ms to say, at `rate` samples a second.
    pub(crate) fn say(&mut self, rate: u32) -> Vec<i16> {
        let length = rate as usize / 50;
        let said = match &mut self.source {
            _ if self.state != State::Answered => None,
            Source::Silence => None,
            Source::File(player) => {
                let frame = player.next_frame(rate);
                if frame.is_none() {
                    self.source = Source::Silence;
                }
                frame
            }
            Source::Echo(line) => {
                line.heard.resize(length, 0);
                Some(line.echo.turn(&line.heard))
            }
            Source::Devices(devices) => Some(devices.microphone(rate)),
        };
        said.filter(|said| said.len() == length).unwrap_or_else(|| vec![0; length])
    }

    /// 20 ms that were heard, at `rate` samples a second.
    pub(crate) fn hear(&mut self, frame: &[i16], rate: u32) {
        if rate != self.rate {
            self.rate = rate;
            self.analyser = Analyser::new(rate);
        }
        self.heard_frames += 1;
        self.analyser.push(frame);
        if let Some(recording) = &mut self.recording
            && let Err(error) = recording.write(frame, rate)
        {
            self.failed = Some(error.to_string());
            self.recording = None;
        }
        match &mut self.source {
            Source::Echo(line) => frame.clone_into(&mut line.heard),
            Source::Devices(devices) => devices.loudspeaker(frame, rate),
            Source::Silence | Source::File(_) => {}
        }
    }

    /// Whether a file is still being played.
    pub(crate) fn is_playing(&self) -> bool {
        matches!(self.source, Source::File(_))
    }

    /// What was heard since the answer, or since it was last forgotten.
    pub(crate) fn heard(&self) -> Heard {
        self.analyser.heard()
    }

    /// For how long something could be heard.
    pub(crate) fn heard_for(&self) -> Duration {
        Duration::from_millis(self.heard_frames * 20)
    }

    /// Judges only what is heard from now on.
    pub(crate) fn forget(&mut self) {
        self.analyser = Analyser::new(self.rate);
        self.heard_frames = 0;
    }

    /// What went wrong with the recording, once.
    pub(crate) fn take_failure(&mut self) -> Option<String> {
        self.failed.take()
    }
}

impl Recording {
    fn write(&mut self, frame: &[i16], rate: u32) -> Result<(), RecordError> {
        if rate != self.recorder.rate() && self.recorder.is_empty() {
            self.recorder = create(&self.place, rate)?;
        }
        if rate == self.recorder.rate() {
            return self.recorder.write(frame);
        }
        if self.resampler.as_ref().is_none_or(|(from, _)| *from != rate) {
            self.resampler = Some((rate, Resampler::new(rate, self.recorder.rate())));
        }
        let mut samples = Vec::new();
        if let Some((_, resampler)) = &mut self.resampler {
            resampler.push(frame, &mut samples);
        }
        self.recorder.write(&samples)
    }
}

fn create(place: &Path, rate: u32) -> Result<Recorder<BufWriter<File>>, RecordError> {
    Recorder::new(BufWriter::new(File::create(place)?), rate)
}

/// Which sound a command was asked for; each of its calls gets one.
#[derive(Clone, Debug, Default)]
pub(crate) struct SoundPlan {
    player: Option<Player>,
    record: Option<PathBuf>,
    echo: bool,
    /// In which warnings are given.
    language: Language,
    /// Calls that had one already.
    made: u32,
}

impl SoundPlan {
    /// Reads the file to be played.
    pub(crate) fn new(
        play: Option<&Path>,
        loops: bool,
        record: Option<&Path>,
        echo: bool,
    ) -> Result<Self, Failure> {
        let player = play.map(|place| player(place, loops)).transpose()?;
        Ok(Self { player, record: record.map(Path::to_owned), echo, ..Self::default() })
    }

    /// The same, with warnings in this language.
    pub(crate) fn in_language(self, language: Language) -> Self {
        Self { language, ..self }
    }

    /// The sound for the next call. Without a file, an echo or a recording it uses the machine's microphone and
    /// loudspeaker, if there are any; `warn` hears what is wrong with those.
    pub(crate) fn make(&mut self, warn: impl FnMut(&str)) -> Result<Sound, Failure> {
        self.made += 1;
        let sound = match (&self.player, self.echo) {
            (_, true) => Sound::echo(),
            (Some(player), false) => Sound::new(Source::File(player.clone())),
            (None, false) if self.record.is_some() => Sound::new(Source::Silence),
            (None, false) => Sound::new(devices(self.language, warn)),
        };
        match &self.record {
            Some(place) => sound.recording(&numbered(place, self.made)),
            None => Ok(sound),
        }
    }
}

/// The machine's devices; on a machine without any, silence.
fn devices(language: Language, mut warn: impl FnMut(&str)) -> Source {
    match Devices::open(&mut warn) {
        Some(devices) => Source::Devices(Box::new(devices)),
        None => {
            warn(language.pick(
                "offhook: no sound device here, so nothing is said; --play WAV says something",
                "offhook: 这台机器没有音频设备，对方听不到声音；可用 --play WAV 播放",
            ));
            Source::Silence
        }
    }
}

/// Reads a WAV file.
pub(crate) fn player(place: &Path, loops: bool) -> Result<Player, Failure> {
    let name = place.display().to_string();
    let file = File::open(place).map_err(|error| Failure::usage(format!("cannot play {name}: {error}")))?;
    Player::new(std::io::BufReader::new(file), &name, loops)
        .map_err(|error| Failure::usage(error.to_string()))
}

/// `heard.wav`, `heard-2.wav`, `heard-3.wav` …
fn numbered(place: &Path, number: u32) -> PathBuf {
    if number <= 1 {
        return place.to_owned();
    }
    let stem = place.file_stem().unwrap_or_default().to_string_lossy();
    let name = match place.extension() {
        Some(extension) => format!("{stem}-{number}.{}", extension.to_string_lossy()),
        None => format!("{stem}-{number}"),
    };
    place.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use offhook_media::FRAME;

    #[test]
    fn a_file_is_played_from_the_answer_on_and_followed_by_silence() {
        let mut sound = Sound::new(Source::File(Player::from_samples(vec![7; FRAME], false)));
        assert_eq!(sound.say(8000), [0; FRAME]);
        sound.early();
        assert_eq!((sound.say(8000), sound.is_playing()), (vec![0; FRAME], true));
        sound.answered();
        assert_eq!(sound.say(8000), [7; FRAME]);
        assert_eq!((sound.say(8000), sound.is_playing()), (vec![0; FRAME], false));
    }

    #[test]
    fn an_echo_gives_back_what_it_heard() {
        let mut sound = Sound::echo();
        sound.answered();
        let said: Vec<i16> = (1..8)
            .map(|n| {
                let said = sound.say(16_000);
                sound.hear(&[n; 320], 16_000);
                said[0]
            })
            .collect();
        assert_eq!(said, [0, 0, 0, 1, 2, 3, 4]);
    }

    #[test]
    fn what_came_before_the_answer_is_not_judged() {
        let mut sound = Sound::new(Source::Silence);
        sound.early();
        sound.hear(&[9000; FRAME], 8000);
        assert!(sound.heard_for() > Duration::ZERO);
        sound.answered();
        assert_eq!(sound.heard_for(), Duration::ZERO);
    }

    #[test]
    fn each_call_has_a_recording_of_its_own() {
        assert_eq!(numbered(Path::new("a/heard.wav"), 1), Path::new("a/heard.wav"));
        assert_eq!(numbered(Path::new("a/heard.wav"), 3), Path::new("a/heard-3.wav"));
        assert_eq!(numbered(Path::new("heard"), 2), Path::new("heard-2"));
    }
}
