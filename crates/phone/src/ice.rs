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
        let turn = flags.turn.as_deref().map(turn);
        Ok(Some(Self { stun: stun.transpose()?, turn: turn.transpose()? }))
    }

    /// Looks the names up.
    pub(crate) async fn find(&self, ipv6: bool) -> Result<IceServers, Failure> {
        let stun = match &self.stun {
            Some(server) => Some(address("--stun", server, ipv6).await?),
            None => None,
        };
        let turn = match &self.turn {
            Some((server, username, password)) => Some(TurnServer {
                address: address("--turn", server, ipv6).await?,
                username: username.clone(),
                password: password.clone(),
            }),
            None => None,
        };
        Ok(IceServers { stun, turn })
    }
}

impl std::fmt::Debug for IceWish {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let turn = self.turn.as_ref().map(|(server, ..)| server);
        f.debug_struct("IceWish").field("stun", &self.stun).field("turn", &turn).finish()
    }
}

fn turn(text: &str) -> Result<(HostPort, String, String), Failure> {
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
    let udp = |uri: &String| server(uri.strip_prefix("turn:")?.strip_suffix("?transport=udp")?);
    let server = lent.uris.iter().find_map(udp).ok_or_else(|| wrong("it names no server over UDP".into()))?;
    Ok((server, lent.username, lent.password))
}

fn server(text: &str) -> Option<HostPort> {
    HostPort::parse(text)
}

async fn address(flag: &str, server: &HostPort, ipv6: bool) -> Result<SocketAddr, Failure> {
    let host = server.host.to_string();
    let found = resolve(&host, server.port.unwrap_or(USUAL_PORT)).await;
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
        let json = r#"{"username":"1:u","password":"p","ttl":1,"uris":["turn:192.0.2.1:3478?transport=tcp","turn:192.0.2.1:3478?transport=udp"]}"#;
        fs::write(&file, json).unwrap();
        let (server, username, _) = wish(file.to_str().unwrap()).unwrap().turn.unwrap();
        assert_eq!((server.to_string(), username), ("192.0.2.1:3478".into(), "1:u".into()));
        fs::write(&file, "{}").unwrap();
        for wrong in [file.to_str().unwrap(), "nowhere", "user@host"] {
            assert!(wish(wrong).unwrap_err().text.starts_with("--turn: neither"), "{wrong}");
        }
        assert_eq!(IceWish::of(&Flags::default()).unwrap(), None);
    }
}
