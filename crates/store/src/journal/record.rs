//! A record of the journal: length, checksum, and the bindings of one account.
//!
//! Numbers are little-endian; texts and lists begin with their length in 32 bits.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use offhook_exchange::directory::{AddressOfRecord, Binding, Bindings};
use offhook_sip_stack::{Flow, Transport};

use super::crc32::crc32;
use crate::account::parse_stored;

/// What one record says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    /// The shard that wrote it.
    pub(crate) shard: u8,
    /// Its place among all that were ever written: of two about one account, the greater is the newer.
    pub(crate) sequence: u64,
    /// Whose bindings these are.
    pub(crate) account: AddressOfRecord,
    /// All of them.
    pub(crate) bindings: Bindings,
}

/// Appends a record with the parts of an [`Entry`] to `out`.
pub(crate) fn encode(
    out: &mut Vec<u8>,
    shard: u8,
    sequence: u64,
    account: &AddressOfRecord,
    bindings: &Bindings,
) {
    let start = out.len();
    out.extend_from_slice(&[0; HEAD]);
    out.push(VERSION);
    out.push(shard);
    out.extend_from_slice(&sequence.to_le_bytes());
    text(out, account.as_str());
    length(out, bindings.0.len());
    for one in &bindings.0 {
        binding(out, one);
    }
    let payload = &out[start + HEAD..];
    let (octets, sum) = (payload.len() as u32, crc32(payload));
    out[start..start + 4].copy_from_slice(&octets.to_le_bytes());
    out[start + 4..start + HEAD].copy_from_slice(&sum.to_le_bytes());
}

/// How long a record is that begins with these octets.
pub(crate) fn length_of(head: [u8; HEAD]) -> u64 {
    let [a, b, c, d, ..] = head;
    HEAD as u64 + u64::from(u32::from_le_bytes([a, b, c, d]))
}

/// Takes the first record off `bytes`. `None` at the end, and where a record is cut off or damaged.
pub(crate) fn decode(bytes: &mut &[u8]) -> Option<Entry> {
    let mut cursor = Cursor(bytes);
    let octets = usize::try_from(cursor.u32()?).ok()?;
    let sum = cursor.u32()?;
    let payload = cursor.take(octets)?;
    if crc32(payload) != sum {
        return None;
    }
    let entry = Cursor(payload).entry()?;
    *bytes = cursor.0;
    Some(entry)
}

fn binding(out: &mut Vec<u8>, one: &Binding) {
    text(out, &one.contact);
    out.extend_from_slice(&one.q.to_le_bytes());
    out.extend_from_slice(&one.expires_at.to_le_bytes());
    out.push(match one.flow.transport {
        Transport::Udp => 0,
        Transport::Tcp => 1,
        Transport::Tls => 2,
        Transport::Ws => 3,
        Transport::Wss => 4,
    });
    address(out, one.flow.local);
    address(out, one.flow.remote);
    out.push(one.behind_nat.into());
    length(out, one.path.len());
    for element in &one.path {
        text(out, element);
    }
    text(out, &one.call_id);
    out.extend_from_slice(&one.cseq.to_le_bytes());
    out.push(one.instance.is_some().into());
    if let Some(instance) = &one.instance {
        text(out, instance);
    }
    out.push(one.reg_id.is_some().into());
    if let Some(reg_id) = one.reg_id {
        out.extend_from_slice(&reg_id.to_le_bytes());
    }
    text(out, &one.user_agent);
}

fn address(out: &mut Vec<u8>, address: SocketAddr) {
    match address {
        SocketAddr::V4(v4) => {
            out.push(4);
            out.extend_from_slice(&v4.ip().octets());
        }
        SocketAddr::V6(v6) => {
            out.push(6);
            out.extend_from_slice(&v6.ip().octets());
            out.extend_from_slice(&v6.scope_id().to_le_bytes());
        }
    }
    out.extend_from_slice(&address.port().to_le_bytes());
}

fn text(out: &mut Vec<u8>, text: &str) {
    length(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

fn length(out: &mut Vec<u8>, length: usize) {
    out.extend_from_slice(&(length as u32).to_le_bytes());
}

/// The rest of a payload.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn entry(mut self) -> Option<Entry> {
        if self.u8()? != VERSION {
            return None;
        }
        let shard = self.u8()?;
        let sequence = self.u64()?;
        let account = parse_stored(self.text()?)?;
        let bindings = (0..self.u32()?).map(|_| self.binding()).collect::<Option<_>>()?;
        self.0.is_empty().then_some(Entry { shard, sequence, account, bindings: Bindings(bindings) })
    }

    fn binding(&mut self) -> Option<Binding> {
        Some(Binding {
            contact: self.text()?.into(),
            q: u16::from_le_bytes(self.array()?),
            expires_at: self.u64()?,
            flow: Flow {
                transport: match self.u8()? {
                    0 => Transport::Udp,
                    1 => Transport::Tcp,
                    2 => Transport::Tls,
                    3 => Transport::Ws,
                    4 => Transport::Wss,
                    _ => return None,
                },
                local: self.address()?,
                remote: self.address()?,
                // A connection ends with the process that had it.
                connection: None,
            },
            behind_nat: self.bool()?,
            path: (0..self.u32()?).map(|_| self.text().map(str::to_owned)).collect::<Option<_>>()?,
            call_id: self.text()?.into(),
            cseq: self.u32()?,
            instance: if self.bool()? { Some(self.text()?.into()) } else { None },
            reg_id: if self.bool()? { Some(self.u32()?) } else { None },
            user_agent: self.text()?.into(),
        })
    }

    fn address(&mut self) -> Option<SocketAddr> {
        match self.u8()? {
            4 => {
                let ip = Ipv4Addr::from(self.array::<4>()?);
                Some(SocketAddr::new(IpAddr::V4(ip), u16::from_le_bytes(self.array()?)))
            }
            6 => {
                let ip = Ipv6Addr::from(self.array::<16>()?);
                let scope = self.u32()?;
                Some(SocketAddrV6::new(ip, u16::from_le_bytes(self.array()?), 0, scope).into())
            }
            _ => None,
        }
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.u32()?).ok()?;
        std::str::from_utf8(self.take(length)?).ok()
    }

    fn bool(&mut self) -> Option<bool> {
        match self.u8()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}

const VERSION: u8 = 1;
/// Length and checksum.
pub(crate) const HEAD: usize = 8;

#[cfg(test)]
mod tests;
