mod keys;
mod loss;

use super::*;
use crate::codec::by_word;
use crate::test_signal::{Dice, epoch, sine_at};
use crate::tone::analyse;
use std::time::Duration;

fn format(name: &str) -> Format {
    let codec = by_word(name).unwrap();
    Format::plain(codec, codec.payload_type.unwrap_or(96))
}

const NUMBERS: Numbers = Numbers { ssrc: 7, sequence: 65_500, timestamp: u32::MAX - 5000 };

/// A sender of one format, a transcoder, and a receiver of the other.
struct Way {
    from: Format,
    to: Format,
    encoder: Box<dyn Codec>,
    transcoder: Transcoder,
    start: Instant,
    now: Instant,
    header: Header,
    out: Vec<Vec<u8>>,
}

impl Way {
    fn new(from: Format, to: Format) -> Way {
        let header = Header {
            payload_type: from.payload_type,
            marker: true,
            sequence: 65_530,
            timestamp: 77,
            ssrc: 1,
        };
        let start = epoch();
        Way {
            encoder: (from.codec.make)(),
            transcoder: Transcoder::new(from, to, NUMBERS).unwrap(),
            start,
            now: start,
            header,
            out: Vec::new(),
            from,
            to,
        }
    }

    /// A packet of the source: its sound encoded, and time gone by.
    fn make(&mut self, sound: &[i16]) -> Vec<u8> {
        let mut payload = Vec::new();
        self.encoder.encode(sound, &mut payload);
        let bytes = raw(self.header, &payload);
        let codec = self.from.codec;
        let units = sound.len() * codec.clock_rate as usize / codec.sample_rate as usize;
        self.header.sequence = self.header.sequence.wrapping_add(1);
        self.header.timestamp = self.header.timestamp.wrapping_add(units as u32);
        self.header.marker = false;
        self.now += Duration::from_micros(sound.len() as u64 * 1_000_000 / u64::from(codec.sample_rate));
        bytes
    }

    fn send(&mut self, bytes: &[u8]) {
        self.transcoder.packet(self.now, bytes, &mut self.out);
    }

    fn say(&mut self, sound: &[i16], packet_ms: u32) {
        for frame in sound.chunks_exact(self.from.codec.samples_in(packet_ms)) {
            let bytes = self.make(frame);
            self.send(&bytes);
        }
    }

    fn sent(&self) -> Vec<(Header, Vec<u8>)> {
        let parse = |bytes: &Vec<u8>| {
            let packet = Packet::parse(bytes).unwrap();
            (packet.header(), packet.payload().to_vec())
        };
        self.out.iter().map(parse).collect()
    }

    /// What the receiver hears, every packet at its timestamp.
    fn heard(&self) -> Vec<i16> {
        let codec = self.to.codec;
        let (mut decoder, mut all) = ((codec.make)(), Vec::<i16>::new());
        for (header, payload) in self.sent() {
            if header.payload_type == self.to.payload_type {
                let units = header.timestamp.wrapping_sub(NUMBERS.timestamp) as usize;
                let start = units * codec.sample_rate as usize / codec.clock_rate as usize;
                let mut samples = Vec::new();
                decoder.decode(&payload, &mut samples);
                all.resize(all.len().max(start + samples.len()), 0);
                all[start..start + samples.len()].copy_from_slice(&samples);
            }
        }
        all
    }
}

fn raw(header: Header, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    offhook_rtp::PacketBuilder::new(header, payload).append_to(&mut bytes).unwrap();
    bytes
}

const NAMES: [&str; 4] = ["opus", "g722", "pcma", "pcmu"];

fn pairs() -> impl Iterator<Item = (&'static str, &'static str)> {
    NAMES.into_iter().flat_map(|from| NAMES.into_iter().map(move |to| (from, to)))
}

#[test]
fn a_tone_crosses_every_pair_of_codecs_at_its_loudness() {
    for (from, to) in pairs() {
        let mut way = Way::new(format(from), format(to));
        let rate = way.from.codec.sample_rate;
        let tone = sine_at(620.0, rate, rate as usize * 3);
        way.say(&tone, 20);
        let (said, heard) = (analyse(&tone, rate), analyse(&way.heard(), way.to.codec.sample_rate));
        assert!((heard.dominant_hz - 620.0).abs() < 2.0 && heard.share > 0.95, "{from} {to} {heard:?}");
        assert!((heard.level_dbov - said.level_dbov).abs() < 1.0, "{from} {to} {heard:?} {said:?}");
    }
}

