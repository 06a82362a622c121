//! One DTLS association, by one of two libraries: `dimpl` speaks 1.3 and 1.2, but takes no certificate with an RSA key,
//! as older phones have; `rtc-dtls` does, and speaks 1.2 alone.

use crate::command::DtlsRole;
use crate::identity::{FIRST_RETRANSMISSION, Identity};
use crate::secure::dtls::is_client_hello;
use bytes::Bytes;
use dimpl::{Output, SrtpProfile};
use offhook_rtp::srtp::Suite;
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile as Profile;
use rtc_dtls::state::State;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

pub(super) enum Engine {
    Newest(Box<dimpl::Dtls>),
    Tolerant(Box<Tolerant>),
}

/// An association of `rtc-dtls`. That library waits as long each time and gives up after the seventh; so its timer is
/// asked ever more seldom (RFC 6347 §4.2.4.1), and seven times last as long as a handshake may.
pub(super) struct Tolerant {
    endpoint: Endpoint,
    wait: Duration,
    due: Option<Instant>,
    /// Whether our ServerHello has been sent.
    greeted: bool,
}

/// What came of an input.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) packets: Vec<Bytes>,
    /// When the next input is due at the latest.
    pub(super) next: Option<Instant>,
    pub(super) connected: bool,
    /// The phone's, once it was shown.
    pub(super) certificate: Option<Vec<u8>>,
    /// The suite and the keying material (RFC 5764 §4.2).
    pub(super) material: Option<(Suite, Vec<u8>)>,
    /// It came to an end.
    pub(super) is_over: bool,
}

impl Engine {
    /// For a handshake that begins with `hello`, or that we begin.
    pub(super) fn new(identity: &Identity, role: DtlsRole, hello: Option<&[u8]>, now: Instant) -> Self {
        if hello.is_some_and(|hello| !offers_1_3(hello)) {
            let config = Some(identity.tolerant());
            let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 2));
            let endpoint = Endpoint::new(local, Default::default(), config);
            return Self::Tolerant(Box::new(Tolerant {
                endpoint,
                wait: FIRST_RETRANSMISSION,
                due: None,
                greeted: false,
            }));
        }
        let mut dtls = dimpl::Dtls::new_auto(identity.config(), identity.shown(), now);
        dtls.set_active(role == DtlsRole::Client);
        Self::Newest(Box::new(dtls))
    }

    /// Lets time pass, and takes a packet if there is one.
    pub(super) fn drive(&mut self, now: Instant, packet: Option<&[u8]>) -> Outcome {
        let mut outcome = Outcome::default();
        match self {
            Self::Newest(dtls) => {
                outcome.is_over = dtls.handle_timeout(now).is_err();
                // An answer to what the clock brought must be drained before the next input.
                drain(dtls, now, &mut outcome);
                if let Some(packet) = packet.filter(|_| !outcome.is_over) {
                    outcome.is_over = dtls.handle_packet(packet).is_err();
                    drain(dtls, now, &mut outcome);
                }
            }
            Self::Tolerant(tolerant) => tolerant.drive(now, packet, &mut outcome),
        }
        outcome
    }
}

fn drain(dtls: &mut dimpl::Dtls, now: Instant, outcome: &mut Outcome) {
    let mut buffer = vec![0; 2048];
    for _ in 0..OUTPUTS {
        match dtls.poll_output(&mut buffer) {
            Output::Packet(packet) => outcome.packets.push(Bytes::copy_from_slice(packet)),
            Output::BufferTooSmall { needed } if needed <= LONGEST_OUTPUT => buffer.resize(needed, 0),
            Output::Timeout(at) => {
                // Long intervals only say that nothing is due.
                outcome.next = (at < now + IDLE).then_some(at);
                return;
            }
            Output::Connected => outcome.connected = true,
            Output::PeerCert(certificate) => outcome.certificate = Some(certificate.to_vec()),
            Output::KeyingMaterial(material, profile) => {
                outcome.material = suite(profile).map(|suite| (suite, material.to_vec()));
            }
            _ => {}
        }
    }
}

fn suite(profile: SrtpProfile) -> Option<Suite> {
    Some(match profile {
        SrtpProfile::AES128_CM_SHA1_80 => Suite::AesCm128HmacSha1_80,
        SrtpProfile::AEAD_AES_128_GCM => Suite::AeadAes128Gcm,
        SrtpProfile::AEAD_AES_256_GCM => Suite::AeadAes256Gcm,
        _ => return None,
    })
}

