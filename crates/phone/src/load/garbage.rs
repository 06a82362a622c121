//! Datagrams that no exchange wants: cut, wrong or random, always the same for the same seed.

use offhook_sip_stack::Rng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};

/// Makes them.
#[derive(Debug)]
pub(super) struct Garbage {
    rng: Rng,
}

impl Garbage {
    pub(super) fn new() -> Self {
        Self { rng: Rng::from_seed([7; 32]) }
    }

    /// Whether it happens this time.
    pub(super) fn chance(&mut self, share: f64) -> bool {
        share > 0.0 && self.rng.random_bool(share.min(1.0))
    }

    /// Writes the next one; `port` is ours.
    pub(super) fn write(&mut self, host: &str, port: u16, out: &mut Vec<u8>) {
        out.clear();
        let number = self.rng.next_u32();
        let good = format!(
            "OPTIONS sip:{host} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};rport;branch=z9hG4bKg{number:x}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:g@{host}>;tag=g\r\nTo: <sip:{host}>\r\nCall-ID: g{number:x}\r\n\
             CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        );
        match number % 6 {
            0 => out.extend((0..self.rng.random_range(1..600)).map(|_| self.rng.random::<u8>())),
            1 => out.extend_from_slice(&good.as_bytes()[..self.rng.random_range(1..good.len())]),
            2 => out.extend_from_slice(good.replace("CSeq: 1", "CSeq: many").as_bytes()),
            3 => out.extend_from_slice(good.replace("Content-Length: 0", "Content-Length: 9999").as_bytes()),
            4 => out.extend_from_slice(good.replace("Via:", "Vla:").as_bytes()),
            _ => out.extend_from_slice(good.replace("SIP/2.0 ", "SIP/7.0 ").as_bytes()),
        }
    }
}
