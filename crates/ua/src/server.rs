//! Requests from others outside of any call of ours (RFC 3261 §8.2).

use offhook_sip::{Method, Name, Request, Response, ResponseBuilder, Status, Uri};
use offhook_sip_stack::Flow;
use offhook_sip_stack::transaction::ServerId;
use offhook_sip_stack::usage::Body;

use crate::call::{Sound, Unacceptable};
use crate::env::Env;
use crate::{Config, Event};

/// What to do with a new request.
pub(crate) enum Verdict {
    /// It is an INVITE that the user may be asked about.
    Invite(Request),
    /// It has been answered.
    Answered,
}

/// Inspects a request that belongs to nothing that we have (§8.2.1–§8.2.3) and answers it, unless it is an INVITE
/// that can become a call. `busy` says that there are calls enough.
pub(crate) fn receive(
    server: ServerId,
    request: Request,
    flow: &Flow,
    busy: bool,
    env: &mut Env<'_, '_>,
) -> Verdict {
    env.event(Event::Requested { method: request.method().clone() });
    let mut headers: Vec<(Name, String)> = Vec::new();
    let status = if request.to_tag().is_some() {
        Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST
    } else {
        inspect(&request, &mut headers, env.config)
            .or_else(|| {
                if *request.method() == Method::Invite {
                    invite(&request, &mut headers, busy, env)
                } else {
                    None
                }
            })
            .unwrap_or_else(|| act(&request, &mut headers, env))
    };
    if status == Status::TRYING {
        return Verdict::Invite(request);
    }
    let mut builder = response(&request, status, env);
    if status.is_success()
        && let Some(settings) = env.settings(flow)
    {
        builder = builder.header(Name::Contact, &settings.contact);
    }
    for (name, value) in headers {
        builder = builder.header(name, value);
    }
    let response = builder.finish();
    if *request.method() == Method::Invite || status.is_success() {
        // A copy of the request must not be taken for another, and a refused INVITE awaits its ACK.
        env.stack.transactions.respond(server, response, env.stack.cx);
    } else {
        env.stack.respond_once(server, response);
    }
    Verdict::Answered
}

/// The start of a response with a tag of ours.
pub(crate) fn response(request: &Request, status: Status, env: &mut Env<'_, '_>) -> ResponseBuilder {
    let tag = env.stack.cx.tag();
    Response::to_request(request, status).to_tag(&tag).header(Name::Server, &env.config.user_agent)
}

/// The methods that we take part in.
pub(crate) fn allow(config: &Config) -> String {
    let base = "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO, MESSAGE, NOTIFY";
    if config.accept_transfers { format!("{base}, REFER") } else { base.to_owned() }
}

/// What a 200 to OPTIONS says besides.
pub(crate) fn options_headers(env: &Env<'_, '_>) -> Vec<(String, String)> {
    abilities(env.config).into_iter().map(|(name, value)| (name.as_str().to_owned(), value)).collect()
}

/// Takes a MESSAGE (RFC 3428) and says how it is answered.
pub(crate) fn message(request: &Request, env: &mut Env<'_, '_>) -> Status {
    let Some(body) = Body::of(request) else { return Status::OK };
    let is_text = body.content_type.is_empty()
        || body.content_type.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("text/"));
    let (Ok(from), true) = (request.from(), is_text) else { return Status::UNSUPPORTED_MEDIA_TYPE };
    env.event(Event::MessageReceived {
        from: from.uri.detach(),
        text: String::from_utf8_lossy(&body.bytes).into_owned(),
        content_type: body.content_type,
    });
    Status::OK
}

fn abilities(config: &Config) -> Vec<(Name, String)> {
    let supported = if config.reliable_provisional { "100rel, timer" } else { "timer" };
    vec![
        (Name::Allow, allow(config)),
        (Name::Accept, "application/sdp, text/plain".to_owned()),
        (Name::AcceptEncoding, "identity".to_owned()),
        (Name::Supported, supported.to_owned()),
    ]
}

