//! What is told of those who were called and are not, or no longer, in a forwarded call.

use offhook_sip::Status;

use super::response_context::{Branch, Kind, ResponseContext};
use crate::context::Context;
use crate::event::{CalledLeg, Event};

/// A branch is over without having answered: told of a new call.
pub(super) fn ended(
    context: &ResponseContext,
    index: usize,
    (status, reason): (Status, &str),
    cx: &mut Context<'_>,
) {
    let is_call = context.is_invite() && matches!(context.kind, Kind::Initial { .. });
    let Some(Branch { began, target: Some(target), .. }) = context.branches.get(index).filter(|_| is_call)
    else {
        return;
    };
    let leg = CalledLeg {
        to: target.uri.clone(),
        at: Some(target.flow.remote),
        began: cx.epoch.unix(*began),
        code: status.code(),
        reason: reason.to_owned(),
        ..CalledLeg::default()
    };
    cx.event(Event::LegEnded { call: context.call_id().to_owned(), leg: Box::new(leg) });
}
