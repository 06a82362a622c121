//! The non-INVITE server transaction: RFC 3261 §17.2.2, figure 8.

use std::time::Instant;

use bytes::Bytes;

use super::{Owner, Report, ServerId, Timer};
use crate::{Context, Flow};

/// One server transaction of another method than INVITE and ACK.
#[derive(Debug)]
pub(super) struct ServerNonInvite {
    id: ServerId,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The user decides, and has said nothing yet.
    Trying {
        expired: Instant,
    },
    /// A provisional response was sent.
    Proceeding {
        last: Bytes,
        expired: Instant,
    },
    /// The final response was sent, and is again for each copy of the request.
    Completed {
        response: Bytes,
        j: Instant,
    },
    Terminated,
}

/// What may happen to it.
#[derive(Debug)]
pub(super) enum Input {
    /// The request again.
    Request,
    /// The user sends a 1xx.
    Provisional(Bytes),
    /// The user sends a 2xx to 6xx.
    Final(Bytes),
    J,
    /// No answer is of use any more.
    Expired,
    TransportError,
}

impl ServerNonInvite {
    /// Takes a new request.
    pub(super) fn start(id: ServerId, flow: Flow, cx: &mut Context<'_>) -> Self {
        let expired = cx.arm(Timer::Expired.value(flow.transport), Owner::Server(id, Timer::Expired));
        Self { id, state: State::Trying { expired } }
    }

    pub(super) fn handle(&mut self, input: Input, flow: Flow, cx: &mut Context<'_>) -> Report {
        let state = std::mem::replace(&mut self.state, State::Terminated);
        let (state, report) = step(state, input, self.id, flow, cx);
        self.state = state;
        report
    }

    /// The input that a deadline stands for, unless the state that armed it was left.
    pub(super) fn due(&self, timer: Timer, deadline: Instant) -> Option<Input> {
        use State::{Completed, Proceeding, Terminated, Trying};
        let (armed, input) = match (&self.state, timer) {
            (Trying { expired } | Proceeding { expired, .. }, Timer::Expired) => (*expired, Input::Expired),
            (Completed { j, .. }, Timer::J) => (*j, Input::J),
            (Trying { .. } | Proceeding { .. } | Completed { .. } | Terminated, _) => return None,
        };
        (armed == deadline).then_some(input)
    }

    /// Whether there is no final response yet.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Trying { .. } | State::Proceeding { .. })
    }

    pub(super) fn is_terminated(&self) -> bool {
        matches!(self.state, State::Terminated)
    }
}

fn step(state: State, input: Input, id: ServerId, flow: Flow, cx: &mut Context<'_>) -> (State, Report) {
    use State::{Completed, Proceeding, Terminated, Trying};
    match (state, input) {
        (Trying { expired } | Proceeding { expired, .. }, Input::Provisional(response)) => {
            cx.out.transmit(flow, response.clone());
            (Proceeding { last: response, expired }, Report::Nothing)
        }
        (Trying { .. } | Proceeding { .. }, Input::Final(response)) => {
            cx.out.transmit(flow, response.clone());
            let j = cx.arm(Timer::J.value(flow.transport), Owner::Server(id, Timer::J));
            (Completed { response, j }, Report::Nothing)
        }
        (Proceeding { last, expired }, Input::Request) => {
            cx.out.transmit(flow, last.clone());
            (Proceeding { last, expired }, Report::Nothing)
        }
        (Completed { response, j }, Input::Request) => {
            cx.out.transmit(flow, response.clone());
            (Completed { response, j }, Report::Nothing)
        }
        (Completed { .. }, Input::J) | (Trying { .. } | Proceeding { .. }, Input::Expired) => {
            (Terminated, Report::Ended)
        }
        (Proceeding { .. } | Completed { .. }, Input::TransportError) => (Terminated, Report::Ended),

        // Nothing happens.
        (state @ Trying { .. }, Input::Request | Input::J | Input::TransportError)
        | (state @ Proceeding { .. }, Input::J)
        | (state @ Completed { .. }, Input::Provisional(_) | Input::Final(_) | Input::Expired)
        | (
            state @ Terminated,
            Input::Request
            | Input::Provisional(_)
            | Input::Final(_)
            | Input::J
            | Input::Expired
            | Input::TransportError,
        ) => (state, Report::Nothing),
    }
}
