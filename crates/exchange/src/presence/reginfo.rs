//! The contacts of an account as `application/reginfo+xml` (RFC 3680 §5).

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::xml::Xml;
use crate::directory::{AddressOfRecord, Bindings};

/// The full state. Bindings that are over at `now` (Unix seconds) are not in it.
pub(super) fn compose(account: &AddressOfRecord, bindings: &Bindings, now: u64, version: u32) -> String {
    let mut xml = Xml::new();
    xml.open(
        "reginfo",
        &[("xmlns", "urn:ietf:params:xml:ns:reginfo"), ("version", &version.to_string()), ("state", "full")],
    );
    let live: Vec<_> = bindings.0.iter().filter(|one| one.expires_at > now).collect();
    let state = if live.is_empty() { "init" } else { "active" };
    let aor = account.to_string();
    xml.open("registration", &[("aor", &aor), ("id", "r"), ("state", state)]);
    for one in live {
        let mut attributes = vec![("state", "active"), ("event", "registered")];
        let id = id_of(one.instance.as_deref().unwrap_or(&one.contact), one.reg_id);
        let q = format!("0.{:03}", one.q);
        attributes.insert(0, ("id", &id));
        if one.q < 1000 {
            attributes.push(("q", &q));
        }
        xml.open("contact", &attributes);
        xml.text("uri", &one.contact);
        xml.close("contact");
    }
    xml.close("registration");
    xml.close("reginfo");
    xml.finish()
}

/// The same contact keeps its id (§5.1).
fn id_of(device: &str, reg_id: Option<u32>) -> String {
    let mut hasher = DefaultHasher::new();
    (device, reg_id).hash(&mut hasher);
    format!("c{:016x}", hasher.finish())
}
