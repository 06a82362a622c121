//! The E-model (ITU-T G.107), shortened to what a call can measure: delay and loss to a rating and a MOS.

#[cfg(test)]
mod tests;

/// What a codec does to speech by itself, and how it bears loss (ITU-T G.113 appendix I).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Impairment {
    /// Equipment impairment factor Ie.
    pub ie: f32,
    /// Packet-loss robustness factor Bpl.
    pub bpl: f32,
}

impl Impairment {
    /// G.711 with concealment of lost packets (G.711 appendix I).
    pub const G711: Self = Self { ie: 0.0, bpl: 25.1 };
    /// G.711 where a lost packet is silence.
    pub const G711_WITHOUT_CONCEALMENT: Self = Self { ie: 0.0, bpl: 4.3 };
    /// G.722 at 64 kbit/s. On the narrow-band scale it loses nothing; the robustness is our estimate.
    pub const G722: Self = Self { ie: 0.0, bpl: 15.0 };
    /// Opus at speech rates with its own concealment; our estimate, G.113 names no values.
    pub const OPUS: Self = Self { ie: 0.0, bpl: 20.0 };

    /// By the encoding name of SDP (case-insensitive); G.711 without concealment for a name we do not know.
    #[must_use]
    pub fn of(encoding: &str) -> Self {
        if encoding.eq_ignore_ascii_case("opus") {
            Self::OPUS
        } else if encoding.eq_ignore_ascii_case("G722") {
            Self::G722
        } else if encoding.eq_ignore_ascii_case("PCMU") || encoding.eq_ignore_ascii_case("PCMA") {
            Self::G711
        } else {
            Self::G711_WITHOUT_CONCEALMENT
        }
    }
}

/// Mean opinion score, 1.0 (bad) to 4.5 (G.107 annex B).
///
/// `delay_ms`: one way, mouth to ear (half the round trip, plus jitter buffer, plus one packet);
/// `loss_percent`: 0–100, with packets that came too late; `burst_ratio`: 1.0 for independent losses, above
/// for bursts ([`crate::ReceiveStatistics::burst_ratio`]).
#[must_use]
pub fn mos(codec: Impairment, delay_ms: f32, loss_percent: f32, burst_ratio: f32) -> f32 {
    let r = rating(codec, delay_ms, loss_percent, burst_ratio);
    if r <= 0.0 { 1.0 } else { (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).clamp(1.0, 4.5) }
}

/// The transmission rating R, 0–93.2, from the same measures as [`mos`].
#[must_use]
pub fn rating(codec: Impairment, delay_ms: f32, loss_percent: f32, burst_ratio: f32) -> f32 {
    let delay = finite(delay_ms).max(0.0);
    let loss = finite(loss_percent).clamp(0.0, 100.0);
    let burst = finite(burst_ratio).max(1.0);
    // Delay and echo with the default values of G.107, in the usual linear form: a bend at 177.3 ms.
    let delay_impairment = 0.024 * delay + 0.11 * (delay - 177.3).max(0.0);
    // G.107 (7-29).
    let loss_impairment = codec.ie + (95.0 - codec.ie) * loss / (loss / burst + codec.bpl.max(1.0));
    (DEFAULT_RATING - delay_impairment - loss_impairment).clamp(0.0, DEFAULT_RATING)
}

fn finite(value: f32) -> f32 {
    if value.is_finite() { value } else { 0.0 }
}

/// R with all of G.107's default values.
const DEFAULT_RATING: f32 = 93.2;
