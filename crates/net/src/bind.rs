//! Opening the ports that are listened on.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use offhook_sip_stack::Transport;
use offhook_udp_batch::{BatchSocket, SocketOptions, canonical};
use socket2::{Domain, Protocol, Socket, Type};

use crate::PortOwner;

/// A port that cannot be listened on; its words name the owner of a taken port.
#[derive(Debug)]
pub struct BindError {
    /// UDP or TCP.
    pub transport: Transport,
    /// The address that was wanted.
    pub address: SocketAddr,
    /// The system's reason.
    pub source: io::Error,
    /// Who has the port, as far as this process may know.
    pub owner: Option<PortOwner>,
}

/// Opens a UDP socket. `[::]` takes IPv4 too, and stands for `0.0.0.0` on a machine without IPv6.
///
/// # Errors
/// As [`BatchSocket::bind`].
pub fn bind_udp(address: SocketAddr, options: &SocketOptions) -> Result<BatchSocket, BindError> {
    with_fallback(address, |address| BatchSocket::bind(address, options))
        .map_err(|source| BindError::new(Transport::Udp, address, source))
}

/// Opens so many UDP sockets on one address, over which the system spreads the peers (SO_REUSEPORT); one alone shares
/// its port with nobody. Otherwise as [`bind_udp`].
///
/// # Errors
/// As [`BatchSocket::bind`]; also when the port is shared already, by another process of the same user.
pub fn bind_udp_group(
    address: SocketAddr,
    options: &SocketOptions,
    count: u8,
) -> Result<Vec<BatchSocket>, BindError> {
    if count <= 1 {
        return Ok(vec![bind_udp(address, options)?]);
    }
    // One that shares with nobody meets those that the group would share with. It also finds the port for port 0.
    let address = bind_udp(address, options)?.local_addr();
    let options = SocketOptions { share_port: true, ..options.clone() };
    (0..count).map(|_| bind_udp(address, &options)).collect()
}

/// Opens a listening TCP socket, ready to be given to [`crate::Streams::start`]. `[::]` takes IPv4 too, and stands
/// for `0.0.0.0` on a machine without IPv6.
///
/// # Errors
/// As `bind(2)` and `listen(2)`.
pub fn bind_tcp(address: SocketAddr) -> Result<TcpListener, BindError> {
    with_fallback(address, listen).map_err(|source| BindError::new(Transport::Tcp, address, source))
}

fn with_fallback<T>(address: SocketAddr, bind: impl Fn(SocketAddr) -> io::Result<T>) -> Result<T, io::Error> {
    match bind(address) {
        Err(error) if address.is_ipv6() && address.ip().is_unspecified() && lacks_ipv6(&error) => {
            bind((Ipv4Addr::UNSPECIFIED, address.port()).into())
        }
        result => result,
    }
}

fn lacks_ipv6(error: &io::Error) -> bool {
    // EAFNOSUPPORT on Linux, which the standard library has no kind for.
    error.raw_os_error() == Some(97) || error.kind() == io::ErrorKind::AddrNotAvailable
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let address = canonical(address);
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    // Connections of an earlier process may still linger on the port; another listener is refused all the same.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

impl BindError {
    fn new(transport: Transport, address: SocketAddr, source: io::Error) -> Self {
        let taken = source.kind() == io::ErrorKind::AddrInUse;
        let owner = if taken { PortOwner::of(transport, address) } else { None };
        Self { transport, address, source, owner }
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", self.transport, self.address)?;
        match (&self.owner, self.source.kind()) {
            (Some(owner), _) => write!(f, "is taken by {owner}"),
            (None, io::ErrorKind::AddrInUse) => f.write_str("is taken by another process"),
            (None, io::ErrorKind::AddrNotAvailable) => f.write_str("is not an address of this machine"),
            (None, io::ErrorKind::PermissionDenied) => f.write_str("needs more rights than this process has"),
            (None, _) => write!(f, "cannot be opened: {}", self.source),
        }
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// The system cuts it to its own limit, which is usually this one.
const BACKLOG: i32 = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_taken_port_is_an_error_that_names_its_owner() {
        for listen in ["127.0.0.1:0", "[::]:0"] {
            let udp = bind_udp(listen.parse().unwrap(), &SocketOptions::default()).unwrap();
            let error = bind_udp(udp.local_addr(), &SocketOptions::default()).unwrap_err();
            assert_names_us(&error, "udp", udp.local_addr());

            let tcp = bind_tcp(listen.parse().unwrap()).unwrap();
            let address = tcp.local_addr().unwrap();
            assert_names_us(&bind_tcp(address).unwrap_err(), "tcp", address);
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_group_shares_its_port_with_itself_and_with_nobody_else() {
        for listen in ["127.0.0.1:0", "[::]:0"] {
            let options = SocketOptions::default();
            let group = bind_udp_group(listen.parse().unwrap(), &options, 3).unwrap();
            let address = group[0].local_addr();
            assert!(group.len() == 3 && group.iter().all(|one| one.local_addr() == address));
            assert_names_us(&bind_udp_group(address, &options, 3).unwrap_err(), "udp", address);
            assert_names_us(&bind_udp_group(address, &options, 1).unwrap_err(), "udp", address);
        }
    }

    fn assert_names_us(error: &BindError, transport: &str, address: SocketAddr) {
        assert_eq!(error.owner.as_ref().map(|owner| owner.pid), Some(std::process::id()));
        let command = std::fs::read_to_string("/proc/self/comm").unwrap_or_default();
        let pid = std::process::id();
        assert_eq!(
            error.to_string(),
            format!("{transport} {address} is taken by {} (pid {pid})", command.trim())
        );
    }

    #[test]
    fn an_address_of_another_machine_is_said_to_be_that() {
        let error = bind_tcp("192.0.2.1:0".parse().unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "tcp 192.0.2.1:0 is not an address of this machine");
        assert!(bind_udp("192.0.2.1:0".parse().unwrap(), &SocketOptions::default()).is_err());
    }
}
