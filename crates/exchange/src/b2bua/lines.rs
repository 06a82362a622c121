//! Legs to trunks: when one of them has failed, and what comes after it.

use std::time::Duration;

use offhook_sip::{Response, Status};
use offhook_sip_stack::usage::invite::Party as Ender;

use super::Env;
use super::call::{Call, With};
use super::ring::{Branch, Ring};
use crate::config::SrtpPolicy;
use crate::proxy::{NOT_FOLLOWED, Target};
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

    /// A trunk has refused the media that it was offered: only trunks with other terms for it may do better. Whether there
    /// is one.
    pub(super) fn keep_other_terms(&mut self, at: usize, env: &Env<'_, '_>) -> bool {
        let trunk_of = |target: &Target| target.line.as_ref().map(|line| line.trunk);
        let Some(refused) = self.branches.get(at).and_then(|branch| trunk_of(&branch.target)) else {
            return false;
        };
        let refused = env.terms(Some(refused));
        let differs = |target: &Target| trunk_of(target).is_some_and(|one| env.terms(Some(one)) != refused);
        self.groups.iter_mut().for_each(|group| group.retain(differs));
        self.groups.retain(|group| !group.is_empty());
        !self.groups.is_empty()
    }
}

impl Branch {
    /// Where its trunk sends the call on to by a 3xx.
    pub(super) fn elsewhere(&mut self, response: Option<&Response>, env: &Env<'_, '_>) -> Option<Target> {
        let at = self.target.line.as_ref()?.trunk;
        let is_server = |ip| env.trunks.is_server(at, ip);
        let onward = env.config.trunks.get(at)?.sends_on(&self.target, response?, is_server)?;
        self.sent_on = true;
        self.target.alternatives.clear();
        Some(onward)
    }

    /// Why its trunk has refused the media that it was offered, where no other may be offered.
    pub(super) fn refused_media(&self, status: Status, env: &Env<'_, '_>) -> Option<String> {
        let terms = env.terms(Some(self.target.line.as_ref()?.trunk))?;
        let requires = is_of_media(status) && terms.srtp == Some(SrtpPolicy::Require);
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

/// Whether a response refuses the media that was offered, not the call.
pub(super) const fn is_of_media(status: Status) -> bool {
    matches!(
        status,
        Status::NOT_ACCEPTABLE_HERE | Status::UNSUPPORTED_MEDIA_TYPE | Status::NOT_ACCEPTABLE_ANYWHERE
    )
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
        (_, status) if status.is_redirection() => (NOT_FOLLOWED.0, NOT_FOLLOWED.1.into()),
        (_, status) => (status, reason.to_owned()),
    }
}

/// How long one that was not there is tried after the others.
const ABSENT: Duration = Duration::from_secs(60);
