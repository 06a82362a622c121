//! `--ice`, `--stun` and `--turn`: which servers tell and lend us addresses.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use offhook_net::resolve;
use offhook_sip::HostPort;
use offhook_ua::{IceServers, TurnServer};
use serde::Deserialize;

use crate::{Failure, Flags};

/// What was asked for, names not looked up yet.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct IceWish {
    stun: Option<HostPort>,
    turn: Option<(HostPort, String, String)>,
    by: TurnTransport,
}

/// How a TURN server is spoken to (RFC 8656 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TurnTransport {
    Udp,
    Tcp,
    Tls,
}

impl TurnTransport {
    fn of(word: &str) -> Result<Self, Failure> {
        match word {
            // What is not said.
            "" | "udp" => Ok(Self::Udp),
            "tcp" => Ok(Self::Tcp),
            "tls" => Ok(Self::Tls),
            other => Err(Failure::usage(format!("--turn-transport `{other}`: udp, tcp or tls"))),
        }
    }

    /// The server of a URI (RFC 7065) that is for this transport.
    fn server_of(self, uri: &str) -> Option<HostPort> {
        let (scheme, transport) = match self {
            Self::Udp => ("turn:", "?transport=udp"),
            Self::Tcp => ("turn:", "?transport=tcp"),
            Self::Tls => ("turns:", "?transport=tcp"),
        };
        server(uri.strip_prefix(scheme)?.strip_suffix(transport)?)
    }

    /// The usual port (RFC 8656 §18.6).
    const fn port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => USUAL_PORT,
            Self::Tls => 5349,
        }
    }
}

/// A TURN server that is spoken to by streams: its address, and the name that it has to prove over TLS.
#[derive(Clone, Debug)]
pub(crate) struct TurnWay {
    pub(crate) server: SocketAddr,
    pub(crate) name: String,
    pub(crate) is_secure: bool,
}

/// What `offhook device turn ADDRESS --json` prints.
#[derive(Deserialize)]
struct Lent {
    username: String,
    password: String,
    uris: Vec<String>,
}

impl IceWish {
    /// `None`: ICE is not wanted.
    pub(crate) fn of(flags: &Flags) -> Result<Option<Self>, Failure> {
        if !flags.ice && flags.stun.is_none() && flags.turn.is_none() {
            return Ok(None);
        }
        let stun = flags.stun.as_deref().map(|text| {
            server(text.strip_prefix("stun:").unwrap_or(text)).ok_or_else(|| {
                Failure::usage(format!("--stun `{text}`: write it like stun.example.com:3478"))
            })
        });
        let by = TurnTransport::of(&flags.turn_transport)?;
        let turn = flags.turn.as_deref().map(|text| turn(text, by));
        Ok(Some(Self { stun: stun.transpose()?, turn: turn.transpose()?, by }))
    }

    /// Looks the names up. With the servers, how the TURN server is spoken to if that is not by datagrams.
    pub(crate) async fn find(&self, ipv6: bool) -> Result<(IceServers, Option<TurnWay>), Failure> {
        let stun = match &self.stun {
            Some(server) => Some(address("--stun", server, (USUAL_PORT, ipv6)).await?),
            None => None,
        };
        let Some((server, username, password)) = &self.turn else {
            return Ok((IceServers { stun, turn: None }, None));
        };
        let address = address("--turn", server, (self.by.port(), ipv6)).await?;
        let way = TurnWay {
            server: address,
            name: server.host.to_string().trim_matches(['[', ']']).to_owned(),
            is_secure: self.by == TurnTransport::Tls,
        };
        let (username, password) = (username.clone(), password.clone());
        let turn = Some(TurnServer { address, username, password });
        Ok((IceServers { stun, turn }, (self.by != TurnTransport::Udp).then_some(way)))
    }

    /// Whether TLS is needed for it.
    pub(crate) fn needs_tls(&self) -> bool {
        self.turn.is_some() && self.by == TurnTransport::Tls
    }
}

impl std::fmt::Debug for IceWish {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let turn = self.turn.as_ref().map(|(server, ..)| server);
        f.debug_struct("IceWish").field("stun", &self.stun).field("turn", &turn).finish()
    }
}

