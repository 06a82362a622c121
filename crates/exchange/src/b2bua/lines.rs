//! Legs to trunks: when one of them has failed, and what comes after it.

use std::time::Duration;

use offhook_sip::{Response, SipUri, Status, Uri};
use offhook_sip_stack::Flow;
use offhook_sip_stack::usage::invite::Party as Ender;

use super::Env;
use super::call::{Call, With};
use super::ring::{Branch, Ring};
use crate::config::SrtpPolicy;
use crate::locality::address_of;
use crate::proxy::{Target, deflection};
use crate::refusal::Refusal;
use crate::trunks::Outbound;

impl Call {
    /// Something came from one who is called.
    pub(super) fn heard(&mut self, leg: u8) {
        let With::Phones(ring) = &mut self.with else { return };
        let at = usize::from(leg).checked_sub(1);
        if let Some(branch) = at.and_then(|at| ring.branches.get_mut(at)) {
            branch.heard = true;
        }
    }

    /// A trunk's server has said nothing for a while: whatever is next is tried, if there is anything. To wait until its
    /// transaction times out (RFC 3263 §4.3) would outlast the patience of most callers.
    pub(super) fn line_silent(&mut self, leg: u8, env: &mut Env<'_, '_>) {
        let With::Phones(ring) = &mut self.with else { return };
        let is_last = ring.groups.is_empty();
        let at = usize::from(leg).wrapping_sub(1);
        let Some(branch) = ring.branches.get_mut(at).filter(|one| !one.done && !one.heard) else { return };
        if is_last && branch.target.alternatives.is_empty() {
            return;
        }
        branch.given_up = Some((Status::REQUEST_TIMEOUT, "The provider does not respond"));
        branch.leg.enter(env, |invite, stack| invite.hangup(stack));
    }
}

impl Outbound {
    /// Counts it as a call of its trunk, which is returned.
    ///
    /// # Errors
    /// If the trunk has as many as it may have.
    pub(super) fn begin(&self, env: &mut Env<'_, '_>) -> Result<usize, Refusal> {
        if let Some(trunk) = env.config.trunks.get(self.trunk) {
            let begun = env.trunks.load.begin(self.trunk, trunk, self.emergency, env.cx.now);
            begun.map_err(|limit| Refusal::new(Status::SERVICE_UNAVAILABLE, limit))?;
        }
        Ok(self.trunk)
    }
}

impl Ring {
    /// The caller hears what comes from a trunk: from now on nobody else is tried, whose sound would take its place.
    pub(super) fn commit(&mut self, at: usize) {
        let Some(branch) = self.branches.get_mut(at).filter(|branch| branch.target.line.is_some()) else {
            return;
        };
        branch.target.alternatives.clear();
        self.groups.clear();
    }
}

impl Branch {
    /// Where its trunk sends the call on to by a 3xx (RFC 3261 §8.1.3.4): another server of the trunk, for the same number.
    /// Anywhere else we do not follow, lest somebody else be called at the cost of the caller.
    pub(super) fn elsewhere(&mut self, response: Option<&Response>, env: &Env<'_, '_>) -> Option<Target> {
        let at = self.target.line.as_ref()?.trunk;
        let trunk = env.config.trunks.get(at)?;
        let Ok(Uri::Sip(to)) = deflection(response?)?.parse::<Uri>() else { return None };
        let Ok(Uri::Sip(now)) = self.target.uri.parse::<Uri>() else { return None };
        let number = |uri: &SipUri| {
            let user = uri.user_unescaped()?;
            // Where a number was ported to stands behind it (RFC 4694).
            Some(user.split(';').next().unwrap_or_default().to_owned())
        };
        if number(&to) != number(&now) {
            return None;
        }
        let flow = self.target.flow;
        let names_it = [&trunk.server, trunk.next_hop()].iter().any(|one| one.host() == to.host());
        let remote = match address_of(&to, flow.transport.default_port()) {
            Some(remote) if trunk.is_in_networks(remote.ip()) || env.trunks.is_server(at, remote.ip()) => {
                remote
            }
            None if names_it => flow.remote,
            _ => return None,
        };
        self.sent_on = true;
        let connection = flow.connection.filter(|_| remote == flow.remote);
        let uri = to.without_headers().with_param("user", Some("phone")).to_string();
        let alternatives = std::mem::take(&mut self.target.alternatives);
        Some(Target { uri, flow: Flow { remote, connection, ..flow }, alternatives, ..self.target.clone() })
    }

