//! The server's side: challenges without state, verification of what comes back.

use std::net::IpAddr;

use hmac::{Hmac, KeyInit, Mac};
use offhook_sip::digest::{self, Algorithm, Ha1, Parts, Qop};
use offhook_sip::{Challenge, Credentials, Name, Request, Uri};
use rand::RngExt as _;
use sha2::{Digest, Sha256};

use super::Kind;
use super::nonce_counts::{NonceCounts, NonceId, Refused};
use crate::Rng;

/// Challenges requests and verifies the credentials that answer (RFC 7616 §3).
///
/// A nonce holds its time, a keyed hash and a mark of whom it was given to, so that whoever has the key can verify it: the same
/// shard after a restart, or on another machine. Which nonce counts were used is known only here, so a nonce of another shard is stale.
pub struct Authenticator {
    key: [u8; 32],
    realm: String,
    opaque: String,
    before_nonce: String,
    after_nonce: String,
    lifetime: u64,
    legacy: bool,
    shard: u8,
    counts: NonceCounts,
    /// Take the place of the secrets of a user that does not exist, so that the time taken does not tell.
    nobody: Secrets,
}

/// What a server stores of one user: a secret per algorithm, no password.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    /// H(user:realm:password) under MD5.
    pub md5: Option<Ha1>,
    /// H(user:realm:password) under SHA-256.
    pub sha256: Option<Ha1>,
}

impl Secrets {
    /// The secrets of a password.
    pub fn of(user: &str, realm: &str, password: &str) -> Self {
        Self {
            md5: Some(digest::ha1(Algorithm::Md5, user, realm, password)),
            sha256: Some(digest::ha1(Algorithm::Sha256, user, realm, password)),
        }
    }
}

/// The algorithms of a challenge, in the order of preference (RFC 8760 §2.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Offer {
    /// SHA-256, then MD5.
    #[default]
    Sha256First,
    /// MD5, then SHA-256: for clients that look at the first challenge only, and know MD5 only.
    Md5First,
    /// MD5, for clients that give up at the sight of another.
    Md5Only,
}

impl Offer {
    const fn algorithms(self) -> &'static [Algorithm] {
        match self {
            Self::Sha256First => &[Algorithm::Sha256, Algorithm::Md5],
            Self::Md5First => &[Algorithm::Md5, Algorithm::Sha256],
            Self::Md5Only => &[Algorithm::Md5],
        }
    }
}

/// Credentials that are right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The `username` parameter, quotes and escapes undone.
    pub username: String,
    /// The algorithm that the client chose.
    pub algorithm: Algorithm,
}

/// Why a request is not authenticated. Every case but `Malformed` is answered with a new challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// No credentials for our realm.
    Missing,
    /// The credentials are right, but their nonce is too old or not ours; or their nonce was not given to who sends them,
    /// and nobody has looked whether they are right: challenge with `stale=true`.
    Stale,
    /// The user is unknown or the password wrong; which of them cannot be told.
    Wrong,
    /// These very credentials were used before: challenge with `stale=true`, for clients that never count.
    Replayed,
    /// The credentials break their grammar, lack what was asked for, or are for another Request-URI: 400.
    Malformed,
}

impl Failure {
    /// Whether the challenge that answers it says `stale=true`.
    pub const fn is_stale(self) -> bool {
        matches!(self, Self::Stale | Self::Replayed)
    }
}

impl Authenticator {
    /// `key` makes nonces ours: with the same key, a nonce outlives a restart.
    /// A nonce is good for `lifetime` seconds.
    pub fn new(key: [u8; 32], realm: &str, lifetime: u64) -> Self {
        let opaque =
            digest::to_hex(&keyed(&key, &[b"opaque", realm.as_bytes()]).finalize().into_bytes()[..8]);
        // All that is the same in every challenge.
        let made = Challenge::digest().quoted("realm", realm).to_string();
        let before_nonce = format!("{}, nonce=\"", made.trim_start_matches("Digest "));
        let after_nonce = format!("\", opaque=\"{opaque}\", algorithm=");
        Self {
            key,
            realm: realm.to_owned(),
            opaque,
            before_nonce,
            after_nonce,
            lifetime,
            legacy: false,
            shard: 0,
            counts: NonceCounts::new(NONCES),
            nobody: Secrets::of("", realm, &digest::to_hex(&key)),
        }
    }

    /// Of a shard: the nonces of others are stale here, since what was used there is not known here. A client that
    /// meets this tries again with a new nonce, under the same Call-ID and so at the same shard.
    pub fn of_shard(mut self, shard: u8) -> Self {
        self.shard = shard;
        self
    }

    /// Whether credentials without `qop` (RFC 2069) are accepted, which leaves them open to replay within the
    /// nonce's lifetime. Not by default.
    pub fn allow_legacy(mut self, allow: bool) -> Self {
        self.legacy = allow;
        self
    }