impl Tolerant {
    fn drive(&mut self, now: Instant, packet: Option<&[u8]>, outcome: &mut Outcome) {
        let endpoint = &mut self.endpoint;
        if self.due.is_some_and(|due| due <= now) {
            outcome.is_over = endpoint.handle_timeout(PEER, now).is_err();
            self.wait *= 2;
            self.due = Some(now + self.wait);
        }
        drain_tolerant(endpoint, outcome);
        // A hello that comes again says that our flight was lost. Reading it would stop the timer that sends it again.
        let is_news = |packet: &&[u8]| !(self.greeted && is_client_hello(packet));
        if let Some(packet) = packet.filter(is_news).filter(|_| !outcome.is_over) {
            match endpoint.read(now, PEER, None, packet.into()) {
                Ok(events) => {
                    outcome.connected =
                        events.iter().any(|event| matches!(event, EndpointEvent::HandshakeComplete));
                    outcome.is_over = events.iter().any(|event| matches!(event, EndpointEvent::PeerClosed));
                }
                Err(_) => outcome.is_over = true,
            }
            let before = outcome.packets.len();
            drain_tolerant(endpoint, outcome);
            if outcome.packets.len() > before {
                (self.wait, self.due) = (FIRST_RETRANSMISSION, Some(now + FIRST_RETRANSMISSION));
            }
        }
        self.greeted |= outcome.packets.iter().any(|packet| packet.get(13) == Some(&SERVER_HELLO));
        self.due = self.due.filter(|_| endpoint.poll_timeout(&PEER).is_some());
        outcome.next = self.due;
        if outcome.connected
            && let Some(state) = endpoint.get_connection_state(PEER)
        {
            outcome.certificate = state.peer_certificates.first().cloned();
            outcome.material = material(state);
        }
    }
}

fn drain_tolerant(endpoint: &mut Endpoint, outcome: &mut Outcome) {
    while let Some(transmit) = endpoint.poll_transmit() {
        outcome.packets.push(transmit.message.freeze());
    }
}

fn material(state: &State) -> Option<(Suite, Vec<u8>)> {
    let suite = match state.srtp_protection_profile() {
        Profile::Srtp_Aes128_Cm_Hmac_Sha1_80 => Suite::AesCm128HmacSha1_80,
        Profile::Srtp_Aead_Aes_128_Gcm => Suite::AeadAes128Gcm,
        Profile::Srtp_Aead_Aes_256_Gcm => Suite::AeadAes256Gcm,
        _ => return None,
    };
    let length = 2 * (suite.cipher_key_len() + suite.salt_len());
    let material = state.export_keying_material(LABEL, &[], length).ok()?;
    Some((suite, material.as_ref().to_vec()))
}

/// Whether a ClientHello, whole in one record, offers DTLS 1.3 (RFC 9147 §5.3, RFC 8446 §4.2.1).
fn offers_1_3(record: &[u8]) -> bool {
    versions(record).is_some_and(|versions| versions.chunks_exact(2).any(|one| one == [0xfe, 0xfc]))
}

/// The list in its `supported_versions` extension.
fn versions(record: &[u8]) -> Option<&[u8]> {
    // Record header, handshake header, version, random.
    let mut rest = record.get(13 + 12 + 2 + 32..)?;
    // Session, cookie, cipher suites, compression methods.
    for length_octets in [1, 1, 2, 1] {
        take(&mut rest, length_octets)?;
    }
    let mut extensions = take(&mut rest, 2)?;
    while let Some((kind, after)) = extensions.split_at_checked(2) {
        extensions = after;
        let mut value = take(&mut extensions, 2)?;
        if kind == [0, 43] {
            return take(&mut value, 1);
        }
    }
    None
}

/// A value behind its length.
fn take<'a>(rest: &mut &'a [u8], length_octets: usize) -> Option<&'a [u8]> {
    let (length, after) = rest.split_at_checked(length_octets)?;
    let length = length.iter().fold(0, |sum, octet| sum << 8 | usize::from(*octet));
    let (value, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(value)
}

/// The other end, by the only name that the library has for it: who it is, the caller knows.
const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1);
/// The type of a handshake message, behind the header of its record (RFC 6347 §4.2.2).
const SERVER_HELLO: u8 = 2;
/// RFC 5764 §4.2
const LABEL: &str = "EXTRACTOR-dtls_srtp";
/// More than a handshake ever has to say at once.
const OUTPUTS: usize = 64;
const LONGEST_OUTPUT: usize = 65_536;
const IDLE: Duration = Duration::from_secs(60);
