//! GRUUs (RFC 5627): addresses of one device of a user, from anywhere.

use hmac::{Hmac, KeyInit as _, Mac as _};
use offhook_sip::SipUri;
use rand::{Rng, RngExt as _};
use sha2::Sha256;

use crate::config::Key;
use crate::directory::{AddressOfRecord, Binding};
use crate::proxy::signed_route::{base64, tag_digest, unbase64};

/// The one that anybody may know: the address with the device in it (§3.1.1).
pub(crate) fn public(record: &AddressOfRecord, instance: &str) -> String {
    let mut text = format!("{record};gr=");
    for byte in bare(instance).bytes() {
        // What may stand in the value of a URI's parameter (RFC 3261 §25.1).
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()[]/:&+$".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

/// One that tells nothing of the user (§3.1.2): good for as long as the device keeps the Call-ID of its registration.
/// Every call makes another.
pub(crate) fn temporary(
    record: &AddressOfRecord,
    binding: &Binding,
    key: &Key,
    rng: &mut impl Rng,
) -> String {
    let nonce: [u8; NONCE] = rng.random();
    let mut hidden = Vec::with_capacity(record.as_str().len() + 8);
    hidden.extend_from_slice(&mark(binding).to_be_bytes());
    hidden.extend_from_slice(record.as_str().as_bytes());
    hide(&mut hidden, &nonce, key);
    let mut token = nonce.to_vec();
    token.extend_from_slice(&hidden);
    let seal = mac(b"temp-gruu seal", &token, key);
    token.extend_from_slice(&seal[..SEAL]);
    format!("sip:{PREFIX}{}@{};gr", base64(&token), record.host())
}

/// What a GRUU names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Gruu {
    /// A device of the user in the URI.
    Public(String),
    /// A device of this user, known by a digest.
    Temporary(AddressOfRecord, u64),
}

impl Gruu {
    /// Reads a URI; `None` if it is none, or not one of ours.
    pub(crate) fn read(uri: &SipUri, key: &Key) -> Option<Self> {
        let (_, value) = uri.params().find(|(name, _)| name.eq_ignore_ascii_case("gr"))?;
        if let Some(value) = value {
            return Some(Self::Public(unescape(value)));
        }
        let token = unbase64(uri.user()?.strip_prefix(PREFIX)?)?;
        let (token, seal) = token.split_at_checked(token.len().checked_sub(SEAL)?)?;
        // Whoever could make one could reach only who is registered anyway; still nothing is told by how long this takes.
        if !bool::from(subtle::ConstantTimeEq::ct_eq(&mac(b"temp-gruu seal", token, key)[..SEAL], seal)) {
            return None;
        }
        let (nonce, hidden) = token.split_first_chunk::<NONCE>()?;
        let mut hidden = hidden.to_vec();
        hide(&mut hidden, nonce, key);
        let (mark, record) = hidden.split_first_chunk()?;
        let record = AddressOfRecord::parse(std::str::from_utf8(record).ok()?).ok()?;
        Some(Self::Temporary(record, u64::from_be_bytes(*mark)))
    }

    /// Whether it names the device of a binding.
    pub(crate) fn names(&self, binding: &Binding) -> bool {
        match self {
            Self::Public(device) => {
                binding.instance.as_ref().is_some_and(|one| bare(one).eq_ignore_ascii_case(device))
            }
            Self::Temporary(_, known) => mark(binding) == *known,
        }
    }
}

/// Stands for a device and the Call-ID of its registration.
fn mark(binding: &Binding) -> u64 {
    let instance = binding.instance.as_deref().unwrap_or_default();
    u64::from(tag_digest(instance)) << 32 | u64::from(tag_digest(&binding.call_id))
}

/// Makes something unreadable, or readable again: a stream of bytes from a keyed hash in counter mode.
fn hide(bytes: &mut [u8], nonce: &[u8; NONCE], key: &Key) {
    for (count, block) in (0_u32..).zip(bytes.chunks_mut(32)) {
        let stream = mac(b"temp-gruu", &[&nonce[..], &count.to_be_bytes()].concat(), key);
        for (byte, mask) in block.iter_mut().zip(stream) {
            *byte ^= mask;
        }
    }
}

fn mac(purpose: &[u8], bytes: &[u8], key: &Key) -> [u8; 32] {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(&key.0).unwrap_or_else(|_| unreachable!("any length will do"));
    mac.update(purpose);
    mac.update(&[0]);
    mac.update(bytes);
    mac.finalize().into_bytes().into()
}

fn bare(instance: &str) -> &str {
    instance.trim_matches(['<', '>', '"', ' '])
}

fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        match (first, code) {
            (b'%', Some(code)) => {
                bytes.push(code);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

const PREFIX: &str = "tgruu.";
const NONCE: usize = 8;
const SEAL: usize = 8;

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::ChaCha8Rng;

    use super::*;

    fn binding() -> Binding {
        Binding {
            contact: "sip:a@x.invalid".into(),
            q: 1000,
            expires_at: 0,
            flow: offhook_sip_stack::Flow {
                transport: offhook_sip_stack::Transport::Wss,
                local: "192.0.2.1:8443".parse().unwrap(),
                remote: "192.0.2.9:5000".parse().unwrap(),
                connection: None,
            },
            behind_nat: true,
            path: Vec::new(),
            call_id: "one".into(),
            cseq: 1,
            instance: Some("<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>".into()),
            reg_id: Some(1),
            user_agent: String::new(),
            media: None,
        }
    }

    fn read(text: &str, key: &Key) -> Option<Gruu> {
        Gruu::read(&text.parse().unwrap(), key)
    }

    #[test]
    fn a_public_gruu_is_the_address_with_the_device() {
        let record = AddressOfRecord::new("alice", "example.com");
        let text = public(&record, "<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>");
        assert_eq!(text, "sip:alice@example.com;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6");
        assert!(read(&text, &Key([1; 32])).unwrap().names(&binding()));
        let odd = Binding { instance: Some("<a;b=\"c>".into()), ..binding() };
        let text = public(&record, odd.instance.as_ref().unwrap());
        assert!(read(&text, &Key([1; 32])).unwrap().names(&odd));
        assert!(!read(&text, &Key([1; 32])).unwrap().names(&binding()));
    }

    #[test]
    fn a_temporary_gruu_tells_nothing_and_leads_to_the_device_while_its_registration_lasts() {
        let (record, key) = (AddressOfRecord::new("alice", "example.com"), Key([1; 32]));
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let first = temporary(&record, &binding(), &key, &mut rng);
        let second = temporary(&record, &binding(), &key, &mut rng);
        assert_ne!(first, second);
        assert!(!first.contains("alice"));
        for text in [&first, &second] {
            let gruu = read(text, &key).unwrap();
            assert!(matches!(&gruu, Gruu::Temporary(named, _) if *named == record));
            assert!(gruu.names(&binding()));
            assert!(!gruu.names(&Binding { call_id: "two".into(), ..binding() }));
        }
        assert_eq!(read(&first, &Key([2; 32])), None);
        let changed = first.replacen("sip:tgruu.", "sip:tgruu.A", 1);
        assert_eq!(read(&changed, &key), None);
        assert_eq!(read("sip:alice@example.com;gr", &key), None);
        assert_eq!(read("sip:alice@example.com", &key), None);
    }
}
