//! `offhook load`: many registrations or calls, how long they took and how many failed.
//!
//! One thread, few sockets, messages written into buffers that are used again: on the machine of the exchange it should
//! take as little of the processor as it can. It plays the callers and, if it is told to, the callees.

mod callees;
mod callers;
mod context;
mod garbage;
mod heard;
mod latency;
mod plan;
mod registrants;
mod report;
mod run;
mod sound;
mod speech;
mod streams;
mod tally;
mod text;
mod timers;
mod wire;

use std::time::Duration;

use offhook_sip::Algorithm;

use crate::console::Console;
use crate::measure::{parse_duration, parse_percent};
use crate::{Exit, Failure, Flags};

use plan::{Plan, parse_digest, parse_rate};

/// The flags of `offhook load`.
#[derive(Clone, Debug, clap::Args)]
pub struct LoadOptions {
    /// Who is called: a SIP URI, or a number or name of the account's domain
    pub target: String,
    /// How many begin in a second
    #[arg(long, value_name = "N/s", value_parser = parse_rate, default_value = "50/s")]
    pub rate: f64,
    /// How many calls to place
    #[arg(long, value_name = "N", conflicts_with = "registrations")]
    pub calls: Option<u32>,
    /// Register instead, so many times
    #[arg(long, value_name = "N")]
    pub registrations: Option<u32>,
    /// Play so many callers: a number from 0 is added to the name of the account
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub users: Option<u32>,
    /// Play so many callees too, which register and answer: a number from 0 is added to the name of the target
    #[arg(long, value_name = "N")]
    pub callees: Option<u32>,
    /// How long a call lasts
    #[arg(long, value_name = "T", value_parser = parse_duration, default_value = "0s")]
    pub hold: Duration,
    /// Hold all calls at the same time, and end them when all have been watched
    #[arg(long)]
    pub held: bool,
    /// With --held: how long the calls are left alone before they are watched
    #[arg(long, value_name = "T", value_parser = parse_duration, default_value = "2s")]
    pub settle: Duration,
    /// With --held: how long they are watched
    #[arg(long, value_name = "T", value_parser = parse_duration, default_value = "5s")]
    pub watch: Duration,
    /// Send sound (PCMU, 20 ms) both ways, and count what is lost, late or out of order; without --callees, count only what
    /// comes back
    #[arg(long)]
    pub rtp: bool,
    /// With --rtp: what the callers send; the callees speak PCMU in the clear, so the exchange translates
    #[arg(long, value_enum, requires = "rtp", default_value = "plain")]
    pub speech: SpeechName,
    /// How long a registration lasts
    #[arg(long, value_name = "T", value_parser = parse_duration, default_value = "1h")]
    pub expires: Duration,
    /// Answer the challenge of this digest algorithm; left out: the first that is offered
    #[arg(long, value_name = "NAME", value_parser = parse_digest)]
    pub digest: Option<Algorithm>,
    /// How long an answer is waited for
    #[arg(long, value_name = "T", value_parser = parse_duration, default_value = "10s")]
    pub patience: Duration,
    /// What took no longer is counted as done in time
    #[arg(long, value_name = "T", value_parser = parse_duration, default_value = "2s")]
    pub in_time: Duration,
    /// Send nonsense in between, so many datagrams for a hundred calls or registrations
    #[arg(long, value_name = "SHARE", value_parser = parse_percent, default_value = "0%")]
    pub garbage: f32,
    /// Send this share of the INVITEs twice
    #[arg(long, value_name = "SHARE", value_parser = parse_percent, default_value = "0%")]
    pub repeats: f32,
    /// Go on at this rate when all have begun, and say how long it took to recover
    #[arg(long, value_name = "N/s", value_parser = parse_rate)]
    pub after: Option<f64>,
    /// With --after: for how long
    #[arg(long, value_name = "T", value_parser = parse_duration, default_value = "5s")]
    pub after_for: Duration,
    /// Sockets of the callers; the callees have half as many
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub sockets: u32,
    /// The share of failures that is forgiven
    #[arg(long, value_name = "SHARE", value_parser = parse_percent, default_value = "0%")]
    pub max_failures: f32,
    /// Tell on stderr, one JSON object a line, when each phase begins
    #[arg(long)]
    pub marks: bool,
    /// What all commands share.
    #[command(flatten)]
    pub flags: Flags,
}

/// What the callers send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum SpeechName {
    /// PCMU in the clear
    Plain,
    /// PCMU in SRTP, with keys in the SDP
    Sdes,
    /// PCMU in SRTP, with keys from a DTLS handshake of each call
    Dtls,
    /// Opus in the clear
    Opus,
}

/// Does it, and prints what came of it.
pub fn load(options: &LoadOptions) -> Exit {
    let mut console = Console::new(options.flags.json);
    match measured(options) {
        Ok(report) => {
            let text = if options.flags.json { report.json().to_string() } else { report.text() };
            console.result(&text);
            report.exit()
        }
        Err(failure) => {
            console.note(&format!("offhook: {failure}"));
            if options.flags.json {
                console.result(&crate::runtime::failed(&failure));
            }
            failure.exit
        }
    }
}

fn measured(options: &LoadOptions) -> Result<report::Report, Failure> {
    let settings = plan::settings(options)?;
    let plan = Plan::new(options, &settings)?;
    let tls = if plan.transport.is_secure() { Some(settings.trust.client()?) } else { None };
    run::run(plan, tls).map_err(|error| Failure::network(format!("the load cannot go on: {error}")))
}
