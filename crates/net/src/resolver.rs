//! Names to addresses, by the system's resolver.

use std::io;
use std::net::{IpAddr, SocketAddr};

use offhook_udp_batch::canonical;

/// The addresses of a host: a name, an IPv4 address, or an IPv6 address with or without brackets. In the
/// system's order of preference, each once, never none.
///
/// # Errors
/// When the name has no address or the resolver does not answer.
pub async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(vec![canonical(SocketAddr::new(ip, port))]);
    }
    let mut addresses = Vec::new();
    for address in tokio::net::lookup_host((host, port)).await?.map(canonical) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn addresses_stand_for_themselves() {
        for (host, expected) in
            [("192.0.2.1", "192.0.2.1:5060"), ("[2001:db8::1]", "[2001:db8::1]:5060"), ("::1", "[::1]:5060")]
        {
            assert_eq!(resolve(host, 5060).await.unwrap(), [expected.parse::<SocketAddr>().unwrap()]);
        }
    }

    #[tokio::test]
    async fn localhost_is_this_machine() {
        let addresses = resolve("localhost", 5060).await.unwrap();
        assert!(addresses.iter().all(|address| address.ip().is_loopback() && address.port() == 5060));
    }
}
