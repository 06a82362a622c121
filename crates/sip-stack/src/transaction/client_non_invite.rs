//! The non-INVITE client transaction: RFC 3261 §17.1.2, figure 6.

use std::time::{Duration, Instant};

use offhook_sip::Request;

use super::{ClientId, Owner, Report, T1, T2, Timer};
use crate::transport::request_bytes;
use crate::{Context, Flow};

/// One client transaction of another method than INVITE.
#[derive(Debug)]
pub(super) struct ClientNonInvite {
    ends: Ends,
    state: State,
}

/// What does not change with the state.
#[derive(Debug)]
struct Ends {
    id: ClientId,
    flow: Flow,
    /// Until the final response.
    request: Option<Box<Request>>,
}

#[derive(Debug)]
enum State {
    /// Sent, nothing came back.
    Trying {
        interval: Duration,
        e: Option<Instant>,
        f: Instant,
    },
    /// A provisional response came.
    Proceeding {
        e: Option<Instant>,
        f: Instant,
    },
    /// The final response came; copies of it are absorbed.
    Completed {
        k: Instant,
    },
    Terminated,
}

/// What may happen to it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Input {
    /// A 1xx.
    Provisional,
    /// A 2xx to 6xx.
    Final,
    E,
    F,
    K,
    TransportError,
    /// The way to the peer is another, which does not know of it.
    Rerouted,
}

impl ClientNonInvite {
    /// Sends the request.
    pub(super) fn start(id: ClientId, request: Request, flow: Flow, cx: &mut Context<'_>) -> Self {
        let ends = Ends { id, flow, request: Some(Box::new(request)) };
        ends.send(cx);
        let e = ends.arm_e(T1, cx);
        let f = ends.arm(Timer::F, cx);
        Self { ends, state: State::Trying { interval: T1, e, f } }
    }

    pub(super) fn handle(&mut self, input: Input, cx: &mut Context<'_>) -> Report {
        let state = std::mem::replace(&mut self.state, State::Terminated);
        let (state, report) = step(state, input, &self.ends, cx);
        if matches!(state, State::Completed { .. }) {
            self.ends.request = None;
        }
        self.state = state;
        report
    }

    /// The input that a deadline stands for, unless the state that armed it was left.
    pub(super) fn due(&self, timer: Timer, deadline: Instant) -> Option<Input> {
        use State::{Completed, Proceeding, Terminated, Trying};
        let (armed, input) = match (&self.state, timer) {
            (Trying { e, .. } | Proceeding { e, .. }, Timer::E) => (*e, Input::E),
            (Trying { f, .. } | Proceeding { f, .. }, Timer::F) => (Some(*f), Input::F),
            (Completed { k }, Timer::K) => (Some(*k), Input::K),
            (Trying { .. } | Proceeding { .. } | Completed { .. } | Terminated, _) => return None,
        };
        (armed == Some(deadline)).then_some(input)
    }

    pub(super) fn is_terminated(&self) -> bool {
        matches!(self.state, State::Terminated)
    }

    pub(super) fn flow(&self) -> &Flow {
        &self.ends.flow
    }

    /// What is sent from now on goes by this way.
    pub(super) fn set_flow(&mut self, flow: Flow) {
        self.ends.flow = flow;
    }

    /// Remembers the connection that was opened for the request.
    pub(super) fn learn(&mut self, flow: &Flow) {
        if self.ends.flow.connection.is_none() && self.ends.flow.fails_with(flow) {
            self.ends.flow.connection = flow.connection;
        }
    }
}

fn step(state: State, input: Input, ends: &Ends, cx: &mut Context<'_>) -> (State, Report) {
    use State::{Completed, Proceeding, Terminated, Trying};
    match (state, input) {
        (Trying { interval, f, .. }, Input::E) => {
            ends.send(cx);
            let interval = (interval * 2).min(T2);
            (Trying { interval, e: ends.arm_e(interval, cx), f }, Report::Nothing)
        }
        (Proceeding { f, .. }, Input::E) => {
            ends.send(cx);
            (Proceeding { e: ends.arm_e(T2, cx), f }, Report::Nothing)
        }
        (state @ (Trying { .. } | Proceeding { .. }), Input::Rerouted) => {
            ends.send(cx);
            (state, Report::Nothing)
        }
        (Trying { .. } | Proceeding { .. }, Input::F) => (Terminated, Report::Timeout),
        (Trying { .. } | Proceeding { .. }, Input::TransportError) => (Terminated, Report::TransportFailed),
        // Timer E keeps its deadline; from the next one on it runs for T2 (§17.1.2.2).
        (Trying { e, f, .. } | Proceeding { e, f }, Input::Provisional) => {
            (Proceeding { e, f }, Report::Pass)
        }
        (Trying { .. } | Proceeding { .. }, Input::Final) => {
            (Completed { k: ends.arm(Timer::K, cx) }, Report::Pass)
        }
        (Completed { .. }, Input::K) => (Terminated, Report::Ended),

        // Nothing happens.
        (state @ (Trying { .. } | Proceeding { .. }), Input::K)
        | (
            state @ Completed { .. },
            Input::Provisional | Input::Final | Input::E | Input::F | Input::TransportError | Input::Rerouted,
        )
        | (
            state @ Terminated,
            Input::Provisional
            | Input::Final
            | Input::E
            | Input::F
            | Input::K
            | Input::TransportError
            | Input::Rerouted,
        ) => (state, Report::Nothing),
    }
}

impl Ends {
    fn send(&self, cx: &mut Context<'_>) {
        if let Some(request) = self.request.as_deref() {
            cx.out.transmit(self.flow, request_bytes(request, &self.flow));
        }
    }

    /// Nothing is sent again over a reliable transport.
    fn arm_e(&self, after: Duration, cx: &mut Context<'_>) -> Option<Instant> {
        (!self.flow.transport.is_reliable()).then(|| cx.arm(after, Owner::Client(self.id, Timer::E)))
    }

    fn arm(&self, timer: Timer, cx: &mut Context<'_>) -> Instant {
        cx.arm(timer.value(self.flow.transport), Owner::Client(self.id, timer))
    }
}
