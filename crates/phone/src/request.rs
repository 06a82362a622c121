//! `offhook options`, `offhook message` and `offhook subscribe`: requests outside of a call.

use std::time::{Duration, Instant};

use offhook_sip::Uri;
use offhook_ua::{Command, Event, RequestId};

use crate::answer::PATIENCE;
use crate::line::Line;
use crate::measure::parse_duration;
use crate::open::{Wanted, open};
use crate::runtime::{Stop, run};
use crate::settings::{Demo, Settings};
use crate::target::target;
use crate::{Exit, Failure, Flags, clock};

/// The flags of `offhook options`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct OptionsOptions {
    /// A SIP URI, or a number or name of the account's domain
    pub target: String,
    /// What all commands share.
    #[command(flatten)]
    pub flags: Flags,
}

/// The flags of `offhook message`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct MessageOptions {
    /// A SIP URI, or a number or name of the account's domain
    pub target: String,
    /// What to say
    pub text: String,
    /// What all commands share.
    #[command(flatten)]
    pub flags: Flags,
}

/// The flags of `offhook subscribe`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct SubscribeOptions {
    /// A SIP URI, or a number or name of the account's domain
    pub target: String,
    /// What to be told about: dialog, presence, reg or message-summary
    #[arg(long, value_name = "PACKAGE", default_value = "dialog")]
    pub event: String,
    /// For how long to watch, and be told each change; 0 asks for the present state only
    #[arg(long, value_name = "T", value_parser = parse_duration, default_value = "0s")]
    pub duration: Duration,
    /// For how long to ask at a time; it is refreshed; default: an hour
    #[arg(long, value_name = "T", value_parser = parse_duration)]
    pub expires: Option<Duration>,
    /// What all commands share.
    #[command(flatten)]
    pub flags: Flags,
}

/// Asks whether someone is there.
pub fn options(options: &OptionsOptions) -> Exit {
    let asked = |request, target, _: &mut Line| Command::Options { request, target };
    run(&options.flags, ask(&options.flags, &options.target, asked))
}

/// Sends a text.
pub fn message(options: &MessageOptions) -> Exit {
    let text = options.text.clone();
    let asked = |request, target, _: &mut Line| Command::Message { request, target, text };
    run(&options.flags, ask(&options.flags, &options.target, asked))
}

/// Subscribes, and prints what comes.
pub fn subscribe(options: &SubscribeOptions) -> Exit {
    run(&options.flags, watch(options))
}

async fn ask(
    flags: &Flags,
    whom: &str,
    command: impl FnOnce(RequestId, Uri, &mut Line) -> Command,
) -> Result<Exit, Failure> {
    let settings = Settings::new(flags, Demo::For(whom))?;
    let target = target(whom, &settings)?;
    let stop = Stop::listen();
    let mut line = open(&settings, Wanted { target: Some(&target), ..Wanted::ONE }).await?;
    let request = line.next_request();
    let begun = clock::now();
    let command = command(request, target, &mut line);
    line.command(command);
    let until = begun + settings.timeout.unwrap_or(PATIENCE);
    while !stop.is_wanted() {
        match line.next_until((clock::now() + TICK).min(until)).await {
            Some(Event::Response { request: answered, code, reason }) if answered == request => {
                let exit = exit_of(&line, code);
                tell(&mut line, &settings, exit, code, &reason, begun);
                return Ok(exit);
            }
            Some(_) => {}
            None if clock::now() >= until => {
                tell(&mut line, &settings, Exit::Network, 408, "No answer", begun);
                return Ok(Exit::Network);
            }
            None => {}
        }
    }
    Ok(Exit::Interrupted)
}

/// 408 and 503 also stand for no answer at all.
fn exit_of(line: &Line, code: u16) -> Exit {
    if line.tap.received() == 0 { Exit::Network } else { Exit::of_status(code) }
}

fn tell(line: &mut Line, settings: &Settings, exit: Exit, code: u16, reason: &str, begun: Instant) {
    let took = clock::now().saturating_duration_since(begun);
    let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    if settings.json {
        let object = serde_json::json!({
            "result": exit.word(), "code": code, "reason": reason, "exit_code": exit.code(),
            "duration_ms": milliseconds,
        });
        line.console().result(&object.to_string());
    } else {
        line.console().result(&format!("{code} {reason} ({milliseconds} ms)"));
    }
}

async fn watch(options: &SubscribeOptions) -> Result<Exit, Failure> {
    let settings = Settings::new(&options.flags, Demo::For(&options.target))?;
    let target = target(&options.target, &settings)?;
    let stop = Stop::listen();
    let mut line = open(&settings, Wanted { target: Some(&target), ..Wanted::ONE }).await?;
    let request = line.next_request();
    let event = options.event.clone();
    let once = options.duration.is_zero() && options.expires.is_none();
    let expires = if once { Duration::ZERO } else { options.expires.unwrap_or(HOUR) };
    line.command(Command::Subscribe { request, target, event, expires });
    let begun = clock::now();
    let mut until = begun + settings.timeout.unwrap_or(PATIENCE);
    let (mut notified, mut accepted, mut leaving) = (false, false, false);
    loop {
        // Who stops watching says so, and is told a last time.
        let is_time =
            accepted && !once && clock::now() >= begun + options.duration.max(expires_alone(options));
        if (stop.is_wanted() || is_time) && !leaving {
            leaving = true;
            if !accepted {
                return Ok(Exit::Interrupted);
            }
            line.command(Command::Unsubscribe { request });
            until = clock::now() + LAST_STATE;
        }
        match line.next_until((clock::now() + TICK).min(until)).await {
            Some(Event::Response { request: answered, code, reason }) if answered == request => {
                if code >= 300 {
                    let exit = exit_of(&line, code);
                    tell(&mut line, &settings, exit, code, &reason, begun);
                    return Ok(exit);
                }
                // RFC 6665 §4.1.2.4: a NOTIFY follows at once.
                if !std::mem::replace(&mut accepted, true) {
                    until = match once {
                        true => clock::now() + settings.timeout.unwrap_or(LAST_STATE),
                        false => begun + options.duration.max(expires_alone(options)) + LAST_STATE,
                    };
                }
            }
            Some(Event::Notified { request: of, event, body, terminated }) if of == Some(request) => {
                notified = true;
                show(&mut line, &settings, &event, &body, terminated);
                if terminated {
                    line.settle(crate::call::LAST_WORDS).await;
                    return Ok(Exit::Ok);
                }
            }
            Some(_) => {}
            None if clock::now() >= until => {
                line.console().note(settings.language.pick("Nothing more came", "没有更多通知"));
                return Ok(if notified { Exit::Ok } else { Exit::NoAnswer });
            }
            None => {}
        }
    }
}

/// Who names a time to ask for and none to watch watches for that.
fn expires_alone(options: &SubscribeOptions) -> Duration {
    options.expires.filter(|_| options.duration.is_zero()).unwrap_or_default()
}

fn show(line: &mut Line, settings: &Settings, event: &str, body: &[u8], terminated: bool) {
    let body = String::from_utf8_lossy(body);
    if settings.json {
        let object = serde_json::json!({"event": event, "body": body, "terminated": terminated});
        line.console().result(&object.to_string());
    } else {
        let end = if terminated { ", the last" } else { "" };
        let body: String = body.chars().filter(|c| !c.is_control() || *c == '\n').collect();
        line.console().result(&format!("{event}{end}:\n{body}"));
    }
}

const HOUR: Duration = Duration::from_secs(3600);
/// How long the last state is waited for.
const LAST_STATE: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(100);
