//! The INVITE server transaction: RFC 3261 §17.2.1, figure 7, with state Accepted of RFC 6026 §7.1.

use std::time::{Duration, Instant};

use bytes::Bytes;
use offhook_sip::{Request, Response, Status};

use super::{Owner, Report, ServerId, T1, T2, Timer};
use crate::transport::response_bytes;
use crate::{Context, Flow};

/// One INVITE server transaction.
#[derive(Debug)]
pub(super) struct ServerInvite {
    id: ServerId,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The user decides. `last`: the last provisional response, repeated for a repeated INVITE.
    Proceeding {
        trying: Option<Instant>,
        last: Option<Bytes>,
    },
    /// A failure was sent, and is until it is acknowledged.
    Completed {
        response: Bytes,
        interval: Duration,
        g: Option<Instant>,
        h: Instant,
    },
    /// It was acknowledged; copies of the ACK are absorbed.
    Confirmed {
        i: Instant,
    },
    /// A 2xx was sent. The user repeats it until the ACK comes; copies of the INVITE are absorbed.
    Accepted {
        l: Instant,
    },
    Terminated,
}

/// What may happen to it.
#[derive(Debug)]
pub(super) enum Input {
    /// The INVITE again.
    Invite,
    /// An ACK in this transaction.
    Ack,
    /// The user sends a 1xx.
    Provisional(Bytes),
    /// The user sends a 2xx.
    Success(Bytes),
    /// The user sends a 3xx to 6xx.
    Failure(Bytes),
    /// The user said nothing for 200 ms, or wishes the caller to know at once that it is at work.
    Trying,
    G,
    H,
    I,
    L,
    TransportError,
}

/// What the machine works on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way<'a> {
    /// Until the final response.
    pub(super) request: Option<&'a Request>,
    /// The way of responses.
    pub(super) flow: Flow,
}

impl ServerInvite {
    /// Takes a new INVITE.
    pub(super) fn start(id: ServerId, flow: Flow, cx: &mut Context<'_>) -> Self {
        let trying = Some(arm(id, Timer::Trying, flow, cx));
        Self { id, state: State::Proceeding { trying, last: None } }
    }

    pub(super) fn handle(&mut self, input: Input, way: Way<'_>, cx: &mut Context<'_>) -> Report {
        let state = std::mem::replace(&mut self.state, State::Terminated);
        let (state, report) = step(state, input, self.id, way, cx);
        self.state = state;
        report
    }

    /// The input that a deadline stands for, unless the state that armed it was left.
    pub(super) fn due(&self, timer: Timer, deadline: Instant) -> Option<Input> {
        use State::{Accepted, Completed, Confirmed, Proceeding, Terminated};
        let (armed, input) = match (&self.state, timer) {
            (Proceeding { trying, .. }, Timer::Trying) => (*trying, Input::Trying),
            (Completed { g, .. }, Timer::G) => (*g, Input::G),
            (Completed { h, .. }, Timer::H) => (Some(*h), Input::H),
            (Confirmed { i }, Timer::I) => (Some(*i), Input::I),
            (Accepted { l }, Timer::L) => (Some(*l), Input::L),
            (Proceeding { .. } | Completed { .. } | Confirmed { .. } | Accepted { .. } | Terminated, _) => {
                return None;
            }
        };
        (armed == Some(deadline)).then_some(input)
    }

    /// Whether there is no final response yet.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Proceeding { .. })
    }

    pub(super) fn is_terminated(&self) -> bool {
        matches!(self.state, State::Terminated)
    }
}

