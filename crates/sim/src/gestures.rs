//! What users do in calls that they have.

use std::time::Duration;

use offhook_ua::{CallId, Command};

use crate::{PhoneId, World};

impl World {
    /// Registered phones of users with these names and numbers, each of which sings a tone of its own, in Hz.
    pub fn singers<const N: usize>(&mut self, users: [(&str, &str); N], hz: [f32; N]) -> [PhoneId; N] {
        let mut hz = hz.into_iter();
        users.map(|(name, number)| {
            let phone = self.phone(name, Some(number));
            self.phones[phone.0].sings = hz.next();
            self.register(phone);
            phone
        })
    }

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
        let call = self.phones[phone.0].first_call();
        self.refer(phone, call, &format!("sip:{to}@example.com"));
    }

    /// The same to whom it calls now and talks with before (RFC 5589 §7.2); `hidden`: as one that wants to be.
    pub fn attended_transfer(&mut self, phone: PhoneId, to: &str, hidden: bool) {
        let first = self.phones[phone.0].first_call();
        let second = if hidden { self.private_call(phone, to) } else { self.call(phone, to) };
        self.pass(Duration::from_secs(6));
        self.refer_to_partner(phone, first, second, to);
        self.pass(Duration::from_secs(5));
    }

    /// A phone wants the party of its first call to take its place in the second, which is with that user.
    ///
    /// # Panics
    /// If the second has not been answered.
    pub fn refer_to_partner(&mut self, phone: PhoneId, first: CallId, second: CallId, to: &str) {
        let Some(replaces) = self.phones[phone.0].ua.replaces(second) else {
            panic!("{to} has not answered")
        };
        let replaces: String = replaces.bytes().map(|byte| format!("%{byte:02X}")).collect();
        self.refer(phone, first, &format!("sip:{to}@example.com?Replaces={replaces}"));
    }

    fn refer(&mut self, phone: PhoneId, call: CallId, target: &str) {
        let target = target.parse().unwrap_or_else(|_| unreachable!("a plain URI"));
        self.command(phone, Command::Transfer { call, target });
    }
}
