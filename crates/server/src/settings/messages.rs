//! What text messages are set to.

use std::time::Duration;

use offhook_exchange::message::Settings as Exchange;

use super::Meaning;

/// What text messages are set to, for the exchange and for the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Messages {
    /// For the exchange.
    pub exchange: Exchange,
    /// Messages that may wait for one account.
    pub most: u64,
    /// For how long what was delivered or has expired stays.
    pub history: Duration,
}

impl Meaning<'_> {
    pub(super) fn messages(&mut self) -> Messages {
        let history = self.time("messages.history");
        Messages {
            exchange: Exchange {
                keep: self.time("messages.keep"),
                history: !history.is_zero(),
                per_minute: u32::try_from(self.count("messages.per_minute")).unwrap_or(u32::MAX),
            },
            most: self.count("messages.max_per_account") as u64,
            history,
        }
    }
}
