//! What became of a call: judged against what was expected, and told as a sentence or as JSON.

use std::time::Duration;

use offhook_media::tone::{Expectation, Heard};
use offhook_ua::{MediaReport, Side};
use serde::Serialize;

use crate::{Exit, Failure, Language};

/// What a script may expect of a call.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Expected {
    pub(crate) code: Option<u16>,
    pub(crate) audio: Option<Expectation>,
    pub(crate) min_mos: Option<f32>,
    /// In percent.
    pub(crate) max_loss: Option<f32>,
}

/// Everything that is known when a call is over.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) call_id: String,
    /// The final status: 200 for a call that was established.
    pub(crate) code: u16,
    pub(crate) reason: String,
    pub(crate) by: Side,
    /// From the wish to call to the answer; none if it was never answered.
    pub(crate) setup: Option<Duration>,
    /// From the answer to the end.
    pub(crate) talk: Duration,
    pub(crate) media: Option<MediaReport>,
    pub(crate) heard: Option<Heard>,
    /// Ctrl-C ended it.
    pub(crate) interrupted: bool,
    /// Nothing at all came from the other side.
    pub(crate) silent_peer: bool,
}

/// A call that is over and judged.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    outcome: Outcome,
    pub(crate) exit: Exit,
    /// Which expectation failed, in words.
    why: Option<Why>,
}

/// Why a call is not what was wanted, in English and Chinese.
#[derive(Clone, Debug)]
struct Why(String, String);

impl Report {
    /// Judges a call.
    pub(crate) fn new(outcome: Outcome, expected: &Expected) -> Self {
        let (exit, why) = match judge(&outcome, expected) {
            Ok(()) => (Exit::Ok, None),
            Err((exit, why)) => (exit, why),
        };
        Self { outcome, exit, why }
    }

    /// One JSON object.
    pub(crate) fn json(&self) -> String {
        let Outcome { media, .. } = &self.outcome;
        let record = Record {
            result: self.exit.word(),
            code: Some(self.outcome.code),
            reason: &self.outcome.reason,
            exit_code: self.exit.code(),
            duration_ms: millis(self.outcome.talk),
            setup_ms: self.outcome.setup.map(millis),
            codec: media.as_ref().map(|media| media.codec).filter(|codec| !codec.is_empty()),
            sent: media.as_ref().map_or(0, |media| media.sent),
            received: media.as_ref().map_or(0, |media| media.received),
            lost: media.as_ref().map_or(0, |media| media.lost),
            jitter_ms: media.as_ref().map(|media| tenth(media.jitter_ms)),
            mos: media.as_ref().and_then(|media| media.mos).map(tenth),
            heard_hz: heard_hz(self.outcome.heard.as_ref()),
            loss_percent: media.as_ref().map(|media| tenth(media.loss_percent)),
            srtp: media.as_ref().and_then(srtp),
            restored: media.as_ref().map_or(0, |media| media.playout.copies),
            unauthentic: media.as_ref().map_or(0, |media| media.unauthentic),
            why: self.why.as_ref().map(|why| why.0.as_str()),
            call_id: Some(&self.outcome.call_id),
        };
        serde_json::to_string(&record).unwrap_or_default()
    }

    /// The same for a person.
    pub(crate) fn sentence(&self, language: Language) -> String {
        let sentence = match language {
            Language::English => self.english(),
            Language::Chinese => self.chinese(),
        };
        match &self.why {
            Some(Why(english, chinese)) => format!("{sentence}\n{}", language.pick(english, chinese)),
            None => sentence,
        }
    }

