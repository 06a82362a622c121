//! How a side of a call sounded, as its record says it.

use offhook_exchange::event::Reception;
use offhook_rtp::quality::{Impairment, mos};
use serde::Serialize;

/// What came from one side.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Quality {
    pub(super) packets: u64,
    pub(super) lost: u64,
    pub(super) jitter_ms: f64,
    /// 1.0 to 4.5 (E-model, ITU-T G.107), as somebody would hear it here; `null`: nothing came.
    pub(super) mos: Option<f64>,
}

impl Quality {
    /// Of what came in a codec.
    pub(super) fn of(reception: &Reception, codec: Option<&str>) -> Self {
        let Reception { packets, lost, bursts, jitter } = *reception;
        let expected = packets + lost;
        let jitter_ms = jitter.as_secs_f32() * 1000.0;
        let loss = lost as f32 / expected.max(1) as f32;
        // A phone's buffer holds about twice the jitter, and at least a packet; the network's own delay is not known.
        let delay = (2.0 * jitter_ms).max(PACKET) + PACKET;
        let mos = mos(
            Impairment::of(codec.unwrap_or_default()),
            delay,
            loss * 100.0,
            burst_ratio(loss, lost, bursts),
        );
        let rounded = |value: f32, digits: f64| (f64::from(value) * digits).round() / digits;
        Self {
            packets,
            lost,
            jitter_ms: rounded(jitter_ms, 10.0),
            mos: (packets > 0).then(|| rounded(mos, 100.0)),
        }
    }
}

/// How much longer the gaps are than if packets were lost independently (ITU-T G.107 §3.5).
fn burst_ratio(loss: f32, lost: u64, bursts: u64) -> f32 {
    if bursts == 0 { 1.0 } else { (lost as f32 / bursts as f32 * (1.0 - loss)).max(1.0) }
}

/// Milliseconds of sound in one, usually.
const PACKET: f32 = 20.0;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_score_falls_with_loss_and_jitter_and_is_none_of_silence() {
        let score = |packets, lost, jitter| {
            let reception = Reception { packets, lost, bursts: lost, jitter: Duration::from_millis(jitter) };
            Quality::of(&reception, Some("pcmu")).mos
        };
        let (good, lossy, uneven) = (score(1_000, 0, 2), score(900, 100, 2), score(1_000, 0, 150));
        assert!(good > Some(4.3) && lossy < Some(3.9) && uneven < good, "{good:?} {lossy:?} {uneven:?}");
        assert_eq!(score(0, 0, 0), None);
    }

    #[test]
    fn losses_in_bursts_are_worse() {
        let of = |bursts| {
            let reception = Reception { packets: 950, lost: 50, bursts, ..Reception::default() };
            Quality::of(&reception, Some("opus")).mos
        };
        assert!(of(5) < of(50), "{:?} {:?}", of(5), of(50));
    }
}
