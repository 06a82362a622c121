//! `offhook answer`: registers if there is an account, and answers calls.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use offhook_media::tone::Expectation;
use offhook_ua::{CallId, Command, Event};

use crate::call::{LAST_WORDS, TICK, parse_expectation, tell};
use crate::line::Line;
use crate::measure::{parse_duration, parse_percent};
use crate::open::{Wanted, open};
use crate::register::{register, unregister};
use crate::report::{Expected, Report};
use crate::runtime::{Stop, run_call};
use crate::settings::{Demo, Settings};
use crate::sound::SoundPlan;
use crate::talk::{Talk, TalkPlan};
use crate::{Exit, Failure, Flags, clock};

/// The flags of `offhook answer`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct AnswerOptions {
    /// Refuse calls with this status code instead, e.g. 486
    #[arg(long, value_name = "CODE", value_parser = clap::value_parser!(u16).range(300..=699))]
    pub code: Option<u16>,
    /// Let it ring so long first
    #[arg(long, value_name = "T", value_parser = parse_duration)]
    pub after: Option<Duration>,
    /// Say what is in this WAV file
    #[arg(long, value_name = "WAV", conflicts_with = "echo")]
    pub play: Option<PathBuf>,
    /// Play the file again and again
    #[arg(long = "loop", requires = "play")]
    pub loops: bool,
    /// Write what is heard into this WAV file; later calls get -2, -3 … behind its name
    #[arg(long, value_name = "WAV")]
    pub record: Option<PathBuf>,
    /// Say what is heard
    #[arg(long)]
    pub echo: bool,
    /// End after so many calls; left out: at Ctrl-C
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub calls: Option<u32>,
    /// Hang up so long after the answer
    #[arg(long, value_name = "T", value_parser = parse_duration)]
    pub duration: Option<Duration>,
    /// What must be heard: tone:HZ, speech or silence
    #[arg(long, value_name = "WHAT", value_parser = parse_expectation)]
    pub expect_audio: Option<Expectation>,
    /// The quality that must be reached, 1.0 to 4.5
    #[arg(long, value_name = "MOS")]
    pub min_mos: Option<f32>,
    /// The most packets that may be lost or late, e.g. 1%
    #[arg(long, value_name = "SHARE", value_parser = parse_percent)]
    pub max_loss: Option<f32>,
    /// What all commands share.
    #[command(flatten)]
    pub flags: Flags,
}

/// Answers calls until enough have come.
pub fn answer(options: &AnswerOptions) -> Exit {
    run_call(&options.flags, serve(options, None))
}

/// The same within a runtime that someone else drives; `ready` hears where we can be called.
pub(crate) async fn serve(
    options: &AnswerOptions,
    ready: Option<tokio::sync::oneshot::Sender<std::net::SocketAddr>>,
) -> Result<Exit, Failure> {
    let settings = Settings::new(&options.flags, Demo::UnlessLocal)?;
    let sounds =
        SoundPlan::new(options.play.as_deref(), options.loops, options.record.as_deref(), options.echo)?
            .in_language(settings.language);
    let stop = Stop::listen();
    let port = if settings.server.is_none() { 5060 } else { 0 };
    let mut line = open(&settings, Wanted { calls: AT_A_TIME, port, registers: true, ..Wanted::ONE }).await?;
    if settings.account.is_some() {
        register(&mut line, settings.timeout.unwrap_or(PATIENCE)).await?;
    }
    greet(&mut line, &settings);
    if let (Some(ready), Some(listener)) = (ready, line.agent.config().listeners.first()) {
        let _ = ready.send(listener.advertised);
    }
    let mut desk = Desk {
        options,
        settings: &settings,
        sounds,
        waiting: BTreeMap::new(),
        talks: BTreeMap::new(),
        taken: 0,
        ended: 0,
        exit: Exit::Ok,
    };
    desk.work(&mut line, &stop).await?;
    if settings.account.is_some() {
        unregister(&mut line, LAST_WORDS).await;
    }
    line.settle(LAST_WORDS).await;
    Ok(desk.exit)
}

/// Takes calls and follows them.
struct Desk<'a> {
    options: &'a AnswerOptions,
    settings: &'a Settings,
    sounds: SoundPlan,
    /// Calls that ring, and when to take or refuse them.
    waiting: BTreeMap<CallId, Instant>,
    talks: BTreeMap<CallId, Talk>,
    taken: u32,
    ended: u32,
    exit: Exit,
}

