//! The Identity header field of a call that comes in (RFC 8224 §6.2).

use offhook_sip::{HostPort, Name, NameAddr, Request, Uri};

use super::certificate::Certificate;
use super::{Fault, Passport, Verdict, passport};
use crate::locality::user_of;
use crate::route::{Number, Numbering};

/// What came with a call and has been compared with the call, but whose signature has not been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    passport: Passport,
    /// What the signature is over, as it came.
    signed: String,
    signature: Vec<u8>,
    /// Where the certificate is.
    pub(crate) address: String,
}

/// The claim of a call at a moment in Unix seconds; `None`: it has none of a kind that we know.
///
/// # Errors
/// Why what it has proves nothing.
pub(crate) fn claims(
    request: &Request,
    numbering: &Numbering,
    is_ours: &dyn Fn(&str) -> bool,
    now: u64,
) -> Result<Option<Claim>, Fault> {
    let (mut fault, numbers) = (None, Numbers::of(request, numbering, is_ours));
    for value in request.raw_all(Name::Identity).take(MOST_HEADERS) {
        match Claim::read(value, request, &numbers) {
            Ok(None) => {}
            Ok(Some(claim)) => match claim.fits(&numbers, now) {
                Ok(()) => return Ok(Some(claim)),
                Err(why) => fault = fault.or(Some(why)),
            },
            Err(why) => fault = fault.or(Some(why)),
        }
    }
    fault.map_or(Ok(None), Err)
}

/// The numbers that a call shows, digits only.
struct Numbers {
    caller: Option<String>,
    called: Option<String>,
}

impl Numbers {
    fn of(request: &Request, numbering: &Numbering, is_ours: &dyn Fn(&str) -> bool) -> Self {
        let called = request.to().ok().and_then(|to| canonical(&to.uri, numbering, is_ours));
        let digits = |number: String| digits(&number).to_owned();
        Self { caller: number_of(request, numbering).map(digits), called: called.map(digits) }
    }
}

impl Claim {
    /// `None`: it is of a kind that we do not know, and is passed over (RFC 8224 §6.2 step 1).
    fn read(value: &[u8], request: &Request, numbers: &Numbers) -> Result<Option<Self>, Fault> {
        if value.len() > LONGEST {
            return Err(Fault::Malformed);
        }
        let text = std::str::from_utf8(value).map_err(|_| Fault::Malformed)?;
        let (token, params) = text.split_once(';').ok_or(Fault::Malformed)?;
        let param = |name: &str| {
            let find = |one: &'_ str| {
                let (key, value) = one.split_once('=')?;
                key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"').to_owned())
            };
            params.split(';').find_map(find)
        };
        let kind = param("ppt");
        if !matches!(kind.as_deref(), None | Some("shaken")) {
            return Ok(None);
        }
        let info = param("info").ok_or(Fault::Malformed)?;
        let info = info.strip_prefix('<').and_then(|info| info.strip_suffix('>')).ok_or(Fault::Malformed)?;
        if param("alg").is_some_and(|alg| alg != ALGORITHM) {
            return Err(Fault::Malformed);
        }
        let mut parts = token.trim().split('.');
        let [Some(header), Some(claims), Some(signature), None] = std::array::from_fn(|_| parts.next())
        else {
            return Err(Fault::Malformed);
        };
        let address_is_fit = address(info).is_some();
        if header.is_empty() && claims.is_empty() && address_is_fit {
            return Self::compact((kind.is_some(), info, signature), request, numbers).map(Some);
        }
        let said = passport::json(header)?;
        let said = |name: &str| said.get(name).and_then(|value| value.as_str()).map(str::to_owned);
        // What the header field says must be what is signed, else somebody has put another certificate there.
        let agrees = said("alg").as_deref() == Some(ALGORITHM)
            && said("typ").as_deref() == Some("passport")
            && said("ppt") == kind
            && said("x5u").as_deref() == Some(info);
        if !agrees || !address_is_fit {
            return Err(Fault::Malformed);
        }
        Ok(Some(Self {
            passport: Passport::read(claims, kind.is_some())?,
            signed: format!("{header}.{claims}"),
            signature: passport::signature(signature)?,
            address: info.to_owned(),
        }))
    }

    /// From the compact form (RFC 8225 §7): what is signed is made again of what the call says.
    fn compact(
        (is_shaken, info, signature): (bool, &str, &str),
        request: &Request,
        numbers: &Numbers,
    ) -> Result<Self, Fault> {
        if is_shaken {
            return Err(Fault::Compact);
        }
        let iat = request.raw(Name::Date).and_then(seconds).ok_or(Fault::NoDate)?;
        let orig = numbers.caller.clone().ok_or(Fault::NoNumber)?;
        let dest = vec![numbers.called.clone().ok_or(Fault::OtherCalled)?];
        let passport = Passport { orig, dest, iat, attestation: None, origid: None };
        let signed = passport.signed_part(info);
        Ok(Self { passport, signed, signature: passport::signature(signature)?, address: info.to_owned() })
    }

    /// Whether it is for this call, and of now.
    fn fits(&self, numbers: &Numbers, now: u64) -> Result<(), Fault> {
        let caller = numbers.caller.as_ref().ok_or(Fault::NoNumber)?;
        if *caller != self.passport.orig {
            return Err(Fault::OtherCaller);
        }
        let called = numbers.called.as_ref().ok_or(Fault::OtherCalled)?;
        if !self.passport.dest.contains(called) {
            return Err(Fault::OtherCalled);
        }
        if self.passport.iat.abs_diff(now) > FRESH {
            return Err(Fault::Stale);
        }
        Ok(())
    }

    /// What comes of it with the certificate.
    pub(super) fn judge(self, certificate: &Certificate, now: u64) -> Verdict {
        let Passport { orig, attestation, origid, .. } = &self.passport;
        if !certificate.is_valid(now) {
            Verdict::Failed(Fault::Expired)
        } else if !certificate.is_for(orig) {
            Verdict::Failed(Fault::OtherNumbers)
        } else if !certificate.signs(self.signed.as_bytes(), &self.signature) {
            Verdict::Failed(Fault::Signature)
        } else {
            let number = format!("+{orig}");
            Verdict::Passed { number, attestation: *attestation, origin: origid.clone() }
        }
    }
}

