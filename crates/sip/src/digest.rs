//! Digest computation (RFC 7616, RFC 8760). Policy (which algorithm, which nonce) is the caller's.

use md5::Md5;
use sha2::{Digest, Sha256, Sha512_256};
use std::fmt;
use subtle::ConstantTimeEq;

/// A hash algorithm for digest authentication. The `-sess` forms are not supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// `MD5`, also where no algorithm is named.
    Md5,
    /// `SHA-256`
    Sha256,
    /// `SHA-512-256`
    Sha512_256,
}

impl Algorithm {
    /// All of them, the strongest first.
    pub const ALL: [Algorithm; 3] = [Algorithm::Sha512_256, Algorithm::Sha256, Algorithm::Md5];

    /// Reads the name in any case.
    pub fn parse(name: &str) -> Option<Algorithm> {
        Algorithm::ALL.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    /// The name as in the `algorithm` parameter.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Sha256 => "SHA-256",
            Algorithm::Sha512_256 => "SHA-512-256",
        }
    }

    /// The hash in lower-case hexadecimal.
    pub fn hex(self, bytes: &[u8]) -> String {
        self.joined(&[bytes])
    }

    /// The hash of the parts with colons between them.
    fn joined(self, parts: &[&[u8]]) -> String {
        match self {
            Algorithm::Md5 => joined::<Md5>(parts),
            Algorithm::Sha256 => joined::<Sha256>(parts),
            Algorithm::Sha512_256 => joined::<Sha512_256>(parts),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

fn joined<H: Digest>(parts: &[&[u8]]) -> String {
    let mut hash = H::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            hash.update(b":");
        }
        hash.update(part);
    }
    to_hex(&hash.finalize())
}

/// H(user:realm:password), the secret a server stores instead of a password. Prints as dots; compares in
/// constant time.
#[derive(Clone)]
pub struct Ha1(String);

impl Ha1 {
    /// From lower- or upper-case hexadecimal of the right length for an algorithm.
    pub fn from_hex(hex: &str) -> Option<Ha1> {
        let valid = matches!(hex.len(), 32 | 64) && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        valid.then(|| Ha1(hex.to_ascii_lowercase()))
    }

    /// Lower-case hexadecimal, to be stored.
    pub fn as_hex(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Ha1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ha1(…)")
    }
}

impl PartialEq for Ha1 {
    fn eq(&self, other: &Ha1) -> bool {
        same(self.0.as_bytes(), other.0.as_bytes())
    }
}

impl Eq for Ha1 {}

/// The HA1 of a user (RFC 7616 §3.4.2).
pub fn ha1(algorithm: Algorithm, user: &str, realm: &str, password: &str) -> Ha1 {
    Ha1(algorithm.joined(&[user.as_bytes(), realm.as_bytes(), password.as_bytes()]))
}

/// What a response is computed from, besides HA1. Texts are unquoted, as sent.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// The server's nonce.
    pub nonce: &'a str,
    /// The request's method.
    pub method: &'a str,
    /// The `uri` parameter.
    pub uri: &'a str,
    /// Quality of protection; `None` is the legacy form of RFC 2069.
    pub qop: Option<Qop<'a>>,
}

/// Quality of protection (RFC 7616 §3.4).
#[derive(Clone, Copy, Debug)]
pub enum Qop<'a> {
    /// `auth`
    Auth {
        /// Nonce count, eight hexadecimal digits as sent.
        nc: &'a str,
        /// Client nonce.
        cnonce: &'a str,
    },
    /// `auth-int`
    AuthInt {
        /// Nonce count, eight hexadecimal digits as sent.
        nc: &'a str,
        /// Client nonce.
        cnonce: &'a str,
        /// The message's body.
        body: &'a [u8],
    },
}

/// The `response` parameter in lower-case hexadecimal (RFC 7616 §3.4.1).
pub fn response(algorithm: Algorithm, ha1: &Ha1, parts: &Parts<'_>) -> String {
    let (method, uri, nonce) = (parts.method.as_bytes(), parts.uri.as_bytes(), parts.nonce.as_bytes());
    let ha1 = ha1.0.as_bytes();
    let ha2 = match parts.qop {
        Some(Qop::AuthInt { body, .. }) => algorithm.joined(&[method, uri, algorithm.hex(body).as_bytes()]),
        Some(Qop::Auth { .. }) | None => algorithm.joined(&[method, uri]),
    };
    let ha2 = ha2.as_bytes();
    match parts.qop {
        None => algorithm.joined(&[ha1, nonce, ha2]),
        Some(Qop::Auth { nc, cnonce }) => {
            algorithm.joined(&[ha1, nonce, nc.as_bytes(), cnonce.as_bytes(), b"auth", ha2])
        }
        Some(Qop::AuthInt { nc, cnonce, .. }) => {
            algorithm.joined(&[ha1, nonce, nc.as_bytes(), cnonce.as_bytes(), b"auth-int", ha2])
        }
    }
}

