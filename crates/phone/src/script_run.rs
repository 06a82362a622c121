//! `offhook run`: does what a script says, step by step.
#![allow(rustdoc::broken_intra_doc_links, reason = "the brackets are those of the command line")]

mod steps;

use std::io::Read as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use offhook_ua::{CallId, Command, Event};

use crate::answer::PATIENCE;
use crate::call::LAST_WORDS;
use crate::line::Line;
use crate::open::{Wanted, open};
use crate::register::{register, unregister};
use crate::runtime::{Stop, run};
use crate::script::{Action, Step, parse};
use crate::settings::{Demo, Settings};
use crate::sound::{Sound, SoundPlan, player};
use crate::target::target;
use crate::{Exit, Failure, Flags, clock};

/// The flags of `offhook run`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct RunOptions {
    /// A file with one step a line, or - for stdin
    ///
    /// Steps: call TARGET, answer [30s], wait 3s, dtmf 12#, play WAV, hold, resume, transfer TARGET, expect audio
    /// tone:440|speech|silence, expect code 486, expect mos 4, expect loss 1%, expect dtmf 12, hangup, message TARGET
    /// TEXT, register, unregister. A line that begins with # is a comment.
    pub script: PathBuf,
    /// Write what is heard into this WAV file; later calls get -2, -3 … behind its name
    #[arg(long, value_name = "WAV")]
    pub record: Option<PathBuf>,
    /// What all commands share.
    #[command(flatten)]
    pub flags: Flags,
}

/// Runs a script.
pub fn run_script(options: &RunOptions) -> Exit {
    run(&options.flags, perform(options))
}

async fn perform(options: &RunOptions) -> Result<Exit, Failure> {
    let steps = parse(&read(options)?).map_err(|mistakes| {
        let told: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
        Failure::usage(told.join("\noffhook: "))
    })?;
    let whom = steps.iter().find_map(|step| match &step.action {
        Action::Call(target) | Action::Message { target, .. } => Some(target.as_str()),
        _ => None,
    });
    let settings = Settings::new(&options.flags, whom.map_or(Demo::Welcome, Demo::For))?;
    let first = whom.map(|whom| target(whom, &settings)).transpose()?;
    let sounds =
        SoundPlan::new(None, false, options.record.as_deref(), false)?.in_language(settings.language);
    let line = open(&settings, Wanted { calls: 4, target: first.as_ref(), ..Wanted::ONE }).await?;
    let stop = Stop::listen();
    let mut stage = Stage {
        line,
        settings: &settings,
        sounds,
        stop,
        call: None,
        code: None,
        keys: String::new(),
        registered: false,
    };
    let exit = stage.play(&steps).await;
    stage.leave().await;
    Ok(exit)
}

fn read(options: &RunOptions) -> Result<String, Failure> {
    let name = options.script.display();
    let mut text = String::new();
    let read = if options.script.as_os_str() == "-" {
        std::io::stdin().take(LONGEST).read_to_string(&mut text)
    } else {
        std::fs::File::open(&options.script).and_then(|file| file.take(LONGEST).read_to_string(&mut text))
    };
    read.map(|_| text).map_err(|error| Failure::usage(format!("{name}: {error}")))
}

/// A script being performed.
struct Stage<'a> {
    line: Line,
    settings: &'a Settings,
    sounds: SoundPlan,
    stop: Stop,
    /// The present call.
    call: Option<CallId>,
    /// What became of the last one that was placed.
    code: Option<u16>,
    /// Keys that the peer pressed.
    keys: String,
    registered: bool,
}

/// Why a step failed.
type Failed = (Exit, String);

