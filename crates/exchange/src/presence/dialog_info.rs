//! Lamps: the calls of an account as `application/dialog-info+xml` (RFC 4235).

use super::lines::{Direction, Line, LineState};
use super::xml::Xml;
use crate::directory::AddressOfRecord;

/// The full state (§4.1): all calls, and those that have just ended. Who else is in them is not said.
pub(super) fn compose<'a>(
    account: &AddressOfRecord,
    lines: impl Iterator<Item = &'a Line>,
    version: u32,
) -> String {
    let mut xml = Xml::new();
    xml.open(
        "dialog-info",
        &[
            ("xmlns", "urn:ietf:params:xml:ns:dialog-info"),
            ("version", &version.to_string()),
            ("state", "full"),
            ("entity", &account.to_string()),
        ],
    );
    for line in lines {
        let direction = match line.direction {
            Direction::Initiator => "initiator",
            Direction::Recipient => "recipient",
        };
        xml.open("dialog", &[("id", &line.id), ("direction", direction)]);
        xml.text(
            "state",
            match line.state {
                LineState::Trying => "trying",
                LineState::Early => "early",
                LineState::Confirmed => "confirmed",
                LineState::Terminated => "terminated",
            },
        );
        xml.close("dialog");
    }
    xml.close("dialog-info");
    xml.finish()
}