    /// How many nonces are remembered at once. Above it, the oldest become stale before their time.
    pub fn remember(mut self, nonces: usize) -> Self {
        self.counts = NonceCounts::new(nonces);
        self
    }

    /// The realm.
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// The header fields of a challenge that goes to this address: one for each algorithm, best first (RFC 8760 §2.3). `now` is
    /// in Unix seconds.
    pub fn challenge(
        &self,
        kind: Kind,
        offer: Offer,
        stale: bool,
        to: IpAddr,
        now: u64,
        rng: &mut Rng,
    ) -> Vec<(Name, Challenge)> {
        let nonce = self.nonce(to, now, rng.random());
        let stale = if stale { ", stale=true" } else { "" };
        let of = |algorithm: Algorithm| {
            let name = algorithm.name();
            let parts = [&self.before_nonce, &nonce, &self.after_nonce, name, ", qop=\"auth\"", stale];
            Challenge::of_digest(parts.concat())
        };
        offer.algorithms().iter().map(|algorithm| (kind.challenge_name(), of(*algorithm))).collect()
    }

    /// Verifies the credentials of a request. `now` is in Unix seconds; `lookup` finds the secrets of a username.
    ///
    /// With `only_from`, their nonce must have been given to that address: an address that anybody could have written on a
    /// datagram has read the challenge then, and what it does wrong is its own. Credentials under another nonce are stale
    /// whether they are right or not, which tells a guesser nothing.
    ///
    /// The Request-URI must be the one the credentials are for, as far as user, host and port go: proxies and phones
    /// add parameters. `alias` says whether another URI means the same: some clients name the address that they send
    /// to. Verifying uses up the nonce count, so a request is verified once; its retransmissions are the
    /// transaction's.
    pub fn verify(
        &mut self,
        request: &Request,
        kind: Kind,
        now: u64,
        only_from: Option<IpAddr>,
        alias: impl Fn(&Uri) -> bool,
        lookup: impl Fn(&str) -> Option<Secrets>,
    ) -> Result<Verified, Failure> {
        let mut failure = Failure::Missing;
        for credentials in request.credentials(kind.credentials_name()).take(MAX_CREDENTIALS) {
            let Ok(credentials) = credentials else {
                failure = Failure::Malformed;
                continue;
            };
            if !credentials.is_digest() || credentials.realm().as_deref() != Some(&self.realm) {
                continue;
            }
            match self.verify_one(&credentials, request, (now, only_from), &alias, &lookup) {
                Ok(verified) => return Ok(verified),
                Err(why) => failure = why,
            }
        }
        Err(failure)
    }

    fn verify_one(
        &mut self,
        credentials: &Credentials,
        request: &Request,
        (now, only_from): (u64, Option<IpAddr>),
        alias: &impl Fn(&Uri) -> bool,
        lookup: &impl Fn(&str) -> Option<Secrets>,
    ) -> Result<Verified, Failure> {
        use Failure::{Malformed, Stale, Wrong};
        let username = credentials.username().ok_or(Malformed)?;
        let nonce = credentials.nonce().ok_or(Malformed)?;
        let uri = credentials.uri().ok_or(Malformed)?;
        let answer = credentials.response().ok_or(Malformed)?.to_ascii_lowercase();
        let count = self.count(credentials)?;
        let (nc, cnonce) = (credentials.nc(), credentials.cnonce());
        let qop = match (count, &nc, &cnonce) {
            (Some(_), Some(nc), Some(cnonce)) => Some(Qop::Auth { nc, cnonce }),
            (None, _, _) => None,
            (Some(_), _, _) => return Err(Malformed),
        };
        if !same_target(&uri, request, alias) {
            return Err(Malformed);
        }
        let id = self.read_nonce(&nonce, now, only_from);
        if only_from.is_some() && id.is_none() {
            return Err(Stale);
        }
        let algorithm = credentials.algorithm().ok_or(Malformed)?;
        let secrets = lookup(&username).unwrap_or_default();
        let (secret, nobody) = match algorithm {
            Algorithm::Md5 => (secrets.md5, &self.nobody.md5),
            Algorithm::Sha256 => (secrets.sha256, &self.nobody.sha256),
            // It was not offered.
            Algorithm::Sha512_256 => return Err(Malformed),
        };
        let known = secret.is_some();
        let secret = secret.or_else(|| nobody.clone()).ok_or(Wrong)?;
        let parts = Parts { nonce: &nonce, method: request.method().as_str(), uri: &uri, qop };
        let expected = digest::response(algorithm, &secret, &parts);
        if !(digest::same(expected.as_bytes(), answer.as_bytes()) & known) {
            return Err(Wrong);
        }
        // From here on it is somebody with the password, who may know about the nonce.
        let ours = credentials.opaque().is_none_or(|opaque| *opaque == *self.opaque);
        let id = id.filter(|_| ours).ok_or(Stale)?;
        if let Some(count) = count {
            let oldest = now.saturating_sub(self.lifetime);
            self.counts.accept(id, count, oldest).map_err(|refused| match refused {
                Refused::Replayed => Failure::Replayed,
                Refused::Stale => Stale,
            })?;
        }
        Ok(Verified { username: username.into_owned(), algorithm })
    }

