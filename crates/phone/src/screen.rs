//! `offhook phone`: a telephone on the screen.
//!
//! Keys: type a number and press Enter to call; Enter on a call that rings answers it; Esc hangs up, refuses, or
//! clears the input; Tab switches the keypad on, whose keys are pressed at once in the selected call; Ctrl-O holds and
//! resumes; Ctrl-T transfers the selected call to what is typed; Ctrl-E sends a text (`1002 hello`); the arrows up and
//! down select a call, PageUp and PageDown move the ladder; Ctrl-Q or Ctrl-C quits.

mod draw;
mod keys;
mod model;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use offhook_sip::Uri;
use offhook_ua::{CallId, Command, Event};
use ratatui::DefaultTerminal;
use tokio::sync::mpsc;

use crate::answer::PATIENCE;
use crate::line::Line;
use crate::open::{Wanted, open};
use crate::register::unregister;
use crate::runtime::{Stop, run};
use crate::settings::{Demo, Settings};
use crate::sound::SoundPlan;
use crate::tap::Shown;
use crate::target::target;
use crate::{Exit, Failure, Flags, clock};
use keys::{Key, Keyboard, Wish};
use model::{Model, State};

/// The flags of `offhook phone`.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(after_help = KEYS)]
pub struct PhoneOptions {
    /// Say what is in this WAV file instead of using the microphone
    #[arg(long, value_name = "WAV")]
    pub play: Option<PathBuf>,
    /// Play the file again and again
    #[arg(long = "loop", requires = "play")]
    pub loops: bool,
    /// Write what is heard into this WAV file; later calls get -2, -3 … behind its name
    #[arg(long, value_name = "WAV")]
    pub record: Option<PathBuf>,
    /// What all commands share.
    #[command(flatten)]
    pub flags: Flags,
}

/// Runs the telephone until its user quits.
pub fn phone(options: &PhoneOptions) -> Exit {
    run(&options.flags, show(options))
}

async fn show(options: &PhoneOptions) -> Result<Exit, Failure> {
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return Err(Failure::usage(
            "`offhook phone` needs a terminal; for scripts there are call, answer and run",
        ));
    }
    let settings = Settings::new(&options.flags, Demo::Welcome)?;
    let sounds = SoundPlan::new(options.play.as_deref(), options.loops, options.record.as_deref(), false)?
        .in_language(settings.language);
    let port = if settings.server.is_none() { 5060 } else { 0 };
    let wanted =
        Wanted { calls: LINES, port, target: None, shown: Shown::Screen, registers: true, transfers: true };
    let line = open(&settings, wanted).await?;
    let identity = line.agent.config().identity.to_string();
    let model = Model::new(&identity, settings.account.is_some(), settings.language);
    let mut telephone = Telephone { line, sounds, settings: &settings, model, quit: false };
    if settings.account.is_some() {
        telephone.line.command(Command::Register);
    }
    let cannot = |error| Failure::other(format!("the terminal cannot be used: {error}"));
    let mut terminal = ratatui::try_init().map_err(cannot)?;
    let result = telephone.work(&mut terminal).await;
    ratatui::restore();
    result.map_err(cannot)?;
    telephone.leave().await;
    Ok(Exit::Ok)
}

/// The line, and what is shown of it.
struct Telephone<'a> {
    line: Line,
    sounds: SoundPlan,
    settings: &'a Settings,
    model: Model,
    quit: bool,
}