    /// Why its trunk has refused the media that it was offered, where no other may be offered.
    pub(super) fn refused_media(&self, status: Status, env: &Env<'_, '_>) -> Option<String> {
        let terms = env.terms(Some(self.target.line.as_ref()?.trunk))?;
        let requires = status == Status::NOT_ACCEPTABLE_HERE && terms.srtp == Some(SrtpPolicy::Require);
        requires.then(|| "The provider refuses encrypted media (SRTP), which its trunk requires".into())
    }

    /// Whether its failure is that of its trunk, which takes note of it when no other server of it is left; `None`: it is a
    /// phone.
    pub(super) fn is_trunks_failure(
        &self,
        (by, status): (Ender, Status),
        retry_after: Option<u32>,
        is_last_server: bool,
        env: &mut Env<'_, '_>,
    ) -> Option<bool> {
        let trunk = self.target.line.as_ref()?.trunk;
        let failed = is_of_trunk(by, status, self.is_silent());
        if !failed {
            env.trunks.forgive(trunk);
        } else if is_last_server {
            shun(trunk, by, status, retry_after, env);
        }
        Some(failed)
    }
}

/// Whether a failure is that of the trunk, so that another may carry the call; otherwise it is about the one who is called.
fn is_of_trunk(by: Ender, status: Status, silent: bool) -> bool {
    let of_ours = matches!(
        status,
        Status::UNAUTHORIZED
            | Status::PAYMENT_REQUIRED
            | Status::FORBIDDEN
            | Status::PROXY_AUTHENTICATION_REQUIRED
    );
    silent || by == Ender::Network || of_ours || status.class() == 5 || status.is_redirection()
}

/// Others come before it for a while: as long as it says, or a minute if it was not there.
fn shun(trunk: usize, by: Ender, status: Status, retry_after: Option<u32>, env: &mut Env<'_, '_>) {
    let time = match (by, retry_after) {
        (_, Some(seconds)) if status == Status::SERVICE_UNAVAILABLE => Duration::from_secs(seconds.into()),
        (Ender::Network | Ender::Us, _) => ABSENT,
        _ if status == Status::SERVICE_UNAVAILABLE => ABSENT,
        _ => return,
    };
    env.trunks.shun(trunk, time, env.cx.now);
}

/// What a caller is told of a trunk's failure: nothing that only means something between us and the provider.
pub(super) fn told(by: Ender, status: Status, reason: &str) -> (Status, String) {
    match (by, status) {
        (Ender::Network, Status::REQUEST_TIMEOUT) => {
            (Status::SERVER_TIMEOUT, "The provider does not respond".into())
        }
        (Ender::Network, Status::NOT_ACCEPTABLE_HERE) => {
            (Status::BAD_GATEWAY, "The provider answered without a session".into())
        }
        (Ender::Network, _) => (Status::BAD_GATEWAY, "The provider cannot be reached".into()),
        (_, Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED) => {
            (Status::BAD_GATEWAY, "The provider does not take our user name and password".into())
        }
        // What it cannot do now says nothing about us (RFC 3261 §16.7 step 6).
        (_, Status::SERVICE_UNAVAILABLE) => {
            (Status::SERVER_INTERNAL_ERROR, format!("The provider cannot serve now: {reason}"))
        }
        (_, status) if status.is_redirection() => {
            (Status::BAD_GATEWAY, "The provider sends the call elsewhere, where we do not follow".into())
        }
        (_, status) => (status, reason.to_owned()),
    }
}

/// How long one that was not there is tried after the others.
const ABSENT: Duration = Duration::from_secs(60);
