//! Requests on their way out (RFC 3261 §16.6).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use offhook_sip::{Method, Name, Request, Response, Status};
use offhook_sip_stack::Flow;
use offhook_sip_stack::transaction::{ClientId, ServerId, Transactions};

use super::anchor::{Role, asks_for_picture};
use super::elsewhere::SILENCE;
use super::forward::{self, Changes};
use super::in_dialog::Forward;
use super::keys;
use super::protection::{Manner, is_protected};
use super::response_context::{Branch, Kind, ResponseContext};
use super::routes::take_off;
use super::signed_route::{Party, PartyName, SignedRoute, owner_digest, tag_digest};
use super::target::{Target, by_preference};
use super::unanswered::Attended;
use super::{Proxy, is_sdp};
use crate::b2bua::CallId;
use crate::config::{AnchorPolicy, Config, SrtpPolicy};
use crate::context::{Alarm, Context};
use crate::directory::Account;
use crate::event::{EndedBy, Event};
use crate::identity::{self, Caller};
use crate::refusal::Refusal;
use crate::registrar::behind_nat;
use crate::services::Hunt;

/// A request that starts something, and who wants that.
#[derive(Clone)]
pub(crate) struct Asking {
    pub(crate) request: Request,
    /// How it came.
    pub(crate) from: Flow,
    pub(crate) caller: Caller,
    /// The trunk with a leg of ours by which it came.
    pub(crate) trunk: Option<usize>,
    /// Since when it is a call, if it is one that others have not answered.
    pub(crate) begun: Option<Instant>,
    /// The bridged call that it is.
    pub(crate) bridged: Option<CallId>,
    /// Who has sent it on to where it goes now, and answers for that.
    pub(crate) diverted_by: Option<Account>,
    /// Who speaks, where the caller is one who only answers for the call.
    pub(crate) speaker: Option<Caller>,
    /// What is left of the group that it calls.
    pub(crate) hunt: Option<Box<Hunt>>,
}

impl Asking {
    /// The same from the one who answers for where it goes.
    pub(crate) fn answered_for(mut self) -> Self {
        if let Some(by) = self.diverted_by.take() {
            let speaker = std::mem::replace(&mut self.caller, Caller::Account(by));
            self.speaker.get_or_insert(speaker);
        }
        self
    }
}

/// A request that starts something, and where it goes.
pub(crate) struct Forwarding {
    pub(crate) asking: Asking,
    pub(crate) targets: Vec<Target>,
    /// Whose call it is, if something is to become of it when nobody answers.
    pub(crate) attended: Option<Attended>,
}

impl Proxy {
    /// Forwards a request to where the user is.
    ///
    /// # Errors
    /// A refusal if the account has too many calls, or if there are more targets than Max-Breadth allows.
    pub(crate) fn start(
        &mut self,
        server: ServerId,
        forwarding: Forwarding,
        config: &Config,
        transactions: &mut Transactions,
        cx: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        let Forwarding { asking, targets, attended } = forwarding;
        let breadth = breadth(&asking.request);
        let groups = by_preference(targets);
        if groups.iter().any(|group| group.len() as u64 > u64::from(breadth)) {
            return Err(Status::MAX_BREADTH_EXCEEDED.into());
        }
        let count = groups.iter().map(Vec::len).sum();
        let (number, mut context) =
            self.begin(server, asking, count, config.max_calls_per_account, transactions, cx)?;
        for after in groups.iter().filter_map(|group| group.first()?.after) {
            cx.timers.arm(cx.now + Duration::from_secs(after.into()), Alarm::Also(number, after));
        }
        context.groups = groups;
        if let Some(attended) = attended {
            if let Some(rings_for) = attended.rings_for {
                cx.timers.arm(cx.now + rings_for, Alarm::NoAnswer(number));
            }
            context.attended = Some(Box::new(attended));
        }
        self.settle(number, context, config, transactions, cx);
        Ok(())
    }

