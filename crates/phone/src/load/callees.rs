//! The callees' sides: 180 and 200 at once, 200 to BYE.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::callers::Callers;
use super::context::Context;
use super::heard::Heard;
use super::sound;
use super::text;
use super::timers::Owner;

/// All calls that came, by the number in their Call-ID; those that were bridged have a Call-ID of the exchange's own, and take
/// the numbers as they come.
#[derive(Debug, Default)]
pub(super) struct Callees {
    legs: Vec<Leg>,
    bridged: HashMap<Box<[u8]>, usize>,
}

#[derive(Clone, Debug, Default)]
struct Leg {
    state: State,
    generation: u32,
    /// The 200, which is sent again until the ACK, and where to.
    answer: Vec<u8>,
    peer: Option<(usize, SocketAddr)>,
    sound: Option<SocketAddr>,
    /// Nanoseconds from when the INVITE came until it was answered.
    hesitated: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Idle,
    /// 200 is out.
    Answered,
    Confirmed,
    Over,
}

impl Callees {
    /// A request that came to one of the callees' sockets.
    pub(super) fn request(
        &mut self,
        door: (usize, u16),
        heard: &Heard<'_>,
        peer: SocketAddr,
        cx: &mut Context,
    ) {
        let number = match heard.unit(cx.plan.run) {
            Some((Callers::KIND, number)) => Some(number),
            // Of another run.
            _ if heard.call_id.ends_with(b"@load") => None,
            _ => self.bridged(heard),
        };
        // As many calls as there can be: a number from elsewhere must not make the list grow.
        let Some(number) = number.filter(|number| *number < MOST) else {
            cx.tally.unknown += 1;
            return;
        };
        if self.legs.len() <= number {
            self.legs.resize(number + 1, Leg::default());
        }
        match heard.method {
            b"INVITE" => self.invited(number, door, heard, peer, cx),
            b"ACK" => self.confirmed(number),
            b"BYE" => self.left(number, door, heard, peer, cx),
            _ => ok(number, door, heard, peer, cx),
        }
    }

    /// The number of a call that came under another Call-ID than it left with.
    fn bridged(&mut self, heard: &Heard<'_>) -> Option<usize> {
        if let Some(number) = self.bridged.get(heard.call_id) {
            return Some(*number);
        }
        let number = self.legs.len();
        (heard.method == b"INVITE").then(|| self.bridged.insert(heard.call_id.into(), number))?;
        Some(number)
    }

    fn invited(
        &mut self,
        number: usize,
        door: (usize, u16),
        heard: &Heard<'_>,
        peer: SocketAddr,
        cx: &mut Context,
    ) {
        let leg = &mut self.legs[number];
        if leg.state != State::Idle {
            cx.tally.duplicates += 1;
            if leg.state == State::Answered {
                cx.wire.send(door.0, &leg.answer, peer);
            }
            return;
        }
        let us = (&cx.plan, number, door.1);
        text::response(heard, "180 Ringing", us, None, &mut leg.answer);
        cx.wire.send(door.0, &leg.answer, peer);
        text::response(heard, "200 OK", us, Some(cx.sound_port(1)), &mut leg.answer);
        cx.wire.send(door.0, &leg.answer, peer);
        leg.hesitated = cx.taken.saturating_sub(cx.now);
        leg.state = State::Answered;
        leg.peer = Some((door.0, peer));
        leg.sound = cx.sound.and_then(|_| sound::address_in(heard.body));
        cx.timers.again_within_t2(cx.now, Owner::Callee(number as u32), leg.generation, 0);
    }

    fn confirmed(&mut self, number: usize) {
        let leg = &mut self.legs[number];
        if leg.state == State::Answered {
            leg.move_on(State::Confirmed);
        }
    }

    fn left(
        &mut self,
        number: usize,
        door: (usize, u16),
        heard: &Heard<'_>,
        peer: SocketAddr,
        cx: &mut Context,
    ) {
        let leg = &mut self.legs[number];
        if leg.state == State::Over {
            cx.tally.duplicates += 1;
        }
        leg.move_on(State::Over);
        leg.sound = None;
        ok(number, door, heard, peer, cx);
    }

    /// Sends the 200 again (RFC 3261 §13.3.1.4), for 64 T1 at most.
    pub(super) fn again(&mut self, number: u32, generation: u32, sent: u8, cx: &mut Context) {
        let leg = &self.legs[number as usize];
        let Some((door, peer)) = leg.peer.filter(|_| leg.state == State::Answered) else { return };
        if leg.generation == generation && sent < TIMES {
            cx.tally.answers_retransmitted += 1;
            cx.wire.send(door, &leg.answer, peer);
            cx.timers.again_within_t2(cx.now, Owner::Callee(number), generation, sent + 1);
        }
    }

    /// How long the callee of a call let its INVITE lie, in nanoseconds.
    pub(super) fn hesitated(&self, number: usize) -> u64 {
        self.legs.get(number).map_or(0, |leg| leg.hesitated)
    }

    /// Where a call that is up sends its sound.
    pub(super) fn sound(&self, number: u32) -> Option<SocketAddr> {
        self.legs.get(number as usize).filter(|leg| leg.state == State::Confirmed)?.sound
    }
}

/// A 200 without a session description.
fn ok(number: usize, door: (usize, u16), heard: &Heard<'_>, peer: SocketAddr, cx: &mut Context) {
    let mut out = Vec::new();
    text::response(heard, "200 OK", (&cx.plan, number, door.1), None, &mut out);
    cx.wire.send(door.0, &out, peer);
}

impl Leg {
    fn move_on(&mut self, state: State) {
        self.state = state;
        self.generation += 1;
        self.answer = Vec::new();
    }
}

/// More calls than a load has.
const MOST: usize = 100_000_000;
/// So often fits into 64 T1.
const TIMES: u8 = 10;
