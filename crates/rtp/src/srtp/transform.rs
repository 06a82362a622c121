//! Session keys and what is done with them: counter mode with HMAC-SHA1 (RFC 3711 §4), or Galois/counter mode
//! (RFC 7714).

use super::{MasterKey, SrtpError, Suite};
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// The session keys of RTP or of RTCP.
pub(super) enum Transform {
    /// RFC 3711, RFC 6188.
    Counter(Box<Counter>),
    /// RFC 7714.
    Galois(Galois),
}

/// Encryption and authentication apart.
pub(super) struct Counter {
    cipher: EncryptingKey,
    auth: hmac::Key,
    salt: [u8; 14],
    tag_len: usize,
}

/// Both in one.
pub(super) struct Galois {
    key: LessSafeKey,
    salt: [u8; 12],
}

/// Which of the two protocols a key is for (RFC 3711 §4.3.2): its first label.
#[derive(Clone, Copy)]
pub(super) enum Protocol {
    Rtp = 0,
    Rtcp = 3,
}

impl Transform {
    /// Derives the session keys (RFC 3711 §4.3, with a derivation rate of 0).
    pub(super) fn derive(suite: Suite, master: &MasterKey, protocol: Protocol) -> Option<Transform> {
        let (key, salt) = master.split(suite)?;
        let label = protocol as u8;
        let mut cipher_key = Zeroizing::new([0; 32]);
        let cipher_key = &mut cipher_key[..suite.cipher_key_len()];
        expand(key, salt, label, cipher_key)?;
        if suite.is_aead() {
            let algorithm = if cipher_key.len() == 16 { &AES_128_GCM } else { &AES_256_GCM };
            let mut session_salt = [0; 12];
            expand(key, salt, label + 2, &mut session_salt)?;
            let key = LessSafeKey::new(UnboundKey::new(algorithm, cipher_key).ok()?);
            return Some(Transform::Galois(Galois { key, salt: session_salt }));
        }
        let mut auth = Zeroizing::new([0; 20]);
        expand(key, salt, label + 1, &mut auth[..])?;
        let mut session_salt = [0; 14];
        expand(key, salt, label + 2, &mut session_salt)?;
        Some(Transform::Counter(Box::new(Counter {
            cipher: counter_cipher(cipher_key)?,
            auth: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &auth[..]),
            salt: session_salt,
            tag_len: match protocol {
                Protocol::Rtp => suite.rtp_tag_len(),
                Protocol::Rtcp => suite.rtcp_tag_len(),
            },
        })))
    }

    /// Bytes of a tag.
    pub(super) fn tag_len(&self) -> usize {
        match self {
            Transform::Counter(counter) => counter.tag_len,
            Transform::Galois(_) => GALOIS_TAG,
        }
    }
}

impl Counter {
    /// Encrypts or decrypts, which are the same (RFC 3711 §4.1.1).
    pub(super) fn crypt(&self, ssrc: u32, index: u64, payload: &mut [u8]) -> Result<(), SrtpError> {
        let mut iv = [0; 16];
        iv[..14].copy_from_slice(&self.salt);
        xor(&mut iv[4..8], &ssrc.to_be_bytes());
        xor(&mut iv[8..14], &index.to_be_bytes()[2..]);
        let context = EncryptionContext::Iv128(FixedLength::from(iv));
        self.cipher.less_safe_encrypt(payload, context).map(drop).map_err(|_| SrtpError::Malformed)
    }

    /// Writes the tag over `authenticated` and `rollover` (RTP; RFC 3711 §4.2).
    pub(super) fn sign(&self, authenticated: &[u8], rollover: Option<u32>, tag: &mut [u8]) {
        let whole = self.hash(authenticated, rollover);
        tag.copy_from_slice(&whole.as_ref()[..tag.len()]);
    }

    /// Whether the tag is right, in constant time.
    pub(super) fn verify(
        &self,
        authenticated: &[u8],
        rollover: Option<u32>,
        tag: &[u8],
    ) -> Result<(), SrtpError> {
        let whole = self.hash(authenticated, rollover);
        let right = whole.as_ref()[..self.tag_len].ct_eq(tag);
        if right.into() { Ok(()) } else { Err(SrtpError::Unauthentic) }
    }

    fn hash(&self, authenticated: &[u8], rollover: Option<u32>) -> hmac::Tag {
        let mut hash = hmac::Context::with_key(&self.auth);
        hash.update(authenticated);
        if let Some(rollover) = rollover {
            hash.update(&rollover.to_be_bytes());
        }
        hash.sign()
    }
}

impl Galois {
    /// Encrypts `text` in place and writes its tag.
    pub(super) fn seal(
        &self,
        ssrc: u32,
        index: u64,
        clear: &[u8],
        text: &mut [u8],
        tag: &mut [u8],
    ) -> Result<(), SrtpError> {
        let sealed = self.key.seal_in_place_separate_tag(self.nonce(ssrc, index), Aad::from(clear), text);
        tag.copy_from_slice(sealed.map_err(|_| SrtpError::Malformed)?.as_ref());
        Ok(())
    }

    /// Decrypts what begins `text`, its tag being the end. What fails to open is destroyed.
    pub(super) fn open(&self, ssrc: u32, index: u64, clear: &[u8], text: &mut [u8]) -> Result<(), SrtpError> {
        let opened = self.key.open_in_place(self.nonce(ssrc, index), Aad::from(clear), text);
        opened.map(drop).map_err(|_| SrtpError::Unauthentic)
    }

    /// RFC 7714 §8.1 and §9.1: source and index, the latter 48 bits at the end of the nonce either way.
    fn nonce(&self, ssrc: u32, index: u64) -> Nonce {
        let mut nonce = self.salt;
        xor(&mut nonce[2..6], &ssrc.to_be_bytes());
        xor(&mut nonce[6..12], &index.to_be_bytes()[2..]);
        Nonce::assume_unique_for_key(nonce)
    }
}

/// Fills `into` with key stream for a label (RFC 3711 §4.3.3; RFC 7714 §11 pads the shorter salt with zeros).
fn expand(key: &[u8], salt: &[u8], label: u8, into: &mut [u8]) -> Option<()> {
    let mut iv = [0; 16];
    iv[..salt.len()].copy_from_slice(salt);
    iv[7] ^= label;
    into.fill(0);
    let context = EncryptionContext::Iv128(FixedLength::from(iv));
    counter_cipher(key)?.less_safe_encrypt(into, context).ok()?;
    Some(())
}

fn counter_cipher(key: &[u8]) -> Option<EncryptingKey> {
    let algorithm = if key.len() == 16 { &AES_128 } else { &AES_256 };
    EncryptingKey::ctr(UnboundCipherKey::new(algorithm, key).ok()?).ok()
}

fn xor(into: &mut [u8], with: &[u8]) {
    for (one, other) in into.iter_mut().zip(with) {
        *one ^= other;
    }
}

/// RFC 7714 §13.2: both suites have the whole tag.
pub(super) const GALOIS_TAG: usize = 16;

#[cfg(test)]
pub(super) mod tests;