/// The number under which somebody calls: that of From, which phones show; of a caller without one, what is asserted
/// (RFC 3325).
pub(crate) fn number_of(request: &Request, numbering: &Numbering) -> Option<String> {
    let number = |one: &NameAddr| canonical(&one.uri, numbering, &|_| true);
    let from = request.from().ok().and_then(|from| number(&from.detach()));
    from.or_else(|| request.p_asserted_identity().flatten().find_map(|one| number(&one.detach())))
}

/// A number as both sides write it (RFC 8224 §8.3): whole with a `+`, or as it is.
fn canonical(uri: &Uri, numbering: &Numbering, is_ours: &dyn Fn(&str) -> bool) -> Option<String> {
    let number = match numbering.read(uri, is_ours).ok()? {
        Number::Global(number) => number,
        // Without a country to complete it, what carriers send is E.164 without the +.
        Number::Local(digits) => digits,
    };
    // Names are no numbers, though `user_of` has them.
    let is_number = number.bytes().any(|byte| byte.is_ascii_digit());
    (is_number && user_of(uri).is_some()).then_some(number)
}

/// The Unix second of a Date (RFC 3261 §20.17).
fn seconds(date: &[u8]) -> Option<u64> {
    let date = std::str::from_utf8(date).ok().filter(|date| date.len() <= LONGEST_DATE)?;
    let date = date.trim().strip_suffix("GMT")?.trim_end();
    let time = jiff::civil::DateTime::strptime("%a, %d %b %Y %H:%M:%S", date).ok()?;
    let zoned = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    u64::try_from(zoned.timestamp().as_second()).ok()
}

fn digits(number: &str) -> &str {
    number.strip_prefix('+').unwrap_or(number)
}

/// The host of an address from which certificates may be fetched, and its port if it has one.
pub(super) fn address(text: &str) -> Option<HostPort> {
    let rest = text.strip_prefix("https://")?;
    let is_fit = text.len() <= LONGEST_ADDRESS && text.bytes().all(|byte| byte.is_ascii_graphic());
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let host = rest.get(..end)?;
    let is_plain = !rest.contains(['"', '<', '>', '\\', '#']) && !host.contains('@');
    HostPort::parse(host).filter(|_| is_fit && is_plain)
}

const ALGORITHM: &str = "ES256";
/// Seconds that a signature may be old (RFC 8224 §4.1).
const FRESH: u64 = 60;
/// Header fields that are looked at.
const MOST_HEADERS: usize = 4;
const LONGEST: usize = 4_096;
const LONGEST_DATE: usize = 64;
const LONGEST_ADDRESS: usize = 512;
