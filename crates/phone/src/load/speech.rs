//! What the callers of a load speak. The callees speak PCMU in the clear, so the exchange has to translate anything else.

use std::fmt;

use offhook_media::codec;
use offhook_rtp::srtp::{Crypto, GROWTH, Inbound, MasterKey, Outbound, Suite};
use rand::RngExt as _;

use super::SpeechName;
use crate::clock;

/// One way to speak, with what all calls of a load share of it.
#[derive(Clone, Debug)]
pub(super) enum Speech {
    /// PCMU as the callees.
    Plain,
    /// PCMU protected with this key (SDES, RFC 4568): every stream has a source of its own.
    Sdes(Crypto),
    /// A tone of a second over and over, in packets of 20 ms: Opus from the callers, PCMU from the callees.
    Opus([Vec<Vec<u8>>; 2]),
}

/// The keys of one call, at the caller's end.
pub(super) struct Guard {
    outbound: Outbound,
    inbound: Inbound,
}

impl Speech {
    /// Makes the key, or encodes the tone; `None` when the system has no random numbers.
    pub(super) fn new(name: SpeechName) -> Option<Self> {
        Some(match name {
            SpeechName::Plain => Self::Plain,
            SpeechName::Sdes => {
                let mut rng = clock::rng().ok()?;
                let key = MasterKey::random(SUITE, |bytes| rng.fill(bytes));
                Self::Sdes(Crypto { tag: 1, suite: SUITE, key })
            }
            SpeechName::Opus => Self::Opus([tone("opus")?, tone("pcmu")?]),
        })
    }

    /// What follows the port in the offer's description of the sound.
    pub(super) fn description(&self) -> String {
        match self {
            Self::Plain => format!(" RTP/AVP{PCMU}"),
            Self::Sdes(ours) => format!(" RTP/SAVP{PCMU}a=crypto:{}\r\n", ours.to_value()),
            Self::Opus(_) => format!(
                " RTP/AVP {OPUS} 101\r\na=rtpmap:{OPUS} opus/48000/2\r\na=fmtp:{OPUS} useinbandfec=1\r\n\
                 a=rtpmap:101 telephone-event/48000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
            ),
        }
    }

    /// The keys of a call whose answer has this body.
    pub(super) fn guard(&self, answer: &[u8]) -> Option<Box<Guard>> {
        let Self::Sdes(ours) = self else { return None };
        let lines = std::str::from_utf8(answer).ok()?.lines();
        let theirs = lines.filter_map(|line| line.strip_prefix("a=crypto:")).find_map(Crypto::parse)?;
        Some(Box::new(Guard {
            outbound: Outbound::new(SUITE, &ours.key)?,
            inbound: Inbound::new(SUITE, &theirs.key)?,
        }))
    }
}

impl Guard {
    /// Protects a packet.
    pub(super) fn protect(&mut self, packet: &mut Vec<u8>) -> Option<()> {
        let length = packet.len();
        packet.resize(length + GROWTH, 0);
        let protected = self.outbound.protect_rtp(packet, length).ok()?;
        packet.truncate(protected);
        Some(())
    }

    /// Opens a packet.
    pub(super) fn open(&mut self, packet: &mut Vec<u8>) -> Option<()> {
        let length = self.inbound.open_rtp(packet).ok()?;
        packet.truncate(length);
        Some(())
    }
}

/// Keys are not printed.
impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard")
    }
}

/// A second of 440 Hz in packets of 20 ms.
fn tone(codec: &str) -> Option<Vec<Vec<u8>>> {
    let format = codec::by_word(codec)?;
    let (mut coder, samples) = ((format.make)(), format.samples_in(20));
    let step = std::f64::consts::TAU * 440.0 / f64::from(format.sample_rate);
    let packets = (0..50).map(|packet| {
        let sound: Vec<i16> = (packet * samples..(packet + 1) * samples)
            .map(|at| ((step * at as f64).sin() * 8000.0) as i16)
            .collect();
        let mut payload = Vec::new();
        coder.encode(&sound, &mut payload);
        payload
    });
    Some(packets.collect())
}

/// The payload type of Opus in our offers.
pub(super) const OPUS: u8 = 111;
/// What every phone has.
const SUITE: Suite = Suite::AesCm128HmacSha1_80;
const PCMU: &str = " 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n\
                    a=ptime:20\r\na=sendrecv\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_caller_protects_with_the_offered_key_is_opened_with_it() {
        let speech = Speech::new(SpeechName::Sdes).unwrap();
        let offer = speech.description();
        // An exchange that answers with the very key that was offered: then both ends have the same.
        let mut guard = speech.guard(offer.as_bytes()).unwrap();
        let mut packet = vec![0x80; 172];
        guard.protect(&mut packet).unwrap();
        assert_eq!(packet.len(), 182);
        guard.open(&mut packet).unwrap();
        assert_eq!(packet.len(), 172);
        assert!(speech.guard(b"m=audio 4000 RTP/SAVP 0\r\n").is_none());
    }

    #[test]
    fn every_packet_of_opus_holds_sound() {
        let Some(Speech::Opus([opus, pcmu])) = Speech::new(SpeechName::Opus) else { panic!() };
        assert_eq!((opus.len(), pcmu.len()), (50, 50));
        assert!(opus.iter().all(|packet| packet.len() > 20) && pcmu.iter().all(|packet| packet.len() == 160));
    }
}
