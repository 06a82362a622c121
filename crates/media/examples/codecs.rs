//! What Opus and PCMU take by themselves: `codecs ROUNDS CALLS` prints the processor time of a packet of 20 ms that is decoded
//! from one and encoded in the other, the mean of both directions, and beside it what it takes in a transcoder. In each
//! round every call has a packet in each direction.
//!
//! A transcoder cannot cost less than the codecs.

use offhook_media::codec::{Codec, by_word};
use offhook_media::transcode::{Format, Numbers, Transcoder};
use offhook_rtp::{Header, PacketBuilder};
use std::error::Error;
use std::time::{Duration, Instant};

#[allow(clippy::disallowed_methods)] // An `Instant` cannot be had in another way.
fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1).map(|word| word.parse::<usize>());
    let (rounds, calls) = words.next().zip(words.next()).ok_or("codecs ROUNDS CALLS")?;
    let (rounds, calls) = (rounds?, calls?);
    let (opus, pcmu) = by_word("opus").zip(by_word("pcmu")).ok_or("codecs are missing")?;
    let (near, narrow) = (opus.at(pcmu.sample_rate), pcmu.samples_in(20));
    let mut far = (opus.make)();
    let packets: Vec<Vec<u8>> = (0..rounds)
        .map(|round| {
            let mut payload = Vec::new();
            far.encode(&tone(opus.sample_rate, round, opus.samples_in(20)), &mut payload);
            payload
        })
        .collect();
    let speech: Vec<Vec<i16>> = (0..rounds).map(|round| tone(pcmu.sample_rate, round, narrow)).collect();
    let law: Vec<Vec<u8>> = speech.iter().map(|sound| encoded(&mut *(pcmu.make)(), sound)).collect();

    let mut coders: Vec<_> = (0..calls).map(|_| ((near.make)(), (pcmu.make)())).collect();
    let (mut samples, mut payload, begun) = (Vec::new(), Vec::new(), processor_time()?);
    for (opus_packet, law_packet) in packets.iter().zip(&law) {
        for (opus, pcmu) in &mut coders {
            samples.clear();
            opus.decode(opus_packet, &mut samples);
            payload.clear();
            pcmu.encode(&samples, &mut payload);
            samples.clear();
            pcmu.decode(law_packet, &mut samples);
            payload.clear();
            opus.encode(&samples, &mut payload);
        }
    }
    let codecs = processor_time()? - begun;

    let (wide, plain) = (Format::plain(opus, 111), Format::plain(pcmu, 0));
    let numbers = Numbers { ssrc: 1, sequence: 1, timestamp: 1 };
    let mut pairs = Vec::new();
    for _ in 0..calls {
        pairs.push((Transcoder::new(wide, plain, numbers)?, Transcoder::new(plain, wide, numbers)?));
    }
    let (mut now, mut out, begun) = (Instant::now(), Vec::new(), processor_time()?);
    for (round, (opus_packet, law_packet)) in packets.iter().zip(&law).enumerate() {
        now += Duration::from_millis(20);
        for (there, back) in &mut pairs {
            out.clear();
            there.packet(now, &rtp(111, round, 960, opus_packet)?, &mut out);
            back.packet(now, &rtp(0, round, 160, law_packet)?, &mut out);
        }
    }
    let transcoders = processor_time()? - begun;

    let each = |nanoseconds: u64| nanoseconds as f64 / 1e3 / (2 * rounds * calls).max(1) as f64;
    println!("{{\"us\": {:.2}, \"transcoder_us\": {:.2}}}", each(codecs), each(transcoders));
    Ok(())
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
