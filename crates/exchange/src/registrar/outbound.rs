//! Client-initiated connections (RFC 5626): who may use them, and what a phone is told.

use offhook_sip::{Request, Status};
use offhook_sip_stack::Flow;

use crate::refusal::Refusal;

/// Within how many seconds a phone is to show that its flow is alive, if its registration is one of flows that it keeps
/// open (§6): by an empty line over a stream (§4.4.1), by STUN over UDP (§4.4.2), as often as it would by itself.
///
/// # Errors
/// 439 if there is a proxy next to the phone that does not know of this (§6).
pub(crate) fn is_wanted(request: &Request, flow: &Flow) -> Result<Option<u32>, Refusal> {
    let contacts = request.contacts().ok();
    let mut contacts = contacts.iter().flat_map(|contacts| contacts.list());
    let asks = request.supports("outbound")
        && contacts.any(|one| one.instance().is_some() && one.reg_id().is_some());
    if !asks {
        return Ok(None);
    }
    // The last one is next to the phone.
    let first_hop = request.paths().last();
    let knows = match &first_hop {
        Some(Ok(path)) => path.uri.as_sip().is_some_and(|uri| uri.params().any(|(name, _)| name == "ob")),
        Some(Err(_)) => false,
        None => request.vias().count() == 1,
    };
    match flow.transport.is_reliable() {
        _ if !knows => Err(Status::FIRST_HOP_LACKS_OUTBOUND_SUPPORT.into()),
        true => Ok(Some(120)),
        false => Ok(Some(29)),
    }
}
