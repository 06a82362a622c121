//! What offer and answer have come to, as an end of ours that speaks and listens needs it.

use offhook_media::codec::{self, Wishes, by_name};
use offhook_media::session::{EventFormat, Payload, Protection, Redundancy, Settings};
use offhook_sdp::offer_answer::{Format, Side, agreed};
use offhook_sdp::{MediaKind, Negotiated, Sdp};

/// The settings of the session. Addresses are the relay's business.
pub(super) fn settings(agreed: &Negotiated) -> Settings {
    let format = |one: &Format| by_name(&one.codec.name, one.codec.clock_rate);
    let payload = |payload_type: u8, format: &'static codec::Format| Payload { payload_type, format };
    let known = std::iter::once(&agreed.codec).chain(&agreed.others);
    let event = agreed.telephone_event.as_ref();
    let clock_rate = |one: &Format| one.codec.clock_rate;
    let is_noise = |one: &&Format| one.codec.name.eq_ignore_ascii_case("CN");
    Settings {
        send: format(&agreed.codec).map(|known| payload(agreed.codec.send, known)),
        wishes: Wishes::parse(agreed.codec.remote_fmtp.as_deref().unwrap_or_default()),
        receive: known.filter_map(|one| Some(payload(one.receive, format(one)?))).collect(),
        event_send: event.map(|one| EventFormat { payload_type: one.send, clock_rate: clock_rate(one) }),
        event_receive: event
            .map(|one| EventFormat { payload_type: one.receive, clock_rate: clock_rate(one) }),
        redundancy: agreed.redundancy().map(|one| Redundancy { send: one.send, receive: one.receive }),
        noise_receive: agreed.others.iter().find(is_noise).map(|noise| noise.receive),
        remote_rtp: None,
        remote_rtcp: None,
        signalled_from: None,
        proven: false,
        rtcp_mux: true,
        protection: Protection::Plain,
        sends: agreed.direction.sends(),
        receives: agreed.direction.receives(),
        ptime_ms: agreed.ptime,
    }
}

/// The first stream of sound that is on, and the settings of a session of it, from the side of who has offered.
pub(crate) fn as_offerer(offer: &Sdp, answer: &Sdp) -> Option<(usize, Settings)> {
    of_sound(&agreed(offer, answer, Side::Offerer).ok()?)
}

/// The same from the side of who has answered.
pub(crate) fn as_answerer(offer: &Sdp, answer: &Sdp) -> Option<(usize, Settings)> {
    of_sound(&agreed(offer, answer, Side::Answerer).ok()?)
}

fn of_sound(streams: &[Negotiated]) -> Option<(usize, Settings)> {
    let sound = streams.iter().find(|one| one.kind == MediaKind::Audio)?;
    // Who listens to both hears them whatever they agreed on with each other.
    Some((sound.media_index, Settings { sends: true, receives: true, ..settings(sound) }))
}
