//! Recording a call: always, or while one of its parties wants it.

use jiff::Timestamp;
use offhook_media::command::{SideName, TapOrder};
use offhook_media::voice::{Lost, Recording};

use super::{Concern, Tap};
use crate::config::Config;
use crate::context::Context;
use crate::directory::Record;
use crate::event::Event;
use crate::services::{Announced, Wish};

/// How far the recording of a call is.
#[derive(Default)]
pub(super) struct Recorder {
    /// The number of the last order to record.
    order: u32,
    /// The file that is being written.
    file: Option<String>,
    paused: bool,
    /// It was tried, and is not possible; or it has begun, and is not to begin by itself again.
    begun: bool,
    /// The last keys of either party.
    keys: [String; 2],
}

impl Recorder {
    /// Whether it has to begin now, without being asked.
    pub(super) fn begins(&self, concern: Option<&Concern>) -> bool {
        !self.begun && concern.is_some_and(Concern::is_always_recorded)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.file.is_none()
    }

    /// Whether it records, and is not paused.
    pub(super) fn is_running(&self) -> bool {
        self.file.is_some() && !self.paused
    }

    pub(super) fn is_untried(&self) -> bool {
        !self.begun
    }

    pub(super) fn give_up(&mut self) {
        self.begun = true;
    }

    /// A recording has ended: what is to be told of that, if it was not at our wish.
    pub(super) fn ended(
        &mut self,
        order: u32,
        outcome: Result<u32, Lost>,
    ) -> Option<Result<String, &'static str>> {
        if order != self.order {
            return None;
        }
        let file = self.file.take()?;
        match outcome {
            Ok(_) => Some(Ok(file)),
            Err(Lost::Short | Lost::Unwritten) => Some(Err("the recording could not be written any further")),
        }
    }
}

impl Tap {
    pub(super) fn begin_recording(
        &mut self,
        call_id: &str,
        anchor: u64,
        config: &Config,
        cx: &mut Context<'_>,
    ) {
        let settings = &config.services.recording;
        self.recorder.order += 1;
        self.recorder.begun = true;
        self.recorder.paused = false;
        let file = self.file_name(anchor, cx.unix());
        let recording = Recording {
            file: file.as_str().into(),
            most_ms: u32::try_from(settings.longest.as_millis()).unwrap_or(u32::MAX),
            silence_ms: 0,
            least_ms: 0,
        };
        self.recorder.file = Some(file.clone());
        cx.event(Event::Recording { call: call_id.to_owned(), what: Ok(file) });
        self.tell(TapOrder::Record { order: self.recorder.order, recording }, cx);
        self.announce(config, Announced::Begins, cx);
    }

    /// A party has pressed a key.
    pub(super) fn key(
        &mut self,
        side: SideName,
        key: char,
        (call_id, anchor): (&str, u64),
        config: &Config,
        cx: &mut Context<'_>,
    ) {
        let settings = &config.services.recording;
        let Some(wish) = self.concern.as_ref().map(|concern| concern.record[side.index()]) else { return };
        if wish == Record::Never {
            return;
        }
        let asked = settings.wish(&mut self.recorder.keys[side.index()], key);
        let is_recording = self.recorder.file.is_some();
        match asked {
            Some(Wish::Toggle) if wish == Record::OnDemand && is_recording => {
                self.recorder.file = None;
                self.tell(TapOrder::Stop, cx);
                self.announce(config, Announced::Ends, cx);
            }
            Some(Wish::Toggle) if wish == Record::OnDemand => {
                self.begin_recording(call_id, anchor, config, cx);
            }
            Some(Wish::Pause) if is_recording => {
                self.recorder.paused = !self.recorder.paused;
                let paused = self.recorder.paused;
                self.tell(TapOrder::Pause(paused), cx);
                self.announce(config, if paused { Announced::Pauses } else { Announced::GoesOn }, cx);
            }
            Some(Wish::Toggle | Wish::Pause) | None => {}
        }
    }

    /// Lets both parties hear what happens to the recording.
    fn announce(&mut self, config: &Config, what: Announced, cx: &mut Context<'_>) {
        if self.music.contains(&true) {
            return;
        }
        for side in SideName::BOTH {
            let language = self.concern.as_ref().and_then(|concern| concern.languages[side.index()]);
            let language = language.unwrap_or(config.services.language);
            if let Some(said) = what.speech(config.services.recording.announce) {
                self.play(side, said.spoken(language), cx);
            }
        }
    }

    fn file_name(&self, anchor: u64, unix: u64) -> String {
        let names = self.concern.as_ref().map(|concern| &concern.names);
        let names = [0, 1].map(|n| names.map_or("", |names| names[n].as_str()));
        file_name(unix, names, (anchor, self.recorder.order))
    }
}

/// Where a recording is written to: by the month, and within it by the moment, who talks, and two numbers that make it
/// unique.
pub(crate) fn file_name(unix: u64, [caller, callee]: [&str; 2], (number, order): (u64, u32)) -> String {
    let at = i64::try_from(unix).ok().and_then(|unix| Timestamp::from_second(unix).ok()).unwrap_or_default();
    let (month, moment) = (at.strftime("%Y/%m"), at.strftime("%Y%m%dT%H%M%SZ"));
    format!("{FOLDER}/{month}/{moment}_{}_{}_{number:x}-{order}.wav", plain(caller), plain(callee))
}

/// A name as it may stand in the name of a file.
fn plain(name: &str) -> String {
    let fits = |c: &char| c.is_ascii_alphanumeric() || "+.-".contains(*c);
    let plain: String = name.chars().filter(fits).take(32).collect();
    if plain.is_empty() { "unknown".to_owned() } else { plain }
}

/// Where the driver keeps recordings of calls.
const FOLDER: &str = "recordings";
