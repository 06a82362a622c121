//! Connectivity checks (RFC 8445 §7): pairs of addresses, the request that tries one, and the request of the other side.

use std::net::SocketAddr;

use super::attribute as kind;
use super::candidate::{Candidate, CandidateKind};
use super::key::{Integrity, Key};
use super::message::{Class, Message, Method};
use super::requests::Way;
use super::writer::Writer;
use crate::protection::IceCredentials;

/// A way of ours to an address of the other side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    pub(super) way: Way,
    pub(super) remote: SocketAddr,
    /// Of the other side's candidate.
    theirs: u32,
    pub(super) state: State,
    /// The other side has checked it, so ours is due before those of others (RFC 8445 §7.3.1.4).
    pub(super) triggered: bool,
    /// The other side has chosen it.
    pub(super) nominated: bool,
    /// Something authentic came this way.
    pub(super) seen: bool,
}

/// How a pair stands (RFC 8445 §6.1.2.6). None is frozen: there is one component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Waiting,
    InProgress,
    Succeeded,
    Failed,
}

impl Pair {
    pub(super) fn new(way: Way, candidate: &Candidate) -> Self {
        Self {
            way,
            remote: candidate.address,
            theirs: candidate.priority,
            state: State::Waiting,
            triggered: false,
            nominated: false,
            seen: false,
        }
    }

    /// RFC 8445 §6.1.2.3
    pub(super) fn priority(&self, controlling: bool) -> u64 {
        let ours = match self.way {
            Way::Direct => CandidateKind::Host,
            Way::Relayed => CandidateKind::Relayed,
        };
        let (ours, theirs) = (u64::from(ours.priority()), u64::from(self.theirs));
        let (g, d) = if controlling { (ours, theirs) } else { (theirs, ours) };
        (g.min(d) << 32) + 2 * g.max(d) + u64::from(g > d)
    }
}

/// What one side is called, and the key that its password makes.
#[derive(Clone, Debug)]
pub(super) struct Party {
    pub(super) credentials: IceCredentials,
    pub(super) key: Key,
}

impl Party {
    pub(super) fn new(credentials: IceCredentials) -> Self {
        let key = Key::short_term(&credentials.pwd);
        Self { credentials, key }
    }
}

/// Our role, and what decides when both claim the same (RFC 8445 §7.3.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Role {
    pub(super) controlling: bool,
    pub(super) tie_breaker: u64,
}

/// The request that tries a pair.
pub(super) fn request(id: [u8; 12], ours: &Party, theirs: &Party, role: Role, nominates: bool) -> Vec<u8> {
    let name = format!("{}:{}", theirs.credentials.ufrag, ours.credentials.ufrag);
    let claim = if role.controlling { kind::CONTROLLING } else { kind::CONTROLLED };
    let request = Writer::new(Class::Request, Method::Binding, id)
        .attribute(kind::USERNAME, name.as_bytes())
        .number(kind::PRIORITY, CandidateKind::PeerReflexive.priority())
        .attribute(claim, &role.tie_breaker.to_be_bytes());
    let request = if nominates { request.attribute(kind::USE_CANDIDATE, &[]) } else { request };
    request.signed(Integrity::Sha1, &theirs.key).marked().finish()
}

/// A check of the other side, authentic.
pub(super) struct Checked {
    pub(super) nominates: bool,
    pub(super) priority: u32,
    /// Its tie-breaker, if it thinks that it has our role.
    pub(super) claims: Option<u64>,
}

/// Reads a check. `Err`: it was not made with our name and password; the code to refuse it with, if it named anybody.
pub(super) fn read(message: &Message<'_>, ours: &Party, role: Role) -> Result<Checked, Option<u16>> {
    let name = message.get(kind::USERNAME).ok_or(None)?;
    let rest = name.strip_prefix(ours.credentials.ufrag.as_bytes());
    if !rest.is_some_and(|rest| rest.starts_with(b":")) || message.signed_with(&ours.key).is_none() {
        return Err(Some(401));
    }
    let claim = if role.controlling { kind::CONTROLLING } else { kind::CONTROLLED };
    let claims = message.get(claim).and_then(|value| Some(u64::from_be_bytes(value.try_into().ok()?)));
    Ok(Checked {
        nominates: message.get(kind::USE_CANDIDATE).is_some(),
        priority: message.number(kind::PRIORITY).ok().flatten().unwrap_or(1),
        claims,
    })
}

/// The code of a refusal.
pub(super) fn code(message: &Message<'_>) -> u16 {
    match message.get(kind::ERROR_CODE) {
        Some(&[_, _, hundreds, rest, ..]) => u16::from(hundreds) * 100 + u16::from(rest),
        _ => 0,
    }
}
