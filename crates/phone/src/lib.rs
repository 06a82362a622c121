//! The softphone's commands, screen and sound.
//!
//! Each command is a file: its flags, what it does, and the exit code it returns. They share a [`line`], which drives
//! the sans-IO user agent with sockets, a clock and sound.

mod answer;
mod call;
mod canceller;
pub mod captured;
mod clock;
mod console;
mod device;
mod echo;
mod exit;
mod failure;
mod flags;
#[doc(hidden)]
pub mod fuzz;
mod ice;
pub mod ladder;
mod language;
mod line;
#[cfg(target_os = "linux")]
mod load;
#[cfg(test)]
mod loopback;
mod measure;
mod network;
mod open;
pub mod pcap;
mod register;
mod report;
mod request;
mod ring;
mod run_file;
mod runtime;
mod screen;
mod script;
mod script_run;
mod settings;
mod sound;
mod talk;
mod tap;
mod target;
mod trust;
mod wire;

pub use answer::{AnswerOptions, answer};
pub use call::{CallOptions, call};
pub use echo::{EchoAccount, EchoPhone, echo};
pub use exit::Exit;
pub use failure::Failure;
pub use flags::Flags;
pub use language::{Language, language_of_locale};
#[cfg(target_os = "linux")]
pub use load::{LoadOptions, load};
pub use measure::{parse_duration, parse_percent};
pub use register::{RegisterOptions, register_once, unregister_once};
pub use request::{MessageOptions, OptionsOptions, SubscribeOptions, message, options, subscribe};
pub use run_file::demo_pointer;
pub use screen::{PhoneOptions, phone};
pub use script_run::{RunOptions, run_script};
