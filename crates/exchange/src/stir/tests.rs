use std::time::Instant;

use offhook_sip::{Message, Request};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, IsCa, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256,
    date_time_ymd,
};

use super::*;
use crate::route::Numbering;
use crate::route::countries::Country;

const ADDRESS: &str = "https://cert.example.org/passport.cer";
const NOW: u64 = 1_800_000_000;

/// Somebody who says who may sign, and the PEM of its certificate.
struct Authority(Issuer<'static, KeyPair>, String);

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self(Issuer::new(params, key), pem)
    }

    /// A certificate with these numbers, valid up to a year, and what signs with its key.
    fn signer(&self, numbers: &[u8], until: i32) -> (Signer, String) {
        self.signer_with(26, numbers, until)
    }

    /// The same with this extension of the arc of STIR, if it is not empty.
    fn signer_with(&self, extension: u64, content: &[u8], until: i32) -> (Signer, String) {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let params = with(extension, content, until);
        let pem = params.signed_by(&key, &self.0).unwrap().pem();
        (Signer::new(&key.serialize_der(), ADDRESS).unwrap(), pem)
    }

    /// Somebody to whom these numbers are delegated, with the PEM of its own certificate.
    fn delegate(&self, numbers: &[u8]) -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let mut params = with(26, numbers, 2100);
        params.distinguished_name.push(rcgen::DnType::CommonName, "delegate");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.signed_by(&key, &self.0).unwrap().pem();
        Self(Issuer::new(params, key), pem)
    }

    fn authorities(&self) -> Authorities {
        Authorities::read(self.1.as_bytes()).unwrap()
    }
}

fn with(extension: u64, content: &[u8], until: i32) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    if !content.is_empty() {
        let oid = [1, 3, 6, 1, 5, 5, 7, 1, extension];
        params.custom_extensions.push(CustomExtension::from_oid_content(&oid, content.to_vec()));
    }
    params
}

/// A TNAuthorizationList of this number and as many as come after it, itself included: SEQUENCE { [1] { SEQUENCE { IA5String,
/// INTEGER } } }.
fn range(count: u8) -> Vec<u8> {
    let mut list = vec![0x30, 20, 0xa1, 18, 0x30, 16, 0x16, 11];
    list.extend(b"12155550100");
    list.extend([2, 1, count]);
    list
}

fn passport() -> Passport {
    Passport {
        orig: "12155550121".into(),
        dest: vec!["12155550131".into()],
        iat: NOW,
        attestation: Some(Attestation::Full),
        origid: Some("123e4567-e89b-12d3-a456-426655440000".into()),
    }
}

fn invite(from: &str, to: &str, headers: &str) -> Request {
    let text = format!(
        "INVITE sip:x@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\nFrom: <{from}>;tag=f\r\n\
         To: <{to}>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\n{headers}Content-Length: 0\r\n\r\n"
    );
    match Message::parse(text.into()).unwrap() {
        Message::Request(request) => request,
        Message::Response(_) => panic!(),
    }
}

fn claim(request: &Request, now: u64) -> Result<Option<Claim>, Fault> {
    claims(request, &Numbering::of(Country::of("US").unwrap()), &|_| true, now)
}

/// A call of +1 215 555 0121 to +1 215 555 0131 with this Identity.
fn call(identity: &str) -> Request {
    let headers = format!("Identity: {identity}\r\n");
    invite("sip:+12155550121@carrier.example;user=phone", "sip:12155550131@example.com", &headers)
}

fn verdict(request: &Request, certificate: &str, authorities: &Authorities) -> Verdict {
    let claim = match claim(request, NOW) {
        Ok(Some(claim)) => claim,
        Ok(None) => return Verdict::Unsigned,
        Err(fault) => return Verdict::Failed(fault),
    };
    #[allow(clippy::disallowed_methods, reason = "a moment; nothing depends on which")]
    let (mut known, now) = (Known::default(), Instant::now());
    assert_eq!(known.judge(&claim, now, NOW), None);
    known.learn(claim.address.clone(), Ok(certificate.as_bytes()), authorities, (now, NOW));
    known.judge(&claim, now, NOW).unwrap()
}

