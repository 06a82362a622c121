//! What the transaction layer tells the transaction user.

use offhook_sip::{Request, Response};

use super::{ClientId, ServerId};
use crate::Flow;

/// What the transaction layer tells the transaction user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransactionEvent {
    /// A new request, neither an ACK nor the CANCEL of a known INVITE. It awaits [`Transactions::respond`](super::Transactions::respond).
    Request {
        /// Its transaction.
        server: ServerId,
        /// The request, its top Via stamped (§18.2.1).
        request: Request,
        /// How it came.
        flow: Flow,
    },
    /// A CANCEL of an INVITE that is known here (§9.2). The user answers it with 200, and the INVITE with 487 if
    /// that has no final response yet.
    Cancel {
        /// The CANCEL's own transaction.
        server: ServerId,
        /// The transaction it cancels.
        invite: ServerId,
        /// The CANCEL.
        request: Request,
        /// How it came.
        flow: Flow,
    },
    /// An ACK that no transaction absorbs: for a 2xx, or for something unknown.
    Ack {
        /// The ACK.
        request: Request,
        /// How it came.
        flow: Flow,
        /// The INVITE transaction in state Accepted that it matches. It is `None` in the usual case, because an
        /// ACK to a 2xx has a branch of its own (§13.2.2.4).
        invite: Option<ServerId>,
    },
    /// A response to pass on: every 1xx, the first final one, and each 2xx to an INVITE (RFC 6026).
    Response {
        /// The transaction that it answers.
        client: ClientId,
        /// The response.
        response: Response,
        /// How it came.
        flow: Flow,
    },
    /// A response that matches no client transaction. It must not be forwarded (RFC 6026 §8.9).
    Stray {
        /// The response.
        response: Response,
        /// How it came.
        flow: Flow,
    },
    /// A client transaction ended without a final response: Timer B or F, or 64·T1 after a CANCEL.
    Timeout {
        /// The transaction, which is gone.
        client: ClientId,
    },
    /// A client transaction ended because its request cannot be sent, or its connection was lost.
    TransportFailed {
        /// The transaction, which is gone.
        client: ClientId,
    },
    /// The ACK to a failure never came (Timer H).
    NoAck {
        /// The transaction, which is gone.
        server: ServerId,
    },
    /// A client transaction is over after its final response.
    ClientEnded {
        /// The transaction, which is gone.
        client: ClientId,
    },
    /// A server transaction is over after its final response, or because its response cannot be sent.
    ServerEnded {
        /// The transaction, which is gone.
        server: ServerId,
    },
}
