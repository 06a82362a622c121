//! Scripts of calls: one step a line.

use std::path::PathBuf;
use std::time::Duration;

use offhook_media::tone::Expectation;

use crate::call::{parse_expectation, parse_keys};
use crate::measure::{parse_duration, parse_percent};

/// A step and the line it stands on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    /// From 1.
    pub(crate) line: usize,
    /// As written.
    pub(crate) text: String,
    pub(crate) action: Action,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    /// Places a call, and waits until it is answered or refused.
    Call(String),
    /// Waits for a call and answers it.
    Answer(Option<Duration>),
    /// Lets time pass.
    Wait(Duration),
    /// Presses keys, and waits until all are sent.
    Dtmf(String),
    /// Says what is in a file; does not wait.
    Play(PathBuf),
    Hold,
    Resume,
    /// Asks the peer to call someone else, and waits for what becomes of it.
    Transfer(String),
    /// The last call got this status.
    ExpectCode(u16),
    /// This was heard since the answer or the last such step.
    ExpectAudio(Expectation),
    ExpectMos(f32),
    /// In percent.
    ExpectLoss(f32),
    /// The peer pressed these keys since the answer or the last such step.
    ExpectDtmf(String),
    Hangup,
    Register,
    Unregister,
    /// Sends a text, and waits for the answer.
    Message {
        target: String,
        text: String,
    },
}

/// A line that is no step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) line: usize,
    pub(crate) text: String,
}

impl std::fmt::Display for Mistake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.text)
    }
}

/// Reads a script. Empty lines and what follows `#` at the beginning of a word are left out.
///
/// # Errors
/// All lines that are no steps.
pub(crate) fn parse(text: &str) -> Result<Vec<Step>, Vec<Mistake>> {
    let (mut steps, mut mistakes) = (Vec::new(), Vec::new());
    for (index, written) in text.lines().enumerate() {
        let line = index + 1;
        let text = without_comment(written).trim();
        if text.is_empty() {
            continue;
        }
        match action(text) {
            Ok(action) => steps.push(Step { line, text: text.to_owned(), action }),
            Err(text) => mistakes.push(Mistake { line, text }),
        }
    }
    if mistakes.is_empty() { Ok(steps) } else { Err(mistakes) }
}

/// `#` begins a comment only at the beginning of a line or after a space and before one: `dtmf 12#` has none.
fn without_comment(line: &str) -> &str {
    if line.trim_start().starts_with('#') {
        return "";
    }
    line.find(" # ").map_or(line, |at| &line[..at])
}

fn action(text: &str) -> Result<Action, String> {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let rest = rest.trim();
    let alone = |action| if rest.is_empty() { Ok(action) } else { Err(format!("`{word}` stands alone")) };
    let needs = |what: &str| match rest.is_empty() {
        true => Err(format!("`{word}` needs {what}")),
        false => Ok(rest.to_owned()),
    };
    match word {
        "call" => needs("someone to call").map(Action::Call),
        "answer" if rest.is_empty() => Ok(Action::Answer(None)),
        "answer" => parse_duration(rest).map(|patience| Action::Answer(Some(patience))),
        "wait" => parse_duration(&needs("a duration, as in `wait 3s`")?).map(Action::Wait),
        "dtmf" => parse_keys(&needs("keys, as in `dtmf 12#`")?).map(Action::Dtmf),
        "play" => needs("a WAV file").map(|file| Action::Play(file.into())),
        "hold" => alone(Action::Hold),
        "resume" => alone(Action::Resume),
        "transfer" => needs("someone to transfer to").map(Action::Transfer),
        "expect" => expectation(rest),
        "hangup" => alone(Action::Hangup),
        "register" => alone(Action::Register),
        "unregister" => alone(Action::Unregister),
        "message" => {
            let (target, text) = rest
                .split_once(char::is_whitespace)
                .ok_or("`message` needs a target and a text, as in `message 1002 hello`")?;
            Ok(Action::Message { target: target.to_owned(), text: text.trim().to_owned() })
        }
        _ => Err(format!("`{word}` is no step; {STEPS}")),
    }
}

fn expectation(text: &str) -> Result<Action, String> {
    let (what, value) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let value = value.trim();
    match what {
        "audio" => parse_expectation(value).map(Action::ExpectAudio),
        "code" => {
            let code = value.parse().ok().filter(|code| (200..700).contains(code));
            code.map(Action::ExpectCode).ok_or_else(|| format!("`{value}` is no final status code"))
        }
        "mos" => value.parse().map(Action::ExpectMos).map_err(|_| format!("`{value}` is no MOS; 1.0 to 4.5")),
        "loss" => parse_percent(value).map(Action::ExpectLoss),
        "dtmf" => parse_keys(value).map(Action::ExpectDtmf),
        _ => {
            Err("`expect` needs one of: audio tone:HZ|speech|silence, code N, mos N, loss N%, dtmf KEYS"
                .into())
        }
    }
}

const STEPS: &str = "one of call, answer, wait, dtmf, play, hold, resume, transfer, expect, hangup, message, register, \
     unregister";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_one_step_a_line() {
        let text = "# a test\ncall *43\n\n  wait 3s   # let it talk\ndtmf 12#\nexpect audio tone:440\n\
            expect code 200\ntransfer 1003\nhold\nresume\nmessage bob hello there\nhangup";
        let steps = parse(text).unwrap();
        let actions: Vec<_> = steps.iter().map(|step| step.action.clone()).collect();
        assert_eq!(
            actions,
            [
                Action::Call("*43".into()),
                Action::Wait(Duration::from_secs(3)),
                Action::Dtmf("12#".into()),
                Action::ExpectAudio(Expectation::Tone(440.0)),
                Action::ExpectCode(200),
                Action::Transfer("1003".into()),
                Action::Hold,
                Action::Resume,
                Action::Message { target: "bob".into(), text: "hello there".into() },
                Action::Hangup,
            ]
        );
        assert_eq!((steps[0].line, steps[1].line), (2, 4));
    }

    #[test]
    fn every_mistake_names_its_line() {
        let text = "call\nwait\nwait long\ndtmf 1x\nhold on\nexpect audio noise\nexpect tea\nsing\nhangup";
        let mistakes = parse(text).unwrap_err();
        let told: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 8, "{told:?}");
        assert_eq!(told[0], "line 1: `call` needs someone to call");
        assert_eq!(told[2], "line 3: `long` is no duration; write for example 10s, 500ms or 2m");
        assert_eq!(told[3], "line 4: `X` is no key; 0 to 9, *, #, A to D, and a comma to wait");
        assert_eq!(told[4], "line 5: `hold` stands alone");
        assert!(told[7].starts_with("line 8: `sing` is no step; one of call, answer"), "{}", told[7]);
    }
}
