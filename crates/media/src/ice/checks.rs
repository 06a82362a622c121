//! The checks of an agent (RFC 8445 §6, §7), its choice (§8), and the other side's consent (RFC 7675).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::agent::{Agent, CANDIDATES, PAIRS, Packet};
use super::candidate::{Candidate, CandidateKind};
use super::check::{self, Pair, State};
use super::message::{Class, Message, Method};
use super::relay::Binding;
use super::requests::{Purpose, Waiting, Way};
use crate::latch::same;
use crate::stun::Answer;

impl Agent {
    /// RFC 8445 §7.2.5
    pub(super) fn check_answered(&mut self, now: Instant, request: &Waiting, message: &Message<'_>) {
        let authentic = self.theirs.as_ref().is_some_and(|theirs| message.signed_with(&theirs.key).is_some());
        if !authentic {
            // Whoever is no party to this may not end it; the request may still be answered.
            return;
        }
        if message.class() == Class::Error {
            if let Purpose::Check { controlling, .. } = request.purpose {
                let conflict = check::code(message) == 487;
                if conflict && self.role.controlling == controlling {
                    self.role.controlling = !controlling;
                }
                if let Some(pair) = self.pair(request.way, request.to) {
                    pair.state = if conflict { State::Waiting } else { State::Failed };
                }
                self.next_check = Some(now);
            }
            return;
        }
        if let Some(selected) = self.selected.as_mut()
            && selected.way == request.way
            && same(selected.remote, request.to)
        {
            selected.confirmed = now;
        }
        let Purpose::Check { nominates, .. } = request.purpose else { return };
        let Some(pair) = self.pair(request.way, request.to) else { return };
        (pair.state, pair.seen) = (State::Succeeded, true);
        let chosen = nominates || pair.nominated;
        self.first_valid.get_or_insert(now);
        if chosen {
            self.select(now, request.way, request.to);
        }
        self.next_check = Some(now);
    }

    /// A check of the other side (RFC 8445 §7.3).
    pub(super) fn checked(
        &mut self,
        now: Instant,
        (way, from): (Way, SocketAddr),
        bytes: &[u8],
        out: &mut Vec<Packet>,
    ) {
        let Some(message) = Message::parse(bytes) else { return };
        if message.method() != Method::Binding || message.class() != Class::Request {
            return;
        }
        let checked = match check::read(&message, &self.ours, self.role) {
            Ok(checked) => checked,
            // A stranger gets no answer: nothing here reflects.
            Err(_) => return,
        };
        let mut answer = Answer::Success(from);
        if let Some(theirs) = checked.claims {
            // Both claim one role: the greater number has it.
            if (self.role.tie_breaker >= theirs) == self.role.controlling {
                answer = Answer::Error(487, None);
            } else {
                self.role.controlling = !self.role.controlling;
            }
        }
        let refused = answer != Answer::Success(from);
        let bytes = answer.write(message.transaction(), Some(&self.ours.key));
        self.transmit(way, from, &bytes, out);
        if refused {
            return;
        }
        if self.theirs.is_none() {
            if self.early.len() < CANDIDATES {
                self.early.push((way, from, checked.nominates));
            }
            return;
        }
        self.note_check(now, (way, from), checked.nominates, checked.priority);
    }

    /// Our own check of the pair that the other side has checked, and what that check says of it.
    pub(super) fn note_check(
        &mut self,
        now: Instant,
        (way, from): (Way, SocketAddr),
        nominates: bool,
        priority: u32,
    ) {
        let controlled = !self.role.controlling;
        if self.pair(way, from).is_none() {
            let learnt = Candidate { priority, ..Candidate::new(CandidateKind::PeerReflexive, from, None) };
            if self.pairs.len() >= PAIRS {
                return;
            }
            self.pairs.push(Pair::new(way, &learnt));
            if let Some(relay) = self.relay.as_mut().filter(|_| way == Way::Relayed) {
                relay.open_channel(from);
            }
        }
        let Some(pair) = self.pair(way, from) else { return };
        pair.seen = true;
        pair.nominated |= nominates && controlled;
        let chosen = nominates && controlled && pair.state == State::Succeeded;
        if matches!(pair.state, State::Waiting | State::Failed) {
            (pair.state, pair.triggered) = (State::Waiting, true);
            self.next_check = Some(now);
        }
        if chosen {
            self.select(now, way, from);
        }
    }