    /// Takes a request that starts something, on its way to so many targets. Its account may have `most_calls`.
    pub(super) fn begin(
        &mut self,
        server: ServerId,
        asking: Asking,
        targets: usize,
        most_calls: usize,
        transactions: &mut Transactions,
        cx: &mut Context<'_>,
    ) -> Result<(u64, Box<ResponseContext>), Refusal> {
        let Asking { request, from, caller, begun, .. } = asking;
        let invite = *request.method() == Method::Invite;
        let counted = invite && self.active.admit(&caller, most_calls)?.is_some();
        if invite && begun.is_none() {
            transactions.trying(server, &mut cx.sip());
            let text = |name| String::from_utf8_lossy(request.raw(name).unwrap_or_default()).into_owned();
            cx.event(Event::CallStarted {
                call: request.call_id().unwrap_or_default().to_owned(),
                from: text(Name::From),
                to: text(Name::To),
                targets,
            });
        }
        let from = Party { flow: from, behind_nat: is_behind_nat(&request, &from) };
        let kind = Kind::Initial { caller: Box::new(caller), from, counted };
        let number = self.number();
        self.servers.insert(server, number);
        Ok((number, Box::new(ResponseContext::new(server, request, kind, begun.unwrap_or(cx.now)))))
    }

    /// Sends the request to the next targets; `false` if there are none left.
    pub(super) fn next_group(
        &mut self,
        number: u64,
        context: &mut ResponseContext,
        config: &Config,
        transactions: &mut Transactions,
        cx: &mut Context<'_>,
    ) -> bool {
        let Some(group) = context.groups.pop_front() else { return false };
        let share = breadth(&context.request) / u32::try_from(group.len()).unwrap_or(u32::MAX).max(1);
        let breadth = share.max(1);
        context.branches.reserve_exact(group.len());
        for target in group {
            if let Err(refusal) = self.launch(number, context, target, breadth, config, transactions, cx) {
                let tag = cx.sip().tag();
                context.failed_with(refusal.status, &refusal.reason, &tag);
            }
        }
        true
    }

    /// Makes a phone another offer, if there is one, when it refuses the one before for its formats or for how it would
    /// have protected media. The refusal stands
    /// should that fail too.
    pub(super) fn offer_again(
        &mut self,
        number: u64,
        context: &mut ResponseContext,
        index: usize,
        config: &Config,
        transactions: &mut Transactions,
        cx: &mut Context<'_>,
    ) {
        if context.final_sent || context.cancelled || !is_sdp(&context.request) {
            return;
        }
        let target = context.branches[index].target.as_ref();
        let Some(target) = target.and_then(|target| target.with_other_offer(config)) else { return };
        let breadth = breadth(&context.request);
        let _ = self.launch(number, context, target, breadth, config, transactions, cx);
    }

    /// A flow of a device has failed: the request takes the next, if there is one (RFC 5626 §5.3).
    pub(super) fn other_flow(
        &mut self,
        number: u64,
        context: &mut ResponseContext,
        index: usize,
        config: &Config,
        transactions: &mut Transactions,
        cx: &mut Context<'_>,
    ) {
        let next = context.branches[index].target.as_mut().and_then(Target::take_alternative);
        match next.filter(|_| !context.cancelled && !context.final_sent) {
            Some(next) => self.go_on(number, context, next, config, transactions, cx),
            None => {
                let (status, reason) = (Status::TEMPORARILY_UNAVAILABLE, "The phone cannot be reached");
                context.failed_with(status, reason, &cx.sip().tag());
            }
        }
    }

