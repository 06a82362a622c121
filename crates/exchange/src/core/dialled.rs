//! Where those are whom services call.

use offhook_sip::{Status, Uri};

use super::Core;
use super::diversion::destination;
use super::outward::Way;
use super::searching::Place;
use super::trunks::Paid;
use crate::b2bua::{CallId, Halves, Wanted};
use crate::command::Answer;
use crate::config::Authentication;
use crate::context::Context;
use crate::directory::AddressOfRecord;
use crate::identity::Caller;
use crate::locality::user_of;
use crate::refusal::Refusal;
use crate::services::QueueShare;

impl Core {
    /// Calls those whom services want called.
    pub(super) fn call_for_services(&mut self, cx: &mut Context<'_>) {
        for (stays, call) in std::mem::take(&mut self.usages.given) {
            let (bridged, mut env, services) = self.bridged(cx);
            let taken = services.replaced(bridged, &mut env, (stays, call));
            bridged.replaced_at((stays, call), taken, &mut env);
        }
        self.pick_up(cx);
        self.replace_parties(cx);
        for wanted in std::mem::take(&mut self.usages.wanted) {
            if self.given(&wanted, cx) {
                continue;
            }
            let call = wanted.call;
            let mut places = Vec::new();
            let found = self.targets_of(&wanted, &mut places, cx);
            if !places.is_empty() {
                let (found, why) = match found {
                    Ok(found) => (found, None),
                    Err(why) => (Paid { targets: Vec::new(), charged: None }, Some(why)),
                };
                self.search(wanted, (found, why), places, cx);
                continue;
            }
            let charged = found.as_ref().map_or(None, |found| found.charged);
            let (bridged, mut env, _) = self.bridged(cx);
            bridged.dial(wanted, found.map(|found| found.targets), &mut env);
            self.charge(charged, call, cx);
        }
    }

    /// Gives the call that waits to a service, if it is a number of one that is called.
    fn given(&mut self, wanted: &Wanted, cx: &mut Context<'_>) -> bool {
        let (Some(call), [to]) = (wanted.for_call, wanted.dial.to.as_slice()) else { return false };
        let host = wanted.dial.by.as_ref().map_or(self.config.realm.as_str(), |by| by.host());
        let uri = destination(to, host);
        let user = uri.as_ref().filter(|uri| self.is_of_ours(uri)).and_then(user_of);
        let Some(user) = user else { return false };
        let (bridged, mut env, services) = self.bridged(cx);
        let given = services.given(bridged, &mut env, (call, &user, wanted.dial.by.as_ref()));
        if given {
            bridged.given(call, &mut env);
        }
        given
    }

    /// Another shard says something of halves of calls.
    pub(crate) fn halves(&mut self, said: Halves, cx: &mut Context<'_>) {
        match said {
            Halves::Parked { slot, shard, call } => {
                self.services.parked(slot, call.map(|call| (shard, CallId(call))));
            }
            Halves::PickUp { .. } | Halves::Replace { .. } => self.picked_up_from_far(said, cx),
            Halves::MayReplace { by, replaces, accounts } => {
                self.asked_to_replace(by, (&replaces, &accounts), cx);
            }
            Halves::Replaceable { question, may } => self.replaceable(question, may, cx),
            Halves::HandOver { question, to } => self.hand_over(question, to, cx),
            Halves::HandedBack { call_id } => self.replacers.handed_back(&call_id),
            of_calls => {
                let (bridged, mut env, _) = self.bridged(cx);
                bridged.far(of_calls, &mut env);
            }
        }
    }

    /// Another shard says what it has of a queue.
    pub(crate) fn queue_elsewhere(
        &mut self,
        shard: u8,
        number: &str,
        share: QueueShare,
        cx: &mut Context<'_>,
    ) {
        let (bridged, mut env, services) = self.bridged(cx);
        services.shared(bridged, &mut env, (shard, number, share));
    }

    fn is_of_ours(&self, uri: &Uri) -> bool {
        match uri {
            Uri::Sip(uri) => self.config.serves(&uri.host().to_string()),
            Uri::Tel(_) => true,
            Uri::Other(_) => false,
        }
    }

