//! The timers of RFC 3261 table 4 (appendix A) and RFC 6026, with their values.

use std::time::Duration;

use crate::Transport;

/// Estimate of a round trip (§17.1.1.1).
pub const T1: Duration = Duration::from_millis(500);
/// The longest interval between two copies of a non-INVITE request or of a final INVITE response (§17.1.2.1).
pub const T2: Duration = Duration::from_secs(4);
/// How long a message stays in the network (§17.1.2.2).
pub const T4: Duration = Duration::from_secs(5);
/// The time after which a transaction gives up: 64·T1 (§17.1.1.2).
pub const T1_64: Duration = Duration::from_secs(32);

/// A timer of a transaction, by its letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// INVITE client: send the request again, doubling (§17.1.1.2).
    A,
    /// INVITE client: no response at all (§17.1.1.2).
    B,
    /// INVITE client at a proxy: no final response (§16.6 step 11). The proxy arms it, not the transaction.
    C,
    /// INVITE client: no more copies of the failure to acknowledge (§17.1.1.2).
    D,
    /// Non-INVITE client: send the request again, doubling up to T2 (§17.1.2.2).
    E,
    /// Non-INVITE client: no final response (§17.1.2.2).
    F,
    /// INVITE server: send the failure again, doubling up to T2 (§17.2.1).
    G,
    /// INVITE server: the ACK never came (§17.2.1).
    H,
    /// INVITE server: no more copies of the ACK (§17.2.1).
    I,
    /// Non-INVITE server: no more copies of the request (§17.2.2).
    J,
    /// Non-INVITE client: no more copies of the response (§17.1.2.2).
    K,
    /// INVITE server: no more copies of the INVITE after a 2xx (RFC 6026 §7.1).
    L,
    /// INVITE client: no more 2xx (RFC 6026 §7.2).
    M,
    /// INVITE server: the transaction user said nothing for 200 ms, so a 100 is due (§17.2.1).
    Trying,
    /// INVITE client: a CANCEL was sent and no final response came for 64·T1 (§9.1).
    Cancelled,
    /// Non-INVITE server: the user never answered and the client has given up by now (RFC 4320 §4.2).
    Expired,
    /// Client, sent over TCP for its size: nothing came back, so UDP it is (§18.1.1).
    Fallback,
}

impl Timer {
    /// How long it runs when it is first armed, for a transaction over `transport`.
    pub const fn value(self, transport: Transport) -> Duration {
        let reliable = transport.is_reliable();
        match self {
            Self::A | Self::E | Self::G => T1,
            Self::B | Self::F | Self::H | Self::L | Self::M | Self::Cancelled | Self::Expired => T1_64,
            Self::C => Duration::from_secs(180),
            Self::D | Self::J if !reliable => T1_64,
            Self::I | Self::K if !reliable => T4,
            // "0 s for TCP/SCTP": the state is left at the next turn of the loop.
            Self::D | Self::I | Self::J | Self::K => Duration::ZERO,
            Self::Trying => Duration::from_millis(200),
            Self::Fallback => Duration::from_secs(2),
        }
    }
}
