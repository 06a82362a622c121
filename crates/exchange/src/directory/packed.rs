//! Bindings as the directory keeps them: one block of memory for an address, for there may be a million.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use bytes::{Buf as _, BufMut as _};
use offhook_sdp::Profile;
use offhook_sip_stack::{ConnectionId, Flow, Transport};

use super::{Binding, Bindings};

/// The bindings of one address. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packed {
    /// Unix seconds at which the first of them ends.
    pub(super) first_end: u64,
    bytes: Box<[u8]>,
}

impl Packed {
    /// `None` if there is nothing to keep.
    pub(super) fn new(bindings: &Bindings) -> Option<Self> {
        let first_end = bindings.0.iter().map(|one| one.expires_at).min()?;
        let mut bytes = Vec::with_capacity(256);
        for one in &bindings.0 {
            put(&mut bytes, one);
        }
        Some(Self { first_end, bytes: bytes.into() })
    }

    pub(super) fn unpack(&self) -> Bindings {
        let mut rest = &self.bytes[..];
        let mut bindings = Vec::with_capacity(1);
        while !rest.is_empty() {
            bindings.push(take(&mut rest));
        }
        Bindings(bindings)
    }
}

fn put(bytes: &mut Vec<u8>, one: &Binding) {
    let flow = &one.flow;
    let transport = flow.transport as u8;
    let said = [flow.connection.is_some(), one.behind_nat, one.instance.is_some(), one.reg_id.is_some()];
    bytes.put_u8(said.iter().fold(transport, |flags, said| flags << 1 | u8::from(*said)));
    bytes.put_u64(one.expires_at);
    let media = one.media.and_then(|media| Profile::ALL.iter().position(|one| *one == media));
    bytes.put_u8(media.map_or(0, |place| place as u8 + 1));
    bytes.put_u16(one.q);
    bytes.put_u32(one.cseq);
    put_address(bytes, &flow.local);
    put_address(bytes, &flow.remote);
    if let Some(ConnectionId(connection)) = flow.connection {
        bytes.put_u64(connection);
    }
    if let Some(reg_id) = one.reg_id {
        bytes.put_u32(reg_id);
    }
    put_text(bytes, &one.contact);
    put_text(bytes, &one.call_id);
    put_text(bytes, &one.user_agent);
    if let Some(instance) = &one.instance {
        put_text(bytes, instance);
    }
    let hops = one.path.len().min(usize::from(u8::MAX));
    bytes.put_u8(hops as u8);
    for hop in &one.path[..hops] {
        put_text(bytes, hop);
    }
}

/// Whole because [`put`] wrote it.
fn take(rest: &mut &[u8]) -> Binding {
    let flags = rest.get_u8();
    let said = |bit: u8| flags >> bit & 1 == 1;
    let expires_at = rest.get_u64();
    let media = usize::from(rest.get_u8()).checked_sub(1).and_then(|place| Profile::ALL.get(place)).copied();
    let (q, cseq) = (rest.get_u16(), rest.get_u32());
    let (local, remote) = (take_address(rest), take_address(rest));
    let connection = said(3).then(|| ConnectionId(rest.get_u64()));
    let reg_id = said(0).then(|| rest.get_u32());
    let transport = Transport::ALL[usize::from(flags >> 4)];
    Binding {
        contact: take_text(rest),
        q,
        expires_at,
        flow: Flow { transport, local, remote, connection },
        behind_nat: said(2),
        call_id: take_text(rest),
        cseq,
        user_agent: take_text(rest),
        media,
        instance: said(1).then(|| take_text(rest)),
        reg_id,
        path: (0..rest.get_u8()).map(|_| take_text(rest)).collect(),
    }
}

fn put_address(bytes: &mut Vec<u8>, address: &SocketAddr) {
    match address {
        SocketAddr::V4(v4) => {
            bytes.put_u8(4);
            bytes.put_slice(&v4.ip().octets());
        }
        SocketAddr::V6(v6) => {
            bytes.put_u8(6);
            bytes.put_slice(&v6.ip().octets());
            bytes.put_u32(v6.scope_id());
        }
    }
    bytes.put_u16(address.port());
}

fn take_address(rest: &mut &[u8]) -> SocketAddr {
    if rest.get_u8() == 4 {
        let ip = IpAddr::from(rest.get_u32().to_be_bytes());
        return SocketAddr::new(ip, rest.get_u16());
    }
    let (ip, scope) = (rest.get_u128().to_be_bytes(), rest.get_u32());
    SocketAddrV6::new(ip.into(), rest.get_u16(), 0, scope).into()
}

/// The registrar bounds all texts far below 64 KiB.
fn put_text(bytes: &mut Vec<u8>, text: &str) {
    let text = &text.as_bytes()[..text.len().min(usize::from(u16::MAX))];
    bytes.put_u16(text.len() as u16);
    bytes.put_slice(text);
}

fn take_text(rest: &mut &[u8]) -> String {
    let length = usize::from(rest.get_u16());
    let (text, after) = rest.split_at(length);
    *rest = after;
    String::from_utf8_lossy(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding(number: u64) -> Binding {
        let six = number % 2 == 1;
        let address = if six { "[fe80::1%3]:5060" } else { "192.0.2.7:5070" };
        Binding {
            contact: format!("sip:alice@192.0.2.7:{number};transport=tcp"),
            q: (number % 1_001) as u16,
            expires_at: 1_800_000_000 + number,
            flow: Flow {
                transport: Transport::ALL[number as usize % 5],
                local: "192.0.2.1:5060".parse().unwrap(),
                remote: address.parse().unwrap(),
                connection: number.is_multiple_of(3).then_some(ConnectionId(u64::MAX - number)),
            },
            behind_nat: number % 5 < 2,
            path: (0..number % 4).map(|hop| format!("<sip:p{hop}.example.com;lr>")).collect(),
            call_id: format!("{number}@phone"),
            cseq: u32::MAX - number as u32,
            instance: (number % 7 > 3).then(|| "<urn:uuid:é>".to_owned()),
            reg_id: (number % 6 > 2).then_some(number as u32),
            user_agent: if six { String::new() } else { "Téléphone 1.0".into() },
            media: Profile::ALL.get(number as usize % 9).copied(),
        }
    }

    #[test]
    fn what_was_packed_comes_out_again() {
        assert_eq!(Packed::new(&Bindings::default()), None);
        for number in 0..500 {
            let bindings = Bindings((number..=number + number % 4).map(binding).collect());
            let packed = Packed::new(&bindings).unwrap();
            assert_eq!(packed.first_end, 1_800_000_000 + number);
            assert_eq!(packed.unpack(), bindings);
        }
    }

    #[test]
    fn a_usual_binding_takes_less_than_200_octets() {
        let usual = Binding { path: Vec::new(), instance: None, ..binding(4) };
        let packed = Packed::new(&Bindings(vec![usual])).unwrap();
        assert!(packed.bytes.len() < 200, "{}", packed.bytes.len());
    }
}
