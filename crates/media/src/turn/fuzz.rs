//! Bodies of the fuzz target.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use super::{Config, FiveTuple, Frame, Limits, PeerPolicy, Secret, Server, Transport};
use crate::stun::Message;

/// Reads everything of a message, and lets a server take it, from any client and any peer. `now` is any moment.
pub fn receive(now: Instant, bytes: &[u8]) {
    if let Some(message) = Message::parse(bytes) {
        for (kind, value) in message.attributes() {
            assert!(value.len() <= bytes.len());
            let _ = (message.address(kind), message.number(kind), message.first_of_four(kind));
        }
        let _ = message.unknown(&[]);
    }
    if let Frame::Whole { message, all } = Frame::of(bytes) {
        assert!(message <= all && all <= bytes.len());
    }
    let ip = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    let mut server = Server::new(config(ip), now, 1_800_000_000);
    let address = SocketAddr::new(ip, 3478);
    let from = FiveTuple { transport: Transport::Udp, client: address, server: address };
    let mut out = Vec::new();
    server.receive(now, from, bytes, &mut out);
    server.relayed(now, 21_000, address, bytes, &mut out);
    assert!(out.len() <= 1);
}

fn config(ip: IpAddr) -> Config {
    Config {
        realm: "example.com".to_owned(),
        secret: Secret::of_exchange(&[7; 32]),
        seed: [7; 32],
        addresses: vec![ip],
        external_address: None,
        local_networks: Vec::new(),
        ports: 21_000..=21_999,
        peers: PeerPolicy { own: vec![ip], open: Vec::new(), shut: Vec::new(), allowed: Vec::new() },
        limits: Limits::default(),
    }
}