    /// Calls an account that is to talk with somebody; the account's home does, so that it is called once.
    pub(super) fn connect(&mut self, account: &AddressOfRecord, to: &str, cx: &mut Context<'_>) -> Answer {
        if !self.is_home(account, cx) {
            return Answer::Done;
        }
        if self.directory.account(account).is_none() {
            return Answer::Refused("There is no such account");
        }
        let (bridged, mut env, services) = self.bridged(cx);
        match services.wish(bridged, &mut env, (account, to)) {
            true => Answer::Done,
            false => Answer::Refused("Too many calls are being set up"),
        }
    }

    /// The button at a camera was pressed; one shard sees to that.
    pub(super) fn press_button(&mut self, camera: &str, cx: &mut Context<'_>) -> Answer {
        if cx.shard != 0 {
            return Answer::Done;
        }
        let (bridged, mut env, services) = self.bridged(cx);
        match services.pressed(bridged, &mut env, camera) {
            Some(Ok(())) => Answer::Done,
            Some(Err(why)) => Answer::Refused(why),
            None => Answer::Refused("There is no such camera"),
        }
    }

    /// All the targets of a call of ours, or why there are none; `places` are those whose servers are not known yet.
    fn targets_of(
        &mut self,
        wanted: &Wanted,
        places: &mut Vec<Place>,
        cx: &mut Context<'_>,
    ) -> Result<Paid, Refusal> {
        let Wanted { dial, .. } = wanted;
        if self.draining {
            return Err(Status::SERVICE_UNAVAILABLE.into());
        }
        let (caller, call_id) = self.caller_for(wanted);
        let (mut all, mut why) = (Paid { targets: Vec::new(), charged: None }, None);
        for to in &dial.to {
            match self.targets_at(to, (&caller, &call_id), places, cx) {
                // One answers: what another would have cost is not spent.
                Ok(paid) => {
                    let before = all.add(paid);
                    self.forgo(before, cx);
                }
                Err(refusal) => why = Some(refusal),
            }
        }
        match why {
            Some(why) if all.targets.is_empty() && places.is_empty() => Err(why),
            _ => Ok(all),
        }
    }

    fn targets_at(
        &mut self,
        to: &str,
        (caller, call_id): (&Caller, &str),
        places: &mut Vec<Place>,
        cx: &mut Context<'_>,
    ) -> Result<Paid, Refusal> {
        let host = caller.account().map_or(self.config.realm.as_str(), |account| account.host());
        let uri = destination(to, host).ok_or(Status::NOT_FOUND)?;
        let way = if self.is_of_ours(&uri) {
            self.way_to(user_of(&uri), &uri, caller, None, cx.unix())?
        } else {
            Way::elsewhere(&uri)?
        };
        self.targets_by(way, (caller, call_id), places, cx)
    }

    /// The targets to which a way leads, or the place that has to be looked for first.
    pub(super) fn targets_by(
        &mut self,
        way: Way,
        (caller, call_id): (&Caller, &str),
        places: &mut Vec<Place>,
        cx: &mut Context<'_>,
    ) -> Result<Paid, Refusal> {
        match way {
            Way::Sought(sought) => match Place::of_number(sought) {
                Ok(place) => {
                    places.push(place);
                    Ok(Paid { targets: Vec::new(), charged: None })
                }
                Err(otherwise) => self.targets_by(*otherwise?, (caller, call_id), places, cx),
            },
            Way::Phones(found) => {
                let account = found.account;
                let mut phones = found.phones?;
                phones.iter_mut().for_each(|one| one.account.clone_from(&account));
                Ok(Paid { targets: phones, charged: None })
            }
            Way::Trunks(by) => self.lines(&by, false, (caller, call_id), cx),
            Way::Out(to) => {
                let (place, charged) = self.place(to, (caller, call_id), cx)?;
                places.push(place);
                Ok(Paid { targets: Vec::new(), charged })
            }
        }
    }

    /// Who answers for a call of ours, and the Call-ID of the call for which it is.
    pub(super) fn caller_for(&self, wanted: &Wanted) -> (Caller, String) {
        let account = wanted.dial.by.as_ref().and_then(|by| self.directory.account(by)).cloned();
        let caller = match account {
            Some(account) => Caller::Account(account),
            None if self.config.authentication == Authentication::Off => Caller::Unproven,
            None => Caller::Stranger,
        };
        let call_id = wanted.for_call.and_then(|call| self.bridged.call_id(call)).unwrap_or_default();
        (caller, call_id.to_owned())
    }
}
