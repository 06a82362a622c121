use super::*;
use offhook_rtp::srtp::Suite;
use offhook_sdp::Sdp;
use rand::SeedableRng as _;

const KEY: &str = "inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";
const POLICIES: [SrtpPolicy; 3] = [SrtpPolicy::Off, SrtpPolicy::Prefer, SrtpPolicy::Require];

fn rng() -> Rng {
    Rng::seed_from_u64(7)
}

fn stream(profile: &str, lines: &[String]) -> Sdp {
    let lines: String = lines.iter().map(|line| format!("a=crypto:{line}\r\n")).collect();
    let text = format!("v=0\r\nc=IN IP4 192.0.2.9\r\nm=audio 4000 {profile} 0\r\n{lines}");
    Sdp::parse(text.as_bytes()).unwrap()
}

fn line(tag: u32) -> String {
    format!("{tag} AES_CM_128_HMAC_SHA1_80 {KEY}")
}

/// The tag of the line that is taken, if one is.
type Considered = Result<Option<u32>, Refusal>;

fn considered(policy: SrtpPolicy, sdp: &Sdp) -> Considered {
    let taken = Protection::new(policy).consider(&sdp.media_at(0).unwrap())?;
    Ok(taken.map(|line| line.tag))
}

#[test]
fn what_is_made_of_an_offer_is_a_matter_of_policy() {
    use Refusal::{Encrypted, NoKey, Profile, Unencrypted};
    let table: [(&str, &[String], [Considered; 3]); 6] = [
        ("RTP/AVP", &[], [Ok(None), Ok(None), Err(Unencrypted)]),
        ("RTP/AVP", &[line(4)], [Ok(None), Ok(Some(4)), Ok(Some(4))]),
        ("RTP/SAVP", &[line(4)], [Err(Encrypted), Ok(Some(4)), Ok(Some(4))]),
        ("RTP/SAVPF", &[line(4)], [Err(Encrypted), Ok(Some(4)), Ok(Some(4))]),
        ("RTP/SAVP", &[], [Err(Encrypted), Err(NoKey), Err(NoKey)]),
        ("UDP/TLS/RTP/SAVPF", &[], [Err(Encrypted), Err(Profile), Err(Profile)]),
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
    let protection = Protection::new(SrtpPolicy::Prefer);
    let theirs = protection.consider(&offer.media_at(0).unwrap()).unwrap().unwrap();
    let taken = protection.take(theirs, &mut rng());
    let [(name, value)] = &taken.attributes()[..] else { panic!() };
    assert_eq!(*name, "crypto");
    assert!(value.starts_with("9 AES_CM_128_HMAC_SHA1_80 inline:") && !value.contains(KEY), "{value}");
    let none = stream("RTP/SAVP", &[unknown, identified, short]);
    assert_eq!(considered(SrtpPolicy::Require, &none), Err(Refusal::NoKey));
}

#[test]
fn an_answer_names_a_line_of_ours_or_it_is_none() {
    let mut protection = Protection::new(SrtpPolicy::Prefer);
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
    let keys = protection.keys().unwrap();
    assert_eq!((keys.suite, keys.theirs.to_inline()), (Suite::AesCm128HmacSha1_80, KEY.to_owned()));
    // What was chosen is all that is offered from now on, with the same key.
    assert_eq!(protection.attributes(), [("crypto", values[0].clone())]);
}

#[test]
fn forks_that_choose_differently_never_lead_back_to_a_key_that_was_used() {
    let mut protection = Protection::new(SrtpPolicy::Require);
    protection.begin(true, true, &mut rng());
    let values: Vec<String> = protection.attributes().into_iter().map(|(_, value)| value).collect();
    let offer = stream("RTP/SAVP", &values);
    let mut answer = |tag: usize, last| {
        let answer = stream("RTP/SAVP", &values[tag - 1..tag]);
        let done = protection.answered(&offer.media_at(0).unwrap(), &answer.media_at(0).unwrap(), last);
        (done.is_ok(), protection.keys().map(|keys| keys.suite))
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
    let mut protection = Protection::new(SrtpPolicy::Prefer);
    let take = |protection: &mut Protection, value: &str, rng: &mut Rng| {
        let taken = protection.take(Crypto::parse(value).unwrap(), rng);
        protection.answer(Some(taken));
        protection.keys().unwrap()
    };
    let first = take(&mut protection, &line(1), &mut rng);
    let rekeyed = take(&mut protection, &line(2).replace("d0Rm", "AAAA"), &mut rng);
    assert!(rekeyed.ours == first.ours && rekeyed.theirs != first.theirs);
    let other = take(&mut protection, &line(3).replace("_80", "_32"), &mut rng);
    assert_ne!(other.ours, first.ours);
    protection.answer(None);
    assert!(protection.keys().is_none() && protection.attributes().is_empty());
    let again = take(&mut protection, &line(1), &mut rng);
    assert_ne!(again.ours, first.ours, "a key whose counters are forgotten is not used again");

    let mut placing = Protection::new(SrtpPolicy::Require);
    placing.begin(true, false, &mut rng);
    let first = placing.attributes();
    placing.begin(true, false, &mut rng);
    assert!(placing.attributes().iter().all(|line| !first.contains(line)));
}

#[test]
fn a_call_that_is_refused_is_offered_once_more_only_where_either_will_do() {
    let ways = |policy, secret| {
        let mut protection = Protection::new(policy);
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
