//! A phone that speaks SRTP, DTLS and ICE, and a world with one clock in which two of them call each other.

use crate::command::*;
use crate::identity::Identity;
use crate::relay::{Config, Input, Outbox, Relay};
use crate::stun;
use crate::test_signal::epoch;
use bytes::Bytes;
use dimpl::{Output, SrtpProfile};
use offhook_rtp::packet::Kind;
use offhook_rtp::srtp::{GROWTH, Inbound, Outbound};
use offhook_rtp::{Header, PacketBuilder};
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

pub(super) const STREAM: StreamId = StreamId(7);

pub(super) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A certificate with its key, made once: it costs time.
fn certificate() -> (Vec<u8>, Vec<u8>) {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
    (certificate.der().to_vec(), key.serialize_der())
}

pub(super) fn identity() -> Arc<Identity> {
    static OURS: LazyLock<Arc<Identity>> = LazyLock::new(|| {
        let (certificate, key) = certificate();
        Arc::new(Identity::new(certificate, key).unwrap())
    });
    OURS.clone()
}

pub(super) fn phones_identity() -> Identity {
    static THEIRS: LazyLock<Identity> = LazyLock::new(|| {
        let (certificate, key) = certificate();
        Identity::new(certificate, key).unwrap()
    });
    THEIRS.clone()
}

pub(super) fn key(suite: Suite, seed: u8) -> MasterKey {
    let bytes: Vec<u8> = (0..suite.key_len()).map(|n| seed ^ n as u8).collect();
    MasterKey::new(suite, &bytes).unwrap()
}

pub(super) fn sdes(suite: Suite, ours: u8, theirs: u8) -> Protection {
    Protection::Sdes { suite, ours: key(suite, ours), theirs: key(suite, theirs) }
}

pub(super) fn credentials(name: &str) -> IceCredentials {
    IceCredentials { ufrag: name.to_owned(), pwd: format!("{name} has a password of its own") }
}

pub(super) fn rtp(ssrc: u32, sequence: u16) -> Vec<u8> {
    let header = Header { ssrc, sequence, timestamp: u32::from(sequence) * 160, ..Header::default() };
    let mut bytes = Vec::new();
    PacketBuilder::new(header, &[0xd5; 160]).append_to(&mut bytes).unwrap();
    bytes
}

pub(super) fn rtcp(ssrc: u32) -> Vec<u8> {
    let mut bytes = vec![0x80, 201, 0, 1];
    bytes.extend_from_slice(&ssrc.to_be_bytes());
    bytes
}

/// One end of the call.
pub(super) struct Phone {
    pub(super) address: SocketAddr,
    /// The relay's port for it.
    pub(super) port: u16,
    pub(super) ssrc: u32,
    pub(super) sequence: u16,
    pub(super) keys: Option<(Outbound, Inbound)>,
    /// Where its signalling says that it protects.
    pub(super) protected: bool,
    dtls: Option<(dimpl::Dtls, DtlsRole)>,
    next: Option<Instant>,
    connected: bool,
    material: Option<(Vec<u8>, SrtpProfile)>,
    pub(super) profile: Option<SrtpProfile>,
    /// Media that it understood, decrypted.
    pub(super) heard: Vec<Vec<u8>>,
    /// Packets it could not open.
    pub(super) noise: usize,
    /// Answers to checks.
    pub(super) answers: Vec<Vec<u8>>,
}

impl Phone {
    pub(super) fn new(address: &str, port: u16) -> Phone {
        Phone {
            address: self::address(address),
            port,
            ssrc: u32::from(port),
            sequence: 0,
            keys: None,
            protected: false,
            dtls: None,
            next: None,
            connected: false,
            material: None,
            profile: None,
            heard: Vec::new(),
            noise: 0,
            answers: Vec::new(),
        }
    }

    /// Uses these keys: `ours` and `theirs` as the relay sees them.
    pub(super) fn use_sdes(&mut self, suite: Suite, ours: u8, theirs: u8) {
        self.protected = true;
        let outbound = Outbound::new(suite, &key(suite, theirs)).unwrap();
        self.keys = Some((outbound, Inbound::new(suite, &key(suite, ours)).unwrap()));
    }

    /// Prepares a handshake in this role; `version`: 12, 13 or either.
    pub(super) fn use_dtls(&mut self, now: Instant, role: DtlsRole, version: u8, identity: &Identity) {
        self.protected = true;
        let (config, shown) = (identity.config(), identity.shown());
        let mut dtls = match version {
            12 => dimpl::Dtls::new_12(config, shown, now),
            13 => dimpl::Dtls::new_13(config, shown, now),
            _ => dimpl::Dtls::new_auto(config, shown, now),
        };
        dtls.set_active(role == DtlsRole::Client);
        self.dtls = Some((dtls, role));
        (self.connected, self.next) = (false, Some(now));
    }

    /// What it says to begin its handshake.
    pub(super) fn first_flight(&mut self, now: Instant) -> Vec<Vec<u8>> {
        self.timeout(now)
    }

