//! One Contact of a REGISTER, and the way to it.

use std::net::SocketAddr;

use offhook_sip::{Contact, Name, Request, SipUri, Status, Uri};
use offhook_sip_stack::transport::is_unicast;
use offhook_sip_stack::{Flow, Transport};

use super::bad;
use crate::config::{Config, RegistrarLimits};
use crate::directory::Binding;
use crate::locality::address_of;
use crate::refusal::Refusal;

/// The seconds that a contact gets: its `expires`, else Expires, else the default; 0 removes it.
///
/// # Errors
/// 423 with Min-Expires if that is too short (§10.3 step 7).
pub(super) fn granted(
    contact: &Contact,
    request: &Request,
    limits: &RegistrarLimits,
) -> Result<u32, Refusal> {
    let asked = contact.expires().or_else(|| request.expires());
    let seconds = asked.map_or(limits.default_expires.as_secs(), u64::from);
    let least = limits.min_expires.as_secs();
    if seconds > 0 && seconds < least {
        return Err(Refusal::from(Status::INTERVAL_TOO_BRIEF).with(Name::MinExpires, least));
    }
    Ok(u32::try_from(seconds.min(limits.max_expires.as_secs())).unwrap_or(u32::MAX))
}

/// The binding of a contact.
///
/// # Errors
/// 400 if it is no sip address, one that asks for more security than its way has, or absurdly long.
pub(super) fn binding(
    contact: &Contact,
    request: &Request,
    flow: &Flow,
    expires_at: u64,
    config: &Config,
) -> Result<Binding, Refusal> {
    let uri = contact.uri().as_sip().ok_or_else(|| bad("Contact is no sip address"))?;
    if uri.as_str().len() > MAX_URI {
        return Err(bad("Contact is too long"));
    }
    if uri.secure() && !flow.transport.is_secure() {
        return Err(bad("A sips Contact needs TLS"));
    }
    let path = path(request)?;
    let behind_nat = path.is_empty() && behind_nat(request, uri, flow);
    Ok(Binding {
        contact: uri.to_string(),
        q: contact.q().unwrap_or(1000),
        expires_at,
        flow: if path.is_empty() { way_to(uri, flow, behind_nat, config) } else { *flow },
        behind_nat,
        path,
        call_id: request.call_id().map_err(|error| bad(error.to_string()))?.into(),
        cseq: request.cseq().map_err(|error| bad(error.to_string()))?.number,
        instance: contact.instance().map(|instance| cut(&instance)),
        reg_id: contact.reg_id(),
        media: None,
        user_agent: cut(&String::from_utf8_lossy(request.user_agent().unwrap_or_default())),
    })
}

/// Whether a new binding takes the place of an old one: the same device and flow (RFC 5626 §6), or an
/// equivalent URI (RFC 3261 §10.3 step 7).
pub(super) fn replaces(new: &Binding, old: &Binding) -> bool {
    if let (Some(_), Some(_)) = (&new.instance, new.reg_id) {
        return new.instance == old.instance && new.reg_id == old.reg_id;
    }
    if new.contact == old.contact {
        return true;
    }
    match (new.contact.parse::<Uri>(), old.contact.parse::<Uri>()) {
        (Ok(new), Ok(old)) => new.equivalent(&old),
        _ => false,
    }
}

/// A binding as a Contact value of the answer.
pub(super) fn printed(binding: &Binding, now: u64) -> String {
    let mut text = format!("<{}>;expires={}", binding.contact, binding.expires_at.saturating_sub(now));
    if binding.q < 1000 {
        text.push_str(&format!(";q=0.{:03}", binding.q));
    }
    if let Some(instance) = &binding.instance {
        text.push_str(&format!(";+sip.instance=\"{}\"", instance.replace(['"', '\\'], "")));
    }
    if let Some(reg_id) = binding.reg_id {
        text.push_str(&format!(";reg-id={reg_id}"));
    }
    text
}

/// Whether there is a NAT between a phone and us: its Via names another address than the one we see, or its
/// contact cannot be reached as it is (a browser's, RFC 7118 §5; a name, which nobody has looked up).
pub(crate) fn behind_nat(request: &Request, contact: &SipUri, flow: &Flow) -> bool {
    let Some(ip) = contact.host().ip() else { return true };
    let Ok(via) = request.via() else { return true };
    let seen = flow.remote.ip();
    let says_where_it_is = via.sent_by.host.ip().map(|ip| ip.to_canonical()) == Some(seen);
    let port = via.sent_by.port.unwrap_or(flow.transport.default_port());
    // A stream's port is the connection's own: it tells nothing. Nor does that of a phone that sends from another
    // port than it listens on, which it shows by not asking for rport (RFC 3581 §3).
    let same_port = flow.transport.is_reliable() || port == flow.remote.port() || !via.has_rport();
    // A phone that knows its address names it as contact too. Another host as contact is a wish to be
    // called elsewhere, unless the Via already showed a NAT.
    let reached_as_it_says = says_where_it_is && same_port && is_unicast(ip);
    !reached_as_it_says || ip.is_loopback() != seen.is_loopback()
}

/// The way to a contact: the flow of its request where there is a NAT or a connection, or where the address that it
/// names does not lead to it; else that address.
fn way_to(contact: &SipUri, flow: &Flow, behind_nat: bool, config: &Config) -> Flow {
    let transport = match contact.transport() {
        Some(named) => Transport::from_name(named.as_str()).unwrap_or(flow.transport),
        // RFC 3263 would say UDP; a phone that came by a stream and names nothing means that stream.
        None => flow.transport,
    };
    if !(transport.can_be_called_back() && flow.transport.can_be_called_back()) {
        return *flow;
    }
    let Some(remote) = address_of(contact, transport.default_port()) else { return *flow };
    let here = remote.ip() == flow.remote.ip();
    // RFC 5923 §5: a connection is used again for requests to the peer at its other end.
    let connected = flow.connection.is_some() && here && transport == flow.transport;
    let other_family = remote.is_ipv4() != flow.local.is_ipv4();
    // The port from which we send is that of the listener for this transport.
    let local = match config.listeners.iter().find(|one| one.transport == transport) {
        _ if transport == flow.transport => Some(flow.local),
        Some(listener) => Some(SocketAddr::new(flow.local.ip(), listener.address.port())),
        None => None,
    };
    match local {
        // Our own address would make a loop.
        Some(local) if !(behind_nat || connected || other_family || config.is_us(remote, flow)) => {
            Flow { transport, local, remote, connection: None }
        }
        _ => *flow,
    }
}

/// The proxies between phone and us (RFC 3327 §5.3), each on one line.
fn path(request: &Request) -> Result<Vec<String>, Refusal> {
    if request.has(Name::Path) && !request.supports("path") {
        // RFC 3327 §5.3: the phone would not understand; refuse rather than lose the way.
        return Err(Refusal::new(Status::EXTENSION_REQUIRED, "Path needs Supported: path")
            .with(Name::Require, "path"));
    }
    let path: Result<Vec<String>, _> =
        request.paths().map(|one| one.map(|one| one.to_string().replace(['\r', '\n'], " "))).collect();
    let path = path.map_err(|error| bad(error.to_string()))?;
    if path.len() > MAX_PATH || path.iter().any(|one| one.len() > MAX_URI) {
        return Err(bad("Path is too long"));
    }
    Ok(path)
}

fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect()
}

const MAX_URI: usize = 1024;
const MAX_PATH: usize = 8;
const MAX_TEXT: usize = 100;
