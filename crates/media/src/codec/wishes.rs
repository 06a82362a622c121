//! What a receiver asks for in its `a=fmtp`.

/// Wishes of a receiver, as far as an encoder of ours can do something about them. The default is what is best where
/// nothing is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wishes {
    /// The highest mean rate, in bits a second (`maxaveragebitrate`, RFC 7587 §6.1).
    pub most_bits: Option<u32>,
    /// The highest sample rate that it can play, in Hz (`maxplaybackrate`).
    pub playback_rate: Option<u32>,
    /// It can use copies of lost packets (`useinbandfec=1`).
    pub copies: bool,
    /// It likes pauses to be left out (`usedtx=1`).
    pub pauses: bool,
    /// It wants packets of one length (`cbr=1`).
    pub constant: bool,
}

impl Default for Wishes {
    fn default() -> Wishes {
        Wishes { most_bits: None, playback_rate: None, copies: true, pauses: false, constant: false }
    }
}

impl Wishes {
    /// Reads `key=value;…`; what is not there has the default of RFC 7587 §6.1, what makes no sense counts as not
    /// there.
    pub fn parse(parameters: &str) -> Wishes {
        let value = |key: &str| -> Option<u32> {
            let mut pairs = parameters.split(';').filter_map(|pair| pair.trim().split_once('='));
            pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case(key))?.1.trim().parse().ok()
        };
        Wishes {
            most_bits: value("maxaveragebitrate").filter(|bits| (6000..=510_000).contains(bits)),
            playback_rate: value("maxplaybackrate").filter(|rate| (8000..=48_000).contains(rate)),
            copies: value("useinbandfec") == Some(1),
            pauses: value("usedtx") == Some(1),
            constant: value("cbr") == Some(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_and_nonsense_is_passed_over() {
        let wishes = Wishes::parse("maxplaybackrate=16000; UseInbandFec=1;maxaveragebitrate=20000;usedtx=0");
        let expected = Wishes {
            most_bits: Some(20_000),
            playback_rate: Some(16_000),
            copies: true,
            pauses: false,
            constant: false,
        };
        assert_eq!(wishes, expected);
        let nothing = Wishes { copies: false, ..Wishes::default() };
        assert_eq!(Wishes::parse("maxaveragebitrate=1;cbr;usedtx=x;=;"), nothing);
    }
}
