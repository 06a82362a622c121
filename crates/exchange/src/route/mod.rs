//! Where calls go that are for no account here: a plan of ordered rules, pure logic.

pub mod countries;
mod number;
mod pattern;
mod plan;
mod trunk;
mod window;

pub use number::{NotANumber, Number, Numbering};
pub use pattern::{InvalidPattern, Pattern};
pub use plan::{Asked, Decision, Destination, Miss, Plan, Rule, Tried, Verdict};
pub use trunk::{Choice, Dialling, Lines, MediaTerms, NumberFormat, Trunk, TrunkAccount, TrunkAuth};
pub use window::{InvalidWindow, Window};