#[test]
fn a_passport_is_written_as_in_rfc_8588() {
    let part = Passport { iat: 1_443_208_345, ..passport() }.signed_part(ADDRESS);
    let (header, claims) = part.split_once('.').unwrap();
    // RFC 8225 §9 and RFC 8588 §3: keys in order, no blanks.
    let text = |part: &str| {
        use base64::Engine as _;
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap();
        String::from_utf8(bytes).unwrap()
    };
    assert_eq!(
        text(header),
        r#"{"alg":"ES256","ppt":"shaken","typ":"passport","x5u":"https://cert.example.org/passport.cer"}"#
    );
    assert_eq!(
        text(claims),
        r#"{"attest":"A","dest":{"tn":["12155550131"]},"iat":1443208345,"orig":{"tn":"12155550121"},"origid":"123e4567-e89b-12d3-a456-426655440000"}"#
    );
}

#[test]
fn the_key_of_rfc_8225_signs_what_its_public_half_verifies() {
    // RFC 8225 §A.1
    let key = "MHcCAQEEIFeZ1R208QCvcu5GuYyMfG4W7sH4m99/7eHSDLpdYllFoAoGCCqGSM49AwEHoUQDQgAE8HNbQd/TmvCKwPKHkMF9fScavGeH78YTU8qLS8I5\
               HLHSSmlATLcslQMhNC/OhlWBYC626nIlo7XeebYS7Sb37g==";
    use base64::Engine as _;
    let key = base64::engine::general_purpose::STANDARD.decode(key).unwrap();
    let identity = Signer::new(&key, ADDRESS).unwrap().identity(&passport()).unwrap();
    assert!(identity.ends_with(&format!(";info=<{ADDRESS}>;alg=ES256;ppt=\"shaken\"")), "{identity}");
    let token = identity.split(';').next().unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let public = &key[key.len() - 65..];
    let verify =
        aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED, public);
    verify.verify(signed.as_bytes(), &passport::signature(signature).unwrap()).unwrap();
    assert!(Signer::new(&key[..40], ADDRESS).is_err());
    for address in
        ["http://cert.example.org/p.cer", "https://", "https://a b/", "https://u@h/", "https://h/>;x"]
    {
        assert!(Signer::new(&key, address).is_err(), "{address}");
    }
}

#[test]
fn a_signature_is_good_for_its_call_and_no_other() {
    let authority = Authority::new();
    let (signer, pem) = authority.signer(&[], 2100);
    let trusted = authority.authorities();
    let judged = |request: &Request| verdict(request, &pem, &trusted);
    let good = signer.identity(&passport()).unwrap();
    let passed = Verdict::Passed {
        number: "+12155550121".into(),
        attestation: Some(Attestation::Full),
        origin: passport().origid,
    };
    assert_eq!(judged(&call(&good)), passed);
    assert_eq!(passed.to_string(), "passed A +12155550121 origid=123e4567-e89b-12d3-a456-426655440000");
    let header = format!("Identity: {good}\r\n");
    // Numbers are compared as numbers (RFC 8224 §8.3), however they are written.
    let same = invite("tel:+1-215-555-0121", "sip:2155550131@example.com", &header);
    assert_eq!(judged(&same), passed);
    let asserted = format!("{header}P-Asserted-Identity: <tel:+12155550121>\r\n");
    let hidden = invite("sip:anonymous@anonymous.invalid", "sip:+12155550131@example.com", &asserted);
    assert_eq!(judged(&hidden), passed);
    let other = invite("sip:+12155550122@carrier.example", "sip:+12155550131@example.com", &asserted);
    assert_eq!(judged(&other), Verdict::Failed(Fault::OtherCaller));
    let other = invite("sip:+12155550121@carrier.example", "sip:+12155550132@example.com", &header);
    assert_eq!(judged(&other), Verdict::Failed(Fault::OtherCalled));
    let nobody = invite("sip:bob@carrier.example", "sip:+12155550131@example.com", &header);
    assert_eq!(judged(&nobody), Verdict::Failed(Fault::NoNumber));
    let unsigned = invite("sip:+12155550121@carrier.example", "sip:+12155550131@example.com", "");
    assert_eq!(judged(&unsigned), Verdict::Unsigned);
    for (iat, is_stale) in [(NOW - 60, false), (NOW + 60, false), (NOW - 61, true), (NOW + 61, true)] {
        let identity = signer.identity(&Passport { iat, ..passport() }).unwrap();
        assert_eq!(judged(&call(&identity)) == Verdict::Failed(Fault::Stale), is_stale, "{iat}");
    }
    let (stranger, _) = authority.signer(&[], 2100);
    let forged = stranger.identity(&passport()).unwrap();
    assert_eq!(judged(&call(&forged)), Verdict::Failed(Fault::Signature));
}

