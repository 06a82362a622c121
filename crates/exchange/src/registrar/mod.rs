//! The registrar (RFC 3261 §10.3): a REGISTER and the bindings that are, to the bindings that will be.

mod contact;
pub(crate) mod gruu;
pub(crate) mod outbound;

use offhook_sip::{Contacts, Host, Name, Request, Response, Status};
use offhook_sip_stack::Flow;

use crate::config::Config;
use crate::directory::{AddressOfRecord, Binding, Bindings};
use crate::refusal::Refusal;

pub(crate) use contact::behind_nat;

/// Carries out a REGISTER of an account whose sender has been proven to be allowed to.
///
/// `now` is Unix seconds. Returns the bindings that are now, and whether something changed: a mere question (no Contact)
/// leaves them as they were.
///
/// # Errors
/// A refusal leaves the bindings as they were: all or nothing (§10.3 step 7).
pub(crate) fn register(
    request: &Request,
    flow: &Flow,
    present: Bindings,
    config: &Config,
    now: u64,
) -> Result<(Bindings, bool), Refusal> {
    let limits = &config.registrar;
    let contacts = request.contacts().map_err(|error| bad(error.to_string()))?;
    let Bindings(mut bindings) = present;
    bindings.retain(|one| one.expires_at > now);
    let call_id = request.call_id().map_err(|error| bad(error.to_string()))?;
    let cseq = request.cseq().map_err(|error| bad(error.to_string()))?.number;
    match contacts {
        Contacts::Star => {
            if request.raw(Name::Expires).map(trimmed) != Some(b"0") {
                return Err(bad("Contact: * needs Expires: 0"));
            }
            in_order(bindings.iter(), None, call_id, cseq)?;
            bindings.clear();
        }
        Contacts::List(list) if list.is_empty() => return Ok((Bindings(bindings), false)),
        Contacts::List(list) => {
            if list.len() > limits.max_contacts {
                return Err(Refusal::new(Status::FORBIDDEN, "Too many contacts"));
            }
            let mut added: Vec<Binding> = Vec::new();
            for one in &list {
                let seconds = contact::granted(one, request, limits)?;
                let mut new = contact::binding(one, request, flow, now + u64::from(seconds), config)?;
                let (same, others): (Vec<_>, Vec<_>) =
                    bindings.into_iter().partition(|old| contact::replaces(&new, old));
                in_order(same.iter(), Some(&new).filter(|_| seconds > 0), call_id, cseq)?;
                new.media = same.iter().find(|old| old.flow == new.flow).and_then(|old| old.media);
                bindings = others;
                // Of a contact that is named twice, the last counts.
                added.retain(|old| !contact::replaces(&new, old));
                if seconds > 0 {
                    added.push(new);
                }
            }
            bindings.extend(added);
            // A phone that forgot its old contact in a restart must not lock its user out: the one that would
            // end first makes room.
            while bindings.len() > limits.max_contacts {
                let first =
                    bindings.iter().enumerate().min_by_key(|(_, one)| one.expires_at).map(|(at, _)| at);
                bindings.remove(first.unwrap_or(0));
            }
        }
    }
    Ok((Bindings(bindings), true))
}

/// What the answer to a REGISTER says besides the bindings.
#[derive(Default)]
pub(crate) struct Granted {
    /// The seconds of Flow-Timer, if the phone's flows are kept apart (RFC 5626).
    pub(crate) outbound: Option<u32>,
    /// For each binding, its two GRUUs (RFC 5627), if the phone asks for them.
    pub(crate) gruus: Vec<Option<[String; 2]>>,
}

/// The 200 with what is bound now (§10.3 step 8) and the Path that was taken (RFC 3327 §5.3).
pub(crate) fn accepted(
    request: &Request,
    bindings: &[Binding],
    granted: &Granted,
    now: u64,
    tag: &str,
) -> Response {
    let mut answer = Response::to_request(request, Status::OK).to_tag(tag);
    for (at, one) in bindings.iter().enumerate().filter(|(_, one)| one.expires_at > now) {
        let mut contact = contact::printed(one, now);
        if let Some(Some([public, temporary])) = granted.gruus.get(at) {
            // RFC 5627 §4.2
            contact.push_str(&format!(";pub-gruu=\"{public}\";temp-gruu=\"{temporary}\""));
        }
        answer = answer.header(Name::Contact, contact);
    }
    if let Some(flow_timer) = granted.outbound {
        // RFC 5626 §6
        answer = answer.header(Name::Require, "outbound").header(Name::FlowTimer, flow_timer);
    }
    if request.has(Name::Path) && request.supports("path") {
        answer = answer.copy(Name::Path, request).header(Name::Supported, "path");
    }
    answer.finish()
}

/// The address-of-record that a REGISTER is about: its To (§10.3 step 5), and the host in it.
///
/// # Errors
/// 400 if To is no sip address with a user, or too long for one.
pub(crate) fn record(request: &Request) -> Result<(AddressOfRecord, Host), Refusal> {
    let to = request.to().map_err(|error| bad(error.to_string()))?;
    let uri = to.uri.as_sip().ok_or_else(|| bad("To of a REGISTER is a sip address"))?;
    let user = uri.user_unescaped().ok_or_else(|| bad("To of a REGISTER has a user"))?;
    let record = AddressOfRecord::new(&user, &uri.host().to_string());
    if record.as_str().len() > MAX_RECORD {
        return Err(bad("To of a REGISTER is too long"));
    }
    Ok((record, uri.host().clone()))
}

/// Whether the request is newer than each binding made under the same Call-ID (§10.3 step 7). One that says the
/// same again is in order: its answer was lost, perhaps in a restart, which forgets transactions.
fn in_order<'a>(
    mut bindings: impl Iterator<Item = &'a Binding>,
    again: Option<&Binding>,
    call_id: &str,
    cseq: u32,
) -> Result<(), Refusal> {
    let same = |one: &Binding| cseq == one.cseq && again.is_some_and(|again| again.contact == one.contact);
    if bindings.any(|one| one.call_id == call_id && cseq <= one.cseq && !same(one)) {
        return Err(Refusal::new(Status::SERVER_INTERNAL_ERROR, "CSeq is not higher than before"));
    }
    Ok(())
}

fn bad(reason: impl Into<String>) -> Refusal {
    Refusal::new(Status::BAD_REQUEST, reason)
}

fn trimmed(value: &[u8]) -> &[u8] {
    value.trim_ascii()
}

/// Octets of an address-of-record, as for accounts.
const MAX_RECORD: usize = 255;

#[cfg(test)]
mod tests;
