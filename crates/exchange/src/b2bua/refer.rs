//! Transfer (RFC 3515, 5589): a phone in a call with a leg of ours wants the one it talks with to talk with somebody
//! else. That one need not know of it: whom the phone names is called by us, and then connected in its place.

use offhook_sip::{Method, Name, NameAddr, Replaces, Request, Status, Uri};
use offhook_sip_stack::transaction::ServerId;
use offhook_sip_stack::usage::Body;

use super::call::{CALLER, Call, With};
use super::dial::{Dial, ShownAs, Wanted};
use super::far::Halves;
use super::replace::Replacing;
use super::voice::Dialled;
use super::{CallId, Env, Table};
use crate::directory::AddressOfRecord;
use crate::io::ShardMessage;
use crate::locality::user_of;
use crate::refusal::Refusal;
use crate::speech;

/// A transfer under way, in the call of the one who is transferred.
pub(super) struct Referral {
    /// The call and the leg of the phone that wants it, which is told what comes of it.
    by: (CallId, u8),
    /// By which the phone tells one from another (RFC 3515 §2.4.6).
    id: u32,
    /// Whether it does not want to be told (RFC 4488).
    silent: bool,
    /// Its account.
    account: AddressOfRecord,
    /// Whom it has named.
    to: Uri,
}

/// A REFER that waits for its turn.
pub(crate) struct Refer {
    pub(super) call: CallId,
    pub(super) leg: u8,
    pub(super) server: ServerId,
    pub(super) request: Request,
}

/// What a phone wants.
struct Wish {
    /// The call of the one who is transferred.
    stays: CallId,
    by: AddressOfRecord,
    to: Uri,
    /// The call of that phone whose other party is meant.
    replaces: Option<Replaces>,
}

impl Table {
    /// Takes a REFER.
    pub(super) fn refer(&mut self, refer: &Refer, env: &mut Env<'_, '_>) {
        let Refer { call, leg, server, request } = refer;
        let wish = self.wish(refer, env);
        let silent = request.raw(Name::ReferSub).is_some_and(|value| value.starts_with(b"false"));
        let (status, headers) = match &wish {
            Ok(_) if silent => (Status::ACCEPTED, vec![("Refer-Sub".to_owned(), "false".to_owned())]),
            Ok(_) => (Status::ACCEPTED, Vec::new()),
            Err(refusal) => (refusal.status, Vec::new()),
        };
        let Some(leg_of) = self.calls.get_mut(call).and_then(|one| one.leg_mut(*leg)) else { return };
        leg_of.enter(env, |invite, stack| invite.respond(*server, request, status, &headers, stack));
        let Ok(wish) = wish else { return };
        let id = request.cseq().map(|cseq| cseq.number).unwrap_or_default();
        if let Some(referrer) = self.calls.get_mut(call) {
            referrer.refers = Some(wish.stays);
        }
        if let Some(stays) = self.calls.get_mut(&wish.stays) {
            let (account, to) = (wish.by.clone(), wish.to.clone());
            stays.referral = Some(Box::new(Referral { by: (*call, *leg), id, silent, account, to }));
        }
        self.notify(wish.stays, Status::TRYING, env);
        match wish.replaces {
            Some(replaces) => {
                let accounts = vec![wish.by];
                env.usages.replacing.push(Replacing { by: wish.stays, replaces: Some(replaces), accounts });
            }
            None => self.call_instead(wish.stays, env),
        }
    }

    fn wish(&self, refer: &Refer, env: &Env<'_, '_>) -> Result<Wish, Refusal> {
        let gone = || Refusal::from(Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST);
        let call = self.calls.get(&refer.call).ok_or_else(gone)?;
        let leg = call.leg(refer.leg).filter(|leg| leg.invite.is_established()).ok_or_else(gone)?;
        let by = leg.account.clone().ok_or(Status::FORBIDDEN)?;
        let bad = || Refusal::from(Status::BAD_REQUEST);
        let to = refer.request.refer_to().map_err(|_| bad())?.ok_or_else(bad)?.uri;
        let named = refer.request.referred_by().map_err(|_| bad())?;
        if named.is_some_and(|named| !is_account(&named, &by, env)) {
            return Err(Status::FORBIDDEN.into());
        }
        let (to, replaces) = match to {
            Uri::Sip(uri) => {
                if uri.param("method").is_some_and(|method| !method.eq_ignore_ascii_case("INVITE")) {
                    return Err(Status::NOT_IMPLEMENTED.into());
                }
                let replaces = uri.header("Replaces").map(|value| Replaces::parse(value.into())).transpose();
                (
                    Uri::Sip(uri.without_headers().without_param("method").detach()),
                    replaces.map_err(|_| bad())?,
                )
            }
            Uri::Tel(uri) => (Uri::Tel(uri), None),
            Uri::Other(_) => return Err(Status::UNSUPPORTED_URI_SCHEME.into()),
        };
        // Whose partner is of another shard stands in for it here.
        let far = call.talks_far().filter(|_| call.is_first(refer.leg)).map(|_| call.id);
        let stays = call.other_call(refer.leg).or(far).ok_or(Status::FORBIDDEN)?;
        let busy = |id: &CallId| self.calls.get(id).is_none_or(|one| one.referral.is_some() || one.ended);
        if busy(&stays) || call.refers.is_some() {
            return Err(Status::REQUEST_PENDING.into());
        }
        Ok(Wish { stays, by, to, replaces })
    }

