//! Message waiting as `application/simple-message-summary` (RFC 3842 §5.2).

use crate::directory::{AddressOfRecord, Mailbox};

pub(super) fn compose(account: &AddressOfRecord, mailbox: Mailbox) -> String {
    let Mailbox { new, old } = mailbox;
    let waiting = if new > 0 { "yes" } else { "no" };
    format!(
        "Messages-Waiting: {waiting}\r\nMessage-Account: {account}\r\nVoice-Message: {new}/{old} (0/0)\r\n"
    )
}