impl Stage<'_> {
    async fn play(&mut self, steps: &[Step]) -> Exit {
        for (index, step) in steps.iter().enumerate() {
            let begun = clock::now();
            let mut result = self.step(&step.action).await;
            // A refusal that the next step expects is none.
            let expects_code =
                matches!(steps.get(index + 1).map(|next| &next.action), Some(Action::ExpectCode(_)));
            if expects_code && matches!(step.action, Action::Call(_)) && self.code.is_some() {
                result = Ok(());
            }
            if self.stop.is_wanted() {
                return Exit::Interrupted;
            }
            self.tell(step, begun, &result);
            if let Err((exit, _)) = result {
                return exit;
            }
        }
        Exit::Ok
    }

    fn tell(&mut self, step: &Step, begun: Instant, result: &Result<(), Failed>) {
        let took =
            u64::try_from(clock::now().saturating_duration_since(begun).as_millis()).unwrap_or(u64::MAX);
        if self.settings.json {
            let (exit, why) = match result {
                Ok(()) => (Exit::Ok, None),
                Err((exit, why)) => (*exit, Some(why)),
            };
            let object = serde_json::json!({
                "line": step.line, "step": step.text, "result": exit.word(), "exit_code": exit.code(),
                "reason": why, "duration_ms": took,
            });
            self.line.console().result(&object.to_string());
            return;
        }
        match result {
            Ok(()) => {
                self.line.console().result(&format!("line {}: {}  ok ({took} ms)", step.line, step.text))
            }
            Err((_, why)) => {
                self.line.console().result(&format!("line {}: {}  failed: {why}", step.line, step.text));
            }
        }
    }

    async fn step(&mut self, action: &Action) -> Result<(), Failed> {
        match action {
            Action::Call(whom) => self.place(whom).await,
            Action::Answer(patience) => self.pick_up(patience.unwrap_or(PATIENCE)).await,
            Action::Wait(duration) => {
                self.wait(*duration, |_| None::<()>).await;
                Ok(())
            }
            Action::Dtmf(digits) => self.press(digits).await,
            Action::Play(file) => {
                let player = player(file, false).map_err(failed)?;
                self.sound()?.play(player);
                Ok(())
            }
            Action::Hold => self.hold(true).await,
            Action::Resume => self.hold(false).await,
            Action::Transfer(whom) => self.transfer(whom).await,
            Action::Hangup => self.hang_up().await,
            Action::Register => {
                register(&mut self.line, PATIENCE).await.map_err(failed)?;
                self.registered = true;
                Ok(())
            }
            Action::Unregister => {
                self.registered = false;
                let gone = unregister(&mut self.line, PATIENCE).await;
                if gone { Ok(()) } else { Err((Exit::Network, "the registrar does not answer".into())) }
            }
            Action::Message { target, text } => self.message(target, text).await,
            Action::ExpectCode(_)
            | Action::ExpectAudio(_)
            | Action::ExpectMos(_)
            | Action::ExpectLoss(_)
            | Action::ExpectDtmf(_) => self.expect(action).await,
        }
    }

    /// Works until `wanted` finds what it looks for, or the time is over.
    async fn wait<T>(&mut self, long: Duration, wanted: impl Fn(&Event) -> Option<T>) -> Option<T> {
        let until = clock::now() + long;
        while clock::now() < until && !self.stop.is_wanted() {
            let Some(event) = self.line.next_until((clock::now() + crate::call::TICK).min(until)).await
            else {
                continue;
            };
            match &event {
                Event::Digit { digit, .. } => self.keys.push(*digit),
                Event::Ended { call, .. } if Some(*call) == self.call => self.call = None,
                _ => {}
            }
            if let Some(found) = wanted(&event) {
                return Some(found);
            }
        }
        None
    }

    fn present(&self) -> Result<CallId, Failed> {
        self.call.ok_or((Exit::Failed, "there is no call".into()))
    }

    fn sound(&mut self) -> Result<&mut Sound, Failed> {
        let call = self.present()?;
        self.line.sound(call).ok_or((Exit::Failed, "the call has no sound".into()))
    }

    fn media(&self) -> Result<offhook_ua::MediaReport, Failed> {
        self.line.media_report(self.present()?).ok_or((Exit::Expectation, "the call has no sound".into()))
    }

    fn new_sound(&mut self) -> Result<Sound, Failed> {
        let line = &mut self.line;
        self.sounds.make(|warning| line.console().note(warning)).map_err(failed)
    }

    async fn leave(&mut self) {
        for call in self.line.agent.calls() {
            self.line.command(Command::Hangup { call });
        }
        self.line.settle(LAST_WORDS).await;
        if self.registered {
            unregister(&mut self.line, LAST_WORDS).await;
        }
    }
}

fn failed(failure: Failure) -> Failed {
    (failure.exit, failure.text)
}

/// Of a script, in bytes.
const LONGEST: u64 = 1 << 20;