#[test]
fn wideband_stays_wideband_between_wideband_codecs() {
    for (from, to) in [("opus", "g722"), ("g722", "opus")] {
        let mut way = Way::new(format(from), format(to));
        let rate = way.from.codec.sample_rate;
        way.say(&sine_at(5600.0, rate, rate as usize * 3), 20);
        let heard = analyse(&way.heard(), way.to.codec.sample_rate);
        assert!((heard.dominant_hz - 5600.0).abs() < 3.0 && heard.share > 0.8, "{from} {to} {heard:?}");
    }
}

#[test]
fn every_packet_leaves_at_once_and_the_numbers_count_on() {
    for (from, to) in pairs() {
        let mut way = Way::new(format(from), format(to));
        let frame = way.from.codec.samples_in(20);
        for n in 1..=100 {
            way.say(&vec![500; frame], 20);
            assert_eq!(way.out.len(), n, "{from} {to}");
        }
        let step = way.to.codec.clock_rate / 50;
        for (n, (header, _)) in way.sent().iter().enumerate() {
            assert_eq!(header.sequence, NUMBERS.sequence.wrapping_add(n as u16));
            assert_eq!(header.timestamp, NUMBERS.timestamp.wrapping_add(n as u32 * step), "{from} {to}");
            assert_eq!((header.marker, header.ssrc, header.payload_type), (n == 0, 7, way.to.payload_type));
        }
    }
}

#[test]
fn a_click_comes_out_at_most_the_filters_of_both_codecs_and_the_resampler_later() {
    // G.722 has 22 samples of 16 kHz, Opus at most 6.5 ms; the resampler has 2.5 ms.
    let delays = |name: &str| {
        if name == "opus" {
            6.5
        } else if name == "g722" {
            1.4
        } else {
            0.0
        }
    };
    for (from, to) in pairs() {
        let mut way = Way::new(format(from), format(to));
        let rate = way.from.codec.sample_rate;
        let mut sound = vec![0i16; rate as usize];
        let at = rate as usize / 2;
        let burst = sine_at(1000.0, rate, rate as usize / 500);
        sound[at..at + burst.len()].copy_from_slice(&burst);
        way.say(&sound, 20);
        let heard = way.heard();
        let energy: f64 = heard.iter().map(|s| f64::from(*s).powi(2)).sum();
        let middle =
            heard.iter().enumerate().map(|(n, s)| n as f64 * f64::from(*s).powi(2)).sum::<f64>() / energy;
        let later = middle * 1000.0 / f64::from(way.to.codec.sample_rate) - 501.0;
        let most = delays(from) + delays(to) + 2.5 + 1.0;
        assert!((-0.2..=most).contains(&later), "{from} {to} {later} ms of {most}");
    }
}

#[test]
fn packet_lengths_are_converted_both_ways() {
    for (from_ms, to_ms) in [(20, 30), (30, 20), (20, 60), (60, 20), (20, 10), (40, 30)] {
        for (from, to) in [("pcmu", "pcma"), ("g722", "pcmu"), ("pcma", "g722")] {
            let mut way = Way::new(format(from), Format { ptime_ms: to_ms, ..format(to) });
            let rate = way.from.codec.sample_rate;
            way.say(&sine_at(440.0, rate, way.from.codec.samples_in(from_ms) * 120), from_ms);
            let sent = way.sent();
            assert_eq!(sent.len() as u32, 120 * from_ms / to_ms, "{from} {from_ms} {to} {to_ms}");
            for (n, (header, payload)) in sent.iter().enumerate() {
                assert_eq!(payload.len() as u32, to_ms * 8);
                assert_eq!(header.timestamp, NUMBERS.timestamp.wrapping_add(n as u32 * to_ms * 8));
            }
            let heard = analyse(&way.heard(), way.to.codec.sample_rate);
            assert!(heard.share > 0.95, "{from} {from_ms} {to} {to_ms} {heard:?}");
        }
    }
}

#[test]
fn a_pause_of_the_sender_is_one_of_the_receiver_and_a_marker_ends_it() {
    for (from, to) in [("pcmu", "opus"), ("opus", "pcmu"), ("g722", "pcma")] {
        let mut way = Way::new(format(from), format(to));
        let frame = vec![800; way.from.codec.samples_in(20)];
        way.say(&frame.repeat(10), 20);
        way.header.timestamp = way.header.timestamp.wrapping_add(way.from.codec.clock_rate * 3);
        way.now += Duration::from_secs(3);
        way.say(&frame.repeat(10), 20);
        let sent = way.sent();
        assert_eq!(sent.len(), 20);
        let (last, first) = (&sent[9].0, &sent[10].0);
        let clock = way.to.codec.clock_rate;
        assert_eq!(first.timestamp.wrapping_sub(last.timestamp), clock * 3 + clock / 50, "{from} {to}");
        assert_eq!(first.sequence, last.sequence.wrapping_add(1));
        assert!(first.marker && !last.marker);
        assert!(way.start < way.now);
    }
}

