//! `offhook register` and `offhook unregister`.

use std::time::Duration;

use offhook_ua::{Command, Event};

use crate::answer::PATIENCE;
use crate::line::Line;
use crate::open::{Wanted, open};
use crate::runtime::run;
use crate::settings::{Demo, Settings};
use crate::{Exit, Failure, Flags, clock};

/// The flags of `offhook register` and `offhook unregister`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct RegisterOptions {
    /// What all commands share.
    #[command(flatten)]
    pub flags: Flags,
}

/// Registers once and leaves the registration to run out.
pub fn register_once(options: &RegisterOptions) -> Exit {
    run(&options.flags, once(options, false))
}

/// Takes back what [`register_once`] left.
pub fn unregister_once(options: &RegisterOptions) -> Exit {
    run(&options.flags, once(options, true))
}

async fn once(options: &RegisterOptions, remove: bool) -> Result<Exit, Failure> {
    let settings = Settings::new(&options.flags, Demo::Welcome)?;
    let Some(account) = &settings.account else {
        return Err(Failure::usage(
            "which account? Give --account, or start `offhook demo` in this directory",
        ));
    };
    let address = account.address.as_str().to_owned();
    let mut line = open(&settings, Wanted { registers: true, ..Wanted::ONE }).await?;
    let patience = settings.timeout.unwrap_or(PATIENCE);
    let expires = register(&mut line, patience).await?;
    if remove && !unregister(&mut line, patience).await {
        return Err(Failure::network("the registrar did not confirm that the registration is gone"));
    }
    let seconds = if remove { 0 } else { expires.as_secs() };
    if settings.json {
        let object = serde_json::json!({
            "result": "ok", "code": 200, "reason": "OK", "exit_code": 0, "account": address, "expires": seconds,
        });
        line.console().result(&object.to_string());
    } else {
        let sentence = match remove {
            true => settings
                .language
                .pick(format!("{address} is not registered any more"), format!("{address} 已注销")),
            false => settings.language.pick(
                format!("{address} is registered for {seconds} s"),
                format!("{address} 已注册，有效期 {seconds} 秒"),
            ),
        };
        line.console().result(&sentence);
    }
    Ok(Exit::Ok)
}

/// Registers, and waits for the registrar to agree. Returns for how long.
pub(crate) async fn register(line: &mut Line, patience: Duration) -> Result<Duration, Failure> {
    let until = clock::now() + patience;
    line.command(Command::Register);
    loop {
        match line.next_until(until).await {
            Some(Event::Registered { expires }) => return Ok(expires),
            Some(Event::RegistrationFailed { code, reason, .. }) => {
                // 408 and 503 also stand for no answer at all.
                let silent = line.tap.received() == 0;
                let exit = if silent { Exit::Network } else { Exit::of_status(code) };
                return Err(Failure {
                    exit,
                    text: format!("not registered: {code} {reason}"),
                    code: Some(code),
                });
            }
            Some(_) => {}
            None => return Err(Failure::network("not registered: the registrar does not answer")),
        }
    }
}

/// Takes the registration back; whether the registrar agreed in time.
pub(crate) async fn unregister(line: &mut Line, patience: Duration) -> bool {
    let until = clock::now() + patience;
    line.command(Command::Unregister);
    loop {
        match line.next_until(until).await {
            Some(Event::Unregistered) => return true,
            Some(Event::RegistrationFailed { .. }) | None => return false,
            Some(_) => {}
        }
    }
}
