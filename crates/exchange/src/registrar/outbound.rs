//! Client-initiated connections (RFC 5626): who may use them, and what a phone is told.

use offhook_sip::{Request, Status};
use offhook_sip_stack::Flow;

use crate::refusal::Refusal;

/// Whether a registration is one of flows that the phone keeps open (§6). Over UDP it is not: that would take STUN on
/// the port for SIP, which is not spoken here, and a phone would take its flow for broken.
///
/// # Errors
/// 439 if there is a proxy next to the phone that does not know of this (§6).
pub(crate) fn is_wanted(request: &Request, flow: &Flow) -> Result<bool, Refusal> {
    let contacts = request.contacts().ok();
    let mut contacts = contacts.iter().flat_map(|contacts| contacts.list());
    let asks = request.supports("outbound")
        && contacts.any(|one| one.instance().is_some() && one.reg_id().is_some());
    if !asks || !flow.transport.is_reliable() {
        return Ok(false);
    }
    // The last one is next to the phone.
    let first_hop = request.paths().last();
    let knows = match &first_hop {
        Some(Ok(path)) => path.uri.as_sip().is_some_and(|uri| uri.params().any(|(name, _)| name == "ob")),
        Some(Err(_)) => false,
        None => request.vias().count() == 1,
    };
    if knows { Ok(true) } else { Err(Status::FIRST_HOP_LACKS_OUTBOUND_SUPPORT.into()) }
}

/// Seconds within which a phone shows that its flow is alive (§4.4.1: what it would choose by itself).
pub(crate) const FLOW_TIMER: u32 = 120;
