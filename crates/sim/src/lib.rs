//! A virtual world: the exchange and its phones on one thread, with one clock and one seed.
//!
//! Nothing here waits or reads a clock, so an hour of calls over a bad network takes a moment, and the same seed
//! gives the same hour again.

mod backlog;
mod dns;
mod gestures;
mod ladder;
mod link;
mod nat;
mod office;
mod phone;
mod provider;
mod recordings;
pub mod sweep;
mod texts;
mod world;

pub use dns::Dns;
pub use ladder::{Ladder, compare_with_saved};
pub use link::Link;
pub use nat::Nat;
pub use office::Office;
pub use phone::{Habit, Phone, PhoneId};
pub use provider::{Manners, Provider, Sound};
pub use recordings::Recordings;
pub use texts::Texts;
pub use world::World;