impl Telephone<'_> {
    async fn work(&mut self, terminal: &mut DefaultTerminal) -> std::io::Result<()> {
        let stop = Stop::listen();
        let (sender, mut pressed) = mpsc::channel(64);
        let _keyboard = Keyboard::listen(sender);
        while !self.quit && !stop.is_wanted() {
            self.refresh();
            terminal.draw(|frame| draw::draw(&self.model, frame))?;
            tokio::select! {
                event = self.line.next_until(clock::now() + REFRESH) => {
                    if let Some(event) = event {
                        self.event(&event);
                    }
                }
                Some(key) = pressed.recv() => self.key(key),
            }
        }
        Ok(())
    }

    /// Brings the picture up to date.
    fn refresh(&mut self) {
        for line in self.line.tap.lines.iter_mut().flat_map(std::mem::take) {
            self.model.ladder_line(line);
        }
        for row in &mut self.model.calls {
            row.quality = self.line.media_report(row.call);
        }
        self.model.now = clock::now();
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Incoming { call, .. } => self.line.command(Command::Ring { call: *call }),
            Event::Transferring { new, .. } => self.give_sound(*new),
            Event::Ended { call, .. } => drop(self.line.take_sound(*call)),
            _ => {}
        }
        self.model.event(event);
    }

    fn key(&mut self, key: Key) {
        match keys::wish(&mut self.model, key) {
            Some(Wish::Quit) => self.quit = true,
            Some(wish) => {
                if let Err(failure) = self.fulfil(wish) {
                    self.model.notice = failure.text;
                }
            }
            None => {}
        }
    }

    fn fulfil(&mut self, wish: Wish) -> Result<(), Failure> {
        match wish {
            Wish::Call(whom) => self.call(&whom)?,
            Wish::Answer(call) => {
                self.give_sound(call);
                self.line.command(Command::Answer { call });
            }
            Wish::End(call) => {
                let ringing = self.model.row(call).is_some_and(|row| row.state == State::Incoming);
                self.line.command(match ringing {
                    true => Command::Reject { call, code: 486 },
                    false => Command::Hangup { call },
                });
            }
            Wish::Hold(call) => {
                let held = self.model.row(call).is_some_and(|row| row.held_by_us);
                self.line.command(if held { Command::Resume { call } } else { Command::Hold { call } });
            }
            Wish::Transfer(call, whom) => {
                let target = target(&whom, self.settings)?;
                self.line.command(Command::Transfer { call, target });
            }
            Wish::Press(call, digit) => self.line.command(Command::Dtmf { call, digits: digit.to_string() }),
            Wish::Text(whom, text) => {
                let target = target(&whom, self.settings)?;
                let request = self.line.next_request();
                self.line.command(Command::Message { request, target, text });
            }
            Wish::Quit => self.quit = true,
        }
        Ok(())
    }

    fn call(&mut self, whom: &str) -> Result<(), Failure> {
        let target: Uri = target(whom, self.settings)?;
        let notice = &mut self.model.notice;
        let sound = self.sounds.make(|warning| warning.clone_into(notice))?;
        let how = offhook_ua::CallOptions { headers: Vec::new(), ring_timeout: self.settings.timeout };
        let call = self.line.call(target, how, sound);
        self.model.calling(call, whom);
        Ok(())
    }

    fn give_sound(&mut self, call: CallId) {
        let notice = &mut self.model.notice;
        match self.sounds.make(|warning| warning.clone_into(notice)) {
            Ok(sound) => self.line.attach(call, sound),
            Err(failure) => self.model.notice = failure.text,
        }
    }

    async fn leave(&mut self) {
        for call in self.line.agent.calls() {
            self.line.command(Command::Hangup { call });
        }
        if self.settings.account.is_some() {
            unregister(&mut self.line, PATIENCE.min(GOODBYE)).await;
        }
        self.line.settle(GOODBYE).await;
    }
}

/// Calls at a time.
const LINES: usize = 6;
/// Between two pictures when nothing happens.
const REFRESH: Duration = Duration::from_millis(250);
/// For the last answers.
const GOODBYE: Duration = Duration::from_secs(2);
/// Shown by `--help`.
const KEYS: &str = "\
Keys:
  type and Enter   call a number or address      Enter         answer the call that rings
  Esc              clear, refuse, hang up        Tab           keypad: keys go into the call at once
  Ctrl-O           hold and resume               Ctrl-T        transfer the call to what is typed
  Ctrl-E           send a text: 1002 hello       Up, Down      select a call
  PgUp, PgDn       move the ladder               Ctrl-Q        quit";