#[test]
fn what_cannot_be_read_proves_nothing_and_harms_nobody() {
    let (signer, _) = Authority::new().signer(&[], 2100);
    let good = signer.identity(&passport()).unwrap();
    let (token, params) = good.split_once(';').unwrap();
    let long = "a".repeat(5_000);
    for (identity, expected) in [
        ("x".to_owned(), Err(Fault::Malformed)),
        (format!("..{};{params}", "AAAA"), Err(Fault::Compact)),
        (format!("..AAAA;info=<{ADDRESS}>"), Err(Fault::NoDate)),
        (format!("..AAAA;info=<{ADDRESS}>\r\nDate: yesterday"), Err(Fault::NoDate)),
        (format!("..AAAA;info=<{ADDRESS}>\r\nDate: Sat, 13 Nov 2010 23:29:00 GMT"), Err(Fault::Stale)),
        ("..AAAA;info=<http://192.0.2.1/>".to_owned(), Err(Fault::Malformed)),
        (format!("a.b.c;{params}"), Err(Fault::Malformed)),
        (format!("{token};alg=ES256;ppt=shaken"), Err(Fault::Malformed)),
        (format!("{token};info=<https://other.example/c.pem>;ppt=shaken"), Err(Fault::Malformed)),
        (format!("{token};info=<{ADDRESS}>;alg=RS256;ppt=shaken"), Err(Fault::Malformed)),
        (format!("{token};info=<{ADDRESS}>"), Err(Fault::Malformed)),
        (format!("{long};{params}"), Err(Fault::Malformed)),
        (format!("{token};info=<{ADDRESS}>;ppt=\"div\""), Ok(None)),
    ] {
        assert_eq!(claim(&call(&identity), NOW), expected, "{identity}");
    }
    // One that we know may come after one that we do not.
    let both = format!("{token};info=<{ADDRESS}>;ppt=\"div\"\r\nIdentity: {good}");
    assert!(claim(&call(&both), NOW).unwrap().is_some());
}

#[test]
fn a_certificate_must_lead_to_an_authority_be_valid_and_be_for_the_number() {
    let (authority, other) = (Authority::new(), Authority::new());
    let trusted = authority.authorities();
    let one = |number: &[u8]| [&[0x30, 15, 0xa2, 13, 0x16, 11], number].concat();
    let provider = [0x30, 8, 0xa0, 6, 0x16, 4, b'7', b'0', b'9', b'J'];
    for (by, numbers, until, expected) in [
        (&authority, provider.to_vec(), 2100, None),
        (&authority, range(22), 2100, None),
        (&authority, range(21), 2100, Some(Fault::OtherNumbers)),
        (&authority, one(b"12155550121"), 2100, None),
        (&authority, one(b"12155550122"), 2100, Some(Fault::OtherNumbers)),
        (&authority, vec![0x30, 5, 0xa0], 2100, Some(Fault::NotACertificate)),
        (&authority, Vec::new(), 2026, Some(Fault::Expired)),
        (&other, Vec::new(), 2100, Some(Fault::Untrusted)),
    ] {
        let (signer, pem) = by.signer(&numbers, until);
        let found = verdict(&call(&signer.identity(&passport()).unwrap()), &pem, &trusted);
        let fault = match found {
            Verdict::Failed(fault) => Some(fault),
            Verdict::Passed { .. } => None,
            Verdict::Unsigned => panic!(),
        };
        assert_eq!(fault, expected, "{numbers:?}");
    }
    let (signer, _) = authority.signer(&[], 2100);
    let request = call(&signer.identity(&passport()).unwrap());
    for nonsense in ["", "hello", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "0\u{1}"]
    {
        assert_eq!(verdict(&request, nonsense, &trusted), Verdict::Failed(Fault::NotACertificate));
    }
    assert!(Authorities::read(b"").is_err() && Authorities::read(b"0").is_err());
}

