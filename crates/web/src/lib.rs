//! The HTTP API, the measures and the health of a server, and the door by which browsers come to SIP.
//!
//! It asks the exchange by [`Exchange`] and what is stored by [`Records`]; who implements them is not its business.
//! Commands on the same machine use the same API, over HTTP or, while no server runs, through [`answer`].

mod api;
mod auth;
pub mod calendar;
mod call_recordings;
mod certificates;
mod crowd;
mod exchange;
pub mod explain;
mod health;
mod problem;
mod records;
mod rights;
mod serve;
mod site;
pub mod trace;
mod upgrade;
mod voicemail;

pub use call_recordings::{CallRecording, CallRecordings};
pub use certificates::{Certificate, Certificates};
pub use exchange::{About, CameraReport, Exchange, NewPassword, Reloaded, Reply, TurnCredentials};
pub use problem::Problem;
pub use records::{
    Account, AccountPatch, Answering, AnsweringPatch, ChangedAccount, Limits, LimitsPatch, Line, LineKind,
    Message, NewAccount, NewNumber, NewNumberRequest, Number, NumberEvent, NumberPatch, NumberRequest,
    Records, RingsAlso,
};
pub use rights::{Rights, RightsPatch};
pub use serve::{Front, Io, Secure, serve};
pub use site::{Site, answer};
pub use upgrade::{Sip, Upgraded};
pub use voicemail::{VoiceMessage, Voicemail};
