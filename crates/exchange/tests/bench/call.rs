//! Phones, and the call that most tests begin with.

use offhook_sip::{Request, Response};

use super::{Bench, in_dialog, reply, request, sdp};

pub(crate) const ALICE: &str = "192.0.2.10:5060";
pub(crate) const BOB: &str = "192.0.2.20:5060";
pub(crate) const BOB_TOO: &str = "192.0.2.21:5060";
pub(crate) const EVE: &str = "203.0.113.66:5060";

pub(crate) fn invite(body: &str) -> String {
    request("INVITE", "sip:bob@example.com", "alice", ALICE, "", body)
}

/// Alice calls Bob; returns what Bob got.
pub(crate) fn ring(bench: &mut Bench) -> Request {
    ring_with(bench, &sdp("192.0.2.10", 4000))
}

/// The same with another offer.
pub(crate) fn ring_with(bench: &mut Bench, offer: &str) -> Request {
    bench.register("bob", BOB);
    assert_eq!(bench.authenticated(ALICE, "alice", &invite(offer)).status().code(), 100);
    bench.request(BOB)
}

/// … and he answers; returns what each got.
pub(crate) fn call(bench: &mut Bench) -> (Request, Response) {
    let got = ring(bench);
    answer(bench, &got, &sdp("192.0.2.20", 6000))
}

/// Bob answers what he got.
pub(crate) fn answer(bench: &mut Bench, got: &Request, sdp: &str) -> (Request, Response) {
    bench.send(BOB, &reply(got, 200, "tbob", &format!("Contact: <sip:bob@{BOB}>\n"), sdp));
    let ok = bench.response(ALICE);
    bench.send(ALICE, &in_dialog("ACK", 2, got, &ok, true, ALICE));
    assert_eq!(bench.request(BOB).method().as_str(), "ACK");
    (got.clone(), ok)
}
