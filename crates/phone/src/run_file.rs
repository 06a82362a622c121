//! What a running `offhook demo` left for phones on the same machine.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The part of a data directory's `offhook.run` that concerns phones.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct RunFile {
    /// Where the exchange takes SIP, e.g. `127.0.0.1:5060`.
    pub(crate) sip: String,
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
        assert_eq!(RunFile::read(&place).unwrap().account, "sip:alice@pbx");
        fs::write(&place, r#"{"url":"http://127.0.0.1:8080","token":"t"}"#).unwrap();
        assert!(RunFile::read(&place).is_none());
    }
}
