//! What the machine is called and reached by.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use offhook_net::source_towards;

/// How many threads of signalling suit the machine: half of its processors; media and the rest have the others.
pub(crate) fn signal_threads() -> u8 {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    (processors / 2).clamp(1, 64) as u8
}

/// Lets other threads have the processor first: what the calling thread does can wait, messages of a call cannot.
pub(crate) fn yield_to_others() {
    // On Linux alone this is of one thread, and if it may not be, the threads are equal.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, LATER);
}

/// A tenth of the weight of the others, as `nice` counts it.
#[cfg(target_os = "linux")]
const LATER: i32 = 10;

/// The machine's name, if it has one that can stand in a SIP URI.
pub(crate) fn name() -> Option<String> {
    let name =
        fs::read_to_string("/proc/sys/kernel/hostname").ok().or_else(|| std::env::var("HOSTNAME").ok())?;
    let name = name.trim().trim_end_matches('.').to_ascii_lowercase();
    let fits = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.');
    fits.then_some(name)
}

/// The machine's addresses that others may reach, IPv4 first, without loopback and link-local ones.
pub(crate) fn addresses() -> Vec<IpAddr> {
    let trie = fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
    let inet6 = fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    let mut found: Vec<IpAddr> = of_fib_trie(&trie).into_iter().map(IpAddr::from).collect();
    found.extend(of_if_inet6(&inet6).into_iter().map(IpAddr::from));
    // Where these tables cannot be read, the routing table still tells the main address.
    let far = [SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 9)), SocketAddr::from((FAR, 9))];
    found.extend(far.into_iter().filter_map(|far| source_towards(far).ok()));
    found.retain(|ip| is_reachable(*ip));
    let mut unique = Vec::with_capacity(found.len());
    // The address towards the outside comes first: it is the one to tell people.
    let main = source_towards(far[0]).ok().filter(|ip| is_reachable(*ip));
    for ip in main.into_iter().chain(found) {
        if !unique.contains(&ip) {
            unique.push(ip);
        }
    }
    unique.sort_by_key(|ip| ip.is_ipv6());
    unique
}

/// Whether anybody on the Internet may send to it.
pub(crate) fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [first, second, ..] = ip.octets();
            let shared = first == 100 && second & 0xc0 == 64;
            // RFC 2544: laboratories only.
            let benchmark = first == 198 && second & 0xfe == 18;
            !(ip.is_loopback()
                || ip.is_private()
                || ip.is_link_local()
                || ip.is_unspecified()
                || ip.is_documentation()
                || shared
                || benchmark)
        }
        IpAddr::V6(ip) => {
            let documentation = ip.segments()[..2] == [0x2001, 0xdb8];
            !(ip.is_loopback()
                || ip.is_unique_local()
                || ip.is_unicast_link_local()
                || ip.is_unspecified()
                || documentation)
        }
    }
}

/// The data directory when none is named: the one that systemd made, the system's for root, else the user's own.
pub(crate) fn data_dir() -> PathBuf {
    if let Some(given) = std::env::var_os("STATE_DIRECTORY") {
        return given.into();
    }
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    let home = std::env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share")));
    match home {
        Some(home) if !is_root => home.join("offhook"),
        _ => PathBuf::from("/var/lib/offhook"),
    }
}

fn is_reachable(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !(ip.is_loopback() || ip.is_link_local() || ip.is_unspecified()),
        IpAddr::V6(ip) => !(ip.is_loopback() || ip.is_unicast_link_local() || ip.is_unspecified()),
    }
}

/// An address stands on the line before the one that calls it a local host.
fn of_fib_trie(text: &str) -> Vec<Ipv4Addr> {
    let mut found = Vec::new();
    let mut last = None;
    for line in text.lines() {
        if let Some(address) = line.trim_start().strip_prefix("|-- ") {
            last = address.trim().parse().ok();
        } else if line.contains("/32 host LOCAL") {
            found.extend(last.take().filter(|ip| !found.contains(ip)));
        }
    }
    found
}

fn of_if_inet6(text: &str) -> Vec<Ipv6Addr> {
    let address = |line: &str| Some(Ipv6Addr::from(u128::from_str_radix(line.split(' ').next()?, 16).ok()?));
    text.lines().filter_map(address).collect()
}

const FAR: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_addresses_are_found_in_the_tables_of_the_system() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.0.0.0\n        /24 link UNICAST\n     |-- 10.0.0.7\n        /32 host LOCAL\nLocal:\n     |-- 10.0.0.7\n        /32 host LOCAL\n     |-- 10.0.0.255\n        /32 link BROADCAST\n";
        assert_eq!(of_fib_trie(trie), [Ipv4Addr::new(10, 0, 0, 7)]);
        let inet6 = "20010db8000000000000000000000001 02 40 00 80     eth0\n";
        assert_eq!(of_if_inet6(inet6), [FAR]);
    }

    #[test]
    fn private_networks_are_not_public() {
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "192.168.0.1",
            "172.31.0.1",
            "100.64.0.1",
            "198.18.0.1",
            "198.19.255.1",
            "203.0.113.7",
            "::1",
            "fd00::1",
            "fe80::1",
            "2001:db8::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for public in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "198.20.0.1", "2a00::1", "2001:db7::1"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }
}
