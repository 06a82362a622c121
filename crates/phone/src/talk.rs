//! `Talk`: follows one call from its beginning to its report.

use std::time::{Duration, Instant};

use offhook_ua::{CallId, Command, Event, MediaReport, Side};

use crate::line::Line;
use crate::report::{Outcome, codec, word};
use crate::{Language, clock};

/// What to do in a call that is answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct TalkPlan {
    /// Hang up so long after the answer.
    pub(crate) duration: Option<Duration>,
    /// Hang up when the file is played and the keys are pressed.
    pub(crate) until_played: bool,
    /// Keys to press after the answer.
    pub(crate) keys: Option<String>,
}

/// One call.
#[derive(Debug)]
pub(crate) struct Talk {
    call: CallId,
    plan: TalkPlan,
    begun: Instant,
    answered: Option<Instant>,
    ringing: bool,
    call_id: String,
    pressing: bool,
    /// Since when nothing is left to be said.
    quiet: Option<Instant>,
    hung_up: Option<Instant>,
    interrupted: bool,
    gave_up: bool,
    outcome: Option<Outcome>,
}

impl Talk {
    /// A call that has just been placed or has come in.
    pub(crate) fn new(call: CallId, plan: TalkPlan) -> Self {
        Self {
            call,
            plan,
            begun: clock::now(),
            answered: None,
            ringing: false,
            call_id: String::new(),
            pressing: false,
            quiet: None,
            hung_up: None,
            interrupted: false,
            gave_up: false,
            outcome: None,
        }
    }

    /// With its Call-ID.
    pub(crate) fn with_call_id(mut self, call_id: &str) -> Self {
        call_id.clone_into(&mut self.call_id);
        self
    }

    /// Whether the call was answered.
    pub(crate) fn is_answered(&self) -> bool {
        self.answered.is_some()
    }

    /// What became of it, when it is over.
    pub(crate) fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// Takes note of what happened.
    pub(crate) fn event(&mut self, event: &Event, line: &mut Line) {
        match event {
            Event::Calling { call, call_id } if *call == self.call => self.call_id.clone_from(call_id),
            Event::Progress { call, .. } if *call == self.call => self.ringing = true,
            Event::Answered { call, .. } if *call == self.call && self.answered.is_none() => {
                self.answered = Some(clock::now());
                if let Some(digits) = self.plan.keys.clone() {
                    self.pressing = true;
                    line.command(Command::Dtmf { call: self.call, digits });
                }
            }
            Event::DigitsSent { call } if *call == self.call => self.pressing = false,
            Event::Ended { call, by, code, reason, media } if *call == self.call => {
                self.end(line, *by, *code, reason, *media);
            }
            _ => {}
        }
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, line: &mut Line) {
        let now = clock::now();
        if self.outcome.is_some() {
            return;
        }
        if let Some(at) = self.hung_up {
            // Nobody confirms the end: it is one all the same.
            if now >= at + PATIENCE {
                let media = line.media_report(self.call);
                self.end(
                    line,
                    Side::Us,
                    if self.is_answered() { 200 } else { 487 },
                    "No answer to the end",
                    media,
                );
            }
            return;
        }
        let Some(answered) = self.answered else { return };
        match self.plan.duration {
            Some(duration) if now >= answered + duration => self.hang_up(line),
            None if self.plan.until_played => {
                let busy = self.pressing || line.sound(self.call).is_some_and(|sound| sound.is_playing());
                let quiet = *self.quiet.get_or_insert(now);
                if busy {
                    self.quiet = None;
                } else if now >= quiet + TAIL {
                    self.hang_up(line);
                }
            }
            Some(_) | None => {}
        }
    }

    /// Ends the call.
    pub(crate) fn hang_up(&mut self, line: &mut Line) {
        if self.hung_up.is_none() && self.outcome.is_none() {
            self.hung_up = Some(clock::now());
            line.command(Command::Hangup { call: self.call });
        }
    }

    /// Ends the call because the user wants to stop.
    pub(crate) fn interrupt(&mut self, line: &mut Line) {
        self.interrupted |= self.outcome.is_none();
        self.hang_up(line);
    }

    /// Ends the call because it takes too long.
    pub(crate) fn give_up(&mut self, line: &mut Line) {
        self.gave_up |= self.outcome.is_none() && self.answered.is_none();
        self.hang_up(line);
    }

    /// One line about how it goes.
    pub(crate) fn progress(&self, line: &Line, language: Language) -> String {
        let Some(answered) = self.answered else {
            return match self.ringing {
                true => language.pick("  ringing …", "  振铃中 …"),
                false => language.pick("  calling …", "  呼叫中 …"),
            }
            .to_owned();
        };
        let seconds = clock::now().saturating_duration_since(answered).as_secs();
        let time = format!("  {:02}:{:02}", seconds / 60, seconds % 60);
        let Some(media) = line.media_report(self.call) else { return time };
        let quality = media.mos.map_or_else(
            || language.pick("nothing heard yet", "尚未听到声音").to_owned(),
            |mos| format!("MOS {mos:.1} ({})", language.pick(word(mos).0, word(mos).1)),
        );
        let loss = language.pick("loss", "丢包");
        format!("{time}  {}  {loss} {:.1} %  {quality}", codec(&media), media.loss_percent)
    }

    fn end(&mut self, line: &mut Line, by: Side, code: u16, reason: &str, media: Option<MediaReport>) {
        let now = clock::now();
        let heard = line.take_sound(self.call).filter(|sound| !sound.heard_for().is_zero());
        self.outcome = Some(Outcome {
            call_id: self.call_id.clone(),
            code,
            reason: reason.to_owned(),
            by,
            setup: self.answered.map(|at| at.saturating_duration_since(self.begun)),
            talk: self.answered.map_or(Duration::ZERO, |at| now.saturating_duration_since(at)),
            media,
            heard: heard.map(|sound| sound.heard()),
            interrupted: self.interrupted,
            silent_peer: (self.gave_up || by == Side::Network) && line.tap.received() == 0,
        });
    }
}

/// After the last sound of a file, so that its end is heard.
const TAIL: Duration = Duration::from_secs(1);
/// For the end of a call to be confirmed.
const PATIENCE: Duration = Duration::from_secs(5);
