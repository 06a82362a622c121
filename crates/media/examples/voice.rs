//! A voice over a bad network in virtual time, for tuning the playout without waiting for real time:
//!
//! ```text
//! cargo run -p offhook-media --example voice -- CODEC IN.wav ARRIVALS OUT.wav [PHASE_MS [PTIME_MS [redundant]]]
//! ```
//!
//! `IN.wav` has the codec's rate. `ARRIVALS` has a line for each packet: when it comes, in ms after the microphone
//! was opened (packet n is complete at (n + 1) · ptime), or `-`. `OUT.wav` is what the ear hears from that moment
//! on, sample for sample. What the playout did is printed. With `redundant`, for 15 s after a packet that was lost each carries
//! the one before it.

use offhook_media::codec::by_word;
use offhook_media::playout::{Playout, Received};
use std::error::Error;
use std::time::{Duration, Instant};

#[allow(clippy::disallowed_methods)] // An `Instant` cannot be had in another way; none passes here.
fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [codec, input, arrivals, output, rest @ ..] = arguments.as_slice() else {
        return Err("voice CODEC IN.wav ARRIVALS OUT.wav [PHASE_MS [PTIME_MS [redundant]]]".into());
    };
    let format = by_word(codec).ok_or("no such codec")?;
    let phase: f64 = rest.first().map_or(Ok(7.0), |text| text.parse())?;
    let ptime: u32 = rest.get(1).map_or(Ok(20), |text| text.parse())?;
    let redundant = rest.get(2).is_some_and(|word| word == "redundant");
    let reader = hound::WavReader::open(input)?;
    if reader.spec().sample_rate != format.sample_rate {
        return Err(format!("expected a rate of {}", format.sample_rate).into());
    }
    let sound: Vec<i16> = reader.into_samples().collect::<Result<_, _>>()?;
    let arrivals = std::fs::read_to_string(arrivals)?;
    let arrivals: Vec<Option<f64>> = arrivals.lines().map(|line| line.trim().parse().ok()).collect();
    let size = format.samples_in(ptime);
    let units = u64::from(ptime) * u64::from(format.clock_rate) / 1000;
    let mut encoder = (format.make)();
    let mut flying = Vec::new();
    let (mut lost, mut before, mut last_lost) = (0, Vec::new(), None);
    let (mut copies, mut octets) = (0, 0);
    for (n, piece) in sound.chunks_exact(size).enumerate() {
        let mut payload = Vec::new();
        encoder.encode(piece, &mut payload);
        if encoder.carries_previous(&payload) {
            copies += 1;
        }
        octets += payload.len();
        match arrivals.get(n).copied().flatten() {
            Some(at) => {
                let protected =
                    redundant && last_lost.is_some_and(|lost| n - lost < (15_000 / ptime) as usize);
                let copy = if protected { std::mem::take(&mut before) } else { Vec::new() };
                flying.push((at, (n as u64 * units) as u32, payload.clone(), copy));
            }
            None => {
                lost += 1;
                last_lost = Some(n);
            }
        }
        before = payload;
        // The receiver reports every five seconds what it lost.
        if n % 250 == 249 {
            encoder.expect_loss(lost as f32 * 100.0 / 250.0);
            lost = 0;
        }
    }
    flying.sort_by(|a, b| a.0.total_cmp(&b.0));
    let start = Instant::now();
    let mut playout = Playout::new(start, format.sample_rate, [(0, format)], None);
    let mut flying = flying.into_iter().peekable();
    let frame = format.samples_in(20);
    let mut heard = vec![0i16; (phase * f64::from(format.sample_rate) / 1000.0) as usize];
    for tick in 0..sound.len() / frame {
        let now = phase + tick as f64 * 20.0;
        while let Some((at, timestamp, payload, copy)) = flying.next_if(|packet| packet.0 <= now) {
            let packet = Received { payload_type: 0, ssrc: 1, timestamp, payload: &payload };
            let at = start + Duration::from_secs_f64(at / 1000.0);
            playout.push(at, packet);
            if let Some(timestamp) = timestamp.checked_sub(units as u32).filter(|_| !copy.is_empty()) {
                playout.push_copy(at, Received { timestamp, payload: &copy, ..packet });
            }
        }
        let begin = heard.len();
        heard.resize(begin + frame, 0);
        playout.pull(start + Duration::from_secs_f64(now / 1000.0), &mut heard[begin..]);
    }
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: format.sample_rate,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(output, spec)?;
    for sample in heard {
        writer.write_sample(sample)?;
    }
    writer.finalize()?;
    let packets = sound.len() / size;
    println!("{:?}", playout.measures());
    println!("{packets} packets, {copies} with a copy, {} octets each", octets / packets.max(1));
    Ok(())
}
