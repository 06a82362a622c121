//! Where an account's phones are.

use offhook_sdp::Profile;
use offhook_sip_stack::Flow;

/// One contact of an account (RFC 3261 §10), and the way to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The contact URI as registered.
    pub contact: String,
    /// Preference in thousandths, 1000 first (§20.10).
    pub q: u16,
    /// Unix seconds at which it ends; it is not used from then on.
    pub expires_at: u64,
    /// The way a request takes to it: the flow of the REGISTER behind a NAT, else the address of the contact.
    pub flow: Flow,
    /// Whether the phone is behind a NAT, so that only its flow reaches it.
    pub behind_nat: bool,
    /// Proxies between it and us (RFC 3327), each as in the Path header.
    pub path: Vec<String>,
    /// The Call-ID of the REGISTER.
    pub call_id: String,
    /// The CSeq number of the REGISTER.
    pub cseq: u32,
    /// The device (RFC 5626 §4.1), if it says so.
    pub instance: Option<String>,
    /// The flow of that device (RFC 5626 §4.2), if it says so.
    pub reg_id: Option<u32>,
    /// What the phone says it is, cut to 100 octets.
    pub user_agent: String,
    /// The profile in which it would offer sound, if it has said so. Not written down: who comes back is asked again.
    pub media: Option<Profile>,
}

/// The bindings of one address, in the order in which they were registered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bindings(pub Vec<Binding>);
