//! What users do in calls that they have.

use std::time::Duration;

use offhook_ua::Command;

use crate::{PhoneId, World};

impl World {
    /// A user presses keys in its first call.
    pub fn press(&mut self, phone: PhoneId, digits: &str) {
        let call = self.phones[phone.0].first_call();
        self.command(phone, Command::Dtmf { call, digits: digits.into() });
    }

    /// A user hangs up its first call, and some seconds pass.
    pub fn hang_up(&mut self, phone: PhoneId) {
        let call = self.phones[phone.0].first_call();
        self.command(phone, Command::Hangup { call });
        self.pass(Duration::from_secs(3));
    }

    /// A phone transfers its first call to a user of the exchange (RFC 3515).
    pub fn transfer(&mut self, phone: PhoneId, to: &str) {
        self.refer(phone, &format!("sip:{to}@example.com"));
    }

    /// The same to whom it calls now and talks with before (RFC 5589 §7.2); `hidden`: as one that wants to be.
    ///
    /// # Panics
    /// If it is not answered within six seconds.
    pub fn attended_transfer(&mut self, phone: PhoneId, to: &str, hidden: bool) {
        let second = if hidden { self.private_call(phone, to) } else { self.call(phone, to) };
        self.pass(Duration::from_secs(6));
        let Some(replaces) = self.phones[phone.0].ua.replaces(second) else {
            panic!("{to} has not answered")
        };
        let replaces: String = replaces.bytes().map(|byte| format!("%{byte:02X}")).collect();
        self.refer(phone, &format!("sip:{to}@example.com?Replaces={replaces}"));
        self.pass(Duration::from_secs(5));
    }

    fn refer(&mut self, phone: PhoneId, target: &str) {
        let call = self.phones[phone.0].first_call();
        let target = target.parse().unwrap_or_else(|_| unreachable!("a plain URI"));
        self.command(phone, Command::Transfer { call, target });
    }
}
