//! `[mail]`: the server that takes mails of ours to their readers.

use std::path::PathBuf;
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;

use super::Meaning;
use super::account::reveal;
use crate::config_file::Value;

/// Who takes mails of ours, and what they are like.
#[derive(Clone, Debug)]
pub struct Mail {
    /// The mail server: a name or an address.
    pub server: String,
    /// Its port.
    pub port: u16,
    /// Whether the way to it is encrypted.
    pub tls: MailTls,
    /// The user name and the password there.
    pub credentials: Option<Credentials>,
    /// Who they are from.
    pub from: Mailbox,
    /// Authorities that may have signed its certificate, beside those that the system trusts.
    pub ca: Option<PathBuf>,
    /// Whether the recording goes with the mail.
    pub attach: bool,
    /// A mail that could not be sent for this long is given up.
    pub give_up: Duration,
}

/// Whether the way to a mail server is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTls {
    /// After the first words (RFC 3207), or no mail is sent.
    StartTls,
    /// From the first octet (RFC 8314 §3.3).
    Tls,
    /// No.
    Off,
}

impl MailTls {
    const fn port(self) -> u16 {
        match self {
            Self::StartTls => 587,
            Self::Tls => 465,
            Self::Off => 25,
        }
    }
}

impl Meaning<'_> {
    /// `None`: no mails are sent.
    pub(super) fn mail(&mut self) -> Option<Mail> {
        let Some(server) = self.text("mail.server") else {
            let rest = ["mail.port", "mail.user", "mail.password", "mail.from", "mail.ca"];
            if let Some(path) = rest.into_iter().find(|path| self.is_named(path))
                && !self.written.is_unreadable("mail.server")
            {
                self.mistake(path, "mails need a server: set mail.server too".into(), None);
            }
            return None;
        };
        if offhook_sip::HostPort::parse(&server).is_none_or(|parsed| parsed.port.is_some()) {
            let help = Some("such as \"mail.example.com\"; the port is mail.port".to_owned());
            self.mistake("mail.server", format!("{server:?} is no host"), help);
        }
        let tls = match self.text("mail.tls").as_deref() {
            Some("tls") => MailTls::Tls,
            Some("off") => MailTls::Off,
            _ => MailTls::StartTls,
        };
        let port = match self.written.value("mail.port") {
            Some(Value::Count(port)) => u16::try_from(port).unwrap_or_default(),
            _ => tls.port(),
        };
        let credentials = self.mail_credentials(&server, tls);
        let from = self.mail_from();
        Some(Mail {
            server: server.trim_matches(['[', ']']).to_owned(),
            port,
            tls,
            credentials,
            from: from?,
            ca: self.text("mail.ca").map(PathBuf::from),
            attach: self.is_on("mail.attach"),
            give_up: self.time("mail.give_up"),
        })
    }

    fn mail_from(&mut self) -> Option<Mailbox> {
        let Some(from) = self.text("mail.from") else {
            if !self.written.is_unreadable("mail.from") {
                let what = "mails need somebody that they are from: set mail.from".to_owned();
                self.mistake("mail.server", what, None);
            }
            return None;
        };
        let parsed = from.parse::<Mailbox>();
        if parsed.is_err() {
            let help =
                Some("such as \"offhook@example.com\" or \"Offhook <offhook@example.com>\"".to_owned());
            self.mistake("mail.from", format!("{from:?} is no e-mail address"), help);
        }
        parsed.ok()
    }

    fn mail_credentials(&mut self, server: &str, tls: MailTls) -> Option<Credentials> {
        let entry = self.written.get("mail.password").map(|entry| (entry.value.clone(), entry.place.clone()));
        let (user, (value, place)) = match (self.text("mail.user"), entry) {
            (Some(user), Some(entry)) => (user, entry),
            (None, None) => return None,
            (Some(_), None) => {
                if !self.written.is_unreadable("mail.password") {
                    self.mistake(
                        "mail.user",
                        "this user name needs its password: mail.password".into(),
                        None,
                    );
                }
                return None;
            }
            (None, Some(_)) => {
                self.mistake("mail.password", "this password needs its user name: mail.user".into(), None);
                return None;
            }
        };
        let is_here = server == "localhost"
            || server.trim_matches(['[', ']']).parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
        if tls == MailTls::Off && !is_here {
            let what = "with mail.tls = \"off\" the password would be readable on its way".to_owned();
            self.mistake("mail.tls", what, Some("\"starttls\" or \"tls\"".to_owned()));
        }
        let Value::Secret(secret) = value else { return None };
        match reveal(&secret, &place) {
            Ok(password) => Some(Credentials::new(user, password)),
            Err(what) => {
                self.mistake("mail.password", what, None);
                None
            }
        }
    }
}
