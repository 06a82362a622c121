//! Who has a port.

use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use offhook_sip_stack::Transport;

/// The process that has a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortOwner {
    /// Its number.
    pub pid: u32,
    /// Its name, as the system shows it (at most 15 bytes on Linux).
    pub command: String,
}

impl PortOwner {
    /// Looks in `/proc` for the process whose socket keeps this address from being bound. `None` for a
    /// process of another user, unless we are root, and always on systems other than Linux.
    pub fn of(transport: Transport, address: SocketAddr) -> Option<Self> {
        let tables: &[(&str, bool)] = match transport {
            Transport::Udp => &[("/proc/net/udp", false), ("/proc/net/udp6", false)],
            Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => {
                &[("/proc/net/tcp", true), ("/proc/net/tcp6", true)]
            }
        };
        let inodes: Vec<String> = tables
            .iter()
            .filter_map(|(table, streams)| Some((fs::read_to_string(table).ok()?, *streams)))
            .flat_map(|(text, streams)| holders(&text, streams, address))
            .map(|inode| format!("socket:[{inode}]"))
            .collect();
        if inodes.is_empty() { None } else { find_process(&inodes) }
    }
}

impl fmt::Display for PortOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {})", self.command, self.pid)
    }
}

/// The inodes of the sockets in a table that are in the way of an address.
fn holders(table: &str, streams: bool, wanted: SocketAddr) -> Vec<u64> {
    let in_the_way = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let local = parse_address(fields.nth(1)?)?;
        let state = fields.nth(1)?;
        let inode: u64 = fields.nth(5)?.parse().ok()?;
        let either_takes_all = local.ip().is_unspecified() || wanted.ip().is_unspecified();
        let same = local.ip() == wanted.ip().to_canonical() || either_takes_all;
        let holds = !streams || state == LISTENING;
        (holds && same && local.port() == wanted.port() && inode != 0).then_some(inode)
    };
    table.lines().skip(1).filter_map(in_the_way).collect()
}

/// `0100007F:13C4`: words of four bytes in the machine's order, then the port.
fn parse_address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| Some(u32::from_str_radix(ip.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    let ip = if ip.len() == 8 {
        IpAddr::V4(Ipv4Addr::from(word(0)?))
    } else {
        let mut octets = [0; 16];
        for (index, four) in octets.chunks_exact_mut(4).enumerate() {
            four.copy_from_slice(&word(index * 8)?);
        }
        IpAddr::V6(Ipv6Addr::from(octets)).to_canonical()
    };
    Some(SocketAddr::new(ip, port))
}

fn find_process(sockets: &[String]) -> Option<PortOwner> {
    let pids = fs::read_dir("/proc").ok()?.flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    for pid in pids {
        // Descriptors of other users' processes are not ours to see.
        let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { continue };
        let has_it = descriptors.flatten().any(|descriptor| {
            fs::read_link(descriptor.path())
                .is_ok_and(|target| sockets.iter().any(|socket| target.as_os_str() == socket.as_str()))
        });
        if has_it {
            let command = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            return Some(PortOwner { pid, command: command.trim_end().to_owned() });
        }
    }
    None
}

/// TCP_LISTEN.
const LISTENING: &str = "0A";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_in_the_way_are_found_by_port_address_and_state() {
        if cfg!(target_endian = "big") {
            return;
        }
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:13C4 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1\n\
            1: 00000000:13C4 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12 1\n\
            2: 0100007F:13C4 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 13 1\n\
            3: 0200007F:13C4 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 14 1\n\
            4: 0100007F:13C5 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 15 1\n\
            cut off\n";
        let find = |streams, address: &str| holders(table, streams, address.parse().unwrap());
        assert_eq!(find(true, "127.0.0.1:5060"), [11, 12]);
        assert_eq!(find(false, "127.0.0.1:5060"), [11, 12, 13]);
        assert_eq!(find(true, "[::]:5060"), [11, 12, 14]);
        assert_eq!(find(true, "127.0.0.1:5070"), [] as [u64; 0]);
    }

    #[test]
    fn an_ipv6_address_is_read_word_by_word() {
        if cfg!(target_endian = "big") {
            return;
        }
        let parsed = parse_address("B80D0120000000000000000001000000:13C4");
        assert_eq!(parsed, Some("[2001:db8::1]:5060".parse().unwrap()));
    }
}
