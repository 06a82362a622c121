//! The client's side: answers to challenges.

use std::fmt;

use offhook_sip::digest::{self, Algorithm, Parts, Qop};
use offhook_sip::{Challenge, Credentials, Request, Response};
use rand::RngExt as _;

use super::Kind;
use crate::Rng;

/// Answers challenges for one user, and remembers them so that later requests need not be challenged.
#[derive(Debug)]
pub struct Authorizer {
    username: String,
    password: Password,
    realm: Option<String>,
    /// Whether the first realm that is answered stays the only one.
    faithful: bool,
    protections: Vec<Protection>,
}

/// A password. Prints as dots.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Wraps the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Why a challenge is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// There is no challenge with an algorithm and `qop` known here, for a realm that may be answered.
    Unsupported,
    /// The server refused credentials made for its own nonce: user or password is wrong.
    Rejected,
}

/// A realm that was challenged for, with what its credentials are made of.
#[derive(Debug)]
struct Protection {
    kind: Kind,
    realm: String,
    nonce: String,
    opaque: Option<String>,
    algorithm: Algorithm,
    /// A server of RFC 2617 names no algorithm and gets none.
    named: bool,
    /// Whether `qop=auth` was offered; else RFC 2069.
    qop: bool,
    count: u32,
    /// How often in a row the server called a nonce stale on its first use.
    stale: u8,
}

impl Authorizer {
    /// For a user as the server knows it.
    pub fn new(username: &str, password: Password) -> Self {
        Self {
            username: username.to_owned(),
            password,
            realm: None,
            faithful: false,
            protections: Vec::new(),
        }
    }

    /// Answers challenges of this realm only.
    pub fn for_realm(mut self, realm: &str) -> Self {
        self.realm = Some(realm.to_owned());
        self
    }

    /// Answers challenges of one realm only: of the first that it meets.
    pub fn for_first_realm(mut self) -> Self {
        self.faithful = true;
        self
    }

    /// The only realm that is answered, once it is known.
    pub fn realm(&self) -> Option<&str> {
        self.realm.as_deref()
    }

    /// The request again, with credentials for the challenges of a 401 or 407. Of several challenges of a realm, the
    /// topmost one that is supported is taken (RFC 8760 §2.4). The caller gives the request a new branch and CSeq
    /// number before it goes out (§8.1.3.5).
    ///
    /// A nonce is answered once: if the server refuses the answer without calling the nonce stale, the password is
    /// wrong and a further attempt would only lock the account. A server that calls every nonce stale is given up
    /// after three.
    pub fn answer(
        &mut self,
        request: &Request,
        response: &Response,
        rng: &mut Rng,
    ) -> Result<Request, Refusal> {
        let mut chosen: Vec<Protection> = Vec::new();
        for kind in [Kind::UserToUser, Kind::ProxyToUser] {
            for challenge in response.challenges(kind.challenge_name()).flatten().take(MAX_CHALLENGES) {
                let Some(protection) = self.protection(kind, &challenge) else { continue };
                if chosen.iter().any(|other| other.protects_same(&protection)) {
                    continue;
                }
                match self.attempt(request, &challenge, protection) {
                    Some(protection) => chosen.push(protection),
                    None => return Err(Refusal::Rejected),
                }
            }
        }
        if chosen.is_empty() {
            return Err(Refusal::Unsupported);
        }
        if self.faithful && self.realm.is_none() {
            self.realm = chosen.first().map(|first| first.realm.clone());
            chosen.retain(|one| Some(&one.realm) == self.realm.as_ref());
        }
        for protection in chosen {
            self.protections.retain(|old| !old.protects_same(&protection));
            self.protections.push(protection);
        }
        let surplus = self.protections.len().saturating_sub(MAX_CHALLENGES);
        self.protections.drain(..surplus);
        Ok(self.authorize(request, rng))
    }

