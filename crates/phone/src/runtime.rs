//! Runs a command to its end on one thread, and hears Ctrl-C.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::console::Console;
use crate::{Exit, Failure, Flags};

/// Runs a command; says on stderr, and as JSON if that is wanted, why it did not get to a result.
pub(crate) fn run(flags: &Flags, command: impl Future<Output = Result<Exit, Failure>>) -> Exit {
    run_or(flags, failed, command)
}

/// The same for a command about calls, whose object has all that is said of a call, empty.
pub(crate) fn run_call(flags: &Flags, command: impl Future<Output = Result<Exit, Failure>>) -> Exit {
    run_or(flags, crate::report::failed, command)
}

fn run_or(
    flags: &Flags,
    failed: fn(&Failure) -> String,
    command: impl Future<Output = Result<Exit, Failure>>,
) -> Exit {
    let result = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let result = runtime.block_on(command);
            // A resolver that still waits for an answer must not hold us up.
            runtime.shutdown_background();
            result
        }
        Err(error) => Err(Failure::other(format!("this system cannot watch sockets: {error}"))),
    };
    result.unwrap_or_else(|failure| {
        let mut console = Console::new(flags.json);
        console.note(&format!("offhook: {failure}"));
        if flags.json {
            console.result(&failed(&failure));
        }
        failure.exit
    })
}

/// The object for a command that did not get to a result.
pub(crate) fn failed(failure: &Failure) -> String {
    let exit = failure.exit;
    serde_json::json!({
        "result": exit.word(), "code": failure.code, "reason": failure.text, "exit_code": exit.code(),
    })
    .to_string()
}

/// Whether the user wants to stop.
#[derive(Clone, Debug)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Listens to Ctrl-C and, on Unix, to the request to terminate. The second one ends the program at once.
    pub(crate) fn listen() -> Self {
        let stop = Self::never();
        let told = Arc::clone(&stop.0);
        tokio::spawn(async move {
            loop {
                asked_to_stop().await;
                if told.swap(true, Ordering::Relaxed) {
                    std::process::exit(Exit::Interrupted.code().into());
                }
            }
        });
        stop
    }

    /// Is told by nobody but [`Stop::stop`].
    pub(crate) fn never() -> Self {
        Self(Arc::new(AtomicBool::new(false)))
    }

    /// Says so.
    pub(crate) fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was said.
    pub(crate) fn is_wanted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(unix)]
async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        Ok(()) = tokio::signal::ctrl_c() => {}
        Some(()) = terminate.recv() => {}
    }
}

#[cfg(not(unix))]
async fn asked_to_stop() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
