//! What the system takes to receive a datagram and send one, batched, over loopback:
//! `cargo run --release -p offhook-udp-batch --example floor`.
#![allow(clippy::disallowed_methods)] // It measures.

use std::io;
use std::time::{Duration, Instant};

use offhook_udp_batch::{BatchSocket, Outgoing, ReceiveBatch, SocketOptions};

fn main() -> io::Result<()> {
    for size in [172, 800] {
        for per_call in [1, 8, 64] {
            let each = measure(per_call, size)?;
            println!("{size:4} bytes, {per_call:2} a call: {:.2} µs", each.as_nanos() as f64 / 1e3);
        }
    }
    Ok(())
}

/// Time per datagram that goes from one socket to another of the same thread.
fn measure(per_call: usize, size: usize) -> io::Result<Duration> {
    let loopback = ([127, 0, 0, 1], 0).into();
    let sender = BatchSocket::bind(loopback, &SocketOptions::default())?;
    let receiver = BatchSocket::bind(loopback, &SocketOptions::default())?;
    let payload = vec![0; size];
    let datagram = Outgoing {
        destination: receiver.local_addr(),
        source: Some(sender.local_addr().ip()),
        payload: &payload,
    };
    let (outgoing, mut failures) = (vec![datagram; per_call], Vec::new());
    let mut batch = ReceiveBatch::with_slots(per_call, 2_048);
    let (mut moved, start) = (0_u32, Instant::now());
    while moved < DATAGRAMS {
        sender.send(&outgoing, &mut failures);
        while receiver.receive(&mut batch)? > 0 {
            moved += batch.iter().filter(|datagram| datagram.payload.len() == size).count() as u32;
        }
    }
    Ok(start.elapsed() / moved)
}

const DATAGRAMS: u32 = 200_000;