    fn english(&self) -> String {
        let Outcome { code, reason, talk, media, .. } = &self.outcome;
        if self.outcome.setup.is_none() {
            return format!("Call not connected: {code} {reason}");
        }
        let how =
            if (200..300).contains(code) { "normally".to_owned() } else { format!("with {code} {reason}") };
        let mut text = format!("Call ended {how} after {:.1} s.", talk.as_secs_f64());
        match media {
            Some(media) => {
                text += &format!(
                    " Sent {}, received {}, lost {} ({:.1} %), jitter {:.1} ms",
                    media.sent, media.received, media.lost, media.loss_percent, media.jitter_ms
                );
                text += &media
                    .mos
                    .map_or(", nothing heard".into(), |mos| format!(", MOS {mos:.1} ({})", word(mos).0));
                text += &srtp(media).map_or_else(String::new, |how| format!(", encrypted: {how}"));
                if media.unauthentic > 0 {
                    text += &format!(", {} packets not made with the agreed key", media.unauthentic);
                }
            }
            None => text += " It had no sound.",
        }
        text
    }

    fn chinese(&self) -> String {
        let Outcome { code, reason, talk, media, .. } = &self.outcome;
        if self.outcome.setup.is_none() {
            return format!("呼叫未接通：{code} {reason}");
        }
        let how = if (200..300).contains(code) {
            "通话正常结束".to_owned()
        } else {
            format!("通话因 {code} {reason} 结束")
        };
        let mut text = format!("{how}，时长 {:.1} 秒。", talk.as_secs_f64());
        match media {
            Some(media) => {
                text += &format!(
                    "发送 {}，接收 {}，丢失 {} ({:.1} %)，抖动 {:.1} ms",
                    media.sent, media.received, media.lost, media.loss_percent, media.jitter_ms
                );
                text += &media.mos.map_or("，没有听到声音".into(), |mos| {
                    format!("，MOS {mos:.1}（{}）", word(mos).1)
                });
                text += &srtp(media).map_or_else(String::new, |how| format!("，已加密：{how}"));
                if media.unauthentic > 0 {
                    text += &format!("，{} 个包不是用约定的密钥加密的", media.unauthentic);
                }
            }
            None => text += "没有声音。",
        }
        text
    }
}

/// The object for a call that was not even tried.
pub(crate) fn failed(failure: &Failure) -> String {
    let record = Record {
        result: failure.exit.word(),
        code: failure.code,
        reason: &failure.text,
        exit_code: failure.exit.code(),
        duration_ms: 0,
        setup_ms: None,
        codec: None,
        sent: 0,
        received: 0,
        lost: 0,
        jitter_ms: None,
        mos: None,
        heard_hz: None,
        loss_percent: None,
        srtp: None,
        restored: 0,
        unauthentic: 0,
        why: None,
        call_id: None,
    };
    serde_json::to_string(&record).unwrap_or_default()
}

/// How the sound was encrypted: where the keys came from, and the suite.
fn srtp(media: &MediaReport) -> Option<String> {
    media.srtp.map(|suite| format!("{} {suite}", if media.dtls { "DTLS" } else { "SDES" }))
}

/// The codec of a call, and whether its sound is encrypted.
pub(crate) fn codec(media: &MediaReport) -> String {
    format!("{}{}", media.codec, if media.srtp.is_some() { " SRTP" } else { "" })
}

/// The quality behind a MOS, in English and Chinese.
pub(crate) fn word(mos: f32) -> (&'static str, &'static str) {
    match mos {
        mos if mos >= 4.0 => ("good", "好"),
        mos if mos >= 3.6 => ("fair", "尚可"),
        mos if mos >= 3.1 => ("poor", "较差"),
        _ => ("bad", "很差"),
    }
}

/// What was heard, in words.
pub(crate) fn heard_words(heard: &Heard, language: Language) -> String {
    let (english, chinese) = match heard {
        heard if heard.is_silent() => return language.pick("silence", "静音").into(),
        heard if heard.is_tone() => ("a tone of", "单音"),
        heard if heard.is_speech() => ("speech, mostly at", "语音，主要在"),
        _ => ("a mixture, mostly at", "混合声音，主要在"),
    };
    let kind = language.pick(english, chinese);
    format!("{kind} {:.0} Hz ({:.0} dBov)", heard.dominant_hz, heard.level_dbov)
}

