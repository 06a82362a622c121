//! A PASSporT (RFC 8225) of the kind `shaken` (RFC 8588), or of no kind.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::{Attestation, Fault};

/// What is signed about a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passport {
    /// The caller's number, digits only (RFC 8224 §8.3).
    pub orig: String,
    /// The numbers that are called.
    pub dest: Vec<String>,
    /// When it was signed, in Unix seconds.
    pub iat: u64,
    /// How far the signer vouches; always there in the kind `shaken`.
    pub attestation: Option<Attestation>,
    /// What the signer calls the way of the call; always there in the kind `shaken`.
    pub origid: Option<String>,
}

impl Passport {
    /// What a signature is over: header and claims, in the order and without the blanks that RFC 8225 §9 asks for. With an
    /// attestation it is of the kind `shaken`.
    pub fn signed_part(&self, certificate: &str) -> String {
        let text = |text: &str| Value::from(text).to_string();
        let kind = if self.attestation.is_some() { r#""ppt":"shaken","# } else { "" };
        let header = format!(r#"{{"alg":"ES256",{kind}"typ":"passport","x5u":{}}}"#, text(certificate));
        let attest = self.attestation.map(|one| format!(r#""attest":"{}","#, one.letter()));
        let origid = self.origid.as_ref().map(|one| format!(r#","origid":{}"#, text(one)));
        let dest: Vec<_> = self.dest.iter().map(|one| text(one)).collect();
        let claims = format!(
            r#"{{{}"dest":{{"tn":[{}]}},"iat":{},"orig":{{"tn":{}}}{}}}"#,
            attest.unwrap_or_default(),
            dest.join(","),
            self.iat,
            text(&self.orig),
            origid.unwrap_or_default(),
        );
        format!("{}.{}", base64url(header.as_bytes()), base64url(claims.as_bytes()))
    }

    /// Reads the claims of a token, whose header says where the certificate is and of which kind it is.
    pub(super) fn read(claims: &str, is_shaken: bool) -> Result<Self, Fault> {
        let claims = json(claims)?;
        let number = |value: &Value| value.as_str().filter(|one| is_number(one)).map(str::to_owned);
        let orig = claims.pointer("/orig/tn").and_then(number).ok_or(Fault::OtherCaller)?;
        let dest = match claims.pointer("/dest/tn") {
            Some(Value::Array(all)) => all.iter().take(MOST_CALLED).filter_map(number).collect(),
            // What RFC 8225 §5.2.1 writes as a list, some write as a text.
            Some(one @ Value::String(_)) => number(one).into_iter().collect(),
            _ => Vec::new(),
        };
        let iat = claims.get("iat").and_then(Value::as_u64).ok_or(Fault::Malformed)?;
        let text = |name| claims.get(name).and_then(Value::as_str);
        let attestation = text("attest").and_then(Attestation::of);
        let origid = text("origid").map(str::to_owned);
        let is_fit = |one: &String| one.len() <= LONGEST_ORIGIN && one.bytes().all(|b| b.is_ascii_graphic());
        if !origid.iter().all(is_fit) || is_shaken && (attestation.is_none() || origid.is_none()) {
            return Err(Fault::Malformed);
        }
        Ok(Self { orig, dest, iat, attestation, origid })
    }
}

/// A part of a token as JSON.
pub(super) fn json(part: &str) -> Result<Value, Fault> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| Fault::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| Fault::Malformed)
}

/// The signature in a token.
pub(super) fn signature(part: &str) -> Result<Vec<u8>, Fault> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Fault::Malformed)
}

pub(super) fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn is_number(text: &str) -> bool {
    (1..=MOST_DIGITS).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_digit() || b"*#".contains(&byte))
}

/// Called numbers that are looked at.
const MOST_CALLED: usize = 16;
const MOST_DIGITS: usize = 20;
/// A UUID has 36.
const LONGEST_ORIGIN: usize = 64;