#[test]
fn comfort_noise_is_passed_on_or_made_into_sound() {
    let from = Format { comfort_noise: Some(13), ..format("pcmu") };
    for to in [Format { comfort_noise: Some(98), ..format("pcma") }, format("opus"), format("g722")] {
        let mut way = Way::new(from, to);
        way.say(&[900; 1600], 20);
        let description = ComfortNoise { level: 45, reflection: vec![0.3] }.to_bytes();
        let header = Header { payload_type: 13, ..way.header };
        way.send(&raw(header, &description));
        way.header.sequence = way.header.sequence.wrapping_add(1);
        way.header.timestamp = way.header.timestamp.wrapping_add(8000);
        way.now += Duration::from_secs(1);
        way.say(&[900; 160], 20);
        let sent = way.sent();
        assert_eq!(sent.len(), 12);
        let step = sent[11].0.timestamp.wrapping_sub(sent[10].0.timestamp);
        assert_eq!((step, sent[11].0.marker), (to.codec.clock_rate, true), "{to:?}");
        if to.comfort_noise.is_some() {
            assert_eq!((sent[10].0.payload_type, &sent[10].1), (98, &description));
        } else {
            let rate = to.codec.sample_rate as usize;
            let heard = way.heard();
            let from = rate / 5 + rate / 100;
            let level = noise::describe(&heard[from..from + rate / 100]).level;
            assert!(level.abs_diff(45) <= 5, "{to:?} {level}");
        }
    }
}

#[test]
fn discontinuous_opus_becomes_comfort_noise() {
    let mut way = Way::new(format("opus"), Format { comfort_noise: Some(13), ..format("pcmu") });
    way.say(&sine_at(400.0, 48_000, 9600), 20);
    // A DTX packet of 20 ms, twice a second.
    for _ in 0..4 {
        let bytes = raw(way.header, &[0x48]);
        way.send(&bytes);
        way.header.sequence = way.header.sequence.wrapping_add(1);
        way.header.timestamp = way.header.timestamp.wrapping_add(19_200);
        way.now += Duration::from_millis(400);
    }
    let sent = way.sent();
    assert_eq!(sent.iter().filter(|(header, _)| header.payload_type == 13).count(), 4);
    let steps: Vec<u32> =
        sent[10..].windows(2).map(|w| w[1].0.timestamp.wrapping_sub(w[0].0.timestamp)).collect();
    assert_eq!(steps, [3200; 3]);
}

#[test]
fn formats_that_make_no_sense_are_refused() {
    let make = |to| Transcoder::new(format("pcmu"), to, NUMBERS).err();
    assert_eq!(make(Format { payload_type: 200, ..format("opus") }), Some(Unsuited::PayloadType(200)));
    assert_eq!(make(Format { comfort_noise: Some(96), ..format("opus") }), Some(Unsuited::Ambiguous(96)));
    let event = Some(EventFormat { payload_type: 101, clock_rate: 0 });
    assert_eq!(make(Format { event, ..format("opus") }), Some(Unsuited::ClockRate(0)));
}

#[test]
fn reports_speak_of_the_streams_that_each_side_sees() {
    let mut there = Way::new(format("opus"), format("pcmu"));
    let mut back = Way::new(format("pcmu"), format("opus"));
    there.say(&vec![900; 48_000], 20);
    back.say(&vec![900; 8000], 20);
    let ntp = offhook_rtp::NtpTime::from_unix(Duration::from_secs(1_700_000_000));
    let mut bytes = Vec::new();
    there.transcoder.report(there.now, ntp, Some(&mut back.transcoder), "x@y", &mut bytes).unwrap();
    let packets = offhook_rtp::rtcp::read(&bytes);
    let offhook_rtp::RtcpPacket::SenderReport(report) = &packets[0] else { panic!("{packets:?}") };
    assert_eq!((report.ssrc, report.packet_count, report.octet_count), (7, 50, 8000));
    assert_eq!(report.rtp_timestamp, NUMBERS.timestamp.wrapping_add(8000));
    // The block is about the stream that comes from the PCMU side.
    assert_eq!((report.reports.len(), report.reports[0].ssrc), (1, 1));
    let said = back.transcoder.control(back.now, ntp, &bytes, 1);
    assert_eq!((said.left, said.loss_percent), (false, Some(0.0)));
}