    pub(super) fn protect(&mut self, mut packet: Vec<u8>) -> Vec<u8> {
        if let Some((outbound, _)) = &mut self.keys {
            let length = packet.len();
            packet.resize(length + GROWTH, 0);
            let length = match Kind::of(&packet) {
                Kind::Rtcp => outbound.protect_rtcp(&mut packet, length),
                _ => outbound.protect_rtp(&mut packet, length),
            };
            packet.truncate(length.unwrap());
        }
        packet
    }

    /// The next packet of its voice.
    pub(super) fn speak(&mut self) -> Vec<u8> {
        self.sequence = self.sequence.wrapping_add(1);
        self.protect(rtp(self.ssrc, self.sequence))
    }

    /// Takes a datagram; what it answers.
    fn receive(&mut self, now: Instant, bytes: &[u8]) -> Vec<Vec<u8>> {
        match Kind::of(bytes) {
            Kind::Stun => self.answers.push(bytes.to_vec()),
            Kind::Dtls => {
                if let Some((dtls, _)) = &mut self.dtls {
                    dtls.handle_timeout(now).unwrap();
                    let _ = dtls.handle_packet(bytes);
                }
                return self.drain();
            }
            kind => self.hear(kind, bytes),
        }
        Vec::new()
    }

    fn hear(&mut self, kind: Kind, bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        let opened = match &mut self.keys {
            Some((_, inbound)) if kind == Kind::Rtcp => inbound.open_rtcp(&mut bytes).ok(),
            Some((_, inbound)) => inbound.open_rtp(&mut bytes).ok(),
            None => (!self.protected).then_some(bytes.len()),
        };
        match opened {
            Some(length) => self.heard.push(bytes[..length].to_vec()),
            None => self.noise += 1,
        }
    }

    fn timeout(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let Some((dtls, _)) = &mut self.dtls else { return Vec::new() };
        self.next = None;
        if dtls.handle_timeout(now).is_err() {
            self.dtls = None;
            return Vec::new();
        }
        self.drain()
    }

    fn drain(&mut self) -> Vec<Vec<u8>> {
        let Some((dtls, role)) = &mut self.dtls else { return Vec::new() };
        let (mut sends, mut buffer) = (Vec::new(), vec![0; 4096]);
        loop {
            match dtls.poll_output(&mut buffer) {
                Output::Packet(packet) => sends.push(packet.to_vec()),
                Output::Timeout(at) => {
                    self.next = Some(at);
                    break;
                }
                Output::Connected => self.connected = true,
                Output::KeyingMaterial(material, profile) => {
                    self.material = Some((material.to_vec(), profile))
                }
                _ => {}
            }
        }
        if self.connected
            && let Some((material, profile)) = self.material.take()
        {
            self.profile = Some(profile);
            self.keys = Some(split(*role, profile, &material));
        }
        sends
    }
}

/// RFC 5764 §4.2, written a second time to check the first.
fn split(role: DtlsRole, profile: SrtpProfile, material: &[u8]) -> (Outbound, Inbound) {
    let (suite, key, salt) = match profile {
        SrtpProfile::AES128_CM_SHA1_80 => (Suite::AesCm128HmacSha1_80, 16, 14),
        SrtpProfile::AEAD_AES_128_GCM => (Suite::AeadAes128Gcm, 16, 12),
        SrtpProfile::AEAD_AES_256_GCM => (Suite::AeadAes256Gcm, 32, 12),
        other => panic!("unknown profile {other}"),
    };
    let part = |from: usize, length: usize| &material[from..from + length];
    let client = [part(0, key), part(2 * key, salt)].concat();
    let server = [part(key, key), part(2 * key + salt, salt)].concat();
    let (client, server) = (MasterKey::new(suite, &client).unwrap(), MasterKey::new(suite, &server).unwrap());
    let (mine, theirs) = if role == DtlsRole::Client { (client, server) } else { (server, client) };
    (Outbound::new(suite, &mine).unwrap(), Inbound::new(suite, &theirs).unwrap())
}

/// A relay, two phones, one clock.
pub(super) struct World {
    pub(super) relay: Relay,
    pub(super) now: Instant,
    pub(super) out: Outbox,
    pub(super) phones: [Phone; 2],
    pub(super) reports: Vec<Report>,
    /// What the relay sent to addresses where no phone is.
    pub(super) stray: Vec<(SocketAddr, Bytes)>,
    /// Loses each handshake datagram whose number it names.
    pub(super) lose: fn(u32) -> bool,
    handshake_datagrams: u32,
}

