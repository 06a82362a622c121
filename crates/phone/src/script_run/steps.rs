//! The steps of a script, one function each.

use std::time::Duration;

use offhook_ua::{Command, Event, Side};

use super::{Failed, Stage, failed};
use crate::answer::PATIENCE;
use crate::call::LAST_WORDS;
use crate::report::heard_words;
use crate::script::Action;
use crate::target::target;
use crate::{Exit, Language, clock};

impl Stage<'_> {
    pub(super) async fn place(&mut self, whom: &str) -> Result<(), Failed> {
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

    pub(super) async fn pick_up(&mut self, patience: Duration) -> Result<(), Failed> {
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

    pub(super) async fn press(&mut self, digits: &str) -> Result<(), Failed> {
        let call = self.present()?;
        self.line.command(Command::Dtmf { call, digits: digits.to_owned() });
        let patience = Duration::from_secs(5 + 3 * digits.len() as u64);
        let sent = self.wait(patience, |event| matches!(event, Event::DigitsSent { .. }).then_some(()));
        sent.await.ok_or((Exit::Failed, "the keys were not sent".into()))
    }

    pub(super) async fn hold(&mut self, hold: bool) -> Result<(), Failed> {
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

    pub(super) async fn transfer(&mut self, whom: &str) -> Result<(), Failed> {
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

    pub(super) async fn message(&mut self, whom: &str, text: &str) -> Result<(), Failed> {
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

    pub(super) async fn hang_up(&mut self) -> Result<(), Failed> {
        let call = self.present()?;
        self.line.command(Command::Hangup { call });
        let _ended = self.wait(LAST_WORDS, |event| matches!(event, Event::Ended { .. }).then_some(())).await;
        self.call = None;
        Ok(())
    }

    /// Listens until something could be heard for this long.
    pub(super) async fn hear(&mut self, long: Duration) -> Result<(), Failed> {
        let until = clock::now() + PATIENCE;
        while self.sound()?.heard_for() < long && clock::now() < until {
            self.present()?;
            self.wait(Duration::from_millis(100), |_| None::<()>).await;
        }
        Ok(())
    }

    /// Compares what is with what is wanted.
    pub(super) async fn expect(&mut self, wanted: &Action) -> Result<(), Failed> {
        let unless = |met: bool, why: String| if met { Ok(()) } else { Err((Exit::Expectation, why)) };
        match wanted {
            Action::ExpectCode(code) => {
                let got = self.code.ok_or((Exit::Expectation, "nothing was called".to_owned()))?;
                unless(got == *code, format!("got {got}"))
            }
            Action::ExpectAudio(expected) => {
                self.hear(LISTENING).await?;
                let heard = self.sound()?.heard();
                self.sound()?.forget();
                unless(
                    expected.is_met_by(&heard),
                    format!("heard {}", heard_words(&heard, Language::English)),
                )
            }
            Action::ExpectMos(least) => {
                let mos = self.media()?.mos.unwrap_or(1.0);
                unless(mos >= *least, format!("MOS {mos:.1}"))
            }
            Action::ExpectLoss(most) => {
                let loss = self.media()?.loss_percent;
                unless(loss <= *most, format!("{loss:.1} % are lost"))
            }
            Action::ExpectDtmf(keys) => {
                let got = std::mem::take(&mut self.keys);
                unless(got == *keys, format!("got `{got}`"))
            }
            _ => Ok(()),
        }
    }
}

/// For a call to be answered.
const RINGING: Duration = Duration::from_secs(60);
/// Enough to know a tone.
const LISTENING: Duration = Duration::from_secs(1);