    /// A new request with credentials for every challenge answered before (§22.3), in place of those it has.
    pub fn authorize(&mut self, request: &Request, rng: &mut Rng) -> Request {
        if self.protections.is_empty() {
            return request.clone();
        }
        let mut edit = request.edit();
        for kind in [Kind::UserToUser, Kind::ProxyToUser] {
            edit.remove(kind.credentials_name());
        }
        for protection in &mut self.protections {
            let credentials = protection.credentials(&self.username, &self.password, request, rng);
            edit.add(protection.kind.credentials_name(), credentials);
        }
        edit.finish()
    }

    /// Forgets all challenges, for example because the password changed.
    pub fn forget(&mut self) {
        self.protections.clear();
    }

    /// What a challenge asks for, if that is supported.
    fn protection(&self, kind: Kind, challenge: &Challenge) -> Option<Protection> {
        let realm = challenge.realm().filter(|_| challenge.is_digest())?.into_owned();
        if self.realm.as_ref().is_some_and(|only| *only != realm) {
            return None;
        }
        let qop = challenge.param("qop").is_some();
        if qop && !challenge.offers_qop("auth") {
            return None;
        }
        Some(Protection {
            kind,
            realm,
            nonce: challenge.nonce()?.into_owned(),
            opaque: challenge.opaque().map(Into::into),
            algorithm: challenge.algorithm()?,
            named: challenge.param("algorithm").is_some(),
            qop,
            count: 0,
            stale: 0,
        })
    }

    /// Decides whether a challenge is worth an answer after what `request` brought already. If not, the realm is
    /// forgotten.
    fn attempt(&mut self, request: &Request, challenge: &Challenge, new: Protection) -> Option<Protection> {
        let sent = request
            .credentials(new.kind.credentials_name())
            .flatten()
            .find(|credentials| credentials.realm().as_deref() == Some(&new.realm));
        let Some(sent) = sent else { return Some(new) };
        let before = self.protections.iter().position(|old| old.protects_same(&new));
        let stale = before.map_or(0, |place| self.protections[place].stale) + 1;
        let first_use = sent.nonce_count().is_none_or(|count| count == 1);
        let again = sent.nonce().as_deref() == Some(&new.nonce);
        // Credentials that worked before may fail because the server dropped its nonces and does not say so.
        if again || (first_use && (!challenge.stale() || stale > MAX_STALE)) {
            before.map(|place| self.protections.remove(place));
            return None;
        }
        Some(Protection { stale: if first_use { stale } else { 0 }, ..new })
    }
}

impl Protection {
    fn protects_same(&self, other: &Self) -> bool {
        self.kind == other.kind && self.realm == other.realm
    }

    fn credentials(
        &mut self,
        username: &str,
        password: &Password,
        request: &Request,
        rng: &mut Rng,
    ) -> Credentials {
        self.count = self.count.saturating_add(1);
        let nc = format!("{:08x}", self.count);
        let cnonce = format!("{:016x}", rng.random::<u64>());
        let uri = String::from_utf8_lossy(request.uri_bytes());
        let ha1 = digest::ha1(self.algorithm, username, &self.realm, &password.0);
        let qop = self.qop.then_some(Qop::Auth { nc: &nc, cnonce: &cnonce });
        let parts = Parts { nonce: &self.nonce, method: request.method().as_str(), uri: &uri, qop };
        let mut credentials = Credentials::digest()
            .quoted("username", username)
            .quoted("realm", &self.realm)
            .quoted("nonce", &self.nonce)
            .quoted("uri", &uri)
            .quoted("response", &digest::response(self.algorithm, &ha1, &parts));
        if self.named {
            credentials = credentials.plain("algorithm", self.algorithm.name());
        }
        if let Some(opaque) = &self.opaque {
            credentials = credentials.quoted("opaque", opaque);
        }
        if self.qop {
            credentials = credentials.plain("qop", "auth").plain("nc", &nc).quoted("cnonce", &cnonce);
        }
        credentials
    }
}

/// Challenges looked at in one response, and realms remembered.
const MAX_CHALLENGES: usize = 8;

/// Stale nonces in a row that are put up with.
const MAX_STALE: u8 = 3;
