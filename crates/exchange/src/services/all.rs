//! The services of a shard: each point of a call is brought to those whom it concerns.

use super::{CallBackNews, Incoming, Outcome, QueueShare, SERVICES, Service, Settings, Verdict, Why};
use crate::b2bua::{Arriving, CallId, Calls, Env, LegId, Point, Table};
use crate::command::{Guest, Moderation, QueueReport};
use crate::config::Config;
use crate::directory::{AddressOfRecord, Delta};
use crate::refusal::Refusal;

/// The services of a shard.
pub(crate) struct Services(Vec<Box<dyn Service>>);

impl Services {
    pub(crate) fn new(config: &Config) -> Self {
        Self(SERVICES.iter().map(|kind| (kind.make)(&config.services)).collect())
    }

    /// Tells them of other settings.
    pub(crate) fn configure(&mut self, settings: &Settings) {
        self.0.iter_mut().for_each(|service| service.configure(settings));
    }

    /// Asks them about a call, one after the other.
    ///
    /// # Errors
    /// What the caller is told when one of them wants it to go no further.
    pub(crate) fn incoming(
        &mut self,
        table: &mut Table,
        env: &mut Env<'_, '_>,
        arriving: Arriving<'_>,
    ) -> Result<Incoming, Refusal> {
        let (call, mut calls) = Calls::new(table, env, arriving);
        for (number, service) in self.0.iter_mut().enumerate() {
            calls.service = number;
            match service.incoming(call, &mut calls) {
                Verdict::Continue | Verdict::Divert(_) => {}
                Verdict::Reject(refusal) | Verdict::Unanswered(_, refusal) => return Err(refusal),
                Verdict::Hunt(hunt) => return Ok(Incoming::Hunt(hunt)),
                Verdict::Handled => return Ok(Incoming::Handled),
            }
        }
        Ok(Incoming::Passed)
    }

    /// Tells the service that has a call what has happened to it.
    pub(crate) fn point(
        &mut self,
        table: &mut Table,
        env: &mut Env<'_, '_>,
        (call, service, point): (CallId, usize, Point),
    ) {
        // One that another service has taken goes on.
        let ended = point == Point::Ended && table.is_over(call);
        if let Point::Digit(key) = &point {
            let leg = Calls::at_point(table, env, service).first_leg(call);
            leg.into_iter().for_each(|leg| self.keyed(table, env, (leg, *key)));
        }
        if let Some(one) = self.0.get_mut(service) {
            one.point(call, point, &mut Calls::at_point(table, env, service));
        }
        if ended {
            for (number, service) in self.0.iter_mut().enumerate() {
                service.over(call, &mut Calls::at_point(table, env, number));
            }
        }
    }

    /// Tells all of them of a key.
    pub(crate) fn keyed(&mut self, table: &mut Table, env: &mut Env<'_, '_>, (by, key): (LegId, char)) {
        for (number, service) in self.0.iter_mut().enumerate() {
            service.keyed(by, key, &mut Calls::at_point(table, env, number));
        }
    }

    /// Tells all of them who is free, or has called in vain.
    pub(crate) fn news(&mut self, table: &mut Table, env: &mut Env<'_, '_>, news: &CallBackNews) {
        for (number, service) in self.0.iter_mut().enumerate() {
            service.news(news, &mut Calls::at_point(table, env, number));
        }
    }

    /// Tells all of them what another shard has of a queue.
    pub(crate) fn shared(
        &mut self,
        table: &mut Table,
        env: &mut Env<'_, '_>,
        (shard, queue, share): (u8, &str, QueueShare),
    ) {
        for (number, service) in self.0.iter_mut().enumerate() {
            service.shared((shard, queue), share.clone(), &mut Calls::at_point(table, env, number));
        }
    }

    /// Tells all of them who waits in a slot in another shard.
    pub(crate) fn parked(&mut self, slot: u32, call: Option<(u8, CallId)>) {
        self.0.iter_mut().for_each(|service| service.parked(slot, call));
    }

    /// Lets a call take the place of another at the service that has that; false if it does not want that.
    pub(crate) fn replaced(
        &mut self,
        table: &mut Table,
        env: &mut Env<'_, '_>,
        (by, call): (CallId, CallId),
    ) -> bool {
        let Some(number) = table.service_of(call) else { return false };
        let Some(service) = self.0.get_mut(number) else { return false };
        let mut calls = Calls::at_point(table, env, number);
        service.replaced(call, by, &mut calls)
    }

    /// Gives a call to the service that a number is of; false if it is of none.
    pub(crate) fn given(
        &mut self,
        table: &mut Table,
        env: &mut Env<'_, '_>,
        (call, to, by): (CallId, &str, Option<&AddressOfRecord>),
    ) -> bool {
        self.0.iter_mut().enumerate().any(|(number, service)| {
            let mut calls = Calls::at_point(table, env, number);
            service.given(call, (to, by), &mut calls)
        })
    }

