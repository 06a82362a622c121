//! What Opus and PCMU take by themselves: `codecs SECONDS CALLS` prints the processor time of a packet of 20 ms that is decoded
//! from one and encoded in the other, the mean of both directions, and beside it what it takes in a transcoder. Every call has
//! its millisecond of the twenty, as in a relay: work that comes in small pieces costs more than the same at one go.
//!
//! A transcoder cannot cost less than the codecs.
#![allow(clippy::disallowed_methods)] // It measures.

use offhook_media::codec::{Codec, by_word};
use offhook_media::transcode::{Format, Numbers, Transcoder};
use offhook_rtp::{Header, PacketBuilder};
use std::error::Error;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Milliseconds of a packet.
const PERIOD: usize = 20;
/// Packets of the tone, which is sent over and over.
const PACKETS: usize = 50;

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1).map(|word| word.parse::<usize>());
    let (seconds, calls) = words.next().zip(words.next()).ok_or("codecs SECONDS CALLS")?;
    let (rounds, calls) = (seconds? * 1000 / PERIOD, calls?);
    let (opus, pcmu) = by_word("opus").zip(by_word("pcmu")).ok_or("codecs are missing")?;
    let (near, narrow) = (opus.at(pcmu.sample_rate), pcmu.samples_in(20));
    let mut far = (opus.make)();
    let packets: Vec<Vec<u8>> = (0..PACKETS)
        .map(|number| encoded(&mut *far, &tone(opus.sample_rate, number, opus.samples_in(20))))
        .collect();
    let law: Vec<Vec<u8>> = (0..PACKETS)
        .map(|number| encoded(&mut *(pcmu.make)(), &tone(pcmu.sample_rate, number, narrow)))
        .collect();

    let mut coders: Vec<_> = (0..calls).map(|_| ((near.make)(), (pcmu.make)())).collect();
    let (mut samples, mut payload) = (Vec::new(), Vec::new());
    let codecs = paced(rounds, &mut coders, |round, (opus, pcmu)| {
        samples.clear();
        opus.decode(&packets[round % PACKETS], &mut samples);
        payload.clear();
        pcmu.encode(&samples, &mut payload);
        samples.clear();
        pcmu.decode(&law[round % PACKETS], &mut samples);
        payload.clear();
        opus.encode(&samples, &mut payload);
        Ok(())
    })?;

    let (wide, plain) = (Format::plain(opus, 111), Format::plain(pcmu, 0));
    let numbers = Numbers { ssrc: 1, sequence: 1, timestamp: 1 };
    let mut pairs = Vec::new();
    for _ in 0..calls {
        pairs.push((Transcoder::new(wide, plain, numbers)?, Transcoder::new(plain, wide, numbers)?));
    }
    let (begun, mut out) = (now(), Vec::new());
    let transcoders = paced(rounds, &mut pairs, |round, (there, back)| {
        let now = begun + Duration::from_millis((round * PERIOD) as u64);
        out.clear();
        there.packet(now, &rtp(111, round, 960, &packets[round % PACKETS])?, &mut out);
        back.packet(now, &rtp(0, round, 160, &law[round % PACKETS])?, &mut out);
        Ok(())
    })?;

    let each = |nanoseconds: u64| nanoseconds as f64 / 1e3 / (2 * rounds * calls).max(1) as f64;
    println!("{{\"us\": {:.2}, \"transcoder_us\": {:.2}}}", each(codecs), each(transcoders));
    Ok(())
}

/// Does the work of every call in every round, each at its time; returns the processor time in nanoseconds.
fn paced<C>(
    rounds: usize,
    calls: &mut [C],
    mut work: impl FnMut(usize, &mut C) -> Result<(), Box<dyn Error>>,
) -> Result<u64, Box<dyn Error>> {
    let (begun, before) = (now(), processor_time()?);
    for tick in 0..rounds * PERIOD {
        sleep((begun + Duration::from_millis(tick as u64)).saturating_duration_since(now()));
        for call in calls.iter_mut().skip(tick % PERIOD).step_by(PERIOD) {
            work(tick / PERIOD, call)?;
        }
    }
    Ok(processor_time()? - before)
}

fn now() -> Instant {
    Instant::now()
}

/// Part `number` of a tone, in pieces of `samples`.
fn tone(rate: u32, number: usize, samples: usize) -> Vec<i16> {
    let step = std::f64::consts::TAU * 440.0 / f64::from(rate);
    (number * samples..(number + 1) * samples).map(|at| ((step * at as f64).sin() * 8000.0) as i16).collect()
}

fn encoded(coder: &mut dyn Codec, sound: &[i16]) -> Vec<u8> {
    let mut payload = Vec::new();
    coder.encode(sound, &mut payload);
    payload
}

fn rtp(payload_type: u8, number: usize, step: u32, payload: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let (sequence, timestamp) = (number as u16, number as u32 * step);
    let header = Header { payload_type, sequence, timestamp, ssrc: 7, ..Header::default() };
    let mut bytes = Vec::new();
    PacketBuilder::new(header, payload).append_to(&mut bytes)?;
    Ok(bytes)
}

/// Of this thread, in nanoseconds (Linux).
fn processor_time() -> Result<u64, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text.split(' ').next().ok_or("schedstat is empty")?.parse()?)
}
