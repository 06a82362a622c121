//! What a running `offhook demo` left for phones on the same machine.

use std::fs;
use std::path::{Path, PathBuf};

use offhook_sip_stack::Transport;
use serde::Deserialize;

/// What a run file says of the authority that signed the exchange's certificate.
#[derive(Deserialize)]
struct Authority {
    ca: Option<PathBuf>,
}

/// The part of a data directory's `offhook.run` that concerns phones.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct RunFile {
    /// Where the exchange takes SIP, e.g. `127.0.0.1:5060`.
    pub(crate) sip: String,
    /// Where it takes SIP over TLS.
    pub(crate) tls: Option<String>,
    /// Where it takes SIP over WebSocket under TLS.
    pub(crate) wss: Option<String>,
    /// Where it speaks HTTP, and with it WebSocket: `http://127.0.0.1:8080`.
    pub(crate) url: Option<String>,
    /// The account that anyone who can read the file may use.
    pub(crate) account: String,
    /// Its password.
    pub(crate) password: String,
}

impl RunFile {
    /// Reads the file of the demo that was started in this directory, or else of the last that this user started.
    /// `None` when there is none, or when it belongs to a server without an account for us.
    pub(crate) fn of_demo() -> Option<Self> {
        Self::read(Path::new(PLACE)).or_else(|| Self::read(&demo_pointer()?))
    }

    fn read(place: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(place).ok()?).ok()
    }

    /// The authority that signed the certificate of the demo here, or of the last that this user started: a file in PEM.
    pub(crate) fn authority() -> Option<PathBuf> {
        let read = |place: &Path| serde_json::from_slice::<Authority>(&fs::read(place).ok()?).ok()?.ca;
        read(Path::new(PLACE)).or_else(|| read(&demo_pointer()?))
    }

    /// Where it is reached by this transport, if it is.
    pub(crate) fn server(&self, transport: Transport) -> Option<&str> {
        match transport {
            Transport::Udp | Transport::Tcp => Some(&self.sip),
            Transport::Tls => self.tls.as_deref(),
            Transport::Ws => self.url.as_deref()?.strip_prefix("http://"),
            Transport::Wss => self.wss.as_deref(),
        }
    }
}

/// Where a demo leaves a link to its run file for phones in other directories: a place that belongs to the user alone.
pub fn demo_pointer() -> Option<PathBuf> {
    let of = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = of("XDG_RUNTIME_DIR").or_else(|| Some(of("HOME")?.join(".cache")))?;
    Some(folder.join("offhook-demo.run"))
}

const PLACE: &str = "offhook-data/offhook.run";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_keys_are_left_alone_and_a_plain_server_has_no_account_for_us() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("offhook.run");
        assert!(RunFile::read(&place).is_none());
        let both = r#"{"url":"http://127.0.0.1:8080","token":"t","sip":"127.0.0.1:5060",
            "account":"sip:alice@pbx","password":"p"}"#;
        fs::write(&place, both).unwrap();
        let read = RunFile::read(&place).unwrap();
        assert_eq!(read.account, "sip:alice@pbx");
        assert_eq!(read.server(Transport::Ws), Some("127.0.0.1:8080"));
        assert_eq!(
            (read.server(Transport::Udp), read.server(Transport::Tls)),
            (Some("127.0.0.1:5060"), None)
        );
        fs::write(&place, r#"{"url":"http://127.0.0.1:8080","token":"t"}"#).unwrap();
        assert!(RunFile::read(&place).is_none());
    }
}