/// What is checked of every request, in the order of §8.2: method, Request-URI, Require, content.
fn inspect(request: &Request, headers: &mut Vec<(Name, String)>, config: &Config) -> Option<Status> {
    if let Method::Other(_) = request.method() {
        headers.push((Name::Allow, allow(config)));
        return Some(Status::NOT_IMPLEMENTED);
    }
    if !matches!(request.uri(), Ok(Uri::Sip(_))) {
        return Some(Status::UNSUPPORTED_URI_SCHEME);
    }
    // §8.2.2.3: a CANCEL is not refused for it.
    let unknown: Vec<&str> = request.require().filter(|tag| !is_known(tag)).collect();
    if !unknown.is_empty() && *request.method() != Method::Cancel {
        headers.push((Name::Unsupported, unknown.join(", ")));
        return Some(Status::BAD_EXTENSION);
    }
    let encoded = request.tokens(Name::ContentEncoding).any(|token| !token.eq_ignore_ascii_case("identity"));
    if encoded && !request.body().is_empty() {
        headers.push((Name::AcceptEncoding, "identity".to_owned()));
        return Some(Status::UNSUPPORTED_MEDIA_TYPE);
    }
    None
}

/// Whether an INVITE cannot become a call; the body must be an offer that we can answer (§13.3.1).
fn invite(
    request: &Request,
    headers: &mut Vec<(Name, String)>,
    busy: bool,
    env: &mut Env<'_, '_>,
) -> Option<Status> {
    if request.from_tag().is_none() {
        return Some(Status::BAD_REQUEST);
    }
    if busy {
        return Some(Status::BUSY_HERE);
    }
    let Some(body) = Body::of(request) else { return Some(Status::TRYING) };
    if !body.is_sdp() {
        headers.push((Name::Accept, "application/sdp".to_owned()));
        return Some(Status::UNSUPPORTED_MEDIA_TYPE);
    }
    let now = env.now();
    // Any port will do to see whether the offer fits.
    let Some(sound) = Sound::new(0, env.config, now, env.stack.cx.rng) else {
        return Some(Status::BUSY_HERE);
    };
    match sound.check(&body) {
        Ok(()) => Some(Status::TRYING),
        Err(Unacceptable::Malformed) => Some(Status::BAD_REQUEST),
        Err(reason @ (Unacceptable::Refused(_) | Unacceptable::Insecure(_))) => {
            headers.extend(reason.warning().map(|text| (Name::Warning, text)));
            Some(Status::NOT_ACCEPTABLE_HERE)
        }
    }
}

/// Does what a request other than INVITE asks for.
fn act(request: &Request, headers: &mut Vec<(Name, String)>, env: &mut Env<'_, '_>) -> Status {
    match request.method() {
        Method::Options => {
            headers.extend(abilities(env.config));
            Status::OK
        }
        Method::Message => {
            let status = message(request, env);
            if status == Status::UNSUPPORTED_MEDIA_TYPE {
                headers.push((Name::Accept, "text/plain".to_owned()));
            }
            status
        }
        Method::Refer => Status::DECLINE,
        Method::Subscribe => Status::BAD_EVENT,
        // Message waiting is told to phones that never asked (RFC 3842 §3.4 leaves the rest to policy).
        Method::Notify if is_mailbox(request) => {
            env.event(Event::Notified {
                request: None,
                event: MAILBOX.to_owned(),
                body: Body::of(request).map(|body| body.bytes).unwrap_or_default(),
                terminated: false,
            });
            Status::OK
        }
        // Without a dialog they mean nothing.
        Method::Bye | Method::Cancel | Method::Prack | Method::Update | Method::Info | Method::Notify => {
            Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST
        }
        Method::Invite | Method::Ack | Method::Register | Method::Publish | Method::Other(_) => {
            headers.push((Name::Allow, allow(env.config)));
            Status::METHOD_NOT_ALLOWED
        }
    }
}

fn is_mailbox(request: &Request) -> bool {
    request.event().ok().flatten().is_some_and(|event| event.package.eq_ignore_ascii_case(MAILBOX))
}

const MAILBOX: &str = "message-summary";

fn is_known(tag: &str) -> bool {
    ["100rel", "timer"].iter().any(|known| known.eq_ignore_ascii_case(tag))
}
