//! The outgoing stream: sound cut into packets, with numbers of its own.

use super::format::{Format, Numbers};
use super::{MOST_PACKETS, TICKS};
use crate::codec::{self, Codec};
use offhook_rtp::packet::{Header, PacketBuilder};
use std::collections::VecDeque;
use std::time::Instant;

/// Numbers and encodes what is sent.
#[derive(Debug)]
pub(super) struct Stream {
    numbers: Numbers,
    format: &'static codec::Format,
    payload_type: u8,
    encoder: Box<dyn Codec>,
    packet_ms: u32,
    /// Where the next sound stands, in ticks since the begin.
    position: u64,
    pending: Vec<i16>,
    /// How many of the pending samples are real, and how many made up, in turns.
    runs: VecDeque<(usize, bool)>,
    /// The next packet of sound begins a talk spurt.
    marker: bool,
    packets: u32,
    octets: u32,
    /// When a packet was last made, and where it stood.
    pub(super) last: Option<(Instant, u64)>,
}

impl Stream {
    pub(super) fn new(to: &Format, numbers: Numbers) -> Stream {
        let mut encoder = (to.codec.make)();
        encoder.wish(&to.wishes);
        Stream {
            numbers,
            format: to.codec,
            payload_type: to.payload_type,
            encoder,
            packet_ms: to.codec.nearest_packet_ms(to.ptime_ms),
            position: 0,
            pending: Vec::new(),
            runs: VecDeque::new(),
            marker: true,
            packets: 0,
            octets: 0,
            last: None,
        }
    }

    /// Appends sound, and sends the packets that are full. A packet without any real sound is left out: its
    /// number is skipped.
    pub(super) fn push(&mut self, samples: &[i16], real: bool, out: &mut Vec<Vec<u8>>) {
        if samples.is_empty() {
            return;
        }
        self.pending.extend_from_slice(samples);
        self.runs.push_back((samples.len(), real));
        let size = self.format.samples_in(self.packet_ms);
        let mut sent = 0;
        while self.pending.len() >= size && sent < MOST_PACKETS {
            self.cut(size, out);
            sent += 1;
        }
    }

    /// Sends what is pending, filled up with silence, and leaves out `ticks` of time.
    pub(super) fn pause(&mut self, ticks: u64, out: &mut Vec<Vec<u8>>) {
        let padding = self.flush(out);
        if ticks > 0 {
            self.position += ticks.saturating_sub(padding);
            self.marker = true;
        }
    }

    /// The next packet of sound begins a talk spurt.
    pub(super) fn begin_spurt(&mut self) {
        self.marker = true;
    }

    /// Sends what is pending, filled up with silence; how much of that, in ticks.
    pub(super) fn flush(&mut self, out: &mut Vec<Vec<u8>>) -> u64 {
        if self.pending.is_empty() {
            return 0;
        }
        let size = self.format.samples_in(self.packet_ms);
        let padding = size.saturating_sub(self.pending.len());
        self.pending.resize(self.pending.len() + padding, 0);
        self.runs.push_back((padding, false));
        self.cut(size, out);
        padding as u64 * TICKS / u64::from(self.format.sample_rate)
    }

    /// Sends comfort noise for the time that follows.
    pub(super) fn noise(&mut self, payload_type: u8, payload: &[u8], out: &mut Vec<Vec<u8>>) {
        self.send((payload_type, self.position, false), payload, out);
        self.marker = true;
    }

    /// Sends a packet that stands at `position`, with a payload of its own.
    pub(super) fn send(
        &mut self,
        (payload_type, position, marker): (u8, u64, bool),
        payload: &[u8],
        out: &mut Vec<Vec<u8>>,
    ) {
        let timestamp = self.timestamp(position);
        let Numbers { ssrc, sequence, .. } = self.numbers;
        let header = Header { payload_type, marker, sequence, timestamp, ssrc };
        let packet = PacketBuilder::new(header, payload);
        let mut bytes = Vec::with_capacity(packet.len());
        self.numbers.sequence = sequence.wrapping_add(1);
        if packet.append_to(&mut bytes).is_err() {
            return; // Payload types were checked.
        }
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(payload.len() as u32);
        out.push(bytes);
    }

    /// Where sound that is pushed now stands, in ticks.
    pub(super) fn end(&self) -> u64 {
        self.position + self.pending.len() as u64 * TICKS / u64::from(self.format.sample_rate)
    }

    /// Time has passed up to `position`; nothing may be pending.
    pub(super) fn advance_to(&mut self, position: u64) {
        self.position = self.position.max(position);
    }

    /// The RTP timestamp of a position.
    pub(super) fn timestamp(&self, position: u64) -> u32 {
        let units = u128::from(position) * u128::from(self.format.clock_rate) / u128::from(TICKS);
        self.numbers.timestamp.wrapping_add(units as u32)
    }

    pub(super) fn ssrc(&self) -> u32 {
        self.numbers.ssrc
    }

    /// Packets and payload octets sent so far.
    pub(super) fn sent(&self) -> (u32, u32) {
        (self.packets, self.octets)
    }

    pub(super) fn expect_loss(&mut self, percent: f32) {
        self.encoder.expect_loss(percent);
    }

    fn cut(&mut self, size: usize, out: &mut Vec<Vec<u8>>) {
        if self.take_runs(size) {
            let mut payload = Vec::new();
            self.encoder.encode(&self.pending[..size], &mut payload);
            let marker = std::mem::take(&mut self.marker);
            self.send((self.payload_type, self.position, marker), &payload, out);
        } else {
            // Lost on the way here, and so is it there.
            self.numbers.sequence = self.numbers.sequence.wrapping_add(1);
        }
        self.pending.drain(..size);
        self.position += size as u64 * TICKS / u64::from(self.format.sample_rate);
    }

    /// Takes so many samples off the runs; whether any of them is real.
    fn take_runs(&mut self, mut size: usize) -> bool {
        let mut any = false;
        while size > 0 {
            let Some((length, real)) = self.runs.front_mut() else { break };
            let taken = size.min(*length);
            any |= *real && taken > 0;
            *length -= taken;
            size -= taken;
            if *length == 0 {
                self.runs.pop_front();
            }
        }
        any
    }
}
