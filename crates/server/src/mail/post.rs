//! The way to the mail server (RFC 5321).

use std::time::Duration;

use lettre::Message;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::Mechanism;
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use tokio::time::timeout;

use crate::machine;
use crate::settings::{Mail, MailTls};

/// A connection to the mail server, which knows us.
pub(super) struct Post(AsyncSmtpConnection);

/// Why a mail was not sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unsent {
    /// The server does not want it, now or ever.
    Refused(String),
    /// It may be taken later.
    Later(String),
    /// The connection is of no use any more.
    Lost(String),
}

impl Post {
    /// Connects and logs in.
    ///
    /// # Errors
    /// What is in the way, in words.
    pub(super) async fn open(mail: &Mail) -> Result<Self, String> {
        let told = |what: &str| format!("{}:{}: {what}", mail.server, mail.port);
        match timeout(OPENING, open(mail)).await {
            Ok(Ok(connection)) => Ok(Self(connection)),
            Ok(Err(error)) => Err(told(&error)),
            Err(_) => Err(told("no answer in time")),
        }
    }

    /// Sends a mail.
    ///
    /// # Errors
    /// Why the server has not taken it.
    pub(super) async fn send(&mut self, message: &Message) -> Result<(), Unsent> {
        let formatted = message.formatted();
        let error = match timeout(SENDING, self.0.send(message.envelope(), &formatted)).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => error,
            Err(_) => return Err(Unsent::Lost("the mail server does not answer any more".into())),
        };
        let what = words(&error);
        match error {
            error if error.is_permanent() || error.is_client() => Err(Unsent::Refused(what)),
            error if error.is_transient() => Err(Unsent::Later(what)),
            _ => Err(Unsent::Lost(what)),
        }
    }

    /// Whether another mail may follow.
    pub(super) fn is_usable(&self) -> bool {
        !self.0.has_broken()
    }

    /// Takes leave.
    pub(super) async fn close(mut self) {
        let _ = timeout(OPENING, self.0.quit()).await;
    }
}

async fn open(mail: &Mail) -> Result<AsyncSmtpConnection, String> {
    let hello = machine::name().map_or_else(ClientId::default, ClientId::Domain);
    let tls = match mail.tls {
        MailTls::Off => None,
        MailTls::StartTls | MailTls::Tls => Some(tls(mail)?),
    };
    let at_once = tls.clone().filter(|_| mail.tls == MailTls::Tls);
    let server = (mail.server.as_str(), mail.port);
    let opened = AsyncSmtpConnection::connect_tokio1(server, Some(OPENING), &hello, at_once, None).await;
    let mut connection = opened.map_err(|error| words(&error))?;
    if let (MailTls::StartTls, Some(tls)) = (mail.tls, tls) {
        connection.starttls(tls, &hello).await.map_err(|error| words(&error))?;
    }
    if let Some(credentials) = &mail.credentials {
        let mechanisms = [Mechanism::Plain, Mechanism::Login];
        connection.auth(&mechanisms, credentials).await.map_err(|error| words(&error))?;
    }
    Ok(connection)
}

fn tls(mail: &Mail) -> Result<TlsParameters, String> {
    let mut builder = TlsParameters::builder(mail.server.clone());
    if let Some(file) = &mail.ca {
        let pem = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let unusable = |error| format!("{}: {error}", file.display());
        builder = builder.add_root_certificate(Certificate::from_pem(&pem).map_err(unusable)?);
    }
    builder.build_rustls().map_err(|error| words(&error))
}

/// An error and what led to it.
fn words(error: &Error) -> String {
    let mut words = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(one) = source {
        let more = one.to_string();
        if !words.contains(&more) {
            words = format!("{words}: {more}");
        }
        source = one.source();
    }
    words
}

const OPENING: Duration = Duration::from_secs(60);
/// RFC 5321 §4.5.3.2.6
const SENDING: Duration = Duration::from_secs(600);
