//! What presence is set to.

use offhook_exchange::presence::{Settings, Watchers};

use super::Meaning;

impl Meaning<'_> {
    pub(super) fn presence(&mut self) -> Settings {
        let watch = match self.text("presence.watch").as_deref() {
            Some("nobody") => Watchers::Nobody,
            _ => Watchers::Accounts,
        };
        Settings { watch, unsolicited_mwi: self.is_on("presence.unsolicited_mwi") }
    }
}
