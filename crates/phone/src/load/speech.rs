//! What the callers of a load speak. The callees speak PCMU in the clear, so the exchange has to translate anything else.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use offhook_media::codec;
use offhook_media::command::{DtlsRole, Fingerprint};
use offhook_media::handshake::{Handshake, Step};
use offhook_media::identity::Identity;
use offhook_net::media_identity;
use offhook_rtp::srtp::{Crypto, GROWTH, Inbound, MasterKey, Outbound, Suite};
use rand::RngExt as _;

use super::SpeechName;
use crate::clock;

/// One way to speak, with what all calls of a load share of it.
#[derive(Clone)]
pub(super) enum Speech {
    /// PCMU as the callees.
    Plain,
    /// PCMU protected with this key (SDES, RFC 4568): every stream has a source of its own.
    Sdes(Crypto),
    /// PCMU protected with keys of a handshake that each call has with this certificate (RFC 5763).
    Dtls(Arc<Identity>),
    /// A tone of a second over and over, in packets of 20 ms: Opus from the callers, PCMU from the callees.
    Opus([Vec<Vec<u8>>; 2]),
}

/// The keys of one call, at the caller's end, and what they come from.
#[derive(Default)]
pub(super) struct Guard {
    handshake: Option<Handshake>,
    keys: Option<(Outbound, Inbound)>,
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
            SpeechName::Dtls => Self::Dtls(media_identity().ok()?),
            SpeechName::Opus => Self::Opus([tone("opus")?, tone("pcmu")?]),
        })
    }

    /// What follows the port in the offer's description of the sound.
    pub(super) fn description(&self) -> String {
        match self {
            Self::Plain => format!(" RTP/AVP{PCMU}"),
            Self::Sdes(ours) => format!(" RTP/SAVP{PCMU}a=crypto:{}\r\n", ours.to_value()),
            Self::Dtls(identity) => format!(
                " UDP/TLS/RTP/SAVP{PCMU}a=rtcp-mux\r\na=setup:actpass\r\na=fingerprint:{}\r\n",
                identity.fingerprint()
            ),
            Self::Opus(_) => format!(
                " RTP/AVP {OPUS} 101\r\na=rtpmap:{OPUS} opus/48000/2\r\na=fmtp:{OPUS} useinbandfec=1\r\n\
                 a=rtpmap:101 telephone-event/48000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
            ),
        }
    }

    /// The keys of a call whose answer has this body, or what will bring them: its sound comes from and goes to this address.
    pub(super) fn guard(&self, answer: &[u8], peer: SocketAddr) -> Option<Box<Guard>> {
        let lines = || std::str::from_utf8(answer).unwrap_or_default().lines();
        let mut guard = Guard::default();
        match self {
            Self::Plain | Self::Opus(_) => return None,
            Self::Sdes(ours) => {
                let theirs =
                    lines().filter_map(|line| line.strip_prefix("a=crypto:")).find_map(Crypto::parse)?;
                guard.keys = Some((Outbound::new(SUITE, &ours.key)?, Inbound::new(SUITE, &theirs.key)?));
            }
            Self::Dtls(ours) => {
                let shown = lines().filter_map(|line| line.strip_prefix("a=fingerprint:"));
                let theirs = shown.filter_map(|value| Fingerprint::from_attribute(value).ok()).next()?;
                let begins = lines().any(|line| line == "a=setup:active");
                let role = if begins { DtlsRole::Server } else { DtlsRole::Client };
                guard.handshake = Some(Handshake::new(Arc::clone(ours), role, theirs, peer));
            }
        }
        Some(Box::new(guard))
    }

    /// Whether calls have handshakes, which have to be seen to.
    pub(super) fn has_handshakes(&self) -> bool {
        matches!(self, Self::Dtls(_))
    }
}

impl Guard {
    /// Takes a record of the handshake. Returns what there is to send.
    pub(super) fn shake(&mut self, packet: &[u8]) -> Vec<Bytes> {
        let step = self.handshake.as_mut().map(|handshake| handshake.receive(clock::now(), packet));
        self.took(step)
    }

    /// Lets the handshake begin and send again what was lost. Returns what there is to send.
    pub(super) fn pass(&mut self) -> Vec<Bytes> {
        let step = self.handshake.as_mut().map(|handshake| handshake.pass(clock::now()));
        self.took(step)
    }

    fn took(&mut self, step: Option<Step>) -> Vec<Bytes> {
        let Some(Step { send, ended }) = step else { return Vec::new() };
        if let Some(Ok(agreed)) = ended {
            let outbound = Outbound::new(agreed.suite, &agreed.ours);
            self.keys = outbound.zip(Inbound::new(agreed.suite, &agreed.theirs));
        }
        send
    }

    /// Protects a packet.
    pub(super) fn protect(&mut self, packet: &mut Vec<u8>) -> Option<()> {
        let (outbound, _) = self.keys.as_mut()?;
        let length = packet.len();
        packet.resize(length + GROWTH, 0);
        let protected = outbound.protect_rtp(packet, length).ok()?;
        packet.truncate(protected);
        Some(())
    }

    /// Opens a packet.
    pub(super) fn open(&mut self, packet: &mut Vec<u8>) -> Option<()> {
        let (_, inbound) = self.keys.as_mut()?;
        let length = inbound.open_rtp(packet).ok()?;
        packet.truncate(length);
        Some(())
    }
}

/// Keys are not printed.
impl fmt::Debug for Speech {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "Plain",
            Self::Sdes(_) => "Sdes",
            Self::Dtls(_) => "Dtls",
            Self::Opus(_) => "Opus",
        })
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
        let peer = "192.0.2.1:4000".parse().unwrap();
        let mut guard = speech.guard(offer.as_bytes(), peer).unwrap();
        let mut packet = vec![0x80; 172];
        guard.protect(&mut packet).unwrap();
        assert_eq!(packet.len(), 182);
        guard.open(&mut packet).unwrap();
        assert_eq!(packet.len(), 172);
        assert!(speech.guard(b"m=audio 4000 RTP/SAVP 0\r\n", peer).is_none());
    }

    #[test]
    fn a_handshake_brings_the_keys_of_both_ends() {
        let (caller, exchange) =
            (Speech::new(SpeechName::Dtls).unwrap(), Speech::new(SpeechName::Dtls).unwrap());
        let (here, there) = ("192.0.2.1:4000".parse().unwrap(), "192.0.2.2:4000".parse().unwrap());
        let answer = exchange.description().replace("actpass", "active");
        let mut ends = [
            caller.guard(answer.as_bytes(), there).unwrap(),
            exchange.guard(caller.description().as_bytes(), here).unwrap(),
        ];
        let mut packet = vec![0x80; 172];
        assert_eq!(ends[0].protect(&mut packet), None);
        // The answer was `active`, so the exchange begins.
        let (mut side, mut said) = (1, ends[1].pass());
        while !said.is_empty() {
            side = 1 - side;
            said = said.iter().flat_map(|packet| ends[side].shake(packet)).collect();
        }
        packet = vec![0x80; 172];
        ends[0].protect(&mut packet).unwrap();
        assert!(packet.len() > 172);
        ends[1].open(&mut packet).unwrap();
        assert_eq!(packet.len(), 172);
    }

    #[test]
    fn every_packet_of_opus_holds_sound() {
        let Some(Speech::Opus([opus, pcmu])) = Speech::new(SpeechName::Opus) else { panic!() };
        assert_eq!((opus.len(), pcmu.len()), (50, 50));
        assert!(opus.iter().all(|packet| packet.len() > 20) && pcmu.iter().all(|packet| packet.len() == 160));
    }
}
