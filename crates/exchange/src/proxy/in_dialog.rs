//! Requests inside a dialog: they go along the route that we signed, to the other party of that dialog.

use offhook_sip::{Request, Status, Uri};
use offhook_sip_stack::{Flow, Transport};

use super::routes::Routed;
use super::signed_route::{Party, PartyName, SignedRoute};
use crate::locality::address_of;
use crate::refusal::Refusal;

/// A request inside a dialog and where it goes.
pub(crate) struct Forward {
    pub(crate) request: Request,
    /// How many of its topmost routes are ours and have to go.
    pub(crate) ours: usize,
    pub(crate) sender: PartyName,
    /// The other party.
    pub(crate) to: Party,
    /// Whose phone that is, if what is known of it is not newer than a registration.
    pub(crate) owner: Option<u32>,
    pub(crate) anchor: Option<u64>,
    /// Whether a route of somebody else is left, so that the Request-URI is not ours to follow.
    pub(crate) foreign_route: bool,
}

/// Finds the other party.
///
/// # Errors
/// 403 if the tags are not those of the dialog, 483 after too many hops.
pub(crate) fn forward(routed: &Routed, signed: &SignedRoute) -> Result<Forward, Refusal> {
    let request = routed.as_it_came();
    let tags = (request.from_tag().unwrap_or_default(), request.to_tag().unwrap_or_default());
    // Without a To tag it would start something new, which has to be proven and routed like any other.
    let sender = signed
        .sender(tags.0, tags.1)
        .filter(|_| !tags.1.is_empty())
        .ok_or_else(|| Refusal::new(Status::FORBIDDEN, "The tags are not those of this call"))?;
    if request.max_forwards().ok().flatten() == Some(0) {
        return Err(Status::TOO_MANY_HOPS.into());
    }
    let party = *signed.party(sender.other());
    let to = Party { flow: way(routed, &party), ..party };
    Ok(Forward {
        request: request.clone(),
        ours: routed.ours,
        sender,
        to,
        owner: signed.owner(sender.other()),
        anchor: signed.anchor,
        foreign_route: routed.foreign_route,
    })
}

/// The way to a party: never to another host than the one it was found at, but for what its account has registered since. A phone
/// that moved its port tells so by its Contact, which is the Request-URI here.
fn way(routed: &Routed, party: &Party) -> Flow {
    let flow = party.flow;
    let moved = match routed.as_it_came().uri() {
        Ok(Uri::Sip(uri)) if !routed.foreign_route => {
            let udp = uri.transport().is_none_or(|named| Transport::from_sip(named) == Some(Transport::Udp));
            address_of(&uri, flow.transport.default_port()).filter(|_| udp)
        }
        _ => None,
    };
    match moved {
        Some(remote)
            if flow.transport == Transport::Udp && !party.behind_nat && remote.ip() == flow.remote.ip() =>
        {
            Flow { remote, ..flow }
        }
        _ => flow,
    }
}