impl Desk<'_> {
    async fn work(&mut self, line: &mut Line, stop: &Stop) -> Result<(), Failure> {
        let give_up = self.settings.timeout.map(|timeout| clock::now() + timeout);
        while self.options.calls.is_none_or(|calls| self.ended < calls) {
            if let Some(event) = line.next_until(clock::now() + TICK).await {
                self.event(&event, line)?;
            }
            if stop.is_wanted() {
                self.exit = Exit::Interrupted;
                self.talks.values_mut().for_each(|talk| talk.interrupt(line));
                if self.talks.is_empty() {
                    return Ok(());
                }
            }
            if self.talks.is_empty() && give_up.is_some_and(|moment| clock::now() >= moment) {
                self.exit = if self.exit == Exit::Ok { Exit::NoAnswer } else { self.exit };
                line.console()
                    .note(self.settings.language.pick("No call came in time", "规定时间内没有来电"));
                return Ok(());
            }
            self.take(line);
            self.tick(line);
        }
        Ok(())
    }

    fn event(&mut self, event: &Event, line: &mut Line) -> Result<(), Failure> {
        match event {
            Event::Incoming { call, call_id, from, .. } => {
                self.incoming(*call, call_id, from.as_str(), line)?
            }
            Event::Digit { digit, .. } => line.console().note(&format!("  key {digit}")),
            Event::MessageReceived { from, text, .. } => {
                let text: String = text.chars().filter(|c| !c.is_control()).collect();
                let words = self.settings.language.pick("Text from", "短信：");
                line.console().note(&format!("{words} {from}: {text}"));
            }
            Event::RegistrationFailed { code, reason, retry_after: None } => {
                line.console().note(&format!("offhook: not registered any more: {code} {reason}"));
            }
            _ => {}
        }
        self.talks.values_mut().for_each(|talk| talk.event(event, line));
        Ok(())
    }

    fn incoming(&mut self, call: CallId, call_id: &str, from: &str, line: &mut Line) -> Result<(), Failure> {
        if self.options.calls.is_some_and(|calls| self.taken >= calls) {
            line.command(Command::Reject { call, code: 486 });
            return Ok(());
        }
        self.taken += 1;
        let words = self.settings.language.pick("Call from", "来电：");
        line.console().note(&format!("{words} {from}"));
        let plan = TalkPlan { duration: self.options.duration, ..TalkPlan::default() };
        self.talks.insert(call, Talk::new(call, plan).with_call_id(call_id));
        if self.options.code.is_none() {
            let sound = self.sounds.make(|warning| line.console().note(warning))?;
            line.attach(call, sound);
        }
        let after = self.options.after.unwrap_or_default();
        if !after.is_zero() {
            line.command(Command::Ring { call });
        }
        self.waiting.insert(call, clock::now() + after);
        Ok(())
    }

    /// Answers or refuses the calls that have rung long enough.
    fn take(&mut self, line: &mut Line) {
        let now = clock::now();
        self.waiting.retain(|call, at| {
            let due = *at <= now;
            if due {
                line.command(match self.options.code {
                    Some(code) => Command::Reject { call: *call, code },
                    None => Command::Answer { call: *call },
                });
            }
            !due
        });
    }

    fn tick(&mut self, line: &mut Line) {
        let mut ended = Vec::new();
        for (call, talk) in &mut self.talks {
            talk.tick(line);
            if talk.outcome().is_some() {
                ended.push(*call);
            } else if talk.is_answered() {
                let progress = talk.progress(line, self.settings.language);
                line.console().progress(&progress);
            }
        }
        for call in ended {
            self.waiting.remove(&call);
            let Some(talk) = self.talks.remove(&call) else { continue };
            let Some(outcome) = talk.outcome() else { continue };
            self.ended += 1;
            let expected = Expected {
                code: self.options.code,
                audio: self.options.expect_audio,
                min_mos: self.options.min_mos,
                max_loss: self.options.max_loss,
            };
            let report = Report::new(outcome.clone(), &expected);
            tell(line, &report, self.settings);
            if self.exit == Exit::Ok {
                self.exit = report.exit;
            }
        }
    }
}

fn greet(line: &mut Line, settings: &Settings) {
    let words = settings.language.pick("Waiting for calls to", "等待来电：");
    let address = line.agent.config().identity.clone();
    line.console().note(&format!("{words} {address}"));
}

/// Calls at a time; more are busy.
const AT_A_TIME: usize = 8;
/// For the registrar to answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(32);