    /// The request goes on to a target in place of another.
    pub(super) fn go_on(
        &mut self,
        number: u64,
        context: &mut ResponseContext,
        target: Target,
        config: &Config,
        transactions: &mut Transactions,
        cx: &mut Context<'_>,
    ) {
        if let Err(refusal) = self.launch(number, context, target, 1, config, transactions, cx) {
            let tag = cx.sip().tag();
            context.failed_with(refusal.status, &refusal.reason, &tag);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of a shard are lent one by one")]
    pub(super) fn launch(
        &mut self,
        number: u64,
        context: &mut ResponseContext,
        target: Target,
        max_breadth: u32,
        config: &Config,
        transactions: &mut Transactions,
        cx: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        let Kind::Initial { caller, from, .. } = &context.kind else { return Ok(()) };
        let request = &context.request;
        let is_charged = context.charge.is_some();
        let (anchor, body) = self.anchor(request, from, (&target, is_charged), config, cx)?;
        let signed = SignedRoute {
            shard: self.shard,
            caller_tag: tag_digest(request.from_tag().unwrap_or_default()),
            caller: *from,
            callee: target.party(),
            owners: [caller.account(), target.account.as_ref()]
                .map(|account| account.map(|account| owner_digest(account, &config.key))),
            anchor,
        };
        let record = request.method().creates_dialog().then_some((&signed, &from.flow));
        let changes = Changes { caller, target: &target, record, body, max_breadth };
        let request = forward::to_target(request, changes, config, cx);
        if let Some(domain) = &target.domain {
            cx.out.expected.push((target.flow.remote, domain.clone()));
            if !target.alternatives.is_empty() {
                cx.timers.arm(cx.now + SILENCE, Alarm::Silence(number, context.branches.len()));
            }
        }
        let client = send(request, &target.party(), transactions, cx);
        self.branch(number, context, Branch::new(client, cx.now, Some(target), anchor), config, cx);
        Ok(())
    }

    /// Takes a new branch into its context; one of an INVITE has Timer C (§16.6 step 11).
    fn branch(
        &mut self,
        number: u64,
        context: &mut ResponseContext,
        mut branch: Branch,
        config: &Config,
        cx: &mut Context<'_>,
    ) {
        let index = context.branches.len();
        if context.is_invite() {
            let deadline = cx.now + config.timer_c;
            branch.timer_c = Some(deadline);
            cx.timers.arm(deadline, Alarm::TimerC(number, index));
        }
        self.clients.insert(branch.client, (number, index));
        context.branches.push(branch);
    }

    /// Takes the media of a new call through us, if it must.
    fn anchor(
        &mut self,
        request: &Request,
        caller: &Party,
        (target, is_charged): (&Target, bool),
        config: &Config,
        cx: &mut Context<'_>,
    ) -> Result<(Option<u64>, Option<Vec<u8>>), Refusal> {
        let callee = target.party();
        let manner = |flow: &Flow, refused, said| {
            Manner::after(refused, flow.transport, said, config.srtp).unwrap_or(Manner::Plain)
        };
        let manners = [manner(&caller.flow, 0, None), manner(&callee.flow, target.refused, target.media)];
        // A phone that refused the caller's own offer may accept what the relay makes of it.
        let recorded = target.concern.as_ref().is_some_and(|concern| concern.wants_anchor());
        let must =
            || recorded || target.refused > 0 || must_anchor(request, caller, &callee, manners, config);
        let is_direct = *request.method() != Method::Invite || !must();
        if is_direct && !is_charged {
            return Ok((None, None));
        }
        let call_id = request.call_id().unwrap_or_default();
        let number = self.anchors.open(call_id, [*caller, callee], (manners, target.refused > 0), config, cx);
        self.anchors.concerns(number, target.concern.as_ref());
        if let Some(anchor) = self.anchors.get_mut(number, call_id) {
            anchor.is_direct = is_direct;
        }
        if is_direct || !is_sdp(request) {
            return Ok((Some(number), None));
        }
        match self.anchors.pass(number, call_id, (PartyName::Caller, Role::Offer), request.body(), config, cx)
        {
            Ok(body) => Ok((Some(number), Some(body))),
            Err(refusal) => {
                self.anchors.close(number, cx);
                Err(refusal)
            }
        }
    }

    /// Forwards a request inside a dialog to the other party.
    ///
    /// # Errors
    /// A refusal if its SDP cannot be relayed.
    pub(crate) fn in_dialog(
        &mut self,
        server: ServerId,
        forward: Forward,
        config: &Config,
        transactions: &mut Transactions,
        cx: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        if self.takes_key(&forward, cx) {
            let taken = Response::to_request(&forward.request, Status::OK).finish();
            transactions.respond(server, taken, &mut cx.sip());
            return Ok(());
        }
        if let Some(anchor) = forward.anchor.filter(|_| asks_for_picture(&forward.request)) {
            // Whether the other phone knows INFO is not negotiated, so it is asked in both ways.
            self.anchors.ask_for_picture(anchor, forward.sender.other(), cx);
        }
        let offered = forward.anchor.filter(|_| is_sdp(&forward.request));
        let before = offered.and_then(|anchor| self.anchors.snapshot(anchor, forward.sender));
        let onward = match self.onward(&forward, config, cx) {
            Ok(onward) => onward,
            Err(refusal) => {
                if let (Some(anchor), Some(before)) = (offered, &before) {
                    self.anchors.restore(anchor, before, cx);
                }
                return Err(refusal);
            }
        };
        let Forward { request, sender, to, owner, anchor, .. } = forward;
        let call_id = request.call_id().unwrap_or_default();
        match request.method() {
            Method::Invite => transactions.trying(server, &mut cx.sip()),
            Method::Bye => {
                let by = if sender == PartyName::Caller { EndedBy::Caller } else { EndedBy::Callee };
                anchor.into_iter().for_each(|anchor| self.end_media(anchor, call_id, cx));
                let callee = if sender == PartyName::Caller { request.to_tag() } else { request.from_tag() };
                let is_new = self.over.note(call_id, callee.unwrap_or_default(), &config.key, cx.unix());
                if is_new && !self.leaves_early(call_id, sender, config) {
                    let party = |name| request.raw(name).unwrap_or_default();
                    self.active.members.call_over(|| [party(Name::From), party(Name::To)]);
                    cx.event(Event::CallEnded { call: call_id.to_owned(), by });
                }
            }
            _ => {}
        }
        self.note_passed(anchor, sender, &request);
        let client = send(onward, &to, transactions, cx);
        let number = self.number();
        let kind = Kind::InDialog { sender, to: (owner, to.flow), before };
        let mut context = Box::new(ResponseContext::new(server, request, kind, cx.now));
        context.branches.reserve_exact(1);
        self.branch(number, &mut context, Branch::new(client, cx.now, None, anchor), config, cx);
        self.servers.insert(server, number);
        self.contexts.insert(number, context);
        Ok(())
    }

    /// Whether a BYE ends the dialog of a phone that only rings (RFC 3261 §15): that phone refuses the INVITE then.
    fn leaves_early(&mut self, call_id: &str, sender: PartyName, config: &Config) -> bool {
        let number = self.early.context(call_id, &config.key).filter(|_| sender == PartyName::Caller);
        let context = number.and_then(|number| self.contexts.get_mut(&number));
        let context = context.filter(|one| one.is_new_call() && one.call_id() == call_id);
        context.map(|context| context.left = true).is_some()
    }

    /// Takes the key that an INFO tells of, where the other phone takes keys in the sound: whether it knows INFO is not
    /// negotiated, whether it knows events is.
    fn takes_key(&mut self, forward: &Forward, cx: &mut Context<'_>) -> bool {
        let key = forward.anchor.zip(keys::pressed(&forward.request));
        let taken = key.is_some_and(|(anchor, key)| self.anchors.press(anchor, forward.sender, key, cx));
        if taken {
            self.note_passed(forward.anchor, forward.sender, &forward.request);
        }
        taken
    }

    /// What a BYE of ours will have to know.
    fn note_passed(&mut self, anchor: Option<u64>, sender: PartyName, request: &Request) {
        let call_id = request.call_id().unwrap_or_default();
        let answered = anchor.and_then(|one| self.anchors.get_mut(one, call_id)?.answered.as_mut());
        if let Some(dialog) = answered.and_then(|one| one.dialog.as_mut()) {
            dialog.passed(sender, request);
        }
    }

    /// What the anchor of a call knows of a request's two parties, which came by `from`. An anchor has the media of one
    /// dialog; another answer to the same INVITE has to do without.
    pub(crate) fn locate(&mut self, forward: &mut Forward, from: &Flow, config: &Config) {
        let request = &forward.request;
        let callee_tag = match forward.sender {
            PartyName::Caller => request.to_tag(),
            PartyName::Callee => request.from_tag(),
        };
        let (call_id, tag) = (request.call_id().unwrap_or_default(), callee_tag.unwrap_or_default());
        forward.anchor = forward.anchor.filter(|anchor| self.anchors.holds(*anchor, call_id, tag));
        let Some(anchor) = forward.anchor else { return };
        self.anchors.heard_from(anchor, forward.sender, request, from, config);
        if let Some(party) = self.anchors.moved(anchor, forward.sender.other()) {
            (forward.to, forward.owner) = (party, None);
        }
    }

    /// Forwards an ACK to a 2xx, which has no transaction (§16.11 by analogy; §17).
    pub(crate) fn ack(&mut self, forward: Forward, config: &Config, cx: &mut Context<'_>) {
        // An SDP that cannot be relayed has no way to be refused in an ACK; the call's media will stay silent and
        // be ended for it.
        if let Ok(onward) = self.onward(&forward, config, cx) {
            cx.out.sip.transmit(forward.to.flow, onward.bytes().clone());
        }
    }

    fn onward(
        &mut self,
        forward: &Forward,
        config: &Config,
        cx: &mut Context<'_>,
    ) -> Result<Request, Refusal> {
        let request = &forward.request;
        let mut edit = request.edit();
        take_off(&mut edit, forward.ours);
        forward::forget_credentials(&mut edit, request, config);
        identity::forget_claims(&mut edit, request);
        let call_id = request.call_id().unwrap_or_default();
        // An offer in a PRACK cannot be refused (RFC 6337 §3.2), so it may be taken for an answer.
        let role = match request.method() {
            Method::Ack | Method::Prack => Role::Answer,
            _ => Role::Offer,
        };
        let said = (forward.sender, role);
        let body = match forward.anchor.filter(|_| is_sdp(request)) {
            Some(anchor) => Some(self.anchors.pass(anchor, call_id, said, request.body(), config, cx)?),
            None => None,
        };
        Ok(forward::onward(edit, request, &forward.to.flow, body, config, cx))
    }

    pub(super) fn number(&mut self) -> u64 {
        self.issued += 1;
        self.issued
    }
}

/// Sends a request to a party: over a stream if it is large, except where only the party's flow leads to it.
fn send(request: Request, party: &Party, transactions: &mut Transactions, cx: &mut Context<'_>) -> ClientId {
    if party.behind_nat {
        transactions.send_request_on(request, party.flow, &mut cx.sip())
    } else {
        transactions.send_request(request, party.flow, &mut cx.sip())
    }
}

/// Whether the media of a call has to go through us: unless both phones are in one network, reachable as they
/// say, the caller's SDP names addresses of that network, and both protect their media alike.
fn must_anchor(
    request: &Request,
    caller: &Party,
    callee: &Party,
    manners: [Manner; 2],
    config: &Config,
) -> bool {
    match config.anchor {
        AnchorPolicy::Always => true,
        AnchorPolicy::Never => false,
        AnchorPolicy::Auto => {
            let (near, far) = (caller.flow.remote.ip(), callee.flow.remote.ip());
            let browsers = config.srtp == SrtpPolicy::Off || manners == [Manner::Browser; 2];
            let plain = manners == [Manner::Plain; 2];
            let reachable = !caller.behind_nat && !callee.behind_nat && config.same_network(near, far);
            let sdp = is_sdp(request).then(|| offhook_sdp::Sdp::parse(request.body()).ok());
            let said = sdp.is_none_or(|sdp| {
                sdp.is_some_and(|sdp| {
                    let protected = sdp.media().any(|media| is_protected(&media));
                    let streams = offhook_sdp::remotes(&sdp);
                    let mut addresses = streams.iter().filter(|one| !one.off && !one.held).map(|one| one.rtp);
                    let near = |rtp: SocketAddr| config.same_network(rtp.ip(), near);
                    // A browser's addresses are its candidates.
                    browsers && manners[0] == Manner::Browser
                        || (browsers || !protected) && addresses.all(|rtp| rtp.is_some_and(near))
                })
            });
            !(reachable && said && (browsers || plain))
        }
    }
}

/// Whether only the flow of a request leads back to its sender.
pub(crate) fn is_behind_nat(request: &Request, flow: &Flow) -> bool {
    match request
        .contacts()
        .ok()
        .as_ref()
        .and_then(|contacts| contacts.list().first()?.uri().as_sip().cloned())
    {
        Some(contact) => behind_nat(request, &contact, flow),
        // Without a Contact there is no other way back than the one it came.
        None => true,
    }
}

/// On how many ways at once a request may be: what it says, within our limit (RFC 5393 §5.3.3.1).
fn breadth(request: &Request) -> u32 {
    request.max_breadth().ok().flatten().map_or(MAX_BREADTH, |given| given.min(MAX_BREADTH))
}

/// RFC 5393 §5.3.3.1.
const MAX_BREADTH: u32 = 60;
