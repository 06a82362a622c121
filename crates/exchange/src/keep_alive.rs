//! Signs of life of a phone that comes over UDP: an empty datagram, or a question by STUN under which address it is
//! seen, so that it notices when its NAT has given it another (RFC 5626 §3.5.2, §8).

use bytes::Bytes;
use offhook_media::stun::{Answer, Binding};
use offhook_sip::{ParseError, ParseErrorKind};
use offhook_sip_stack::{Flow, Outbox};

/// Takes what is no message, and tells whether it was a sign of life. It is answered whoever asks, as to all who speak
/// SIP here, and no longer than a refusal would be.
pub(crate) fn take(error: &ParseError, bytes: &[u8], flow: &Flow, out: &mut Outbox) -> bool {
    if error.kind == ParseErrorKind::Empty {
        return true;
    }
    let Some(asked) = Binding::parse(bytes).filter(|_| !flow.transport.is_reliable()) else { return false };
    if !asked.indication {
        let answer = match asked.unknown {
            None => Answer::Success(flow.remote),
            unknown => Answer::Error(420, unknown),
        };
        out.transmit(*flow, Bytes::from(answer.write(asked.transaction, None)));
    }
    true
}
