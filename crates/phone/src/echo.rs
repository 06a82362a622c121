//! The built-in phone of `offhook demo`: registers, and answers every call with an echo.

use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::Duration;

use offhook_media::codec::CODECS;
use offhook_sip::{HostPort, SipUri};
use offhook_sip_stack::Transport;
use offhook_ua::{Command, Credentials, Event, SrtpKeys, SrtpPolicy};

use crate::line::Line;
use crate::open::{Wanted, open};
use crate::register::unregister;
use crate::runtime::Stop;
use crate::settings::{Account, Observed, Settings};
use crate::sound::Sound;
use crate::tap::Shown;
use crate::trust::Trust;
use crate::{Failure, Language, clock};

/// Who the echo is and where it registers.
#[derive(Clone)]
pub struct EchoAccount {
    /// Its address, e.g. `sip:bob@example.com`.
    pub uri: String,
    /// Its password.
    pub password: String,
    /// The exchange's UDP address.
    pub server: SocketAddr,
}

/// An echo that runs until it is stopped or dropped.
#[derive(Debug)]
pub struct EchoPhone {
    stop: Stop,
    thread: Option<JoinHandle<Result<(), Failure>>>,
}

/// Starts an echo in a thread of its own. It keeps trying to register, and ends only when it is stopped.
///
/// # Errors
/// When the address is not a SIP URI with a user.
pub fn echo(account: EchoAccount) -> Result<EchoPhone, Failure> {
    let settings = settings(account)?;
    let stop = Stop::never();
    let stopped = stop.clone();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::other(format!("this system cannot watch sockets: {error}")))?;
        runtime.block_on(serve(&settings, &stopped))
    });
    Ok(EchoPhone { stop, thread: Some(thread) })
}

impl EchoPhone {
    /// Hangs up, takes the registration back, and waits for the thread.
    ///
    /// # Errors
    /// Why the echo ended before it was stopped.
    pub fn stop(mut self) -> Result<(), Failure> {
        self.join()
    }

    /// Whether it still runs.
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    fn join(&mut self) -> Result<(), Failure> {
        self.stop.stop();
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(Failure::other("the echo broke down")),
            None => Ok(()),
        }
    }
}

impl Drop for EchoPhone {
    fn drop(&mut self) {
        let _ = self.join();
    }
}

fn settings(account: EchoAccount) -> Result<Settings, Failure> {
    let wrong = || Failure::usage(format!("`{}` is no SIP address with a user", account.uri));
    let address: SipUri = account.uri.parse().map_err(|_| wrong())?;
    let username = address.user_unescaped().ok_or_else(wrong)?.into_owned();
    Ok(Settings {
        account: Some(Account {
            credentials: Some(Credentials { username, password: account.password }),
            address,
        }),
        server: Some(HostPort::from(account.server)),
        transport: Transport::Udp,
        trust: Trust::default(),
        local: None,
        codecs: CODECS.iter().map(|format| format.name.into()).collect(),
        srtp: SrtpPolicy::Prefer,
        srtp_keys: SrtpKeys::Sdes,
        ice: None,
        headers: Vec::new(),
        observed: Observed::default(),
        timeout: None,
        json: false,
        language: Language::English,
    })
}

async fn serve(settings: &Settings, stop: &Stop) -> Result<(), Failure> {
    let mut line =
        open(settings, Wanted { calls: AT_A_TIME, shown: Shown::Nowhere, registers: true, ..Wanted::ONE })
            .await?;
    line.command(Command::Register);
    let mut register_at = None;
    while !stop.is_wanted() {
        if let Some(event) = line.next_until(clock::now() + TICK).await {
            match event {
                Event::Incoming { call, .. } => {
                    line.attach(call, Sound::echo());
                    line.command(Command::Answer { call });
                }
                Event::Ended { call, .. } => drop(line.take_sound(call)),
                Event::RegistrationFailed { retry_after: None, .. } => {
                    register_at = Some(clock::now() + AGAIN)
                }
                _ => {}
            }
        }
        if register_at.is_some_and(|at| clock::now() >= at) {
            register_at = None;
            line.command(Command::Register);
        }
    }
    leave(&mut line).await;
    Ok(())
}

async fn leave(line: &mut Line) {
    for call in line.agent.calls() {
        line.command(Command::Hangup { call });
    }
    unregister(line, GOODBYE).await;
}

/// Calls at a time; more are busy.
const AT_A_TIME: usize = 16;
const TICK: Duration = Duration::from_millis(200);
/// Between attempts to register that failed for good.
const AGAIN: Duration = Duration::from_secs(5);
/// For the registrar to let us go.
const GOODBYE: Duration = Duration::from_secs(1);
