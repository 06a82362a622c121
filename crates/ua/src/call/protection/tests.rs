use super::*;
use offhook_rtp::srtp::Suite;
use offhook_sdp::Sdp;
use rand::SeedableRng as _;

const KEY: &str = "inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";
const POLICIES: [SrtpPolicy; 3] = [SrtpPolicy::Off, SrtpPolicy::Prefer, SrtpPolicy::Require];

fn rng() -> Rng {
    Rng::seed_from_u64(7)
}

const THEIRS: &str = "sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB";

fn theirs() -> Fingerprint {
    Fingerprint::from_attribute(THEIRS).unwrap()
}

/// Of a phone without a certificate.
fn with(policy: SrtpPolicy) -> Protection {
    let mut config = Config::new("sip:a@192.0.2.1".parse().unwrap(), Vec::new());
    config.srtp = policy;
    Protection::new(&config)
}

/// Of a phone with a certificate.
fn certified(policy: SrtpPolicy, keys: SrtpKeys) -> Protection {
    let sha256 = Fingerprint::from_attribute(&format!("sha-256 AB{}", ":CD".repeat(31))).unwrap();
    Protection { keys, certificate: Some(sha256), ..with(policy) }
}

/// A stream with a certificate, and with keys besides.
fn shown(profile: &str, setup: &str, lines: &[String]) -> Sdp {
    let mut text = String::from_utf8(stream(profile, lines).as_bytes().to_vec()).unwrap();
    text += &format!("a=fingerprint:{THEIRS}\r\na=setup:{setup}\r\n");
    Sdp::parse(text.as_bytes()).unwrap()
}

fn stream(profile: &str, lines: &[String]) -> Sdp {
    let lines: String = lines.iter().map(|line| format!("a=crypto:{line}\r\n")).collect();
    let text = format!("v=0\r\nc=IN IP4 192.0.2.9\r\nm=audio 4000 {profile} 0\r\n{lines}");
    Sdp::parse(text.as_bytes()).unwrap()
}

fn line(tag: u32) -> String {
    format!("{tag} AES_CM_128_HMAC_SHA1_80 {KEY}")
}

/// The suite, our key and theirs.
fn keys(protection: &Protection) -> Option<(Suite, MasterKey, MasterKey)> {
    match protection.agreed() {
        session::Protection::Sdes { suite, ours, theirs } => Some((suite, ours, theirs)),
        session::Protection::Plain | session::Protection::Dtls { .. } => None,
    }
}

/// The tag of the line that is taken, if one is.
type Considered = Result<Option<u32>, Refusal>;

fn considered(policy: SrtpPolicy, sdp: &Sdp) -> Considered {
    Ok(match with(policy).consider(&sdp.media_at(0).unwrap())? {
        Choice::Plain => None,
        Choice::Sdes(line) => Some(line.tag),
        Choice::Dtls(..) => panic!("without a certificate"),
    })
}

#[test]
fn what_is_made_of_an_offer_is_a_matter_of_policy() {
    use Refusal::{Encrypted, NoKey, Unencrypted};
    let table: [(&str, &[String], [Considered; 3]); 6] = [
        ("RTP/AVP", &[], [Ok(None), Ok(None), Err(Unencrypted)]),
        ("RTP/AVP", &[line(4)], [Ok(None), Ok(Some(4)), Ok(Some(4))]),
        ("RTP/SAVP", &[line(4)], [Err(Encrypted), Ok(Some(4)), Ok(Some(4))]),
        ("RTP/SAVPF", &[line(4)], [Err(Encrypted), Ok(Some(4)), Ok(Some(4))]),
        ("RTP/SAVP", &[], [Err(Encrypted), Err(NoKey), Err(NoKey)]),
        ("UDP/TLS/RTP/SAVPF", &[], [Err(Encrypted), Err(NoKey), Err(NoKey)]),
    ];
    for (profile, lines, outcomes) in table {
        for (policy, outcome) in POLICIES.into_iter().zip(outcomes) {
            assert_eq!(considered(policy, &stream(profile, lines)), outcome, "{profile} {policy:?}");
        }
    }
}

