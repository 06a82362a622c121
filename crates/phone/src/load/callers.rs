//! The callers' sides: INVITE, ACK, BYE.

use std::net::SocketAddr;

use super::context::Context;
use super::heard::{self, Heard};
use super::sound;
use super::speech::Guard;
use super::text::{self, Dialog, Sender};
use super::timers::Owner;

/// All calls of a load, by number.
#[derive(Debug, Default)]
pub(super) struct Callers {
    calls: Vec<Call>,
}

#[derive(Debug, Default)]
struct Call {
    state: State,
    /// Moves on with every request, so that its timers are void.
    generation: u32,
    cseq: u32,
    /// Of the INVITE, for the ACK of a refusal.
    branch: u32,
    began: u64,
    sent: u64,
    proving: bool,
    answered_in_time: bool,
    /// What is sent again: INVITE, ACK or BYE.
    request: Vec<u8>,
    dialog: Option<Box<Dialog>>,
    /// Where the other side wants to hear us, and the keys for it.
    sound: Option<SocketAddr>,
    guard: Option<Box<Guard>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Idle,
    /// INVITE is out and nobody said anything: it is sent again.
    Calling,
    /// A provisional response came.
    Proceeding,
    Ringing,
    Up,
    /// BYE is out.
    Leaving,
    Over,
}

impl Callers {
    pub(super) const KIND: u8 = b'c';

    /// Begins the next call.
    pub(super) fn begin(&mut self, cx: &mut Context) {
        let number = self.calls.len() as u32;
        cx.tally.started += 1;
        self.calls.push(Call { began: cx.now, ..Call::default() });
        self.invite(number, &[], cx);
    }

    fn invite(&mut self, number: u32, authorization: &[u8], cx: &mut Context) {
        let call = &mut self.calls[number as usize];
        call.state = State::Calling;
        call.cseq += 1;
        call.branch = call.generation + 1;
        let sender = call.sender(number, cx);
        let mut request = Vec::new();
        let sound = cx.sound_port(0);
        text::invite(sender, &cx.plan.callee(number), sound, authorization, &mut request);
        if cx.repeats() {
            cx.send(cx.caller_door(number).0, &request);
        }
        self.launch(number, request, cx);
    }

    /// Sends a request that wants an answer.
    fn launch(&mut self, number: u32, request: Vec<u8>, cx: &mut Context) {
        let call = &mut self.calls[number as usize];
        call.generation += 1;
        call.sent = cx.moment();
        call.request = request;
        cx.send(cx.caller_door(number).0, &call.request);
        let (owner, generation) = (Owner::Caller(number), call.generation);
        cx.timers.again(cx.now, owner, generation, 0);
        cx.timers.patience(cx.now, cx.patience(), owner, generation);
    }

    /// A response to one of ours. `hesitated`: the nanoseconds that its callee, who is ours too, let the INVITE lie.
    pub(super) fn response(&mut self, number: usize, heard: &Heard<'_>, hesitated: u64, cx: &mut Context) {
        if number >= self.calls.len() {
            return;
        }
        let number = number as u32;
        match (heard.cseq_method, heard.status) {
            (b"INVITE", ..200) => self.provisional(number, heard, hesitated, cx),
            (b"INVITE", 200..300) => self.answered(number, heard, cx),
            (b"INVITE", _) => self.refused(number, heard, cx),
            (b"BYE", 200..) => self.left(number, heard.status, cx),
            _ => {}
        }
    }

    fn provisional(&mut self, number: u32, heard: &Heard<'_>, hesitated: u64, cx: &mut Context) {
        let call = &mut self.calls[number as usize];
        if !call.is_waiting() || heard.cseq_number != call.cseq {
            return;
        }
        if call.state == State::Calling && heard.status == 100 {
            cx.tally.trying.add(cx.now.saturating_sub(call.sent));
        }
        if heard.status == 180 && call.state != State::Ringing {
            cx.tally.ringing.add(cx.now.saturating_sub(call.began + hesitated));
            call.state = State::Ringing;
        } else if call.state == State::Calling {
            call.state = State::Proceeding;
        }
    }

    fn answered(&mut self, number: u32, heard: &Heard<'_>, cx: &mut Context) {
        let door = cx.caller_door(number).0;
        let call = &mut self.calls[number as usize];
        if !call.is_waiting() {
            cx.tally.duplicates += 1;
            match call.state {
                // Our ACK was lost.
                State::Up => cx.send(door, &call.request),
                // We had given up: confirm and leave, as a phone would.
                State::Over if call.dialog.is_none() => self.confirm(number, heard, cx),
                _ => {}
            }
            return;
        }
        let took = cx.now.saturating_sub(call.began);
        cx.tally.answered += 1;
        cx.tally.answer.add(took);
        call.answered_in_time = took <= cx.plan.in_time.as_nanos() as u64;
        call.sound = cx.sound.and_then(|_| sound::address_in(heard.body));
        call.guard = call.sound.and_then(|sound| cx.plan.speech.guard(heard.body, sound));
        call.state = State::Up;
        self.confirm(number, heard, cx);
        if cx.plan.held.is_none() {
            let (hold, generation) = (cx.plan.hold.as_nanos() as u64, self.calls[number as usize].generation);
            match hold {
                0 => self.leave(number, cx),
                _ => cx.timers.hold(cx.now, hold, Owner::Caller(number), generation),
            }
        }
    }

