//! Formats of video whose parameters must fit: H.264 (RFC 6184 §8.2.2) and H.265 (RFC 7798 §7.2.2).

use crate::codec::Codec;
use crate::media::MediaKind;
use crate::sdp::Sdp;

impl Codec {
    /// H.264 in fragments where needed, as nearly every phone can show it.
    #[must_use]
    pub fn h264(payload_type: u8) -> Self {
        Self { fmtp: Some(h264_parameters("42e01f")), ..Self::new(payload_type, "H264", CLOCK) }
    }

    /// H.265 in one stream.
    #[must_use]
    pub fn h265(payload_type: u8) -> Self {
        Self::new(payload_type, "H265", CLOCK)
    }
}

/// Of the video that is offered, the format in which a source can be sent whose pictures nobody codes anew: of H.264 one with
/// fragments (packetization-mode=1), and of the profiles the one with most in it. Answered with its own parameters, since
/// a profile goes both ways or not at all.
#[must_use]
pub fn format_for(offer: &Sdp, name: &str) -> Option<Codec> {
    let video = offer.media().find(|media| media.kind() == MediaKind::Video && media.port() != 0)?;
    let codecs = video.codecs();
    let named =
        codecs.into_iter().filter(|one| one.name.eq_ignore_ascii_case(name) && one.clock_rate == CLOCK);
    if !name.eq_ignore_ascii_case("H264") {
        return named.map(|one| Codec { fmtp: None, ..one }).next();
    }
    let fragments = named.filter(|one| one.parameter("packetization-mode") == Some("1"));
    // Of equals the first, which the phone likes best.
    let best = fragments.reduce(|best, one| if rank(&one) > rank(&best) { one } else { best })?;
    let fmtp = h264_parameters(best.parameter("profile-level-id").unwrap_or(NO_PROFILE));
    Some(Codec { fmtp: Some(fmtp), ..best })
}

/// Whether what is offered can be what we have, beyond its name.
pub(crate) fn fits(offered: &Codec, ours: &Codec) -> bool {
    let mode = |codec: &Codec| codec.parameter("packetization-mode").unwrap_or("0").to_owned();
    !ours.name.eq_ignore_ascii_case("H264")
        || (mode(offered) == mode(ours) && profile(offered) == profile(ours))
}

/// The profile without the level, in lower case.
fn profile(codec: &Codec) -> String {
    let id = codec.parameter("profile-level-id").unwrap_or(NO_PROFILE);
    id.get(..4).unwrap_or(id).to_ascii_lowercase()
}

fn rank(codec: &Codec) -> u8 {
    match profile(codec).get(..2) {
        Some("64") => 2,
        Some("4d") => 1,
        _ => 0,
    }
}

fn h264_parameters(profile: &str) -> String {
    format!("profile-level-id={profile};packetization-mode=1;level-asymmetry-allowed=1")
}

const CLOCK: u32 = 90_000;
/// What is meant where none is said (RFC 6184 §8.1).
const NO_PROFILE: &str = "42000a";

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(lines: &str) -> Sdp {
        let text =
            format!("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n{lines}");
        Sdp::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn the_best_profile_with_fragments_is_taken_and_answered_as_it_was_offered() {
        let browser = offer(
            "m=video 4000 RTP/AVP 96 97 98 99\r\na=rtpmap:96 VP8/90000\r\na=rtpmap:97 H264/90000\r\n\
             a=fmtp:97 level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=64001f\r\n\
             a=rtpmap:98 H264/90000\r\na=fmtp:98 packetization-mode=1;profile-level-id=42e01f\r\n\
             a=rtpmap:99 h264/90000\r\na=fmtp:99 packetization-mode=1;profile-level-id=4d001f\r\n",
        );
        let best = format_for(&browser, "H264").unwrap();
        assert_eq!(best.payload_type, 99);
        assert_eq!(best.parameter("profile-level-id"), Some("4d001f"));
        assert_eq!(best.parameter("packetization-mode"), Some("1"));
        let offered = browser.media().next().unwrap().codecs();
        let fitting: Vec<u8> = offered
            .iter()
            .filter(|one| best.matches(one) && fits(one, &best))
            .map(|one| one.payload_type)
            .collect();
        assert_eq!(fitting, [99]);
        assert!(format_for(&browser, "H265").is_none());
    }

    #[test]
    fn without_fragments_or_without_video_there_is_no_format() {
        let whole = "m=video 4000 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\n";
        assert!(format_for(&offer(whole), "H264").is_none());
        let off = "m=video 0 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\na=fmtp:97 packetization-mode=1\r\n";
        assert!(format_for(&offer(off), "H264").is_none());
        assert!(format_for(&offer("m=audio 4000 RTP/AVP 0\r\n"), "H264").is_none());
    }

    #[test]
    fn a_profile_that_is_not_said_is_the_least_and_h265_goes_as_it_is() {
        let bare = "m=video 4000 RTP/AVP 97 98\r\na=rtpmap:97 H264/90000\r\na=fmtp:97 packetization-mode=1\r\n\
                    a=rtpmap:98 H265/90000\r\na=fmtp:98 level-id=93\r\n";
        let h264 = format_for(&offer(bare), "H264").unwrap();
        assert_eq!(h264.parameter("profile-level-id"), Some(NO_PROFILE));
        let h265 = format_for(&offer(bare), "H265").unwrap();
        assert_eq!((h265.payload_type, h265.fmtp), (98, None));
    }
}
