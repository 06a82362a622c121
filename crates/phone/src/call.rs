//! `offhook call`: places one call, and says what became of it.

use std::path::PathBuf;
use std::time::Duration;

use offhook_media::tone::Expectation;
use offhook_ua::Command;

use crate::line::Line;
use crate::measure::{parse_duration, parse_percent};
use crate::open::{Wanted, open};
use crate::report::{Expected, Report};
use crate::runtime::{Stop, run_call};
use crate::settings::{Demo, Settings};
use crate::sound::SoundPlan;
use crate::talk::{Talk, TalkPlan};
use crate::target::target;
use crate::{Exit, Failure, Flags, clock};

/// The flags of `offhook call`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct CallOptions {
    /// A SIP or tel URI, or a number or name of the account's domain
    pub target: String,
    /// Say what is in this WAV file, and hang up a second after its end (or at --duration)
    #[arg(long, value_name = "WAV")]
    pub play: Option<PathBuf>,
    /// Play the file again and again
    #[arg(long = "loop", requires = "play")]
    pub loops: bool,
    /// Write what is heard into this WAV file
    #[arg(long, value_name = "WAV")]
    pub record: Option<PathBuf>,
    /// Keys to press after the answer; a comma waits two seconds
    #[arg(long, value_name = "KEYS", value_parser = parse_keys)]
    pub dtmf: Option<String>,
    /// Hang up so long after the answer
    #[arg(long, value_name = "T", value_parser = parse_duration)]
    pub duration: Option<Duration>,
    /// How long to let it ring
    #[arg(long, value_name = "T", value_parser = parse_duration)]
    pub ring_timeout: Option<Duration>,
    /// The status code that is a success, e.g. 486
    #[arg(long, value_name = "CODE", value_parser = clap::value_parser!(u16).range(200..=699))]
    pub expect: Option<u16>,
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

/// Places a call and waits for its end.
pub fn call(options: &CallOptions) -> Exit {
    run_call(&options.flags, place(options))
}

async fn place(options: &CallOptions) -> Result<Exit, Failure> {
    let settings = Settings::new(&options.flags, Demo::For(&options.target))?;
    let target = target(&options.target, &settings)?;
    let mut sounds =
        SoundPlan::new(options.play.as_deref(), options.loops, options.record.as_deref(), false)?
            .in_language(settings.language);
    let stop = Stop::listen();
    let mut line = open(&settings, Wanted { target: Some(&target), ..Wanted::ONE }).await?;
    let sound = sounds.make(|warning| line.console().note(warning))?;
    let how = offhook_ua::CallOptions { headers: Vec::new(), ring_timeout: options.ring_timeout };
    let plan = TalkPlan {
        // Whoever expects a refusal has nothing to say to one who answers.
        duration: if options.expect.is_some_and(|code| code >= 300) {
            Some(Duration::ZERO)
        } else {
            options.duration
        },
        until_played: options.play.is_some() && !options.loops,
        keys: options.dtmf.clone(),
    };
    let call = line.call(target, how, sound);
    let mut talk = Talk::new(call, plan);
    follow(&mut line, &mut talk, &settings, &stop).await;
    line.settle(LAST_WORDS).await;

    let expected = Expected {
        code: options.expect,
        audio: options.expect_audio,
        min_mos: options.min_mos,
        max_loss: options.max_loss,
    };
    let Some(outcome) = talk.outcome() else { return Ok(Exit::Failed) };
    let report = Report::new(outcome.clone(), &expected);
    tell(&mut line, &report, &settings);
    Ok(report.exit)
}

/// Works until the call is over.
async fn follow(line: &mut Line, talk: &mut Talk, settings: &Settings, stop: &Stop) {
    let give_up = settings.timeout.map(|timeout| clock::now() + timeout);
    while talk.outcome().is_none() {
        let event = line.next_until(clock::now() + TICK).await;
        if let Some(event) = event {
            refuse_others(&event, line);
            talk.event(&event, line);
        }
        if stop.is_wanted() {
            talk.interrupt(line);
        }
        if give_up.is_some_and(|moment| clock::now() >= moment) {
            talk.give_up(line);
        }
        talk.tick(line);
        let progress = talk.progress(line, settings.language);
        line.console().progress(&progress);
    }
    line.console().clear();
}

/// A phone that places one call takes none.
fn refuse_others(event: &offhook_ua::Event, line: &mut Line) {
    if let offhook_ua::Event::Incoming { call, .. } = event {
        line.command(Command::Reject { call: *call, code: 486 });
    }
}

/// Writes the result.
pub(crate) fn tell(line: &mut Line, report: &Report, settings: &Settings) {
    match settings.json {
        true => line.console().result(&report.json()),
        false => {
            let sentence = report.sentence(settings.language);
            line.console().result(&sentence);
        }
    }
}

/// `tone:HZ`, `speech` or `silence`.
pub(crate) fn parse_expectation(text: &str) -> Result<Expectation, String> {
    text.parse::<Expectation>().map_err(|error| error.to_string())
}

/// Keys of a telephone, and commas.
pub(crate) fn parse_keys(text: &str) -> Result<String, String> {
    let keys: String = text.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_uppercase();
    match keys.chars().find(|key| !"0123456789*#ABCD,".contains(*key)) {
        Some(key) => Err(format!("`{key}` is no key; 0 to 9, *, #, A to D, and a comma to wait")),
        None if keys.is_empty() => Err("which keys?".into()),
        None => Ok(keys),
    }
}

/// How often to look at the clock.
pub(crate) const TICK: Duration = Duration::from_millis(50);
/// For what was sent last to be answered.
pub(crate) const LAST_WORDS: Duration = Duration::from_secs(2);