    /// The nonce count, which `qop=auth` has and only legacy credentials have not.
    fn count(&self, credentials: &Credentials) -> Result<Option<u32>, Failure> {
        match credentials.qop() {
            Some(qop) if qop.eq_ignore_ascii_case("auth") => {
                credentials.nonce_count().filter(|count| *count > 0).map(Some).ok_or(Failure::Malformed)
            }
            None if self.legacy => Ok(None),
            Some(_) | None => Err(Failure::Malformed),
        }
    }

    fn nonce(&self, to: IpAddr, now: u64, salt: u64) -> String {
        let (now, salt) = (now.to_be_bytes(), salt.to_be_bytes());
        let hash = self.nonce_mac(&now, &salt).finalize().into_bytes();
        let (mac, secret) = hash.split_at(16);
        digest::to_hex(&[&now[..], &salt, mac, &given_to(secret, to)].concat())
    }

    fn nonce_mac(&self, issued: &[u8], salt: &[u8]) -> Hmac<Sha256> {
        let purpose = [b'n', b'o', b'n', b'c', b'e', self.shard];
        keyed(&self.key, &[&purpose, self.realm.as_bytes(), issued, salt])
    }

    /// What a nonce says, if we made it (for that address) and it is not too old.
    fn read_nonce(&self, nonce: &str, now: u64, only_from: Option<IpAddr>) -> Option<NonceId> {
        let bytes: [u8; 36] = digest::from_hex(nonce)?.try_into().ok()?;
        let (said, shown) = bytes.split_at(16);
        let ((issued, salt), (shown, given)) = (said.split_at(8), shown.split_at(16));
        let hash = self.nonce_mac(issued, salt).finalize().into_bytes();
        let (mac, secret) = hash.split_at(16);
        let given = only_from.is_none_or(|from| digest::same(&given_to(secret, from), given));
        if !(digest::same(mac, shown) & given) {
            return None;
        }
        let issued = u64::from_be_bytes(issued.try_into().ok()?);
        let salt = u64::from_be_bytes(salt.try_into().ok()?);
        let fresh = issued <= now.saturating_add(CLOCK_SKEW) && now < issued.saturating_add(self.lifetime);
        fresh.then_some((issued, salt))
    }
}

/// The mark of an address on a nonce: what nobody can compute who does not know the half of the nonce's hash that is never sent.
fn given_to(secret: &[u8], to: IpAddr) -> [u8; 4] {
    let hash = Sha256::new().chain_update(secret);
    let hash = match to.to_canonical() {
        IpAddr::V4(ip) => hash.chain_update(ip.octets()),
        IpAddr::V6(ip) => hash.chain_update(ip.octets()),
    };
    let hash: [u8; 32] = hash.finalize().into();
    [hash[0], hash[1], hash[2], hash[3]]
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authenticator").field("realm", &self.realm).finish_non_exhaustive()
    }
}

/// Whether credentials for `uri` are for this request.
fn same_target(uri: &str, request: &Request, alias: &impl Fn(&Uri) -> bool) -> bool {
    if uri.as_bytes() == request.uri_bytes() {
        return true;
    }
    let (Ok(claimed), Ok(actual)) = (uri.parse::<Uri>(), request.uri()) else { return false };
    let same = match (claimed.as_sip(), actual.as_sip()) {
        (Some(claimed), Some(actual)) => {
            claimed.user_unescaped() == actual.user_unescaped()
                && claimed.host() == actual.host()
                && claimed.port() == actual.port()
        }
        (None, None) => claimed.equivalent(&actual),
        (Some(_), None) | (None, Some(_)) => false,
    };
    same || alias(&claimed)
}

/// A keyed hash over parts, each with its length before it.
fn keyed(key: &[u8; 32], parts: &[&[u8]]) -> Hmac<Sha256> {
    // A key shorter than a block is filled up with zeros (RFC 2104 §2).
    let mut block = [0; 64];
    block[..32].copy_from_slice(key);
    let mut mac = Hmac::<Sha256>::new(&block.into());
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac
}

/// Credentials for our realm that are looked at in one request: one for each algorithm, and some to spare.
const MAX_CREDENTIALS: usize = 8;

/// Nonces remembered at once by default.
const NONCES: usize = 1 << 20;

/// Seconds by which the clock of the machine that made a nonce may be ahead.
const CLOCK_SKEW: u64 = 5;