/// Whether two texts are the same, in a time that depends on their lengths only.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// Lower-case hexadecimal.
pub fn to_hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    push_hex(&mut out, bytes);
    out
}

/// Appends [`to_hex`] of these octets.
pub fn push_hex(text: &mut String, octets: &[u8]) {
    for octet in octets {
        for digit in [octet >> 4, octet & 15] {
            text.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
        }
    }
}

/// Undoes [`to_hex`]; either case; `None` for an odd length or another character.
pub fn from_hex(hex: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    hex.as_bytes()
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => u8::try_from(digit(*high)? * 16 + digit(*low)?).ok(),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REALM: &str = "http-auth@example.org";
    const NONCE: &str = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";

    fn rfc7616(algorithm: Algorithm) -> String {
        let ha1 = ha1(algorithm, "Mufasa", REALM, "Circle of Life");
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        let qop = Some(Qop::Auth { nc: "00000001", cnonce });
        response(algorithm, &ha1, &Parts { nonce: NONCE, method: "GET", uri: "/dir/index.html", qop })
    }

    #[test]
    fn the_examples_of_rfc_7616_section_3_9_1_come_out() {
        assert_eq!(rfc7616(Algorithm::Md5), "8ca523f5e9506fed4657c9700eebdbec");
        let sha256 = "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1";
        assert_eq!(rfc7616(Algorithm::Sha256), sha256);
    }

    #[test]
    fn the_example_of_rfc_7616_section_3_9_2_comes_out() {
        let ha1 = ha1(Algorithm::Sha512_256, "Jäsøn Doe", "api@example.org", "Secret, or not?");
        let parts = Parts {
            nonce: "5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK",
            method: "GET",
            uri: "/doe.json",
            qop: Some(Qop::Auth { nc: "00000001", cnonce: "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v" }),
        };
        // As corrected by erratum 4897: the value in the RFC is not that of the final SHA-512/256.
        let expected = "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5";
        assert_eq!(response(Algorithm::Sha512_256, &ha1, &parts), expected);
    }

    #[test]
    fn the_example_of_rfc_2617_comes_out_with_and_without_qop() {
        let ha1 = ha1(Algorithm::Md5, "Mufasa", "testrealm@host.com", "Circle Of Life");
        assert_eq!(ha1.as_hex(), "939e7578ed9e3c518a452acee763bce9");
        let nonce = "dcd98b7102dd2f0e8b11d0f600bfb0c093";
        let parts = Parts { nonce, method: "GET", uri: "/dir/index.html", qop: None };
        let auth = Parts { qop: Some(Qop::Auth { nc: "00000001", cnonce: "0a4f113b" }), ..parts };
        assert_eq!(response(Algorithm::Md5, &ha1, &auth), "6629fae49393a05397450978507c4ef1");
        assert_eq!(response(Algorithm::Md5, &ha1, &parts), "670fd8c2df070c60b045671b8b24ff02");
    }

    #[test]
    fn auth_int_covers_the_body() {
        let ha1 = ha1(Algorithm::Md5, "u", "r", "p");
        let with = |body| {
            let qop = Some(Qop::AuthInt { nc: "00000001", cnonce: "c", body });
            response(Algorithm::Md5, &ha1, &Parts { nonce: "n", method: "INVITE", uri: "sip:h", qop })
        };
        assert_ne!(with(b"a"), with(b"b"));
    }

    #[test]
    fn a_stored_secret_reads_back_and_prints_as_dots() {
        let secret = ha1(Algorithm::Sha256, "u", "r", "p");
        assert_eq!(Ha1::from_hex(&secret.as_hex().to_uppercase()), Some(secret.clone()));
        assert_eq!(format!("{secret:?}"), "Ha1(…)");
        assert_eq!(Ha1::from_hex("abc"), None);
        assert_ne!(secret, ha1(Algorithm::Sha256, "u", "r", "q"));
    }

    #[test]
    fn hexadecimal_goes_both_ways() {
        assert_eq!(from_hex("00fF"), Some(vec![0, 255]));
        assert_eq!(to_hex(&[0, 255]), "00ff");
        assert_eq!((from_hex("0"), from_hex("0g")), (None, None));
    }
}
