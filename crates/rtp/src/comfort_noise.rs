//! Comfort noise (RFC 3389): what the background of a pause sounds like, as an RTP payload.

/// Level and colour of background noise.
#[derive(Debug, Clone, PartialEq)]
pub struct ComfortNoise {
    /// Loudness below overload in dB (−dBov), 0–127.
    pub level: u8,
    /// Reflection coefficients of the colour, between −1 and 1; none for white noise, at most
    /// [`ComfortNoise::MAX_ORDER`].
    pub reflection: Vec<f32>,
}

impl ComfortNoise {
    /// The static payload type (RFC 3551 table 4).
    pub const PAYLOAD_TYPE: u8 = 13;

    /// Further coefficients of a payload are left out; they say little about noise.
    pub const MAX_ORDER: usize = 12;

    /// Reads a payload; `None` when it is empty.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let (level, rest) = payload.split_first()?;
        let coefficient = |byte: &u8| f32::from(i16::from(*byte) - 127) * STEP;
        let reflection = rest.iter().take(Self::MAX_ORDER).map(coefficient);
        // A coefficient of one would ring for ever.
        let reflection = reflection.map(|k| k.clamp(-LARGEST, LARGEST)).collect();
        Some(Self { level: level & 0x7f, reflection })
    }

    /// The payload.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let byte = |k: &f32| (k.clamp(-1.0, 1.0) / STEP).round().clamp(-127.0, 127.0) as i16 + 127;
        let reflection = self.reflection.iter().take(Self::MAX_ORDER).map(|k| byte(k) as u8);
        std::iter::once(self.level.min(127)).chain(reflection).collect()
    }
}

/// RFC 3389 §3.3: k = 258 · (N − 127) / 32768.
const STEP: f32 = 258.0 / 32768.0;
const LARGEST: f32 = 0.99;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_says_level_and_colour() {
        let noise = ComfortNoise { level: 60, reflection: vec![0.5, -0.25, 0.0] };
        let back = ComfortNoise::parse(&noise.to_bytes()).unwrap();
        assert_eq!(back.level, 60);
        for (a, b) in back.reflection.iter().zip(&noise.reflection) {
            assert!((a - b).abs() < STEP, "{a} {b}");
        }
        assert_eq!(ComfortNoise::parse(&[200]).unwrap(), ComfortNoise { level: 72, reflection: vec![] });
    }

    #[test]
    fn any_bytes_are_noise_or_nothing() {
        assert_eq!(ComfortNoise::parse(&[]), None);
        for byte in 0..=255 {
            let noise = ComfortNoise::parse(&[byte; 300]).unwrap();
            assert!(noise.reflection.len() == 12 && noise.reflection.iter().all(|k| k.abs() < 1.0));
        }
    }
}
