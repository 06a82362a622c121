//! Calls that leave on the costs of an account.

use std::time::{Duration, Instant};

use offhook_sip::Status;

use super::Core;
use crate::b2bua::CallId;
use crate::context::{Alarm, Context};
use crate::directory::AddressOfRecord;
use crate::event::EndedBy;
use crate::identity::Caller;
use crate::refusal::Refusal;
use crate::spending::{Charge, Reached, Share, alarm};
use crate::trunks::Cost;

impl Core {
    /// Lets a call leave, on the costs of the account that answers for where it goes. Calls for help, and those of nobody
    /// here, cost no account anything.
    ///
    /// # Errors
    /// 403 if that account has spent what it may.
    pub(super) fn afford(
        &mut self,
        (caller, call_id): (&Caller, &str),
        number: &str,
        emergency: bool,
        cx: &mut Context<'_>,
    ) -> Result<Option<Charge>, Refusal> {
        let Some(account) = caller.account().filter(|_| !emergency) else { return Ok(None) };
        let admitted = self.proxy.active.spending.admit(account, number, cx.epoch.unix(cx.now));
        admitted.map(Some).map_err(|barred| {
            let what = barred.to_string();
            cx.event(alarm(call_id, account, what.clone(), false));
            Refusal::new(Status::FORBIDDEN, what)
        })
    }

    /// What is known of the costs of a call to a number.
    pub(super) fn cost(&self, charge: Option<Charge>, number: &str) -> Cost {
        let rates = &self.proxy.active.spending.rates;
        Cost {
            charged: charge.map(|charge| (charge.account, charge.day)),
            price: rates.price(number),
            currency: rates.currency().to_owned(),
        }
    }

    /// A charge is that of a bridged call, if that has come to be.
    pub(super) fn charge(&mut self, charge: Option<u64>, call: CallId, cx: &Context<'_>) {
        let goes_on = self.bridged.call_id(call).is_some();
        match charge {
            Some(id) if goes_on => self.proxy.active.spending.of_call(id, call, cx.epoch.unix(cx.now)),
            other => self.forgo(other, cx),
        }
    }

    /// Nothing comes of a charge.
    pub(super) fn forgo(&mut self, charge: Option<u64>, cx: &Context<'_>) {
        charge.into_iter().for_each(|id| self.proxy.active.spending.over(id, cx.epoch.unix(cx.now)));
    }

    /// Another shard, or the time before the start, says what an account has spent.
    pub(crate) fn note_spending(
        &mut self,
        shard: u8,
        account: AddressOfRecord,
        day: i32,
        share: Share,
        cx: &mut Context<'_>,
    ) {
        self.proxy.active.spending.note(shard, account, day, share, cx.epoch.unix(cx.now));
    }

    /// Tells the other shards what has changed, and arms the alarm for when something has to be looked at.
    pub(super) fn tell_spending(&mut self, cx: &mut Context<'_>) {
        let spending = &mut self.proxy.active.spending;
        while let Some(fact) = spending.changed() {
            cx.tell_others(self.config.shards, &fact);
        }
        if let Some(next) = spending.next_look() {
            cx.timers.arm(moment(next, cx), Alarm::Spending);
        }
    }

    /// Ends the calls of accounts that have spent what they may.
    pub(super) fn end_what_is_spent(&mut self, cx: &mut Context<'_>) {
        for Reached { id, call, account } in self.proxy.active.spending.reached(cx.epoch.unix(cx.now)) {
            let anchor = self.proxy.anchors.charged(id);
            let call_id = match (call, anchor) {
                (Some(call), _) => self.bridged.call_id(call),
                (None, Some(anchor)) => self.proxy.anchors.call_id(anchor),
                (None, None) => None,
            };
            let Some(call_id) = call_id else { continue };
            cx.event(alarm(call_id, &account, Reached::WORDS.to_owned(), true));
            if let Some(call) = call {
                let (bridged, mut env, _) = self.bridged(cx);
                bridged.end(call, Reached::REASON, (Status::FORBIDDEN, Reached::WORDS), &mut env);
            } else if let Some(anchor) = anchor {
                let why = (Reached::REASON, EndedBy::Exchange);
                self.proxy.end_call(anchor, why, &self.config, &mut self.transactions, cx);
            }
        }
    }
}

/// The moment of a Unix time.
fn moment(unix: Duration, cx: &Context<'_>) -> Instant {
    cx.epoch.instant + unix.saturating_sub(cx.epoch.unix)
}