fn step(state: State, input: Input, id: ServerId, way: Way<'_>, cx: &mut Context<'_>) -> (State, Report) {
    use State::{Accepted, Completed, Confirmed, Proceeding, Terminated};
    let flow = way.flow;
    match (state, input) {
        (Proceeding { last: None, .. }, Input::Trying) => {
            let Some(request) = way.request else {
                return (Proceeding { trying: None, last: None }, Report::Nothing);
            };
            let trying = Response::to_request(request, Status::TRYING).finish();
            let trying = response_bytes(&trying, &flow);
            cx.out.transmit(flow, trying.clone());
            (Proceeding { trying: None, last: Some(trying) }, Report::Nothing)
        }
        (Proceeding { trying, last }, Input::Invite) => {
            if let Some(last) = &last {
                cx.out.transmit(flow, last.clone());
            }
            (Proceeding { trying, last }, Report::Nothing)
        }
        (Proceeding { .. }, Input::Provisional(response)) => {
            cx.out.transmit(flow, response.clone());
            (Proceeding { trying: None, last: Some(response) }, Report::Nothing)
        }
        (Proceeding { .. }, Input::Success(response)) => {
            cx.out.transmit(flow, response);
            (Accepted { l: arm(id, Timer::L, flow, cx) }, Report::Nothing)
        }
        (Proceeding { .. }, Input::Failure(response)) => {
            cx.out.transmit(flow, response.clone());
            let g = arm_g(id, T1, flow, cx);
            (Completed { response, interval: T1, g, h: arm(id, Timer::H, flow, cx) }, Report::Nothing)
        }
        (Completed { response, interval, h, .. }, Input::G) => {
            cx.out.transmit(flow, response.clone());
            let interval = (interval * 2).min(T2);
            (Completed { response, interval, g: arm_g(id, interval, flow, cx), h }, Report::Nothing)
        }
        (Completed { response, interval, g, h }, Input::Invite) => {
            cx.out.transmit(flow, response.clone());
            (Completed { response, interval, g, h }, Report::Nothing)
        }
        (Completed { .. }, Input::Ack) => (Confirmed { i: arm(id, Timer::I, flow, cx) }, Report::Nothing),
        (Completed { .. }, Input::H) => (Terminated, Report::NoAck),
        (Confirmed { .. }, Input::I) | (Accepted { .. }, Input::L) => (Terminated, Report::Ended),
        (Proceeding { .. } | Completed { .. }, Input::TransportError) => (Terminated, Report::Ended),
        (state @ Accepted { .. }, Input::Success(response)) => {
            cx.out.transmit(flow, response);
            (state, Report::Nothing)
        }
        // RFC 6026 §7.1: the ACK to a 2xx is the user's, also where its branch is the INVITE's.
        (state @ Accepted { .. }, Input::Ack) => (state, Report::Pass),

        // Nothing happens.
        (
            state @ Proceeding { .. },
            Input::Trying | Input::Ack | Input::G | Input::H | Input::I | Input::L,
        )
        | (
            state @ Completed { .. },
            Input::Provisional(_)
            | Input::Success(_)
            | Input::Failure(_)
            | Input::Trying
            | Input::I
            | Input::L,
        )
        | (
            state @ Confirmed { .. },
            Input::Invite
            | Input::Ack
            | Input::Provisional(_)
            | Input::Success(_)
            | Input::Failure(_)
            | Input::Trying
            | Input::G
            | Input::H
            | Input::L
            | Input::TransportError,
        )
        | (
            state @ Accepted { .. },
            Input::Invite
            | Input::Provisional(_)
            | Input::Failure(_)
            | Input::Trying
            | Input::G
            | Input::H
            | Input::I
            | Input::TransportError,
        )
        | (
            state @ Terminated,
            Input::Invite
            | Input::Ack
            | Input::Provisional(_)
            | Input::Success(_)
            | Input::Failure(_)
            | Input::Trying
            | Input::G
            | Input::H
            | Input::I
            | Input::L
            | Input::TransportError,
        ) => (state, Report::Nothing),
    }
}

fn arm(id: ServerId, timer: Timer, flow: Flow, cx: &mut Context<'_>) -> Instant {
    cx.arm(timer.value(flow.transport), Owner::Server(id, timer))
}

/// Nothing is sent again over a reliable transport.
fn arm_g(id: ServerId, after: Duration, flow: Flow, cx: &mut Context<'_>) -> Option<Instant> {
    (!flow.transport.is_reliable()).then(|| cx.arm(after, Owner::Server(id, Timer::G)))
}
