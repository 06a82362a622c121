//! The command line: a telephone exchange and its phones in one program.

mod account;
mod answering;
mod api;
mod ban;
mod calls;
mod camera;
mod cert;
mod conference;
mod config;
mod demo;
mod device;
mod doctor;
mod exit;
mod generated;
mod group;
mod hep;
mod lines;
mod number;
mod place;
mod print;
mod queue;
mod rates;
mod recording;
mod rights;
mod route;
mod serve;
mod services;
mod softphone;
mod spending;
mod status;
mod trace;
mod trunk;
mod voicemail;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use offhook_phone::{Language, language_of_locale};

use exit::finish;

#[global_allocator]
static ALLOCATOR: offhook_memory::Allocator = offhook_memory::Allocator;

/// A telephone exchange and its phones in one program.
#[derive(Parser, Debug)]
#[command(name = "offhook", version, about, propagate_version = true)]
struct Program {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    everywhere: Everywhere,
}

/// Flags that stand before or after any command.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Everywhere {
    /// One JSON object instead of sentences
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The language of explanations: en or zh; left out: as the locale says
    #[arg(long, global = true, value_name = "L", value_parser = Language::parse)]
    lang: Option<Language>,
}

impl Everywhere {
    /// The language to speak.
    pub(crate) fn language(self) -> Language {
        self.lang.unwrap_or_else(language_of_locale)
    }
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Runs the exchange in the foreground
    #[command(after_help = "Example: offhook serve --data /var/lib/offhook --set sip.udp=127.0.0.1:5060")]
    Serve(serve::Serve),
    /// Runs an exchange to try, with two accounts and a phone that answers
    #[command(after_help = "Example: offhook demo, and in another terminal: offhook call 1002 --ladder")]
    Demo(demo::Demo),
    /// Says how the running exchange is
    #[command(after_help = "Example: offhook status --json")]
    Status(status::Status),
    /// Says what is wrong and how to mend it
    #[command(after_help = "Example: offhook doctor")]
    Doctor(doctor::Doctor),
    /// The configuration: check, show, schema, reload
    #[command(subcommand)]
    Config(config::Config),
    /// Accounts: who may use the exchange
    #[command(subcommand)]
    Account(Box<account::Account>),
    /// Telephone numbers and whose they are
    #[command(subcommand)]
    Number(number::Number),
    /// Rates: what calls by trunks cost
    #[command(subcommand)]
    Rates(rates::Rates),
    /// Routes: where calls go that are for no account
    #[command(subcommand)]
    Route(route::Route),
    /// Trunks: lines to other telephone networks
    #[command(subcommand)]
    Trunk(trunk::Trunk),
    /// Ring groups: one number for several accounts
    #[command(subcommand)]
    Group(group::Group),
    /// Cameras and door stations
    #[command(subcommand)]
    Camera(camera::Camera),
    /// Queues: callers who wait for agents
    #[command(subcommand)]
    Queue(queue::Queue),
    /// Phones that are registered
    #[command(subcommand)]
    Device(device::Device),
    /// Bans: addresses that are not listened to
    #[command(subcommand)]
    Ban(ban::Ban),
    /// Calls: live, list, show, explain, ladder, hangup, export
    #[command(subcommand)]
    Calls(calls::Calls),
    /// Shows messages as they pass, or the calls in a capture file
    #[command(
        after_help = "FILTER is a part of an account, a number, an address, a Call-ID, or a method: messages are shown in whose start \
                      line, From, To, Call-ID, CSeq or addresses it stands. Digest responses and keys are covered.\n\n\
                      Example: offhook trace 1002 --pcap out.pcap\nExample: offhook trace out.pcap"
    )]
    Trace(trace::Trace),
    /// What may be dialled that is no phone
    #[command(after_help = "Example: offhook services --json")]
    Services(services::Services),
    /// Messages of voicemail: list, save, forward, delete
    #[command(subcommand)]
    Voicemail(voicemail::Voicemail),
    /// Conference rooms: list, show, mute, kick, lock, record
    #[command(subcommand)]
    Conference(conference::Conference),
    /// Recordings of calls: list, save, delete
    #[command(subcommand)]
    Recording(recording::Recording),
    /// Certificates: status, trust, renew
    #[command(subcommand)]
    Cert(cert::Cert),
    /// Prints what a shell completes
    #[command(after_help = "Example: offhook completions bash > /etc/bash_completion.d/offhook")]
    Completions(generated::Completions),
    /// Prints the manual of the program, or writes a page for each command into a folder
    #[command(after_help = "Example: offhook man /usr/local/share/man/man1")]
    Man(generated::Man),
    #[command(flatten)]
    Softphone(softphone::Softphone),
}

fn main() -> ExitCode {
    let Program { command, everywhere } = Program::parse();
    match command {
        Command::Serve(serve) => code(serve.run(everywhere)),
        Command::Demo(demo) => code(demo.run(everywhere)),
        Command::Status(status) => finish(status.run(everywhere.language())),
        Command::Doctor(doctor) => finish(doctor.run(everywhere.language())),
        Command::Config(config) => finish(config.run()),
        Command::Account(account) => finish(account.run()),
        Command::Number(number) => finish(number.run()),
        Command::Rates(rates) => finish(rates.run()),
        Command::Route(route) => finish(route.run()),
        Command::Trunk(trunk) => finish(trunk.run()),
        Command::Camera(camera) => finish(camera.run()),
        Command::Queue(queue) => finish(queue.run()),
        Command::Group(group) => finish(group.run()),
        Command::Ban(ban) => finish(ban.run()),
        Command::Device(device) => finish(device.run()),
        Command::Calls(calls) => finish(calls.run(everywhere.language())),
        Command::Trace(trace) => finish(trace.run(everywhere.language())),
        Command::Services(services) => finish(services.run()),
        Command::Voicemail(voicemail) => finish(voicemail.run()),
        Command::Conference(conference) => finish(conference.run()),
        Command::Recording(recording) => finish(recording.run()),
        Command::Cert(cert) => finish(cert.run()),
        Command::Completions(completions) => finish(completions.run()),
        Command::Man(man) => finish(man.run()),
        Command::Softphone(softphone) => softphone.run(),
    }
}

fn code(result: Result<ExitCode, exit::Failure>) -> ExitCode {
    result.unwrap_or_else(|failure| finish(Err(failure)))
}
