//! Sound in both directions of every call that is up: sent every 20 ms, checked where it comes out.

use std::net::SocketAddr;

use offhook_rtp::packet::Kind;
use serde_json::{Value, json};

use super::callees::Callees;
use super::callers::Callers;
use super::context::Context;
use super::latency::{Latencies, Percentiles};
use super::speech::{Guard, OPUS, Speech};

/// All streams of a load, two for each call.
#[derive(Debug, Default)]
pub(super) struct Sound {
    streams: Vec<[Stream; 2]>,
    /// When the first packet was due, and how many milliseconds have been dealt with since.
    began: Option<u64>,
    dealt: u64,
    /// Packets sent from this moment on, up to the end of the watch, are counted.
    watch: Option<(u64, Option<u64>)>,
    directions: [Direction; 2],
    /// What came and was none of ours.
    strange: u64,
    /// Milliseconds in which nothing could be sent because we were too slow.
    late: u64,
}

/// One direction of one call.
#[derive(Clone, Copy, Debug, Default)]
struct Stream {
    /// Number of the next packet to send.
    next: u32,
    /// Number of the packet that is expected.
    expected: u32,
}

/// All streams of a direction: 0 is from callers to callees.
#[derive(Debug, Default)]
struct Direction {
    sent: u64,
    received: u64,
    /// Came after one that was sent later, or twice.
    out_of_order: u64,
    delay: Latencies,
}

/// Result of the watch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) out_of_order: u64,
    pub(super) strange: u64,
    pub(super) late: u64,
    /// One way, both directions.
    pub(super) delay: Option<Percentiles>,
}

impl Sound {
    /// Sends what is due: a call has its millisecond of the twenty, so that the load is even.
    pub(super) fn tick(&mut self, callers: &mut Callers, callees: &Callees, cx: &mut Context) {
        let Some([caller, callee]) = cx.sound else { return };
        let began = *self.began.get_or_insert(cx.now);
        let due = (cx.now - began) / MILLISECOND;
        if cx.plan.speech.has_handshakes() {
            Self::shake_hands(callers, caller.0, cx);
        }
        self.streams.resize(callers.len() as usize, Default::default());
        if due > self.dealt + MOST_BEHIND {
            self.late += due - self.dealt - MOST_BEHIND;
            self.dealt = due - MOST_BEHIND;
        }
        while self.dealt < due {
            let first = (self.dealt % PERIOD) as u32;
            self.dealt += 1;
            for call in (first..callers.len()).step_by(PERIOD as usize) {
                for (side, door, to) in [(0, caller, callers.sound(call)), (1, callee, callees.sound(call))] {
                    if let Some(to) = to {
                        self.send(call, side, (door.0, to), callers, cx);
                    }
                }
            }
        }
    }

    /// Lets the handshakes of all calls go on.
    fn shake_hands(callers: &mut Callers, door: usize, cx: &mut Context) {
        for call in 0..callers.len() {
            let Some(to) = callers.sound(call) else { continue };
            for packet in callers.guard(call).map(Guard::pass).unwrap_or_default() {
                cx.wire.send(door, &packet, to);
            }
        }
    }

    fn send(
        &mut self,
        call: u32,
        side: usize,
        (door, to): (usize, SocketAddr),
        callers: &mut Callers,
        cx: &mut Context,
    ) {
        let stream = &mut self.streams[call as usize][side];
        let number = stream.next;
        stream.next += 1;
        let mut packet = vec![0xff_u8; PACKET];
        packet[0] = 0x80;
        packet[1] = 0;
        packet[2..4].copy_from_slice(&(number as u16).to_be_bytes());
        packet[4..8].copy_from_slice(&number.wrapping_mul(160).to_be_bytes());
        packet[8..12].copy_from_slice(&(call << 1 | side as u32).to_be_bytes());
        packet[12..16].copy_from_slice(&(MAGIC ^ cx.plan.run).to_be_bytes());
        packet[16..20].copy_from_slice(&(call << 1 | side as u32).to_be_bytes());
        packet[20..24].copy_from_slice(&number.to_be_bytes());
        packet[24..32].copy_from_slice(&cx.now.to_be_bytes());
        match &cx.plan.speech {
            Speech::Opus(tones) => {
                if side == 0 {
                    packet[1] = OPUS;
                    packet[4..8].copy_from_slice(&number.wrapping_mul(960).to_be_bytes());
                }
                packet.truncate(HEADER);
                packet.extend_from_slice(&tones[side][number as usize % tones[side].len()]);
            }
            Speech::Sdes(_) | Speech::Dtls(_) if side == 0 => {
                let guard = callers.guard(call);
                // Without keys nothing leaves, and what should have left is lost.
                if guard.and_then(|guard| guard.protect(&mut packet)).is_none() {
                    packet.clear();
                }
            }
            _ => {}
        }
        if !packet.is_empty() {
            cx.wire.send(door, &packet, to);
        }
        if self.is_watched(cx.now) {
            self.directions[side].sent += 1;
        }
    }

