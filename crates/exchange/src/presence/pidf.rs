//! Whether somebody can be reached, as `application/pidf+xml` (RFC 3863, RFC 4480).

use super::publish::Said;
use super::xml::Xml;
use crate::directory::AddressOfRecord;

/// What is known of a presentity.
pub(super) struct Known {
    /// Whether a phone is registered.
    pub(super) registered: bool,
    /// Whether it is in a call.
    pub(super) on_the_phone: bool,
    /// What it says of itself, which counts for more.
    pub(super) said: Said,
}

pub(super) fn compose(account: &AddressOfRecord, known: &Known) -> String {
    let Known { registered, on_the_phone, said } = known;
    let aor = account.to_string();
    let mut xml = Xml::new();
    xml.open(
        "presence",
        &[
            ("xmlns", "urn:ietf:params:xml:ns:pidf"),
            ("xmlns:dm", "urn:ietf:params:xml:ns:pidf:data-model"),
            ("xmlns:rpid", "urn:ietf:params:xml:ns:pidf:rpid"),
            ("entity", &aor),
        ],
    );
    xml.open("tuple", &[("id", "t")]);
    xml.open("status", &[]);
    xml.text("basic", if said.open.unwrap_or(*registered) { "open" } else { "closed" });
    xml.close("status");
    xml.text("contact", &aor);
    if let Some(note) = &said.note {
        xml.text("note", note);
    }
    xml.close("tuple");
    let on_the_phone = on_the_phone.then_some("on-the-phone");
    let others = said
        .activities
        .iter()
        .map(String::as_str)
        .filter(|one| *one != "on-the-phone" || on_the_phone.is_none());
    let activities: Vec<_> = on_the_phone.into_iter().chain(others).collect();
    if !activities.is_empty() {
        xml.open("dm:person", &[("id", "p")]);
        xml.open("rpid:activities", &[]);
        activities.iter().for_each(|one| xml.empty(&format!("rpid:{one}"), &[]));
        xml.close("rpid:activities");
        xml.close("dm:person");
    }
    xml.close("presence");
    xml.finish()
}
