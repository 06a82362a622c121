//! What Opus and PCMU take by themselves: `codecs PACKETS` prints the processor time of a packet of 20 ms that is decoded
//! from one and encoded in the other, the mean of both directions.
//!
//! A transcoder cannot cost less.

use offhook_media::codec::by_word;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let count: usize = std::env::args().nth(1).ok_or("codecs PACKETS")?.parse()?;
    let (opus, pcmu) = by_word("opus").zip(by_word("pcmu")).ok_or("codecs are missing")?;
    let tone = |rate: u32, at: usize| {
        let angle = at as f64 * std::f64::consts::TAU * 440.0 / f64::from(rate);
        (angle.sin() * 8000.0) as i16
    };
    let sound = |rate: u32, packet: usize, samples: usize| -> Vec<i16> {
        (packet * samples..(packet + 1) * samples).map(|at| tone(rate, at)).collect()
    };
    let near = opus.at(pcmu.sample_rate);
    let (full, narrow) = (opus.samples_in(20), pcmu.samples_in(20));
    let mut far = (opus.make)();
    let packets: Vec<Vec<u8>> = (0..count)
        .map(|packet| {
            let mut payload = Vec::new();
            far.encode(&sound(opus.sample_rate, packet, full), &mut payload);
            payload
        })
        .collect();
    let (mut coder, mut law) = ((near.make)(), (pcmu.make)());
    let phone: Vec<Vec<i16>> = (0..count).map(|packet| sound(pcmu.sample_rate, packet, narrow)).collect();
    let quiet = vec![0xff; narrow];
    let (mut samples, mut payload, begun) = (Vec::new(), Vec::new(), processor_time()?);
    for (opus_packet, phone) in packets.iter().zip(&phone) {
        samples.clear();
        coder.decode(opus_packet, &mut samples);
        payload.clear();
        law.encode(&samples[..narrow.min(samples.len())], &mut payload);
        samples.clear();
        law.decode(&quiet, &mut samples);
        payload.clear();
        coder.encode(phone, &mut payload);
    }
    let each = (processor_time()? - begun) as f64 / 1e3 / (2 * count.max(1)) as f64;
    println!("{{\"packets\": {count}, \"us\": {each:.2}}}");
    Ok(())
}

/// Of this thread, in nanoseconds (Linux).
fn processor_time() -> Result<u64, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text.split(' ').next().ok_or("schedstat is empty")?.parse()?)
}
