//! The INVITE client transaction: RFC 3261 §17.1.1, figure 5, with state Accepted of RFC 6026 §7.2.

use std::time::{Duration, Instant};

use bytes::Bytes;
use offhook_sip::{CSeq, Headers, Method, Name, ParseError, Request, RequestBuilder, Response};

use super::{ClientId, Owner, Report, T1, Timer};
use crate::transport::request_bytes;
use crate::{Context, Flow};

/// One INVITE client transaction.
#[derive(Debug)]
pub(super) struct ClientInvite {
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
    Calling {
        interval: Duration,
        a: Option<Instant>,
        b: Instant,
    },
    /// A provisional response came. `cancelled`: when to stop waiting after a CANCEL.
    Proceeding {
        cancelled: Option<Instant>,
    },
    /// A failure came and was acknowledged.
    Completed {
        ack: Bytes,
        d: Instant,
    },
    /// A 2xx came; more may come from other branches of a fork.
    Accepted {
        m: Instant,
    },
    Terminated,
}

/// What may happen to it.
#[derive(Debug)]
pub(super) enum Input<'a> {
    /// A 1xx.
    Provisional,
    /// A 2xx.
    Success,
    /// A 3xx to 6xx.
    Failure(&'a Response),
    /// A CANCEL was sent for it.
    Cancelled,
    /// The way to the peer is another, which does not know of it.
    Rerouted,
    /// We are elsewhere, which the peer learns from the request.
    Moved,
    A,
    B,
    D,
    M,
    /// 64·T1 after the CANCEL.
    GiveUp,
    TransportError,
}

impl ClientInvite {
    /// Sends the INVITE, unless it is not one that could be acknowledged.
    pub(super) fn start(
        id: ClientId,
        request: Request,
        flow: Flow,
        cx: &mut Context<'_>,
    ) -> Result<Self, ParseError> {
        // What an ACK would be made of.
        request.uri()?;
        request.cseq()?;
        let ends = Ends { id, flow, request: Some(Box::new(request)) };
        ends.send(cx);
        let a = (!flow.transport.is_reliable()).then(|| ends.arm(Timer::A, T1, cx));
        let b = ends.arm_own(Timer::B, cx);
        Ok(Self { ends, state: State::Calling { interval: T1, a, b } })
    }

    pub(super) fn handle(&mut self, input: Input<'_>, cx: &mut Context<'_>) -> Report {
        let state = std::mem::replace(&mut self.state, State::Terminated);
        let (state, report) = step(state, input, &self.ends, cx);
        if !matches!(state, State::Calling { .. } | State::Proceeding { .. }) {
            self.ends.request = None;
        }
        self.state = state;
        report
    }

    /// The input that a deadline stands for, unless the state that armed it was left.
    pub(super) fn due(&self, timer: Timer, deadline: Instant) -> Option<Input<'static>> {
        use State::{Accepted, Calling, Completed, Proceeding, Terminated};
        let (armed, input) = match (&self.state, timer) {
            (Calling { a, .. }, Timer::A) => (*a, Input::A),
            (Calling { b, .. }, Timer::B) => (Some(*b), Input::B),
            (Proceeding { cancelled }, Timer::Cancelled) => (*cancelled, Input::GiveUp),
            (Completed { d, .. }, Timer::D) => (Some(*d), Input::D),
            (Accepted { m }, Timer::M) => (Some(*m), Input::M),
            (Calling { .. } | Proceeding { .. } | Completed { .. } | Accepted { .. } | Terminated, _) => {
                return None;
            }
        };
        (armed == Some(deadline)).then_some(input)
    }

    pub(super) fn is_calling(&self) -> bool {
        matches!(self.state, State::Calling { .. })
    }

    pub(super) fn is_proceeding(&self) -> bool {
        matches!(self.state, State::Proceeding { .. })
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

    /// The CANCEL for this INVITE (§9.1); `None` after its final response.
    pub(super) fn cancel_request(&self, reason: Option<&str>) -> Option<Request> {
        let request = self.ends.request.as_deref()?;
        let cancel = same_hop(Method::Cancel, request, request)?;
        Some(match reason {
            Some(reason) => cancel.header(Name::Reason, reason).finish(),
            None => cancel.finish(),
        })
    }
}

