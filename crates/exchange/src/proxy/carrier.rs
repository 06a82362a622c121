//! Carriers that send a call on by a 3xx: followed to their own servers only, for the same number.

use std::net::IpAddr;

use offhook_sip::{Response, SipUri, Status, Uri};
use offhook_sip_stack::Flow;
use offhook_sip_stack::locate::Hop;

use super::response_context::ResponseContext;
use super::target::Target;
use super::unanswered::deflection;
use crate::config::Config;
use crate::locality::address_of;
use crate::route::Trunk;

/// The trunk of a call that is forwarded, without a leg of ours.
pub(crate) struct Carrier {
    /// Its place in the configuration.
    trunk: usize,
    /// Where the DNS has its servers.
    servers: Vec<IpAddr>,
    /// How often it has sent the call on.
    sent_on: usize,
}

impl Carrier {
    pub(super) const fn new(trunk: usize) -> Self {
        Self { trunk, servers: Vec::new(), sent_on: 0 }
    }

    pub(super) fn found(&mut self, hops: &[Hop]) {
        self.servers = hops.iter().map(|hop| hop.target.remote.ip()).collect();
    }
}

impl Trunk {
    /// Where it sends a call on to by a 3xx (RFC 3261 §8.1.3.4): another server of its own, for the same number. Anywhere else we do not
    /// follow, lest somebody else be called at the cost of the caller.
    pub(crate) fn sends_on(
        &self,
        called: &Target,
        response: &Response,
        is_server: impl Fn(IpAddr) -> bool,
    ) -> Option<Target> {
        let Ok(Uri::Sip(to)) = deflection(response)?.parse::<Uri>() else { return None };
        let Ok(Uri::Sip(now)) = called.uri.parse::<Uri>() else { return None };
        let number = |uri: &SipUri| {
            let user = uri.user_unescaped()?;
            // Where a number was ported to stands behind it (RFC 4694).
            Some(user.split(';').next().unwrap_or_default().to_owned())
        };
        if number(&to) != number(&now) {
            return None;
        }
        let flow = called.flow;
        let names_it = [&self.server, self.next_hop()].iter().any(|one| one.host() == to.host());
        let remote = match address_of(&to, flow.transport.default_port()) {
            Some(remote) if self.is_in_networks(remote.ip()) || is_server(remote.ip()) => remote,
            None if names_it => flow.remote,
            _ => return None,
        };
        let connection = flow.connection.filter(|_| remote == flow.remote);
        let uri = to.without_headers().with_param("user", Some("phone")).to_string();
        Some(Target { uri, flow: Flow { remote, connection, ..flow }, ..called.clone() })
    }
}

impl ResponseContext {
    /// What becomes of a 3xx of a carrier: where it leads, or what the caller is told. `None`: it is no carrier's, and goes
    /// to the caller.
    pub(super) fn sent_on(
        &mut self,
        index: usize,
        response: &Response,
        config: &Config,
    ) -> Option<Result<Target, (Status, &'static str)>> {
        let carrier = self.carrier.as_mut().filter(|_| response.status().is_redirection())?;
        let called = self.branches.get(index)?.target.as_ref()?;
        if self.cancelled || self.final_sent {
            return Some(Err((Status::REQUEST_TERMINATED, Status::REQUEST_TERMINATED.reason())));
        }
        let may_follow = carrier.sent_on < MOST_SENT_ON;
        let trunk = config.trunks.get(carrier.trunk).filter(|_| may_follow);
        let onward =
            trunk.and_then(|trunk| trunk.sends_on(called, response, |ip| carrier.servers.contains(&ip)));
        carrier.sent_on += 1;
        Some(onward.ok_or(NOT_FOLLOWED))
    }
}

/// How often the trunks of a call may send it on.
pub(crate) const MOST_SENT_ON: usize = 3;
/// What a caller is told when a trunk has sent the call to where it is not followed.
pub(crate) const NOT_FOLLOWED: (Status, &str) =
    (Status::BAD_GATEWAY, "The provider sends the call elsewhere, where we do not follow");
