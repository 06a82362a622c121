//! `offhook run`: does what a script says, step by step.

use std::io::Read as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use offhook_ua::{CallId, Command, Event, Side};

use crate::answer::PATIENCE;
use crate::call::LAST_WORDS;
use crate::line::Line;
use crate::open::{Wanted, open};
use crate::register::{register, unregister};
use crate::report::heard_words;
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
    let sounds = SoundPlan::new(None, false, options.record.as_deref(), false)?;
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
            Action::ExpectCode(code) => match self.code {
                Some(got) if got == *code => Ok(()),
                Some(got) => Err((Exit::Expectation, format!("got {got}"))),
                None => Err((Exit::Expectation, "nothing was called".into())),
            },
            Action::ExpectAudio(expected) => {
                self.hear(LISTENING).await?;
                let heard = self.sound()?.heard();
                self.sound()?.forget();
                let met = expected.is_met_by(&heard);
                if met { Ok(()) } else { Err((Exit::Expectation, format!("heard {}", heard_words(&heard)))) }
            }
            Action::ExpectMos(least) => {
                let mos = self.media()?.mos.unwrap_or(1.0);
                if mos >= *least { Ok(()) } else { Err((Exit::Expectation, format!("MOS {mos:.1}"))) }
            }
            Action::ExpectLoss(most) => {
                let loss = self.media()?.loss_percent;
                if loss <= *most { Ok(()) } else { Err((Exit::Expectation, format!("{loss:.1} % are lost"))) }
            }
            Action::ExpectDtmf(keys) => {
                let got = std::mem::take(&mut self.keys);
                if got == *keys { Ok(()) } else { Err((Exit::Expectation, format!("got `{got}`"))) }
            }
        }
    }

    async fn place(&mut self, whom: &str) -> Result<(), Failed> {
        self.code = None;
        self.keys.clear();
        let target = target(whom, self.settings).map_err(failed)?;
        let sound = self.new_sound()?;
        let call = self.line.call(target, offhook_ua::CallOptions::default(), sound);
        self.call = Some(call);
        let patience = self.settings.timeout.unwrap_or(RINGING);
        let end = self.wait(patience, |event| match event {
            Event::Answered { call: answered, .. } if *answered == call => {
                Some((Side::Us, 200, String::new()))
            }
            Event::Ended { call: ended, by, code, reason, .. } if *ended == call => {
                Some((*by, *code, reason.clone()))
            }
            _ => None,
        });
        match end.await {
            Some((_, 200, _)) => {
                self.code = Some(200);
                Ok(())
            }
            Some((by, code, reason)) => {
                self.code = Some(code);
                let exit = if by == Side::Network { Exit::Network } else { Exit::of_status(code) };
                Err((exit, format!("{code} {reason}")))
            }
            None => {
                self.code = Some(408);
                self.hang_up().await?;
                Err((Exit::NoAnswer, "nobody answered".into()))
            }
        }
    }

    async fn pick_up(&mut self, patience: Duration) -> Result<(), Failed> {
        self.keys.clear();
        let incoming = self.wait(patience, |event| match event {
            Event::Incoming { call, .. } => Some(*call),
            _ => None,
        });
        let call = incoming.await.ok_or((Exit::NoAnswer, "no call came".to_owned()))?;
        let sound = self.new_sound()?;
        self.line.attach(call, sound);
        self.line.command(Command::Answer { call });
        self.call = Some(call);
        Ok(())
    }

    async fn press(&mut self, digits: &str) -> Result<(), Failed> {
        let call = self.present()?;
        self.line.command(Command::Dtmf { call, digits: digits.to_owned() });
        let patience = Duration::from_secs(5 + 3 * digits.len() as u64);
        let sent = self.wait(patience, |event| matches!(event, Event::DigitsSent { .. }).then_some(()));
        sent.await.ok_or((Exit::Failed, "the keys were not sent".into()))
    }

    async fn hold(&mut self, hold: bool) -> Result<(), Failed> {
        let call = self.present()?;
        self.line.command(if hold { Command::Hold { call } } else { Command::Resume { call } });
        let done = self.wait(PATIENCE, |event| match event {
            Event::Held { by_us, .. } if *by_us == hold => Some(Ok(())),
            Event::ModifyFailed { code, .. } => {
                Some(Err((Exit::of_status(*code), format!("refused with {code}"))))
            }
            Event::Ended { .. } => Some(Err((Exit::Failed, "the call ended".into()))),
            _ => None,
        });
        done.await.unwrap_or_else(|| Err((Exit::Network, "no answer".into())))
    }

    async fn transfer(&mut self, whom: &str) -> Result<(), Failed> {
        let call = self.present()?;
        let target = target(whom, self.settings).map_err(failed)?;
        self.line.command(Command::Transfer { call, target });
        let done = self.wait(RINGING, |event| match event {
            Event::Transfer { code, last: true, .. } => Some(Some(*code)),
            // Some peers hang up without a word once the transfer has worked.
            Event::Ended { call: ended, .. } if *ended == call => Some(None),
            _ => None,
        });
        match done.await {
            Some(Some(code)) if !(200..300).contains(&code) => {
                Err((Exit::of_status(code), format!("it got {code}")))
            }
            Some(_) => Ok(()),
            None => Err((Exit::Network, "no answer".into())),
        }
    }

    async fn message(&mut self, whom: &str, text: &str) -> Result<(), Failed> {
        let target = target(whom, self.settings).map_err(failed)?;
        let request = self.line.next_request();
        self.line.command(Command::Message { request, target, text: text.to_owned() });
        let answered = self.wait(PATIENCE, |event| match event {
            Event::Response { request: of, code, reason } if *of == request => Some((*code, reason.clone())),
            _ => None,
        });
        let (code, reason) = answered.await.unwrap_or((408, "no answer".into()));
        match Exit::of_status(code) {
            Exit::Ok => Ok(()),
            exit => Err((exit, format!("{code} {reason}"))),
        }
    }

    async fn hang_up(&mut self) -> Result<(), Failed> {
        let call = self.present()?;
        self.line.command(Command::Hangup { call });
        let _ended = self.wait(LAST_WORDS, |event| matches!(event, Event::Ended { .. }).then_some(())).await;
        self.call = None;
        Ok(())
    }

    /// Listens until something could be heard for this long.
    async fn hear(&mut self, long: Duration) -> Result<(), Failed> {
        let until = clock::now() + PATIENCE;
        while self.sound()?.heard_for() < long && clock::now() < until {
            self.present()?;
            self.wait(Duration::from_millis(100), |_| None::<()>).await;
        }
        Ok(())
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
/// For a call to be answered.
const RINGING: Duration = Duration::from_secs(60);
/// Enough to know a tone.
const LISTENING: Duration = Duration::from_secs(1);