    /// Somebody wants an account to talk with another; false if no service sees to that.
    pub(crate) fn wish(
        &mut self,
        table: &mut Table,
        env: &mut Env<'_, '_>,
        (account, to): (&AddressOfRecord, &str),
    ) -> bool {
        self.0.iter_mut().enumerate().any(|(number, service)| {
            let mut calls = Calls::at_point(table, env, number);
            service.wish(account, to, &mut calls)
        })
    }

    /// The button at a camera was pressed; see [`Service::pressed`].
    pub(crate) fn pressed(
        &mut self,
        table: &mut Table,
        env: &mut Env<'_, '_>,
        camera: &str,
    ) -> Option<Result<(), &'static str>> {
        self.0.iter_mut().enumerate().find_map(|(number, service)| {
            let mut calls = Calls::at_point(table, env, number);
            service.pressed(camera, &mut calls)
        })
    }

    /// Who is in rooms.
    pub(crate) fn guests(&self, table: &mut Table, env: &mut Env<'_, '_>) -> Vec<Guest> {
        let calls = Calls::at_point(table, env, 0);
        self.0.iter().flat_map(|service| service.guests(&calls)).collect()
    }

    /// Does something in a room; returns to how many it happened.
    pub(crate) fn moderate(&mut self, table: &mut Table, env: &mut Env<'_, '_>, asked: &Moderation) -> usize {
        let mut done = 0;
        for (number, service) in self.0.iter_mut().enumerate() {
            done += service.moderate(asked, &mut Calls::at_point(table, env, number));
        }
        done
    }

    /// Tells the service that has a call what became of what it wanted kept.
    pub(crate) fn kept(&mut self, table: &mut Table, env: &mut Env<'_, '_>, (call, is_kept): (CallId, bool)) {
        let Some(number) = table.service_of(call) else { return };
        let mut calls = Calls::at_point(table, env, number);
        if let Some(service) = self.0.get_mut(number) {
            service.kept(call, is_kept, &mut calls);
        }
    }

    /// Tells all of them of a fact.
    pub(crate) fn changed(&mut self, table: &mut Table, env: &mut Env<'_, '_>, delta: &Delta) {
        for (number, service) in self.0.iter_mut().enumerate() {
            service.changed(delta, &mut Calls::at_point(table, env, number));
        }
    }

    /// The queues.
    pub(crate) fn queues(&self, table: &mut Table, env: &mut Env<'_, '_>) -> Vec<QueueReport> {
        let calls = Calls::at_point(table, env, 0);
        self.0.iter().flat_map(|service| service.queues(&calls)).collect()
    }

    /// Tells a service that a time has come.
    pub(crate) fn due(&mut self, table: &mut Table, env: &mut Env<'_, '_>, (number, what): (usize, u64)) {
        if let Some(service) = self.0.get_mut(number) {
            service.due(what, &mut Calls::at_point(table, env, number));
        }
    }

    /// Tells all of them what a folder of recordings holds now.
    pub(crate) fn mailbox(&mut self, folder: &str, files: &[String]) -> Option<(AddressOfRecord, u32, u32)> {
        self.0.iter_mut().filter_map(|service| service.mailbox(folder, files)).last()
    }

    /// The same as [`Services::incoming`], for a call of which it is known whom it is for.
    ///
    /// # Errors
    /// As before.
    pub(crate) fn routed(
        &mut self,
        table: &mut Table,
        env: &mut Env<'_, '_>,
        arriving: Arriving<'_>,
    ) -> Result<Outcome, Refusal> {
        let (call, mut calls) = Calls::new(table, env, arriving);
        for (number, service) in self.0.iter_mut().enumerate() {
            calls.service = number;
            if let Some(outcome) = outcome(service.routed(call, &mut calls))? {
                return Ok(outcome);
            }
        }
        let (targets, rings_for) = calls.into_targets();
        Ok(Outcome::Phones(targets, rings_for))
    }

    /// The same, for a call that nobody takes; `None` if nothing becomes of it.
    ///
    /// # Errors
    /// As before.
    pub(crate) fn unanswered(
        &mut self,
        table: &mut Table,
        env: &mut Env<'_, '_>,
        arriving: Arriving<'_>,
        why: Why,
    ) -> Result<Option<Outcome>, Refusal> {
        let (call, mut calls) = Calls::new(table, env, arriving);
        for (number, service) in self.0.iter_mut().enumerate() {
            calls.service = number;
            match outcome(service.unanswered(call, why, &mut calls))? {
                // It was so before.
                None | Some(Outcome::Unanswered(..)) => {}
                other => return Ok(other),
            }
        }
        Ok(None)
    }
}

/// What a verdict means for a call that is for somebody; `None`: nothing.
fn outcome(verdict: Verdict) -> Result<Option<Outcome>, Refusal> {
    Ok(match verdict {
        Verdict::Continue | Verdict::Hunt(_) => None,
        Verdict::Reject(refusal) => return Err(refusal),
        Verdict::Unanswered(why, refusal) => Some(Outcome::Unanswered(why, refusal)),
        Verdict::Divert(diversion) => Some(Outcome::Diverted(diversion)),
        Verdict::Handled => Some(Outcome::Handled),
    })
}
