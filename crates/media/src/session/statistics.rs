//! How a session did, as a person would ask.

use super::MediaSession;
use crate::SAMPLE_RATE;
use crate::playout::Measures;
use offhook_rtp::quality::{self, Impairment};
use offhook_rtp::srtp::Suite;
use std::time::Duration;

/// How a session did so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Statistics {
    /// Encoding name of what we send or, sending nothing, may receive; empty without a codec.
    pub codec: &'static str,
    /// RTP packets sent.
    pub sent: u64,
    /// RTP packets received, without duplicates.
    pub received: u64,
    /// Packets that never came.
    pub lost: u64,
    /// Packets that came too late, or too many at once, to be heard.
    pub late: u64,
    /// Packets dropped because they came from a stranger.
    pub foreign: u64,
    /// Packets dropped because they were not protected with the agreed key.
    pub unauthentic: u64,
    /// What protects the stream; `None`: nothing.
    pub srtp: Option<Suite>,
    /// Whether its keys came from a DTLS handshake, not from the signalling.
    pub dtls: bool,
    /// Lost and late packets in percent of those expected.
    pub loss_percent: f32,
    /// Interarrival jitter in ms (RFC 3550 A.8).
    pub jitter_ms: f32,
    /// The highest value it had.
    pub max_jitter_ms: f32,
    /// Network round trip, from RTCP.
    pub round_trip: Option<Duration>,
    /// What the other side lost of our stream lately, in percent, from its last report.
    pub peer_loss_percent: Option<f32>,
    /// The other side's jitter in ms, from its last report.
    pub peer_jitter_ms: Option<f32>,
    /// Estimated quality of what we hear, 1.0 to 4.5 (E-model); `None` before anything came.
    pub mos: Option<f32>,
    /// What the jitter buffer did.
    pub playout: Measures,
}

impl Statistics {
    pub(super) fn of(session: &MediaSession) -> Statistics {
        let received = &session.received;
        let playout = session.playout.measures();
        let (send, receive) = (session.settings.send, session.settings.receive.first().copied());
        let codec = send.or(receive).map_or("", |payload| payload.format.name);
        let late = playout.late + playout.discarded;
        let percent = |packets: u64| match received.expected() {
            0 => 0.0,
            expected => (packets as f64 * 100.0 / expected as f64).min(100.0) as f32,
        };
        let missing = received.lost() + late;
        let round_trip = session.control.round_trip();
        // One way: half the network's round trip, the jitter buffer and one packet.
        let delay =
            round_trip.map_or(0.0, |time| time.as_secs_f32() * 500.0) + playout.delay_ms as f32 + 20.0;
        // Of what is there by a copy nobody hears that it was lost.
        let unheard = percent(missing.saturating_sub(playout.copies));
        let impairment = Impairment::of(receive.or(send).map_or("", |payload| payload.format.name));
        let mos = quality::mos(impairment, delay, unheard, received.burst_ratio());
        let peer = session.control.peer();
        let clock_rate = send.map_or(SAMPLE_RATE, |payload| payload.format.clock_rate);
        let protected = session.guard.suite();
        Statistics {
            codec,
            sent: u64::from(session.sender.packets()),
            received: received.received(),
            lost: received.lost(),
            late,
            foreign: session.foreign,
            unauthentic: session.unauthentic,
            srtp: protected.map(|(suite, _)| suite),
            dtls: protected.is_some_and(|(_, dtls)| dtls),
            loss_percent: percent(missing),
            jitter_ms: received.jitter_ms(),
            max_jitter_ms: received.max_jitter_ms(),
            round_trip,
            peer_loss_percent: peer.map(|block| f32::from(block.fraction_lost) * 100.0 / 256.0),
            peer_jitter_ms: peer
                .map(|block| (f64::from(block.jitter) * 1000.0 / f64::from(clock_rate)) as f32),
            mos: (received.received() > 0).then_some(mos),
            playout,
        }
    }
}