    /// ACKs a 2xx.
    fn confirm(&mut self, number: u32, heard: &Heard<'_>, cx: &mut Context) {
        let call = &mut self.calls[number as usize];
        let mut routes = Vec::new();
        heard::write_routes(&heard.record_routes, &mut routes);
        let dialog = Dialog { routes, target: heard.remote_target().to_vec(), to: heard.to.to_vec() };
        call.generation += 1;
        let sender = Sender { branch: call.generation, ..call.sender(number, cx) };
        let mut request = Vec::new();
        text::within(sender, &dialog, "ACK", &mut request);
        cx.send(cx.caller_door(number).0, &request);
        if call.state == State::Over {
            let sender =
                Sender { branch: call.generation + 1, cseq: call.cseq + 1, ..call.sender(number, cx) };
            text::within(sender, &dialog, "BYE", &mut request);
            cx.send(cx.caller_door(number).0, &request);
            request.clear();
        }
        call.request = request;
        call.dialog = Some(Box::new(dialog));
    }

    fn refused(&mut self, number: u32, heard: &Heard<'_>, cx: &mut Context) {
        let call = &mut self.calls[number as usize];
        let sender = Sender { branch: call.branch, ..call.sender(number, cx) };
        let target = cx.plan.callee(number).into_owned();
        let mut ack = Vec::new();
        text::ack_refusal(sender, &target, heard.to, &mut ack);
        cx.send(cx.caller_door(number).0, &ack);
        if !call.is_waiting() || heard.cseq_number != call.cseq {
            return;
        }
        if matches!(heard.status, 401 | 407) && !call.proving {
            cx.tally.challenged += 1;
            cx.tally.challenge.add(cx.now.saturating_sub(call.sent));
            call.proving = true;
            if let Some(field) = prove(number, heard, cx) {
                self.invite(number, &field, cx);
                return;
            }
        }
        cx.tally.fail(call.began);
        call.end();
    }

    /// Hangs up.
    pub(super) fn leave(&mut self, number: u32, cx: &mut Context) {
        let call = &mut self.calls[number as usize];
        let Some(dialog) = call.dialog.as_deref().filter(|_| call.state == State::Up) else { return };
        call.state = State::Leaving;
        call.cseq += 1;
        let sender = Sender { branch: call.generation + 1, ..call.sender(number, cx) };
        let mut request = Vec::new();
        text::within(sender, dialog, "BYE", &mut request);
        self.launch(number, request, cx);
    }

    fn left(&mut self, number: u32, status: u16, cx: &mut Context) {
        let call = &mut self.calls[number as usize];
        if call.state != State::Leaving {
            return;
        }
        cx.tally.bye.add(cx.now.saturating_sub(call.sent));
        if status == 200 {
            cx.tally.completed += 1;
            match call.answered_in_time {
                // Those of the time after an overload are not what it let through.
                true => cx.tally.in_time += u64::from(number < cx.plan.count),
                false => cx.tally.bad(call.began),
            }
        } else {
            cx.tally.fail(call.began);
        }
        call.end();
    }

    /// Sends again.
    pub(super) fn again(&mut self, number: u32, generation: u32, sent: u8, cx: &mut Context) {
        let call = &self.calls[number as usize];
        if call.generation != generation || !matches!(call.state, State::Calling | State::Leaving) {
            return;
        }
        cx.tally.retransmitted += 1;
        cx.send(cx.caller_door(number).0, &call.request);
        match call.state {
            State::Calling => cx.timers.again(cx.now, Owner::Caller(number), generation, sent + 1),
            _ => cx.timers.again_within_t2(cx.now, Owner::Caller(number), generation, sent + 1),
        }
    }

    /// Nobody answered.
    pub(super) fn give_up(&mut self, number: u32, generation: u32, cx: &mut Context) {
        let call = &mut self.calls[number as usize];
        if call.generation == generation && (call.is_waiting() || call.state == State::Leaving) {
            cx.tally.timed_out += 1;
            cx.tally.fail(call.began);
            call.end();
        }
    }

    /// How many calls there are.
    pub(super) fn len(&self) -> u32 {
        self.calls.len() as u32
    }

    /// Where a call that is up sends its sound.
    pub(super) fn sound(&self, number: u32) -> Option<SocketAddr> {
        self.calls.get(number as usize).filter(|call| call.state == State::Up)?.sound
    }

    /// The call whose sound comes from there.
    pub(super) fn sounds_from(&self, source: SocketAddr) -> Option<u32> {
        self.calls.iter().position(|call| call.sound == Some(source)).map(|number| number as u32)
    }

    /// The keys of a call.
    pub(super) fn guard(&mut self, number: u32) -> Option<&mut Guard> {
        self.calls.get_mut(number as usize)?.guard.as_deref_mut()
    }
}

impl Call {
    /// Whether an answer to the INVITE is waited for.
    fn is_waiting(&self) -> bool {
        matches!(self.state, State::Calling | State::Proceeding | State::Ringing)
    }

    fn sender<'a>(&self, number: u32, cx: &'a Context) -> Sender<'a> {
        let (account, port) = (number % cx.plan.callers.len(), cx.caller_door(number).1);
        let (kind, branch, cseq) = (Callers::KIND, self.generation + 1, self.cseq);
        Sender { plan: &cx.plan, account, unit: number, kind, port, branch, cseq }
    }

    fn end(&mut self) {
        self.state = State::Over;
        self.generation += 1;
        self.request = Vec::new();
    }
}

fn prove(number: u32, heard: &Heard<'_>, cx: &Context) -> Option<Vec<u8>> {
    let user = cx.plan.callers.user(number % cx.plan.callers.len());
    let (target, password) = (cx.plan.callee(number), cx.plan.password.as_deref()?);
    text::authorization(heard, cx.plan.digest, "INVITE", &target, &user, password)
}