impl World {
    /// A at 192.0.2.1:4000 on 20000, B at 198.51.100.2:5000 on 20002, with rtcp-mux; `arrange` says how they are
    /// protected.
    pub(super) fn new(arrange: impl FnOnce(&mut [Side; 2])) -> World {
        let phones = [Phone::new("192.0.2.1:4000", 20000), Phone::new("198.51.100.2:5000", 20002)];
        let mut sides = phones.each_ref().map(|phone| {
            let (rtp, ip) = (Some(phone.address), Some(phone.address.ip()));
            let remote = Remote { rtp, signalled_from: ip, rtcp_mux: true, ..Remote::default() };
            Side { ports: PortPair::starting_at(phone.port).unwrap(), local_ip: None, remote, ice: None }
        });
        arrange(&mut sides);
        let config = Config { identity: Some(identity()), ..Config::new(20000..=20099) };
        let mut world = World {
            relay: Relay::new(config),
            now: epoch(),
            out: Outbox::default(),
            phones,
            reports: Vec::new(),
            stray: Vec::new(),
            lose: |_| false,
            handshake_datagrams: 0,
        };
        let content = Content::Rtp;
        world.command(Command::Open { stream: STREAM, sides: sides.into(), content });
        world
    }

    pub(super) fn command(&mut self, command: Command) {
        self.relay.handle(self.now, Input::Command(command), &mut self.out);
        self.deliver();
    }

    pub(super) fn update(&mut self, side: SideName, change: impl FnOnce(&mut Remote)) {
        let mut remote = self.relay.save(STREAM).unwrap().sides[side.index()].remote.clone();
        change(&mut remote);
        self.command(Command::Update { stream: STREAM, side, remote: remote.into(), ice: None });
    }

    /// A datagram comes to the relay, and all that follows from it happens.
    pub(super) fn packet(&mut self, port: u16, from: SocketAddr, bytes: Vec<u8>) {
        if !self.is_lost(&bytes) {
            let input = Input::Packet { port, from, bytes: bytes.into() };
            self.relay.handle(self.now, input, &mut self.out);
        }
        self.deliver();
    }

    pub(super) fn say(&mut self, name: SideName, bytes: Vec<u8>) {
        let phone = &self.phones[name.index()];
        let (port, from) = (phone.port, phone.address);
        self.packet(port, from, bytes);
    }

    /// A phone speaks, and whether the other heard just that.
    pub(super) fn is_heard(&mut self, name: SideName) -> bool {
        let packet = self.phones[name.index()].speak();
        let (ssrc, sequence) = (self.phones[name.index()].ssrc, self.phones[name.index()].sequence);
        let other = name.other().index();
        let before = self.phones[other].heard.len();
        self.say(name, packet);
        self.now += Duration::from_millis(20);
        let heard = &self.phones[other].heard;
        heard.len() == before + 1 && heard[before] == rtp(ssrc, sequence)
    }

    pub(super) fn both_hear(&mut self) -> bool {
        self.is_heard(SideName::A) && self.is_heard(SideName::B)
    }

    /// Lets time pass, with all that happens in it.
    pub(super) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            let relay = self.relay.next_deadline();
            let phones = self.phones.iter().filter_map(|phone| phone.next);
            let Some(next) = phones.chain(relay).min().filter(|next| *next <= until) else { break };
            self.now = self.now.max(next);
            self.relay.handle(self.now, Input::Deadline, &mut self.out);
            self.deliver();
            for name in SideName::BOTH {
                let phone = &mut self.phones[name.index()];
                if phone.next.is_some_and(|next| next <= self.now) {
                    for bytes in phone.timeout(self.now) {
                        self.say(name, bytes);
                    }
                }
            }
        }
        self.now = until;
    }

    pub(super) fn counters(&self, name: SideName) -> Counters {
        self.relay.counters(STREAM).unwrap()[name.index()]
    }

    fn is_lost(&mut self, bytes: &[u8]) -> bool {
        if Kind::of(bytes) != Kind::Dtls {
            return false;
        }
        self.handshake_datagrams += 1;
        (self.lose)(self.handshake_datagrams)
    }

    fn deliver(&mut self) {
        self.reports.append(&mut self.out.reports);
        for send in std::mem::take(&mut self.out.sends) {
            if self.is_lost(&send.bytes) {
                continue;
            }
            let phone = SideName::BOTH.into_iter().find(|name| {
                let phone = &self.phones[name.index()];
                phone.address == send.to && (phone.port == send.from_port || phone.port + 1 == send.from_port)
            });
            let Some(name) = phone else {
                self.stray.push((send.to, send.bytes));
                continue;
            };
            for answer in self.phones[name.index()].receive(self.now, &send.bytes) {
                self.say(name, answer);
            }
        }
    }

    /// A phone sends a check and returns what was answered, if anything was.
    pub(super) fn check(&mut self, name: SideName, check: Vec<u8>) -> Option<Vec<u8>> {
        self.phones[name.index()].answers.clear();
        self.say(name, check);
        self.phones[name.index()].answers.pop()
    }
}

/// A check of the phone named `theirs` for us, named `ours`.
pub(super) fn check(ours: &str, theirs: &str, chosen: bool) -> Vec<u8> {
    let extra: &[(u16, &[u8])] = if chosen { &[(stun::attribute::USE_CANDIDATE, &[])] } else { &[] };
    stun::binding::tests::request(&format!("{ours}:{theirs}"), &credentials(ours).pwd, extra)
}