    /// Whether a leg talks with a service and nobody else.
    pub(super) fn is_with_service(&self, (call, leg): (CallId, u8)) -> bool {
        let one = self.calls.get(&call);
        one.is_some_and(|one| one.is_half() && one.partner.is_none() && one.is_first(leg))
    }

    /// The service of another call of the phone has taken the one who is transferred, or has not.
    pub(crate) fn replaced_at(
        &mut self,
        (stays, call): (CallId, CallId),
        taken: bool,
        env: &mut Env<'_, '_>,
    ) {
        if taken {
            env.usages.let_go.push((call, None));
            self.transferred(stays, env);
        } else if self.calls.get(&stays).is_some_and(|one| one.referral.is_some()) {
            self.not_transferred(stays, Status::NOT_ACCEPTABLE_HERE, env);
        } else {
            self.not_replaced(stays, env);
        }
        self.settle(stays, env);
    }

    /// Whether a call has ended.
    pub(crate) fn is_over(&self, call: CallId) -> bool {
        self.calls.get(&call).is_none_or(|call| call.ended)
    }

    /// The service of a call.
    pub(crate) fn service_of(&self, call: CallId) -> Option<usize> {
        self.calls.get(&call)?.service
    }

    /// Whom the phone names is called.
    pub(super) fn call_instead(&mut self, id: CallId, env: &mut Env<'_, '_>) {
        let Some((stays, referral)) = self.calls.get(&id).and_then(|one| Some((one, one.referral.as_ref()?)))
        else {
            return;
        };
        let shown = ShownAs::Name(stays.shown_to(referral.by.1).map(Box::new));
        let dial = Dial::new(referral.to.to_string(), Some(referral.account.clone()), shown);
        let call = self.next();
        env.usages.wanted.push(Wanted { call, for_call: Some(id), service: NOBODY, dial });
    }

    /// Something has come of calling whom the phone has named.
    pub(super) fn referral_news(&mut self, stays: CallId, news: Dialled, env: &mut Env<'_, '_>) {
        match news {
            Dialled::Ringing => _ = self.notify(stays, Status::RINGING, env),
            // It is told when they are connected.
            Dialled::Answered(_) => {}
            Dialled::Failed(status) => self.not_transferred(stays, status, env),
        }
    }

    /// The one who is transferred is parted from the phone that wants it, and has an end of ours.
    pub(super) fn take_referred(&mut self, stays: CallId, env: &mut Env<'_, '_>) {
        let by = self.calls.get(&stays).and_then(|one| one.referral.as_ref()).map(|referral| referral.by);
        if let Some(by) = by {
            self.release(by, env);
        }
    }

    /// Parts a leg from the party that it talks with, whose call is returned; the leg itself is not ended.
    pub(super) fn release(&mut self, (call, leg): (CallId, u8), env: &mut Env<'_, '_>) -> Option<CallId> {
        if let Some(partner) = self.part(call, env) {
            return Some(partner);
        }
        let one = self.calls.get_mut(&call)?;
        one.take_apart(leg, env)?;
        Some(call)
    }

    /// It is done: the phone learns that, and goes.
    pub(super) fn transferred(&mut self, stays: CallId, env: &mut Env<'_, '_>) {
        let number = self.notify(stays, Status::OK, env);
        let Some(referral) = self.calls.get_mut(&stays).and_then(|one| one.referral.take()) else { return };
        let (call, leg) = referral.by;
        let Some(one) = self.calls.get_mut(&call) else { return };
        one.refers = None;
        match number {
            // Not before it has had that: a BYE that overtakes it would hide what came of it.
            Some(number) => one.leaves = Some((leg, number)),
            None => one.leave(leg, env),
        }
    }

    /// A service has taken the one who is transferred.
    pub(crate) fn given(&mut self, stays: CallId, env: &mut Env<'_, '_>) {
        self.transferred(stays, env);
        self.settle(stays, env);
    }

