//! What protects one side of a stream: its keys, the handshake that brings them, and ICE.

pub(crate) mod dtls;
pub(crate) mod ice;
pub(crate) mod keyring;

use crate::command::{IceCredentials, InsecureReason, Protection};
use crate::identity::Identity;
use dtls::{Dtls, Ended, Keys};
use ice::Ice;
use keyring::Keyring;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

/// One side's protection, as signalling asked for it and as it stands. A plain side without ICE has none.
#[derive(Debug, Default)]
pub(crate) struct Secure {
    said: Said,
    /// What media is protected with; `None` on a plain side, and until a handshake is done.
    pub(crate) keyring: Option<Keyring>,
    pub(crate) dtls: Option<Dtls>,
    pub(crate) ice: Option<Ice>,
}

/// What signalling says about the protection of one side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) protection: Protection,
    pub(crate) theirs: Option<IceCredentials>,
    pub(crate) candidates: Vec<SocketAddr>,
}

impl Said {
    /// Whether there is nothing to protect or to prove.
    pub(crate) fn is_plain(&self) -> bool {
        self.protection == Protection::Plain && self.theirs.is_none()
    }
}

impl Secure {
    /// Does as signalling says now. What has not changed goes on as it is.
    pub(crate) fn signalled(
        &mut self,
        now: Instant,
        identity: Option<&Arc<Identity>>,
        said: Said,
        ours: Option<IceCredentials>,
    ) -> Result<(), InsecureReason> {
        match (&mut self.ice, ours) {
            (Some(ice), Some(ours)) => ice.restart(ours),
            (ice @ None, Some(ours)) => *ice = Some(Ice::new(now, ours)),
            (_, None) => {}
        }
        if let Some(ice) = &mut self.ice {
            ice.signalled(said.theirs.as_ref());
        }
        self.said = said;
        self.protect(now, identity)
    }

    fn protect(&mut self, now: Instant, identity: Option<&Arc<Identity>>) -> Result<(), InsecureReason> {
        match &self.said.protection {
            Protection::Plain => (self.keyring, self.dtls) = (None, None),
            Protection::Sdes { suite, ours, theirs } => {
                self.dtls = None;
                let changed = match &mut self.keyring {
                    Some(keyring) => keyring.change(now, *suite, ours, theirs),
                    none => Keyring::new(*suite, ours, theirs).map(|keyring| *none = Some(keyring)),
                };
                changed.ok_or(InsecureReason::KeyLength)?;
            }
            // The keys of before stay until the handshake brings others (RFC 5763 §6.6).
            Protection::Dtls { role, fingerprint } => {
                if !self.dtls.as_ref().is_some_and(|dtls| dtls.is(*role, fingerprint)) {
                    let identity = identity.ok_or(InsecureReason::NoCertificate)?;
                    self.dtls = Some(Dtls::new(identity.clone(), *role, fingerprint.clone()));
                }
            }
        }
        Ok(())
    }

    /// Takes the end of a handshake, and says what to tell call control; also where the phone is.
    pub(crate) fn ended(&mut self, now: Instant, ended: Ended) -> Result<SocketAddr, InsecureReason> {
        match ended {
            Ended::Secured { keys, peer } => {
                let Keys { suite, ours, theirs } = &*keys;
                let taken = match &mut self.keyring {
                    Some(keyring) => keyring.change(now, *suite, ours, theirs),
                    none => Keyring::new(*suite, ours, theirs).map(|keyring| *none = Some(keyring)),
                };
                taken.map(|()| peer).ok_or(InsecureReason::KeyLength)
            }
            Ended::Insecure(reason) => {
                self.keyring = None;
                Err(reason)
            }
        }
    }

    /// Whether media must be protected here, be it possible yet or not.
    pub(crate) fn is_protected(&self) -> bool {
        self.said.protection != Protection::Plain
    }

    /// Whether addresses are proven by ICE.
    pub(crate) fn agreed_ice(&mut self) -> Option<&mut Ice> {
        self.ice.as_mut().filter(|ice| ice.is_agreed())
    }

    /// What signalling said last.
    pub(crate) fn said(&self) -> &Said {
        &self.said
    }

    /// Nothing that would need it is left.
    pub(crate) fn is_needless(&self) -> bool {
        self.said.is_plain() && self.ice.is_none()
    }
}
