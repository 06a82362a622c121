//! A call that a phone refuses for its media, in words for the caller (Warning, RFC 3261 §20.43).

use offhook_sdp::{Codec, MediaKind, Sdp};
use offhook_sip::{Name, Request, Response, Status};

use super::is_sdp;
use crate::config::{AnchorPolicy, Config};

/// A phone's 488 to an INVITE with what stood in the way, unless the phone has said it itself.
pub(super) fn explained(invite: &Request, refusal: Response, config: &Config) -> Response {
    let is_explained = refusal.raw(Name::Warning).is_some();
    if refusal.status() != Status::NOT_ACCEPTABLE_HERE || is_explained || !is_sdp(invite) {
        return refusal;
    }
    let offered = sound(invite.body());
    if offered.is_empty() {
        return refusal;
    }
    let known = if is_sdp(&refusal) { sound(refusal.body()) } else { Vec::new() };
    let warning = if known.is_empty() {
        format!(
            "399 offhook \"Offered {}; the phone refused and did not say what it knows\"",
            names(&offered)
        )
    } else if known.iter().any(|one| offered.iter().any(|offered| offered.matches(one))) {
        // Then it was not for the codecs.
        return refusal;
    } else {
        format!(
            "305 offhook \"No codec in common: offered {}; the phone knows {}; translated are {}\"",
            names(&offered),
            names(&known),
            names(if config.anchor == AnchorPolicy::Never { &[] } else { &config.codecs[..] })
        )
    };
    let mut edit = refusal.edit();
    edit.add(Name::Warning, warning);
    edit.finish()
}

/// The formats of sound in a description, without those that only accompany others.
fn sound(body: &[u8]) -> Vec<Codec> {
    let Ok(sdp) = Sdp::parse(body) else { return Vec::new() };
    let media = sdp.media().filter(|media| media.kind() == MediaKind::Audio);
    media.flat_map(|media| media.codecs()).filter(|one| !one.is_auxiliary()).collect()
}

/// Their names, as far as they can be one.
pub(super) fn names<'a>(codecs: impl IntoIterator<Item = &'a Codec>) -> String {
    let is_name = |name: &&str| {
        name.len() <= 32 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    let mut names: Vec<_> =
        codecs.into_iter().map(|one| one.name.as_str()).filter(is_name).take(12).collect();
    names.dedup();
    if names.is_empty() { "none".to_owned() } else { names.join(" ") }
}
