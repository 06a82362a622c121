//! Registers: the work of a load of registrations, and what callees do before they are called.

use super::context::Context;
use super::heard::Heard;
use super::text::{self, Crowd, Sender};
use super::timers::Owner;

/// Accounts of one crowd that register.
#[derive(Debug)]
pub(super) struct Registrants {
    crowd: Crowd,
    kind: u8,
    units: Vec<Registrant>,
}

#[derive(Clone, Debug, Default)]
struct Registrant {
    state: State,
    /// Moves on with every request, so that its timers are void.
    generation: u32,
    cseq: u32,
    began: u64,
    sent: u64,
    /// What is sent again.
    request: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Idle,
    Asked,
    /// Asked again, with an answer to the challenge.
    Proving,
}

impl Registrants {
    /// Those of the load.
    pub(super) const LOAD: u8 = b'r';
    /// The callees.
    pub(super) const CALLEES: u8 = b'q';

    pub(super) fn new(crowd: Crowd, kind: u8) -> Self {
        let units = vec![Registrant::default(); crowd.len() as usize];
        Self { crowd, kind, units }
    }

    /// Begins the registration of an account; not if it is still at it.
    pub(super) fn begin(&mut self, account: u32, cx: &mut Context) {
        let unit = &mut self.units[account as usize];
        if unit.state != State::Idle {
            cx.tally.skipped += 1;
            return;
        }
        cx.tally.started += 1;
        unit.state = State::Asked;
        unit.began = cx.now;
        self.ask(account, &[], cx);
    }

    fn ask(&mut self, account: u32, authorization: &[u8], cx: &mut Context) {
        let (door, port) = self.door(account, cx);
        let unit = &mut self.units[account as usize];
        unit.cseq += 1;
        unit.generation += 1;
        unit.sent = cx.moment();
        let (kind, branch, cseq) = (self.kind, unit.generation, unit.cseq);
        let sender = Sender { plan: &cx.plan, account, unit: account, kind, port, branch, cseq };
        text::register(sender, &self.crowd, authorization, &mut unit.request);
        cx.send(door, &unit.request);
        let (owner, generation) = (Owner::Registrant(account), unit.generation);
        cx.timers.again_within_t2(cx.now, owner, generation, 0);
        cx.timers.patience(cx.now, cx.patience(), owner, generation);
    }

    /// A response to one of ours.
    pub(super) fn response(&mut self, account: usize, heard: &Heard<'_>, cx: &mut Context) {
        let Some(unit) = self.units.get_mut(account) else { return };
        if unit.state == State::Idle || heard.cseq_number != unit.cseq || heard.status < 200 {
            return;
        }
        let account = account as u32;
        if matches!(heard.status, 401 | 407) && unit.state == State::Asked {
            cx.tally.challenged += 1;
            cx.tally.challenge.add(cx.now.saturating_sub(unit.sent));
            if let Some(field) = self.prove(account, heard, cx) {
                self.units[account as usize].state = State::Proving;
                self.ask(account, &field, cx);
                return;
            }
        }
        let unit = &mut self.units[account as usize];
        let began = unit.began;
        unit.end();
        if heard.status == 200 {
            cx.tally.completed += 1;
            let took = cx.now.saturating_sub(began);
            cx.tally.register.add(took);
            if took <= cx.plan.in_time.as_nanos() as u64 {
                cx.tally.in_time += 1;
            } else {
                cx.tally.bad(began);
            }
        } else {
            cx.tally.fail(began);
        }
    }

    fn prove(&self, account: u32, heard: &Heard<'_>, cx: &Context) -> Option<Vec<u8>> {
        let (user, uri) = (self.crowd.user(account), format!("sip:{}", self.crowd.host));
        let password = cx.plan.password.as_deref()?;
        text::authorization(heard, cx.plan.digest, "REGISTER", &uri, &user, password)
    }

    /// Sends again.
    pub(super) fn again(&mut self, account: u32, generation: u32, sent: u8, cx: &mut Context) {
        let (door, _) = self.door(account, cx);
        let unit = &self.units[account as usize];
        if unit.state != State::Idle && unit.generation == generation {
            cx.tally.retransmitted += 1;
            cx.send(door, &unit.request);
            cx.timers.again_within_t2(cx.now, Owner::Registrant(account), generation, sent + 1);
        }
    }

    /// Nobody answered.
    pub(super) fn give_up(&mut self, account: u32, generation: u32, cx: &mut Context) {
        let unit = &mut self.units[account as usize];
        if unit.state != State::Idle && unit.generation == generation {
            cx.tally.timed_out += 1;
            cx.tally.fail(unit.began);
            unit.end();
        }
    }

    fn door(&self, account: u32, cx: &Context) -> (usize, u16) {
        if self.kind == Self::CALLEES { cx.callee_door(account) } else { cx.caller_door(account) }
    }
}

impl Registrant {
    fn end(&mut self) {
        self.state = State::Idle;
        self.generation += 1;
        self.request = Vec::new();
    }
}
