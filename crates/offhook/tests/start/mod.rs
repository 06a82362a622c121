//! The program as its users start it: a child process, its files and its exit codes.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;

/// `offhook` with these words and the configuration of the test, if it has left one there, away from any of the machine.
pub(crate) fn offhook(data: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_offhook"));
    let file = data.join("offhook.toml");
    let file = if file.exists() { file.as_path() } else { Path::new("/dev/null") };
    command.args(words).arg("--data").arg(data).arg("-c").arg(file);
    command.current_dir(data).env_remove("OFFHOOK_LOG");
    command
}

pub(crate) fn run(data: &Path, words: &[&str]) -> Output {
    offhook(data, words).output().unwrap()
}

/// The JSON that a command prints, which must end well.
pub(crate) fn answer(data: &Path, words: &[&str]) -> Value {
    let output = run(data, words);
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

/// A server, killed at the latest when the test ends.
pub(crate) struct Served {
    pub(crate) child: Child,
    pub(crate) sip: SocketAddr,
    pub(crate) log: Receiver<String>,
}

impl Served {
    pub(crate) fn start(data: &Path, more: &[&str]) -> Self {
        Self::start_with(data, more, None)
    }

    /// With this word for what shards do (decision 14).
    pub(crate) fn start_with(data: &Path, more: &[&str], shards: Option<&str>) -> Self {
        let mut words = vec!["serve", "--set", "sip.udp=127.0.0.1:0", "--set", "sip.tcp=127.0.0.1:0"];
        words.extend(["--set", "web.http=127.0.0.1:0", "--set", "domains=[\"127.0.0.1\"]"]);
        words.extend(more);
        let mut command = offhook(data, &words);
        command.envs(shards.map(|word| ("OFFHOOK_SHARDS", word)));
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let is_ready = |line: &Result<String, _>| line.as_ref().is_ok_and(|line| line.contains("\"ready\""));
        assert!(lines.any(|line| is_ready(&line)), "the server ends before it is ready");
        let (said, log) = channel();
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| drop(said.send(line))));
        let left: Value = serde_json::from_slice(&std::fs::read(data.join("offhook.run")).unwrap()).unwrap();
        Self { child, sip: left["sip"].as_str().unwrap().parse().unwrap(), log }
    }

    /// Waits for a line of the log with these words.
    #[allow(dead_code, reason = "not all who use this module do")]
    pub(crate) fn says(&self, words: &str) -> String {
        loop {
            let line = self.log.recv_timeout(Duration::from_secs(60));
            let line = line.unwrap_or_else(|_| panic!("the log does not say {words:?}"));
            if line.contains(words) {
                return line;
            }
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
