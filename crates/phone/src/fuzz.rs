//! What the fuzz targets run on arbitrary bytes. Not part of the crate's interface.

use crate::captured;
use crate::pcap::{Capture, Reader};

/// Reads a capture file, whatever it is, and finds the calls in it. What carried UDP is written and read once more, and is the
/// same.
pub fn pcap(bytes: &[u8]) {
    if let Ok(mut reader) = Reader::new(bytes) {
        let mut read = Vec::new();
        while let Ok(Some(packet)) = reader.packet() {
            assert!(packet.payload.len() <= bytes.len());
            read.push(packet);
        }
        read.retain(|packet| !packet.is_tcp && packet.payload.len() <= LONGEST);
        let mut file = Vec::new();
        if let Ok(mut capture) = Capture::new(&mut file) {
            for packet in &read {
                assert!(capture.write(packet.at, packet.from, packet.to, &packet.payload).is_ok());
            }
        }
        let again = Reader::new(&file[..]);
        assert!(again.is_ok());
        let Ok(mut again) = again else { return };
        for packet in &read {
            let Ok(Some(copy)) = again.packet() else { panic!("what was written is there") };
            let same = |one: std::net::SocketAddr| (one.ip().to_canonical(), one.port());
            assert_eq!(same(copy.from), same(packet.from));
            assert_eq!((same(copy.to), &copy.payload), (same(packet.to), &packet.payload));
        }
    }
    if let Ok(found) = captured::read(bytes) {
        for call in &found.calls {
            assert!(call.messages().count() <= bytes.len());
            call.matches("alice");
        }
    }
}

/// What fits into any packet that is written.
const LONGEST: usize = 65_535 - 48;
