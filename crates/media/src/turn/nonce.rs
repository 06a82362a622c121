//! Nonces that nobody has to remember: a time and a keyed hash (RFC 8489 §9.2, §14.10).

use std::net::IpAddr;

use aws_lc_rs::constant_time::verify_slices_are_equal;

use super::credentials::Secret;

/// Makes and checks nonces.
#[derive(Clone, Debug)]
pub(super) struct Nonces {
    secret: Secret,
}

impl Nonces {
    pub(super) fn new(secret: &Secret) -> Nonces {
        Nonces { secret: secret.branch(b"nonces") }
    }

    /// A nonce for whoever asks from `ip` at `unix`, seconds since 1970.
    pub(super) fn make(&self, ip: IpAddr, unix: u64) -> String {
        let hash: String = self.hash(ip, unix).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{COOKIE}{unix:010x}{hash}")
    }

    /// Whether it is one of ours for this address, and not too old.
    pub(super) fn is_fresh(&self, nonce: &[u8], ip: IpAddr, unix: u64) -> bool {
        let text = std::str::from_utf8(nonce).ok().and_then(|text| text.strip_prefix(COOKIE));
        let Some((time, _)) = text.and_then(|text| text.split_at_checked(10)) else { return false };
        let Ok(issued) = u64::from_str_radix(time, 16) else { return false };
        let ours = self.make(ip, issued);
        verify_slices_are_equal(ours.as_bytes(), nonce).is_ok() && issued <= unix && unix - issued < LIFETIME
    }

    fn hash(&self, ip: IpAddr, unix: u64) -> [u8; 10] {
        let ip = match ip {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        let hash = self.secret.hash(&[&unix.to_be_bytes(), &ip.octets()]);
        let mut first = [0; 10];
        first.copy_from_slice(&hash[..10]);
        first
    }
}

/// Begins every nonce: the security feature "password algorithms", the lowest bit of 24 (RFC 8489 §9.2, §18.1).
const COOKIE: &str = "obMatJos2AAAB";
/// Seconds that a nonce is good; at most an hour (RFC 8656 §5).
const LIFETIME: u64 = 1800;
