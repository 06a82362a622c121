//! A call that only shows whether a trunk carries calls: placed by the exchange itself, and hung up when it is answered.

use std::time::{Duration, Instant};

use offhook_sip::Uri;
use offhook_sip_stack::Flow;
use offhook_sip_stack::auth::Authorizer;
use offhook_sip_stack::dialog::MAX_FORWARDS;
use offhook_sip_stack::usage::invite::Outgoing;
use offhook_sip_stack::usage::{Body, Invite, InviteEvent, Stack, UsageId};

use super::line::{Cost, Dialled, Outbound, authorizer};
use super::request::{expect, lend};
use super::{Desk, TrunkState};
use crate::b2bua::settings_as;
use crate::config::Config;
use crate::dispatch;
use crate::identity::Caller;
use crate::proxy::signed_route::Party;
use crate::route::Trunk;

/// How far a trial has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrunkTrial {
    /// Nothing but 100 came.
    Calling,
    /// Somebody is called.
    Ringing,
    /// Somebody has answered, and we have hung up.
    Answered,
    /// Nobody has, within the time of a trial; whether it rang.
    Unanswered(bool),
    /// It was refused: the status, and the reason in words.
    Failed(u16, String),
}

impl TrunkTrial {
    /// Whether it is not over.
    pub fn is_under_way(&self) -> bool {
        matches!(self, Self::Calling | Self::Ringing)
    }
}

/// A trial under way, or what is left of one.
pub(super) struct Trial {
    usage: UsageId,
    invite: Invite,
    authorizer: Option<Authorizer>,
    pub(super) ends: Instant,
}

impl Trial {
    /// Calls a number by a trunk.
    ///
    /// # Errors
    /// Why that cannot be, in words.
    pub(super) fn begin(
        (usage, at): (UsageId, usize),
        (trunk, state): (&Trunk, &mut TrunkState),
        dialled: &str,
        desk: &mut Desk<'_, '_>,
    ) -> Result<Self, String> {
        let config = desk.config;
        let flow = *state.servers.first().ok_or("its server is not known")?;
        let number = config.plan.numbering.normalize(dialled).map_err(|why| why.to_string())?;
        let number = number.as_str();
        let call = Dialled {
            private: false,
            diverted: None,
            caller: &Caller::Unproven,
            number,
            dialled,
            emergency: false,
            cost: &Cost::default(),
        };
        let (outbound, uri) = Outbound::new(at, trunk, call, config);
        let random = format!("{:024x}", rand::RngExt::random::<u128>(desk.cx.rng) >> 32);
        let headers = outbound.headers(config, desk.cx.unix());
        let outgoing = Outgoing {
            call_id: Some(dispatch::call_id(desk.cx.shard, &random)),
            max_forwards: MAX_FORWARDS,
            target: Uri::from(uri),
            from: outbound.from,
            to: outbound.to,
            routes: Vec::new(),
            headers,
            body: Some(Body::sdp(description(&flow, config))),
            flows: state.servers.clone(),
        };
        let settings = settings_as(&outbound.contact, &Party { flow, behind_nat: false }, config);
        let mut authorizer = authorizer(trunk, Some(state)).map(|one| *one);
        expect(&state.servers, trunk, desk.cx);
        let invite = lend(&mut authorizer, desk, |stack| Invite::call(usage, outgoing, settings, stack))
            .ok_or("no way")?;
        state.trial = Some(TrunkTrial::Calling);
        Ok(Self { usage, invite, authorizer, ends: desk.cx.now + LONGEST })
    }

    /// Lets something happen to it, and takes note of what comes of that. False when nothing is left of it.
    pub(super) fn work(
        &mut self,
        state: &mut TrunkState,
        desk: &mut Desk<'_, '_>,
        work: impl FnOnce(&mut Invite, &mut Stack<'_, '_>),
    ) -> bool {
        lend(&mut self.authorizer, desk, |stack| work(&mut self.invite, stack));
        while let Some(at) = desk.usages.events.iter().position(|(usage, _)| *usage == self.usage) {
            let (_, event) = desk.usages.events.remove(at);
            self.heard(event, state, desk);
        }
        !self.invite.is_over()
    }

    fn heard(&mut self, event: InviteEvent, state: &mut TrunkState, desk: &mut Desk<'_, '_>) {
        let under_way = state.trial.as_ref().is_some_and(TrunkTrial::is_under_way);
        match event {
            InviteEvent::Progress { .. } if under_way => state.trial = Some(TrunkTrial::Ringing),
            InviteEvent::Answered { .. } => {
                state.trial = Some(TrunkTrial::Answered);
                lend(&mut self.authorizer, desk, |stack| self.invite.hangup(stack));
            }
            InviteEvent::Ended { status, reason, .. } if under_way => {
                state.trial = Some(TrunkTrial::Failed(status.code(), reason));
            }
            _ => {}
        }
    }

    /// It has lasted long enough.
    pub(super) fn give_up(&mut self, state: &mut TrunkState, desk: &mut Desk<'_, '_>) -> bool {
        if let Some(trial) = state.trial.as_mut().filter(|trial| trial.is_under_way()) {
            *trial = TrunkTrial::Unanswered(*trial == TrunkTrial::Ringing);
        }
        self.work(state, desk, |invite, stack| invite.hangup(stack))
    }
}

/// A session of which nothing is ever heard: it ends as soon as it begins, so no port is taken for it. What is sent to it
/// is discarded (RFC 863).
fn description(flow: &Flow, config: &Config) -> Vec<u8> {
    let ip = config.address_told(flow);
    let version = if ip.is_ipv4() { 4 } else { 6 };
    format!(
        "v=0\r\no=- 1 1 IN IP{version} {ip}\r\ns=-\r\nc=IN IP{version} {ip}\r\nt=0 0\r\nm=audio 9 RTP/AVP 8 0 101\r\n\
         a=rtpmap:101 telephone-event/8000\r\n"
    )
    .into_bytes()
}

/// After that nobody is waited for.
const LONGEST: Duration = Duration::from_secs(30);
