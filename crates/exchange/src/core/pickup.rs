//! Calls that ring, and that somebody else takes than whom they ring at.

use offhook_sip::Status;

use super::Core;
use crate::b2bua::{Arriving, CallId, Called, Calls, Endpoint, Halves, PickUp, Replacing};
use crate::context::Context;
use crate::directory::AddressOfRecord;
use crate::io::ShardMessage;
use crate::locality::user_of;

impl Core {
    /// Carries out what services want picked up.
    pub(super) fn pick_up(&mut self, cx: &mut Context<'_>) {
        for PickUp { by, accounts, service } in std::mem::take(&mut self.usages.pickups) {
            let found = self.take_ringing(&accounts, service, cx);
            let (bridged, mut env, _) = self.bridged(cx);
            let connected = found.is_some_and(|found| bridged.connect_now(by, found, &mut env));
            if !connected {
                let left = (0..self.config.shards).filter(|shard| *shard != cx.shard).collect();
                let said = Halves::PickUp { by: (cx.shard, by.0), accounts, service, left };
                self.pass_on(said, cx);
            }
        }
    }

    /// Puts parties into the places of others.
    pub(super) fn replace_parties(&mut self, cx: &mut Context<'_>) {
        for wanted in std::mem::take(&mut self.usages.replacing) {
            let (bridged, mut env, _) = self.bridged(cx);
            if !bridged.replace(&wanted, &mut env) {
                let left = (0..self.config.shards).filter(|shard| *shard != cx.shard).collect();
                let Replacing { by, replaces, accounts } = wanted;
                self.pass_on(Halves::Replace { by: (cx.shard, by.0), replaces, accounts, left }, cx);
            }
        }
    }

    /// The next shard is asked, or the one who asks learns that there is nothing.
    fn pass_on(&mut self, mut said: Halves, cx: &mut Context<'_>) {
        let Some((left, by)) = said.asked() else { return };
        let (to, said) = match left.pop() {
            Some(next) => (next, said),
            None => (by.0, Halves::Met { call: by.1, with: (cx.shard, 0), room: None }),
        };
        if to == cx.shard {
            return self.halves(said, cx);
        }
        cx.out.shards.push((to, ShardMessage::Halves(said)));
    }

    /// Another shard asks for a call that rings, or the place of somebody.
    pub(super) fn picked_up_from_far(&mut self, said: Halves, cx: &mut Context<'_>) {
        if let Halves::Replace { by, replaces, accounts, .. } = &said {
            let (bridged, mut env, _) = self.bridged(cx);
            if !bridged.replace_for(*by, (replaces.as_ref(), accounts), &mut env) {
                self.pass_on(said, cx);
            }
            return;
        }
        let Halves::PickUp { by, accounts, service, .. } = &said else { return };
        match self.take_ringing(accounts, *service, cx) {
            Some(found) => {
                let (bridged, mut env, _) = self.bridged(cx);
                bridged.meet_from_far(*by, found, &mut env);
            }
            None => self.pass_on(said, cx),
        }
    }

    /// Takes a call that rings at one of these accounts away from its phones: a half of a call comes of it.
    fn take_ringing(
        &mut self,
        accounts: &[AddressOfRecord],
        service: usize,
        cx: &mut Context<'_>,
    ) -> Option<CallId> {
        let (bridged, mut env, _) = self.bridged(cx);
        if let Some(found) = bridged.take_ringing(accounts, service, &mut env) {
            return Some(found);
        }
        let number = self.proxy.ringing_numbers().find(|number| {
            let account = self.proxy.called(*number).and_then(|(account, request)| {
                account.or_else(|| {
                    let uri = request.uri().ok()?;
                    let host = uri.as_sip().map(|uri| uri.host().to_string()).unwrap_or_default();
                    let found = self.directory.find(&user_of(&uri)?, &host, &self.config.domains)?;
                    Some(found.address.clone())
                })
            });
            account.is_some_and(|account| accounts.contains(&account))
        })?;
        let (server, asking) = self.proxy.take_away(number, &mut self.transactions, cx)?;
        let called = Called::default();
        let arriving = Arriving { server, asking: &asking, called: &called, targets: Vec::new() };
        let (bridged, mut env, _) = self.bridged(cx);
        let (call, mut calls) = Calls::new(bridged, &mut env, arriving);
        calls.service = service;
        let answered = calls.answer(call, Endpoint::Voice);
        let request = asking.request;
        self.proxy.hand_over(number);
        match answered {
            Ok(()) => Some(call),
            Err(refusal) => {
                let answer = refusal.response(&request, &self.stateless_tag(&request));
                debug_assert!(answer.status() != Status::OK);
                self.fail(server, answer, cx);
                None
            }
        }
    }
}