#[test]
fn the_first_line_that_can_be_used_is_taken_and_answered_under_its_tag() {
    let unknown = format!("1 F8_128_HMAC_SHA1_80 {KEY}");
    let identified = format!("2 AES_CM_128_HMAC_SHA1_80 {KEY}|2^20|1:4");
    let short = format!("3 AES_256_CM_HMAC_SHA1_80 {KEY}");
    let offer = stream("RTP/SAVP", &[unknown.clone(), identified.clone(), short.clone(), line(9), line(10)]);
    let protection = with(SrtpPolicy::Prefer);
    let theirs = protection.consider(&offer.media_at(0).unwrap()).unwrap();
    let taken = protection.take(theirs, &mut rng());
    let [(name, value)] = &taken.attributes[..] else { panic!() };
    assert_eq!(*name, "crypto");
    assert!(value.starts_with("9 AES_CM_128_HMAC_SHA1_80 inline:") && !value.contains(KEY), "{value}");
    let none = stream("RTP/SAVP", &[unknown, identified, short]);
    assert_eq!(considered(SrtpPolicy::Require, &none), Err(Refusal::NoKey));
}

#[test]
fn an_answer_names_a_line_of_ours_or_it_is_none() {
    let mut protection = with(SrtpPolicy::Prefer);
    protection.begin(true, true, &mut rng());
    assert_eq!(protection.profile(), Profile::Savp);
    let values: Vec<String> = protection.attributes().into_iter().map(|(_, value)| value).collect();
    assert_eq!(values.len(), Suite::OFFERED.len());
    let offer = stream("RTP/SAVP", &values);
    let mut answer = |lines: &[String]| {
        let answer = stream("RTP/SAVP", lines);
        protection.answered(&offer.media_at(0).unwrap(), &answer.media_at(0).unwrap(), true)
    };
    assert_eq!(answer(&[]), Err(Refusal::Unencrypted));
    assert_eq!(answer(&[line(2)]), Err(Refusal::NoKey), "a tag with another suite");
    assert_eq!(answer(&[line(8)]), Err(Refusal::NoKey), "a tag that was not offered");
    assert_eq!(answer(&[line(1)]), Ok(()));
    let keys = keys(&protection).unwrap();
    assert_eq!((keys.0, keys.2.to_inline()), (Suite::AesCm128HmacSha1_80, KEY.to_owned()));
    // What was chosen is all that is offered from now on, with the same key.
    assert_eq!(protection.attributes(), [("crypto", values[0].clone())]);
}

#[test]
fn forks_that_choose_differently_never_lead_back_to_a_key_that_was_used() {
    let mut protection = with(SrtpPolicy::Require);
    protection.begin(true, true, &mut rng());
    let values: Vec<String> = protection.attributes().into_iter().map(|(_, value)| value).collect();
    let offer = stream("RTP/SAVP", &values);
    let mut answer = |tag: usize, last| {
        let answer = stream("RTP/SAVP", &values[tag - 1..tag]);
        let done = protection.answered(&offer.media_at(0).unwrap(), &answer.media_at(0).unwrap(), last);
        (done.is_ok(), keys(&protection).map(|keys| keys.0))
    };
    let [first, second, ..] = Suite::OFFERED;
    assert_eq!(answer(1, false), (true, Some(first)));
    assert_eq!(answer(2, false), (false, Some(first)), "it is not heard before it answers");
    assert_eq!(answer(1, false), (true, Some(first)));
    assert_eq!(answer(2, true), (true, Some(second)));
}

#[test]
fn our_key_stays_with_its_suite_and_a_new_offer_to_another_has_new_keys() {
    let mut rng = rng();
    let mut protection = with(SrtpPolicy::Prefer);
    let take = |protection: &mut Protection, value: &str, rng: &mut Rng| {
        let taken = protection.take(Choice::Sdes(Crypto::parse(value).unwrap()), rng);
        protection.answer(taken);
        keys(protection).unwrap()
    };
    let first = take(&mut protection, &line(1), &mut rng);
    let rekeyed = take(&mut protection, &line(2).replace("d0Rm", "AAAA"), &mut rng);
    assert!(rekeyed.1 == first.1 && rekeyed.2 != first.2);
    let other = take(&mut protection, &line(3).replace("_80", "_32"), &mut rng);
    assert_ne!(other.1, first.1);
    let plain = protection.take(Choice::Plain, &mut rng);
    protection.answer(plain);
    assert!(keys(&protection).is_none() && protection.attributes().is_empty());
    let again = take(&mut protection, &line(1), &mut rng);
    assert_ne!(again.1, first.1, "a key whose counters are forgotten is not used again");

    let mut placing = with(SrtpPolicy::Require);
    placing.begin(true, false, &mut rng);
    let first = placing.attributes();
    placing.begin(true, false, &mut rng);
    assert!(placing.attributes().iter().all(|line| !first.contains(line)));
}