    fn not_transferred(&mut self, stays: CallId, status: Status, env: &mut Env<'_, '_>) {
        self.notify(stays, status, env);
        let Some(one) = self.calls.get_mut(&stays) else { return };
        let Some(referral) = one.referral.take() else { return };
        // Nobody is left to talk with.
        let is_gone = one.first.as_ref().is_none_or(|first| !first.invite.is_established());
        let has_none = one.partner.is_none() && (one.far.is_none() || is_gone);
        let is_alone = matches!(one.with, With::End(_)) && has_none;
        if is_alone && !one.ended {
            let reason = format!("SIP;cause={};text=\"The transfer has failed\"", status.code());
            env.usages.let_go.push((stays, Some(reason)));
        }
        if let Some(referrer) = self.calls.get_mut(&referral.by.0) {
            referrer.refers = None;
        }
    }

    /// Tells the phone how far it is (RFC 3515 §2.4.5); returns the number of the NOTIFY.
    fn notify(&mut self, stays: CallId, status: Status, env: &mut Env<'_, '_>) -> Option<u32> {
        let referral = self.calls.get(&stays)?.referral.as_ref().filter(|referral| !referral.silent)?;
        let ((call, leg), id) = (referral.by, referral.id);
        let state = match status.is_provisional() {
            true => "active;expires=180",
            false => "terminated;reason=noresource",
        };
        let header = |name: Name, value: String| (name.as_str().to_owned(), value);
        let headers = [
            header(Name::Event, format!("refer;id={id}")),
            header(Name::SubscriptionState, state.to_owned()),
        ];
        let text = format!("SIP/2.0 {} {}\r\n", status.code(), status.reason());
        let body = Body { content_type: SIPFRAG.to_owned(), bytes: text.into() };
        let leg = self.calls.get_mut(&call)?.leg_mut(leg)?;
        leg.enter(env, |invite, stack| invite.send(Method::Notify, &headers, Some(&body), stack))
    }

    /// A phone that has transferred its call has gone before anybody has answered: the other hears that it rings.
    pub(super) fn bereave(&mut self, stays: CallId, env: &mut Env<'_, '_>) {
        let Some(call) = self.calls.get_mut(&stays).filter(|call| !call.ended) else { return };
        call.partner = None;
        if let With::End(end) = &mut call.with {
            end.part(env);
            end.play(speech::ringing(), env);
        }
    }
}

impl Call {
    /// The call of the one with whom a leg talks.
    pub(super) fn other_call(&self, leg: u8) -> Option<CallId> {
        match &self.with {
            With::Phones(ring) => {
                let winner = ring.winner? as u8 + 1;
                (self.answered.is_some() && (leg == CALLER || leg == winner)).then_some(self.id)
            }
            With::End(_) => self.partner.filter(|_| self.is_first(leg)),
        }
    }

    /// How the one with whom a leg talks is shown to it, and so to others.
    fn shown_to(&self, leg: u8) -> Option<NameAddr> {
        match &self.with {
            With::Phones(ring) if leg != CALLER => Some(ring.asked.from.clone()),
            With::Phones(ring) => {
                let branch = ring.branches.get(ring.winner?)?;
                Some(branch.leg.invite.remote()?.clone().without_tag().detach())
            }
            With::End(_) => self.shown(),
        }
    }

    /// A leg goes.
    pub(super) fn leave(&mut self, leg: u8, env: &mut Env<'_, '_>) {
        if self.is_first(leg) && matches!(self.with, With::End(_)) {
            return self.hang_up_with(None, env);
        }
        if let Some(leg) = self.leg_mut(leg) {
            leg.enter(env, |invite, stack| invite.hangup(stack));
        }
    }

    /// Whether a leg that ends is of a phone that has transferred the call, so that the other stays.
    pub(super) fn outlives(&mut self, leg: u8, env: &mut Env<'_, '_>) -> bool {
        let Some(stays) = self.refers else { return false };
        if stays != self.id {
            self.partner = None;
            env.usages.bereaved.push(stays);
            return false;
        }
        let is_by = self.referral.as_ref().is_some_and(|referral| referral.by.1 == leg);
        if let Some((shard, call)) = self.far.filter(|_| is_by) {
            env.cx.out.shards.push((shard, ShardMessage::Halves(Halves::Bereaved { call })));
            return true;
        }
        if !is_by || self.take_apart(leg, env).is_none() {
            return false;
        }
        env.usages.bereaved.push(stays);
        true
    }
}

/// Whether an address is that of an account.
fn is_account(named: &NameAddr, account: &AddressOfRecord, env: &Env<'_, '_>) -> bool {
    let host = named.uri.as_sip().map(|uri| uri.host().to_string()).unwrap_or_default();
    let found = user_of(&named.uri).and_then(|user| env.directory.find(&user, &host, &env.config.domains));
    found.is_some_and(|found| found.address == *account)
}

/// In place of the number of a service: a transfer is nobody's.
pub(super) const NOBODY: usize = usize::MAX;
const SIPFRAG: &str = "message/sipfrag;version=2.0";
