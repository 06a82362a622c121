//! Somebody leaves a message.

use offhook_media::voice::Recording;

use super::{Next, Settings};
use crate::b2bua::{CallId, Calls, Point};
use crate::mailbox::Message;
use crate::speech::Speech;

/// One who leaves a message: it hears the greeting, then is recorded.
pub(super) struct Deposit {
    folder: String,
    caller: String,
    records: bool,
}

impl Deposit {
    pub(super) fn new(folder: String, caller: String) -> Self {
        Self { folder, caller, records: false }
    }

    pub(super) fn folder(&self) -> &str {
        &self.folder
    }

    pub(super) fn point(
        &mut self,
        call: CallId,
        point: Point,
        settings: &Settings,
        calls: &mut Calls<'_, '_, '_>,
    ) -> Next {
        match (point, self.records) {
            (Point::Played, false) => self.record(call, settings, calls),
            (Point::Digit('#'), false) => {
                // In place of the rest of the greeting.
                calls.say(call, Speech::new().beep());
            }
            (Point::Digit('#'), true) => calls.stop_recording(call),
            (Point::Recorded(outcome), true) => {
                let said = if outcome.is_ok() { "voicemail-saved" } else { "voicemail-not-recorded" };
                return Next::Go(Speech::new().say(said).say("voicemail-goodbye"));
            }
            (Point::Played, true)
            | (
                Point::Digit(_)
                | Point::Recorded(_)
                | Point::Room(_)
                | Point::Closed(_)
                | Point::Dialled(_)
                | Point::Ended,
                _,
            ) => {}
        }
        Next::Stay
    }

    fn record(&mut self, call: CallId, settings: &Settings, calls: &mut Calls<'_, '_, '_>) {
        self.records = true;
        let (now, _) = calls.clock();
        let message = Message::new(now, calls.unique(call), &self.caller);
        let recording = Recording {
            file: message.file(&self.folder).into(),
            most_ms: u32::try_from(settings.longest.as_millis()).unwrap_or(u32::MAX),
            silence_ms: SILENCE_MS,
            least_ms: LEAST_MS,
        };
        calls.record(call, recording);
    }
}

/// Who says nothing for so long has forgotten to hang up.
const SILENCE_MS: u32 = 10_000;
/// What is shorter is no message.
const LEAST_MS: u32 = 1000;