    /// The next check: of a pair that the other side has checked, else the best (RFC 8445 §6.1.4.2); and the choice, if it is
    /// ours to make.
    pub(super) fn check_next(&mut self, now: Instant, out: &mut Vec<Packet>) {
        self.open_channels(now, out);
        if self.theirs.is_none() {
            return;
        }
        self.nominate(now, out);
        let controlling = self.role.controlling;
        let relay = &self.relay;
        let binding = |pair: &Pair| relay.as_ref().and_then(|relay| relay.binding(pair.remote));
        for pair in self.pairs.iter_mut().filter(|pair| pair.way == Way::Relayed) {
            // Without a channel there is no way to it.
            if matches!(binding(pair), Some(Binding::Refused) | None) {
                pair.state = State::Failed;
            }
        }
        let is_there =
            |pair: &Pair| pair.way == Way::Direct || matches!(binding(pair), Some(Binding::Until(_)));
        let ready = |pair: &Pair| pair.state == State::Waiting && is_there(pair);
        let rank = |pair: &&mut Pair| (pair.triggered, pair.priority(controlling));
        let next = self.pairs.iter_mut().filter(|pair| ready(pair)).max_by_key(rank);
        let chosen = next.map(|pair| {
            (pair.state, pair.triggered) = (State::InProgress, false);
            (pair.way, pair.remote)
        });
        if let Some(path) = chosen {
            self.send_check(now, path, Purpose::Check { nominates: false, controlling }, out);
        }
        let unsettled = self.pairs.iter().any(|pair| pair.state == State::Waiting);
        let undecided = self.first_valid.is_some() && self.selected.is_none();
        if unsettled || undecided {
            self.next_check = Some(now + PACE);
        } else if self.selected.is_none()
            && !self.pairs.is_empty()
            && self.pairs.iter().all(|pair| pair.state == State::Failed)
        {
            self.lost = true;
        }
    }

    /// Chooses the best pair, as soon as nothing better can come, or has not come for a while (RFC 8445 §8.1.1).
    fn nominate(&mut self, now: Instant, out: &mut Vec<Packet>) {
        let Some(since) = self.first_valid.filter(|_| self.role.controlling && !self.has_chosen()) else {
            return;
        };
        let rank = |pair: &&Pair| pair.priority(true);
        let best = self.pairs.iter().filter(|pair| pair.state == State::Succeeded).max_by_key(rank).copied();
        let Some(best) = best else { return };
        let better = |pair: &Pair| {
            pair.priority(true) > best.priority(true)
                && matches!(pair.state, State::Waiting | State::InProgress)
        };
        if now >= since + HOPE || !self.pairs.iter().any(better) {
            let purpose = Purpose::Check { nominates: true, controlling: true };
            self.send_check(now, (best.way, best.remote), purpose, out);
        }
    }

    /// Whether a choice of ours is made, or on its way.
    fn has_chosen(&self) -> bool {
        let underway = |one: &Waiting| matches!(one.purpose, Purpose::Check { nominates: true, .. });
        self.chosen || self.requests.any(underway)
    }

    /// Whether the other side still wants what we send (RFC 7675).
    pub(super) fn keep_consent(&mut self, now: Instant, out: &mut Vec<Packet>) {
        let Some(mut selected) = self.selected.filter(|_| self.is_agreed() && !self.lost) else { return };
        if now >= selected.confirmed + CONSENT {
            (self.selected, self.lost) = (None, true);
            return;
        }
        if now >= selected.ask_at {
            // A fifth more or less, so that many do not ask at once.
            let [spread, ..] = self.requests.id();
            selected.ask_at = now + CONSENT_EVERY.mul_f64(0.8 + 0.4 * f64::from(spread) / 255.0);
            self.selected = Some(selected);
            self.send_check(now, (selected.way, selected.remote), Purpose::Consent, out);
        }
    }

    fn send_check(
        &mut self,
        now: Instant,
        (way, to): (Way, SocketAddr),
        purpose: Purpose,
        out: &mut Vec<Packet>,
    ) {
        let id = self.requests.id();
        let Some(theirs) = &self.theirs else { return };
        let nominates = matches!(purpose, Purpose::Check { nominates: true, .. });
        let bytes = check::request(id, &self.ours, theirs, self.role, nominates);
        self.transmit(way, to, &bytes, out);
        self.requests.sent(now, id, (way, to), bytes, purpose);
    }
}

/// Between two checks (RFC 8445 §14.2).
const PACE: Duration = Duration::from_millis(50);
/// How long a better pair than the first that works is hoped for.
const HOPE: Duration = Duration::from_millis(400);
/// Between two questions for consent (RFC 7675 §5.1).
pub(super) const CONSENT_EVERY: Duration = Duration::from_secs(5);
/// How long consent lasts.
const CONSENT: Duration = Duration::from_secs(30);
