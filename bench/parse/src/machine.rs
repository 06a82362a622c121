//! Where and with what it was measured.

use std::fs::read_to_string;
use std::process::Command;

/// The version of a package, from the lock file that this was built with.
pub(crate) fn version(package: &str) -> &'static str {
    let lock = include_str!("../../Cargo.lock");
    let entry = lock.split("[[package]]").find(|entry| entry.contains(&format!("name = {package:?}\n")));
    entry.and_then(|entry| entry.split('"').nth(3)).unwrap_or("?")
}

/// Processor, system and compiler.
pub(crate) fn describe() -> String {
    let cpus = read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = field(&cpus, "model name", ':');
    let count = cpus.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel: Vec<&str> = kernel.trim().split('.').take(2).collect();
    let system = read_to_string("/etc/os-release").unwrap_or_default();
    let system = field(&system, "PRETTY_NAME", '=').trim_matches('"').to_owned();
    format!("{model} × {count}, {system}, Linux {}, {}", kernel.join("."), run("rustc", &["--version"]))
}

/// The commit that changed our messages last, and whether they differ from it.
pub(crate) fn commit() -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/sip");
    let last = run("git", &["-C", folder, "log", "-1", "--format=%h", "--", "."]);
    match run("git", &["-C", folder, "status", "--porcelain", "--", "."]).as_str() {
        "" => last,
        _ => last + " and changes",
    }
}

/// The load averages of 1, 5 and 15 minutes.
pub(crate) fn load() -> String {
    let load = read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// Today as 2026-01-31.
pub(crate) fn date() -> String {
    run("date", &["+%F"])
}

fn field(text: &str, name: &str, mark: char) -> String {
    let line = text.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.split_once(mark)).map_or("?".into(), |(_, value)| value.trim().to_owned())
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().ok().filter(|output| output.status.success());
    output.map_or("?".into(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