type Verdict = Result<(), (Exit, Option<Why>)>;

fn judge(outcome: &Outcome, expected: &Expected) -> Verdict {
    if outcome.interrupted {
        return Err((Exit::Interrupted, None));
    }
    let silence = || {
        let why = || Why("Nothing at all came from the other side".into(), "对方没有任何回应".into());
        outcome.silent_peer.then(why)
    };
    let exit = if outcome.silent_peer || (outcome.by == Side::Network && outcome.code >= 300) {
        Exit::Network
    } else {
        Exit::of_status(outcome.code)
    };
    match expected.code {
        Some(code) if code == outcome.code => {}
        Some(code) => {
            let exit = if exit == Exit::Ok { Exit::Expectation } else { exit };
            let got = outcome.code;
            let why = Why(format!("Expected {code}, got {got}"), format!("期望 {code}，实际 {got}"));
            return Err((exit, Some(why)));
        }
        None if exit != Exit::Ok => return Err((exit, silence())),
        None => {}
    }
    if outcome.setup.is_some() { judge_sound(outcome, expected) } else { Ok(()) }
}

fn judge_sound(outcome: &Outcome, expected: &Expected) -> Verdict {
    let failed = |english: String, chinese: String| Err((Exit::Expectation, Some(Why(english, chinese))));
    let received = outcome.media.as_ref().map_or(0, |media| media.received);
    let wants_silence = expected.audio == Some(Expectation::Silence);
    let wants_sound = expected.audio.is_some() || outcome.talk >= SOON;
    if received == 0 && wants_sound && !wants_silence {
        return failed("No sound came from the other side".into(), "没有收到对方的声音".into());
    }
    if let Some(min) = expected.min_mos {
        let mos = outcome.media.as_ref().and_then(|media| media.mos).unwrap_or(1.0);
        if mos < min {
            return failed(
                format!("Expected a MOS of at least {min:.1}, got {mos:.1}"),
                format!("期望 MOS 不低于 {min:.1}，实际 {mos:.1}"),
            );
        }
    }
    if let Some(max) = expected.max_loss {
        let loss = outcome.media.as_ref().map_or(100.0, |media| media.loss_percent);
        if loss > max {
            return failed(
                format!("Expected at most {max} % loss, got {loss:.1} %"),
                format!("期望丢包不超过 {max} %，实际 {loss:.1} %"),
            );
        }
    }
    if let Some(audio) = expected.audio {
        let heard = outcome.heard.unwrap_or_default();
        if !audio.is_met_by(&heard) {
            let words = |language| heard_words(&heard, language);
            return failed(
                format!("Expected {audio}, heard {}", words(Language::English)),
                format!("期望 {audio}，听到{}", words(Language::Chinese)),
            );
        }
    }
    Ok(())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Rounded for people and for JSON.
fn tenth(value: f32) -> f64 {
    (f64::from(value) * 10.0).round() / 10.0
}

fn heard_hz(heard: Option<&Heard>) -> Option<f64> {
    heard.filter(|heard| !heard.is_silent()).map(|heard| tenth(heard.dominant_hz))
}

#[derive(Serialize)]
struct Record<'a> {
    result: &'a str,
    code: Option<u16>,
    reason: &'a str,
    exit_code: u8,
    duration_ms: u64,
    setup_ms: Option<u64>,
    codec: Option<&'a str>,
    sent: u64,
    received: u64,
    lost: u64,
    jitter_ms: Option<f64>,
    mos: Option<f64>,
    heard_hz: Option<f64>,
    loss_percent: Option<f64>,
    /// Of those lost, what a later packet brought.
    restored: u64,
    srtp: Option<String>,
    unauthentic: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
    call_id: Option<&'a str>,
}

/// A call shorter than this may end before its sound begins.
const SOON: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
