//! A record of the journal: length, checksum, and the bindings of one account.
//!
//! Numbers are little-endian; texts and lists begin with their length in 32 bits.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use offhook_exchange::directory::{AddressOfRecord, Binding, Bindings};
use offhook_sip_stack::{Flow, Transport};

use super::crc32::crc32;

/// A record whose checksum is right, as it lies in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    /// Its place among all that were ever written: of two about one account, the greater is the newer.
    pub(crate) sequence: u64,
    /// The address of the account whose bindings these are.
    pub(crate) account: &'a str,
    /// Unix seconds at which the last of the bindings ends; 0 if there is none.
    pub(crate) until: u64,
    bindings: &'a [u8],
}

impl<'a> Record<'a> {
    /// The record that these octets are from the first to the last. `None` if it is damaged, or not of this version.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (_, rest) = bytes.split_first_chunk::<4>()?;
        let (sum, payload) = rest.split_first_chunk::<4>()?;
        if length_of(bytes)? != bytes.len() || crc32(payload) != u32::from_le_bytes(*sum) {
            return None;
        }
        Cursor(payload).record()
    }

    /// All bindings, also those that are over.
    pub(crate) fn bindings(&self) -> Option<Bindings> {
        let mut cursor = Cursor(self.bindings);
        let count = cursor.u32()?;
        // Not collected: that would make room for four of them. They were counted when the record was read.
        let mut bindings = Vec::with_capacity(usize::try_from(count).ok()?);
        for _ in 0..count {
            bindings.push(cursor.binding()?);
        }
        Some(Bindings(bindings))
    }
}

/// Appends a record to `out`: entry `sequence`, by which `shard` says that `account` has these bindings and no others.
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

/// How long the record says it is, in octets, that begins with these. `None` if they are too few.
pub(crate) fn stated_length(bytes: &[u8]) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(*bytes.first_chunk()?)).ok()?.checked_add(HEAD)
}

/// The same, if a record of this version may begin so. It takes one octet more than [`HEAD`] to tell.
pub(crate) fn length_of(bytes: &[u8]) -> Option<usize> {
    let length = stated_length(bytes)?;
    (*bytes.get(HEAD)? == VERSION && (SHORTEST..=LONGEST).contains(&length)).then_some(length)
}

/// Whether these octets are the beginning of a record, the end of which was never written.
pub(crate) fn is_cut_off(bytes: &[u8]) -> bool {
    let Some((_, payload)) = bytes.split_first_chunk::<HEAD>() else { return true };
    let mut cursor = Cursor(payload);
    // What is whole or wrong leaves a rest; what was cut off has none.
    stated_length(bytes) > Some(bytes.len()) && cursor.read_record().is_none() && cursor.0.is_empty()
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
    fn record(mut self) -> Option<Record<'a>> {
        let record = self.read_record()?;
        self.0.is_empty().then_some(record)
    }

    fn read_record(&mut self) -> Option<Record<'a>> {
        if self.u8()? != VERSION {
            return None;
        }
        // The shard that wrote it is there for people.
        self.u8()?;
        let sequence = self.u64()?;
        let account = self.text()?;
        if !account.contains('@') {
            return None;
        }
        let bindings = self.0;
        let mut until = 0;
        for _ in 0..self.u32()? {
            until = self.pass_binding()?.max(until);
        }
        Some(Record { sequence, account, until, bindings })
    }

    /// Checks a binding without making one. Returns when it ends.
    fn pass_binding(&mut self) -> Option<u64> {
        self.text()?;
        self.array::<2>()?;
        let expires_at = self.u64()?;
        if self.u8()? > 4 {
            return None;
        }
        self.address()?;
        self.address()?;
        self.bool()?;
        for _ in 0..self.u32()? {
            self.text()?;
        }
        self.text()?;
        self.u32()?;
        if self.bool()? {
            self.text()?;
        }
        if self.bool()? {
            self.u32()?;
        }
        self.text()?;
        Some(expires_at)
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
            media: None,
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
        let split = self.0.split_at_checked(length);
        self.0 = split.map_or(&[], |(_, rest)| rest);
        split.map(|(taken, _)| taken)
    }
}

const VERSION: u8 = 1;
/// Length and checksum.
pub(crate) const HEAD: usize = 8;
/// Without a name or a binding: version, shard, number, and the two lengths.
const SHORTEST: usize = HEAD + 2 + 8 + 4 + 4;
/// Far more than an account's bindings can be, as each came in a message. What says that it is longer is damaged.
pub(crate) const LONGEST: usize = 1 << 24;

#[cfg(test)]
mod tests;