    /// A packet that came to the socket of `side`.
    pub(super) fn receive(
        &mut self,
        (side, door): (usize, usize),
        (packet, source): (&[u8], SocketAddr),
        callers: &mut Callers,
        cx: &mut Context,
    ) {
        match &cx.plan.speech {
            // Who is called says something else than it hears.
            _ if cx.plan.callees.is_none() => self.translated(side, packet, cx),
            Speech::Plain => self.received(side, packet, cx),
            Speech::Sdes(_) | Speech::Dtls(_) if side == 1 => self.received(side, packet, cx),
            Speech::Dtls(_) if Kind::of(packet) == Kind::Dtls => {
                let guard = callers.sounds_from(source).and_then(|call| callers.guard(call));
                for packet in guard.map(|guard| guard.shake(packet)).unwrap_or_default() {
                    cx.wire.send(door, &packet, source);
                }
            }
            Speech::Sdes(_) | Speech::Dtls(_) => {
                let mut packet = packet.to_vec();
                let source =
                    packet.get(8..12).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
                let guard = source.and_then(|source| callers.guard(source >> 1));
                match guard.and_then(|guard| guard.open(&mut packet)) {
                    Some(()) => self.received(side, &packet, cx),
                    None => self.strange += 1,
                }
            }
            Speech::Opus(_) => self.translated(side, packet, cx),
        }
    }

    /// A packet whose content is not what was sent, so it tells neither when nor as which it was.
    fn translated(&mut self, side: usize, packet: &[u8], cx: &Context) {
        let kind = if side == 0 && matches!(cx.plan.speech, Speech::Opus(_)) { OPUS } else { 0 };
        if packet.len() <= HEADER || packet[0] >> 6 != 2 || packet[1] & 0x7f != kind {
            self.strange += 1;
        } else if self.is_watched(cx.now) {
            self.directions[1 - side].received += 1;
        }
    }

    fn received(&mut self, side: usize, packet: &[u8], cx: &Context) {
        let word = |at: usize| Some(u32::from_be_bytes(packet.get(at..at + 4)?.try_into().ok()?));
        let time = packet.get(24..32).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
        let (Some(magic), Some(id), Some(number), Some(sent)) = (word(12), word(16), word(20), time) else {
            return;
        };
        let direction = 1 - side;
        let stream = self.streams.get_mut(id as usize >> 1).map(|streams| &mut streams[direction]);
        let ours = magic == MAGIC ^ cx.plan.run && id as usize & 1 == direction && packet.len() == PACKET;
        let Some(stream) = stream.filter(|_| ours) else {
            self.strange += 1;
            return;
        };
        let in_order = number >= stream.expected;
        stream.expected = stream.expected.max(number + 1);
        if self.is_watched(sent) {
            let direction = &mut self.directions[direction];
            direction.received += 1;
            direction.out_of_order += u64::from(!in_order);
            direction.delay.add(cx.now.saturating_sub(sent));
        }
    }

    fn is_watched(&self, sent: u64) -> bool {
        self.watch.is_some_and(|(from, until)| sent >= from && until.is_none_or(|until| sent < until))
    }

    /// Counts what is sent from now on.
    pub(super) fn watch(&mut self, now: u64) {
        self.watch = Some((now, None));
        self.late = 0;
    }

    /// Counts what was sent until now, whenever it comes.
    pub(super) fn look_away(&mut self, now: u64) {
        if let Some((_, until)) = &mut self.watch {
            *until = Some(now);
        }
    }

    pub(super) fn heard(&self) -> Heard {
        let [there, back] = &self.directions;
        let mut delay = there.delay.clone();
        delay.extend(&back.delay);
        Heard {
            sent: there.sent + back.sent,
            received: there.received + back.received,
            out_of_order: there.out_of_order + back.out_of_order,
            strange: self.strange,
            late: self.late,
            delay: delay.percentiles(),
        }
    }
}

impl Heard {
    pub(super) fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.received)
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "sent": self.sent, "received": self.received, "lost": self.lost(),
            "out_of_order": self.out_of_order, "strange": self.strange, "late_ms": self.late,
            "delay_ms": self.delay.map(|delay| delay.json()),
        })
    }
}

/// Where a session description wants its sound: the first `c=` and `m=audio`.
pub(super) fn address_in(body: &[u8]) -> Option<SocketAddr> {
    let body = std::str::from_utf8(body).ok()?;
    let value = |start: &str| {
        let line = body.lines().find_map(|line| line.strip_prefix(start))?;
        line.split([' ', '/']).next()
    };
    let ip = value("c=IN IP4 ").or_else(|| value("c=IN IP6 "))?;
    Some(SocketAddr::new(ip.parse().ok()?, value("m=audio ")?.parse().ok()?))
}

/// An RTP header.
const HEADER: usize = 12;
/// An RTP header and 20 ms of PCMU.
const PACKET: usize = 172;
const MAGIC: u32 = 0x5a17_0b0e;
const MILLISECOND: u64 = 1_000_000;
/// Milliseconds between two packets of a stream.
const PERIOD: u64 = 20;
/// Milliseconds that are made up for; what is older is not sent at all.
const MOST_BEHIND: u64 = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_the_first_audio_is_found() {
        let body = b"v=0\r\nc=IN IP4 192.0.2.7/127\r\nm=audio 4002 RTP/AVP 0\r\nm=audio 9 RTP/AVP 0\r\n";
        assert_eq!(address_in(body), Some("192.0.2.7:4002".parse().unwrap()));
        assert_eq!(address_in(b"m=audio 4002"), None);
    }
}