fn step(state: State, input: Input<'_>, ends: &Ends, cx: &mut Context<'_>) -> (State, Report) {
    use State::{Accepted, Calling, Completed, Proceeding, Terminated};
    match (state, input) {
        (Calling { interval, b, .. }, Input::A) => {
            ends.send(cx);
            let interval = interval * 2;
            let a = Some(ends.arm(Timer::A, interval, cx));
            (Calling { interval, a, b }, Report::Nothing)
        }
        (state @ Calling { .. }, Input::Rerouted | Input::Moved) => {
            ends.send(cx);
            (state, Report::Nothing)
        }
        // What the peer has sent since went to where we were: it is asked until it answers to where we are.
        (Proceeding { cancelled: None }, Input::Moved) => {
            ends.send(cx);
            let a = (!ends.flow.transport.is_reliable()).then(|| ends.arm(Timer::A, T1, cx));
            (Calling { interval: T1, a, b: ends.arm_own(Timer::B, cx) }, Report::Nothing)
        }
        (Calling { .. }, Input::B) | (Proceeding { .. }, Input::GiveUp) => (Terminated, Report::Timeout),
        // Figure 5 has no such arrow from Proceeding, but a peer that was reached over a connection is not
        // reached without it, and only Timer C would notice.
        (Calling { .. } | Proceeding { .. }, Input::TransportError) => (Terminated, Report::TransportFailed),
        (Calling { .. }, Input::Provisional) => (Proceeding { cancelled: None }, Report::Pass),
        (state @ Proceeding { .. }, Input::Provisional) => (state, Report::Pass),
        (Proceeding { .. }, Input::Cancelled) => {
            let cancelled = Some(ends.arm_own(Timer::Cancelled, cx));
            (Proceeding { cancelled }, Report::Nothing)
        }
        (Calling { .. } | Proceeding { .. }, Input::Success) => {
            (Accepted { m: ends.arm_own(Timer::M, cx) }, Report::Pass)
        }
        (Calling { .. } | Proceeding { .. }, Input::Failure(response)) => {
            // §22.1: an ACK repeats the INVITE's credentials, since it cannot be challenged.
            let ack = ends.request.as_deref().and_then(|request| {
                let ack = same_hop(Method::Ack, request, response)?;
                Some(ack.copy(Name::Authorization, request).copy(Name::ProxyAuthorization, request).finish())
            });
            let ack = ack.map(|ack| ack.bytes().clone()).unwrap_or_default();
            cx.out.transmit(ends.flow, ack.clone());
            (Completed { ack, d: ends.arm_own(Timer::D, cx) }, Report::Pass)
        }
        (Completed { ack, d }, Input::Failure(_)) => {
            cx.out.transmit(ends.flow, ack.clone());
            (Completed { ack, d }, Report::Nothing)
        }
        // The ACK cannot be sent; the user has the final response and can do no more about it.
        (Completed { .. }, Input::TransportError | Input::D) => (Terminated, Report::Ended),
        (state @ Accepted { .. }, Input::Success) => (state, Report::Pass),
        (Accepted { .. }, Input::M) => (Terminated, Report::Ended),

        // Nothing happens.
        (state @ Calling { .. }, Input::Cancelled | Input::D | Input::M | Input::GiveUp)
        | (
            state @ Proceeding { .. },
            Input::A | Input::B | Input::D | Input::M | Input::Rerouted | Input::Moved,
        )
        | (
            state @ Completed { .. },
            Input::Provisional
            | Input::Success
            | Input::Cancelled
            | Input::Rerouted
            | Input::Moved
            | Input::A
            | Input::B
            | Input::M
            | Input::GiveUp,
        )
        | (
            state @ Accepted { .. },
            Input::Provisional
            | Input::Failure(_)
            | Input::Cancelled
            | Input::Rerouted
            | Input::Moved
            | Input::A
            | Input::B
            | Input::D
            | Input::GiveUp
            | Input::TransportError,
        )
        | (
            state @ Terminated,
            Input::Provisional
            | Input::Success
            | Input::Failure(_)
            | Input::Cancelled
            | Input::Rerouted
            | Input::Moved
            | Input::A
            | Input::B
            | Input::D
            | Input::M
            | Input::GiveUp
            | Input::TransportError,
        ) => (state, Report::Nothing),
    }
}

impl Ends {
    fn send(&self, cx: &mut Context<'_>) {
        if let Some(request) = self.request.as_deref() {
            cx.out.transmit(self.flow, request_bytes(request, &self.flow));
        }
    }

    fn arm(&self, timer: Timer, after: Duration, cx: &mut Context<'_>) -> Instant {
        cx.arm(after, Owner::Client(self.id, timer))
    }

    fn arm_own(&self, timer: Timer, cx: &mut Context<'_>) -> Instant {
        self.arm(timer, timer.value(self.flow.transport), cx)
    }
}

/// A request of the same hop as an INVITE: ACK for a failure (§17.1.1.3), CANCEL (§9.1). Both copy the INVITE's
/// Request-URI, top Via, Route, From, Call-ID and CSeq number; they differ in where To comes from.
fn same_hop(method: Method, request: &Request, to: &Headers) -> Option<RequestBuilder> {
    let via = request.values(Name::Via).next().unwrap_or_default();
    let number = request.cseq().ok()?.number;
    let builder = RequestBuilder::new(method.clone(), &request.uri().ok()?)
        .header(Name::Via, String::from_utf8_lossy(via))
        .header(Name::MaxForwards, 70)
        .copy(Name::Route, request)
        .copy(Name::From, request)
        .copy(Name::To, to)
        .copy(Name::CallId, request)
        .header(Name::CSeq, CSeq { number, method });
    Some(builder)
}