fn turn(text: &str, by: TurnTransport) -> Result<(HostPort, String, String), Failure> {
    // User names of ours have colons and an `@` in them, hosts and passwords have none.
    let parts = text.rsplit_once('@').and_then(|(who, host)| Some((who.rsplit_once(':')?, server(host)?)));
    if let Some(((username, password), server)) = parts {
        return Ok((server, username.to_owned(), password.to_owned()));
    }
    let wrong = |why: String| {
        Failure::usage(format!(
            "--turn: neither USER:PASSWORD@HOST[:PORT] nor a file of `offhook device turn --json`: {why}"
        ))
    };
    let json = fs::read_to_string(Path::new(text)).map_err(|error| wrong(error.to_string()))?;
    let lent: Lent = serde_json::from_str(&json).map_err(|error| wrong(error.to_string()))?;
    let none = || wrong(format!("it names no server over {by:?}").to_lowercase());
    let server = lent.uris.iter().find_map(|uri| by.server_of(uri)).ok_or_else(none)?;
    Ok((server, lent.username, lent.password))
}

fn server(text: &str) -> Option<HostPort> {
    HostPort::parse(text)
}

async fn address(flag: &str, server: &HostPort, (usual, ipv6): (u16, bool)) -> Result<SocketAddr, Failure> {
    let host = server.host.to_string();
    let found = resolve(&host, server.port.unwrap_or(usual)).await;
    let found =
        found.map_err(|error| Failure::network(format!("{flag}: `{host}` cannot be found: {error}")))?;
    let fits = found.into_iter().find(|address| address.is_ipv6() == ipv6);
    fits.ok_or_else(|| Failure::network(format!("{flag}: `{host}` has no address of the family that we use")))
}

/// Of STUN and TURN (RFC 8489 §18.6).
const USUAL_PORT: u16 = 3478;

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(turn: &str) -> Result<IceWish, Failure> {
        let flags = Flags { turn: Some(turn.into()), ..Flags::default() };
        IceWish::of(&flags).map(Option::unwrap)
    }

    #[test]
    fn credentials_of_an_exchange_are_read_although_their_names_have_colons_and_an_at_sign() {
        let (server, username, password) =
            wish("17:sip:a@b.example:Zm9v=@192.0.2.1:3479").unwrap().turn.unwrap();
        assert_eq!((server.to_string(), username.as_str()), ("192.0.2.1:3479".into(), "17:sip:a@b.example"));
        assert_eq!(password, "Zm9v=");
    }

    #[test]
    fn what_the_exchange_printed_is_read_from_its_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("turn.json");
        let json = r#"{"username":"1:u","password":"p","ttl":1,"uris":["turn:192.0.2.1:3479?transport=tcp",
            "turn:192.0.2.1:3478?transport=udp","turns:192.0.2.1:5349?transport=tcp"]}"#;
        fs::write(&file, json).unwrap();
        let (server, username, _) = wish(file.to_str().unwrap()).unwrap().turn.unwrap();
        assert_eq!((server.to_string(), username), ("192.0.2.1:3478".into(), "1:u".into()));
        for (word, port) in [("tcp", 3479), ("tls", 5349)] {
            let turn = Some(file.to_str().unwrap().into());
            let flags = Flags { turn, turn_transport: word.into(), ..Flags::default() };
            let wish = IceWish::of(&flags).unwrap().unwrap();
            assert_eq!((wish.turn.as_ref().unwrap().0.port, wish.needs_tls()), (Some(port), word == "tls"));
        }
        let flags = Flags { ice: true, turn_transport: "sctp".into(), ..Flags::default() };
        assert!(IceWish::of(&flags).unwrap_err().text.contains("udp, tcp or tls"));
        fs::write(&file, "{}").unwrap();
        for wrong in [file.to_str().unwrap(), "nowhere", "user@host"] {
            assert!(wish(wrong).unwrap_err().text.starts_with("--turn: neither"), "{wrong}");
        }
        assert_eq!(IceWish::of(&Flags::default()).unwrap(), None);
    }
}