#[test]
fn a_call_that_is_refused_is_offered_once_more_only_where_either_will_do() {
    let ways = |policy, secret| {
        let mut protection = with(policy);
        let mut profiles = Vec::new();
        loop {
            protection.begin(true, secret, &mut rng());
            profiles.push(protection.profile());
            if !protection.try_another() {
                return profiles;
            }
        }
    };
    for secret in [false, true] {
        assert_eq!(ways(SrtpPolicy::Off, secret), [Profile::Avp]);
        assert_eq!(ways(SrtpPolicy::Require, secret), [Profile::Savp]);
    }
    assert_eq!(ways(SrtpPolicy::Prefer, true), [Profile::Savp, Profile::Avp]);
    assert_eq!(ways(SrtpPolicy::Prefer, false), [Profile::Avp, Profile::Savp]);
}

#[test]
fn a_handshake_is_taken_where_the_offer_has_one_and_nothing_that_is_preferred() {
    use SrtpKeys::{Dtls, Sdes};
    let dtls = |role| Ok(Choice::Dtls(theirs(), role));
    let sdes = || Ok(Choice::Sdes(Crypto::parse(&line(4)).unwrap()));
    let (both, alone) = (&[line(4)][..], &[][..]);
    let (client, server) = (DtlsRole::Client, DtlsRole::Server);
    let table = [
        ("UDP/TLS/RTP/SAVP", "actpass", both, dtls(server), dtls(server)),
        ("UDP/TLS/RTP/SAVPF", "active", alone, dtls(server), dtls(server)),
        ("UDP/TLS/RTP/SAVPF", "passive", alone, dtls(client), dtls(client)),
        ("RTP/AVP", "actpass", both, sdes(), dtls(server)),
        ("RTP/SAVP", "actpass", both, sdes(), dtls(server)),
        ("RTP/SAVPF", "actpass", alone, dtls(server), dtls(server)),
    ];
    for (profile, setup, lines, by_sdes, by_dtls) in table {
        let offer = shown(profile, setup, lines);
        for (keys, expected) in [(Sdes, by_sdes), (Dtls, by_dtls)] {
            let considered = certified(SrtpPolicy::Require, keys).consider(&offer.media_at(0).unwrap());
            assert_eq!(considered, expected, "{profile} {setup} {keys:?}");
        }
    }
    let offer = stream("RTP/SAVP", both);
    let considered = certified(SrtpPolicy::Require, Dtls).consider(&offer.media_at(0).unwrap());
    assert_eq!(considered, Err(Refusal::NoKey), "keys in SDP are not wanted");
    let off = certified(SrtpPolicy::Off, Sdes);
    let offer = shown("UDP/TLS/RTP/SAVP", "actpass", alone);
    assert_eq!(off.consider(&offer.media_at(0).unwrap()), Err(Refusal::Encrypted));
}

#[test]
fn an_offer_of_a_handshake_leaves_the_beginning_to_the_other_side_and_the_roles_stay() {
    let mut protection = certified(SrtpPolicy::Require, SrtpKeys::Dtls);
    protection.begin(true, false, &mut rng());
    assert_eq!((protection.profile(), protection.wants_one_port()), (Profile::TlsSavp, true));
    let [(_, certificate), setup] = &protection.attributes()[..] else { panic!() };
    assert!(certificate.starts_with("sha-256 AB:CD"));
    assert_eq!(*setup, ("setup", "actpass".to_owned()));
    let offer = shown("UDP/TLS/RTP/SAVP", "actpass", &[]);
    let mut answered = |answer: Sdp| {
        protection.answered(&offer.media_at(0).unwrap(), &answer.media_at(0).unwrap(), true)?;
        Ok(protection.agreed())
    };
    assert_eq!(answered(stream("UDP/TLS/RTP/SAVP", &[])), Err(Refusal::Unencrypted));
    assert_eq!(answered(stream("UDP/TLS/RTP/SAVP", &[line(1)])), Err(Refusal::NoKey));
    let agreed = |role| Ok(session::Protection::Dtls { role, fingerprint: theirs() });
    assert_eq!(answered(shown("UDP/TLS/RTP/SAVP", "active", &[])), agreed(DtlsRole::Server));
    assert_eq!(answered(shown("UDP/TLS/RTP/SAVP", "passive", &[])), agreed(DtlsRole::Client));
    // Whoever asks anew leaves the roles as they are (RFC 5763 §5), and our own next offer is as the first.
    let later = shown("UDP/TLS/RTP/SAVP", "actpass", &[]);
    let choice = protection.consider(&later.media_at(0).unwrap()).unwrap();
    assert_eq!(choice, Choice::Dtls(theirs(), DtlsRole::Client));
    let taken = protection.take(choice, &mut rng());
    assert_eq!(taken.attributes[1], ("setup", "active".to_owned()));
    assert_eq!(protection.attributes()[1], ("setup", "actpass".to_owned()));
}
