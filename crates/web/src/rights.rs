//! What an account may do beside calling, as the API shows and changes it.

use serde::{Deserialize, Serialize};

/// What an account may do, or wants done, beside calling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rights {
    /// When its calls are recorded: `never`, `on-demand` or `always`.
    pub record: String,
    /// Whom it may listen to: numbers and names of accounts; `*` at the end stands for anything.
    pub supervises: Vec<String>,
    /// Whether its phones may be made to answer by themselves.
    pub intercom: bool,
}

/// What is to become of that: a field that is left out stays.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RightsPatch {
    /// See [`Rights::record`].
    pub record: Option<String>,
    /// See [`Rights::supervises`].
    pub supervises: Option<Vec<String>>,
    /// See [`Rights::intercom`].
    pub intercom: Option<bool>,
}
