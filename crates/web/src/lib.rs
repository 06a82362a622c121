//! The HTTP API, the measures and the health of a server.
//!
//! It asks the exchange by [`Exchange`] and what is stored by [`Records`]; who implements them is not its business.
//! Commands on the same machine use the same API, over HTTP or, while no server runs, through [`answer`].

mod api;
mod auth;
pub mod calendar;
mod exchange;
mod health;
mod problem;
mod records;
mod site;

pub use exchange::{About, Exchange, Reply, TurnCredentials};
pub use problem::Problem;
pub use records::{
    Account, AccountPatch, ChangedAccount, NewAccount, NewNumber, Number, NumberPatch, Records,
};
pub use site::{Site, answer, serve};
