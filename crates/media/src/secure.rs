//! What protects one side of a stream: its keys, the handshake that brings them, and ICE.

pub(crate) mod dtls;
mod engine;
pub(crate) mod ice;
pub(crate) mod keyring;

use crate::command::{IceCredentials, InsecureReason, MasterKey, Protection, Suite};
use crate::identity::Identity;
use crate::stream::Component;
use dtls::{Dtls, Ended};
use ice::Ice;
use keyring::{Keyring, Keys};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

/// One side's protection, as signalling asked for it and as it stands. A plain side without ICE has none.
#[derive(Debug, Default)]
pub(crate) struct Secure {
    said: Said,
    /// What media is protected with; `None` on a plain side, and until a handshake is done. By component: RTCP on a port of
    /// its own has a handshake of its own (RFC 5764 §4.1).
    keyrings: [Option<Keyring>; 2],
    pub(crate) handshakes: [Option<Dtls>; 2],
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
            Protection::Plain => (self.keyrings, self.handshakes) = Default::default(),
            Protection::Sdes { suite, ours, theirs } => {
                self.handshakes = Default::default();
                let [keyring, of_rtcp] = &mut self.keyrings;
                *of_rtcp = None;
                change(keyring, now, *suite, ours, theirs).ok_or(InsecureReason::KeyLength)?;
            }
            // The keys of before stay until the handshake brings others (RFC 5763 §6.6).
            Protection::Dtls { role, fingerprint } => {
                let identity = identity.ok_or(InsecureReason::NoCertificate)?;
                for dtls in &mut self.handshakes {
                    if !dtls.as_ref().is_some_and(|dtls| dtls.is(*role, fingerprint)) {
                        *dtls = Some(Dtls::new(identity.clone(), *role, fingerprint.clone()));
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes the end of a component's handshake, and says what to tell call control; also where the phone is.
    pub(crate) fn ended(
        &mut self,
        now: Instant,
        component: Component,
        ended: Ended,
    ) -> Result<SocketAddr, InsecureReason> {
        let keyring = &mut self.keyrings[component.index()];
        match ended {
            Ended::Secured { keys, peer } => {
                let Keys { suite, ours, theirs } = &*keys;
                change(keyring, now, *suite, ours, theirs).map(|()| peer).ok_or(InsecureReason::KeyLength)
            }
            Ended::Insecure(reason) => {
                *keyring = None;
                Err(reason)
            }
        }
    }

    /// The keys for what comes and goes by a port: with SDES they are the same for both.
    pub(crate) fn keyring(&mut self, component: Component) -> Option<&mut Keyring> {
        let dtls = matches!(self.said.protection, Protection::Dtls { .. });
        self.keyrings[if dtls { component.index() } else { 0 }].as_mut()
    }

    /// What protects media on a port; `None` on a plain side, and until there are keys.
    pub(crate) fn suite(&self, component: Component) -> Option<Suite> {
        let dtls = matches!(self.said.protection, Protection::Dtls { .. });
        self.keyrings[if dtls { component.index() } else { 0 }].as_ref().map(Keyring::suite)
    }

    /// Lets nothing pass any more: no keys, and no way to get any.
    pub(crate) fn shut(&mut self) {
        (self.keyrings, self.handshakes) = Default::default();
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

/// `None`: the keys do not fit their suite.
fn change(
    keyring: &mut Option<Keyring>,
    now: Instant,
    suite: Suite,
    ours: &MasterKey,
    theirs: &MasterKey,
) -> Option<()> {
    match keyring {
        Some(keyring) => keyring.change(now, suite, ours, theirs),
        none => Keyring::new(suite, ours, theirs).map(|keyring| *none = Some(keyring)),
    }
}
