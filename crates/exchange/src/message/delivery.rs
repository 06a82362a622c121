//! The delivery of messages that were kept: one after the other, each to all phones of the account at once.

use jiff::Timestamp;
use offhook_sip::{CSeq, Method, Name, NameAddr, Request, RequestBuilder, Uri, Via};
use offhook_sip_stack::dialog::MAX_FORWARDS;

use super::text::KeptText;
use crate::config::Config;
use crate::context::Context;
use crate::directory::Account;
use crate::identity::Caller;
use crate::proxy::Target;

/// What an account's phones are getting.
#[derive(Debug, Default)]
pub(crate) struct Delivery {
    /// The message under way; none: the store was asked for the next.
    pub(crate) under_way: Option<Box<KeptText>>,
    /// Phones that have not answered yet.
    pub(crate) left: usize,
    /// Whether a phone was not there, rather than unwilling.
    pub(crate) absent: bool,
    /// Whether a message was passed over, as no phone takes such.
    pub(crate) skipped: bool,
    /// Whether another message was kept or a phone has registered meanwhile.
    pub(crate) more: bool,
}

/// The request by which a kept message goes to a phone.
pub(crate) fn request(
    kept: &KeptText,
    target: &Target,
    sender: Option<Account>,
    config: &Config,
    cx: &mut Context<'_>,
) -> Option<Request> {
    let text = &kept.text;
    let uri: Uri = target.uri.parse().ok()?;
    let from = NameAddr::parse(text.from.clone().into()).ok()?;
    let to: Uri = text.account.to_string().parse().ok()?;
    let via = Via::new(target.flow.transport.into(), config.sent_by(&target.flow), &cx.sip().branch());
    let mut builder = RequestBuilder::new(Method::Message, &uri).header(Name::Via, via.with_rport());
    for route in &target.path {
        builder = builder.header(Name::Route, route);
    }
    let (tag, call_id) = (cx.sip().tag(), cx.sip().call_id());
    builder = builder
        .header(Name::MaxForwards, MAX_FORWARDS)
        .header(Name::From, from.with_tag(&tag))
        .header(Name::To, NameAddr::new(to))
        .header(Name::CallId, call_id)
        .header(Name::CSeq, CSeq { number: 1, method: Method::Message });
    if let Some(asserted) = sender.and_then(|sender| Caller::Account(sender).asserted()) {
        builder = builder.header(Name::PAssertedIdentity, asserted);
    }
    for (name, value) in &text.headers {
        builder = builder.header_other(name, value);
    }
    // RFC 3428 §8: when it was sent, not when it comes.
    if !text.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(Name::Date.as_str())) {
        let sent = i64::try_from(text.sent_at).ok().and_then(|at| Timestamp::from_second(at).ok());
        if let Some(sent) = sent {
            builder = builder.header(Name::Date, sent.strftime("%a, %d %b %Y %H:%M:%S GMT"));
        }
    }
    Some(builder.body(&text.content_type, &text.body).finish())
}