#[test]
fn a_delegate_certificate_is_for_no_more_than_who_issued_it_has() {
    let authority = Authority::new();
    let trusted = authority.authorities();
    for (delegated, own, expected) in [
        (range(30), range(22), None),
        (range(21), range(22), Some(Fault::OtherNumbers)),
        (range(21), Vec::new(), Some(Fault::OtherNumbers)),
        (Vec::new(), range(22), None),
    ] {
        let delegate = authority.delegate(&delegated);
        let (signer, pem) = delegate.signer(&own, 2100);
        let chain = format!("{pem}{}", delegate.1);
        let found = verdict(&call(&signer.identity(&passport()).unwrap()), &chain, &trusted);
        let fault = if let Verdict::Failed(fault) = found { Some(fault) } else { None };
        assert_eq!(fault, expected, "{delegated:?} {own:?}");
    }
}

#[test]
fn a_certificate_with_conditions_that_are_not_understood_is_not_believed() {
    let authority = Authority::new();
    for extension in [27, 33] {
        let (signer, pem) = authority.signer_with(extension, &[0x30, 0], 2100);
        let request = call(&signer.identity(&passport()).unwrap());
        let found = verdict(&request, &pem, &authority.authorities());
        assert_eq!(found, Verdict::Failed(Fault::Constrained), "{extension}");
    }
}

#[test]
fn the_compact_form_is_made_whole_of_what_the_call_says() {
    let authority = Authority::new();
    let (signer, pem) = authority.signer(&[], 2100);
    let trusted = authority.authorities();
    let plain = Passport { attestation: None, origid: None, ..passport() };
    let full = signer.identity(&plain).unwrap();
    let signature = full.split(';').next().unwrap().rsplit('.').next().unwrap();
    let header = |date: &str| format!("..{signature};info=<{ADDRESS}>;alg=ES256\r\nDate: {date}");
    // The second NOW.
    let request = call(&header("Fri, 15 Jan 2027 08:00:00 GMT"));
    let passed = Verdict::Passed { number: "+12155550121".into(), attestation: None, origin: None };
    assert_eq!(verdict(&request, &pem, &trusted), passed);
    // Of another second, caller or called it is another signature.
    let later = call(&header("Fri, 15 Jan 2027 08:00:01 GMT"));
    assert_eq!(verdict(&later, &pem, &trusted), Verdict::Failed(Fault::Signature));
    let headers = format!("Identity: {}\r\n", header("Fri, 15 Jan 2027 08:00:00 GMT"));
    let other = invite("sip:+12155550122@carrier.example", "sip:12155550131@example.com", &headers);
    assert_eq!(verdict(&other, &pem, &trusted), Verdict::Failed(Fault::Signature));
}

#[test]
fn each_fault_has_the_status_of_rfc_8224() {
    for (verdict, code) in [
        (Verdict::Unsigned, 428),
        (Verdict::Failed(Fault::Stale), 403),
        (Verdict::Failed(Fault::Unavailable(FetchFailure::Silent)), 436),
        (Verdict::Failed(Fault::Untrusted), 437),
        (Verdict::Failed(Fault::Signature), 438),
        (Verdict::Failed(Fault::OtherCaller), 438),
    ] {
        assert_eq!(verdict.status().map(Status::code), Some(code), "{verdict}");
    }
}
