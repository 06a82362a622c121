//! Writes descriptions of our own.

use std::net::IpAddr;

use sdp_types::{Connection, Session};

use super::{Capabilities, Stream};
use crate::codec::Codec;
use crate::media::{Host, Media};
use crate::sdp::Sdp;

/// A description under construction.
pub(super) struct Description {
    session: Session,
    /// The address of the session's `c=` line.
    address: Option<IpAddr>,
}

impl Description {
    pub(super) fn new(local: &Capabilities) -> Self {
        let own = match local.origin.address {
            Host::Ip(ip) => Some(ip),
            Host::Name(_) => None,
        };
        let address = local.streams.first().map(|stream| stream.rtp.ip()).or(own);
        let mut session = Session::new(local.origin.to_line(), "-");
        session.connection = address.map(Connection::from);
        Self { session, address }
    }

    /// A stream with these formats.
    pub(super) fn add(&mut self, stream: &Stream, kind: &str, profile: &str, codecs: &[Codec]) {
        let mut media = line(kind, stream.rtp.port(), profile, &formats(codecs));
        if self.address != Some(stream.rtp.ip()) {
            media.connections.push(Connection::from(stream.rtp.ip()));
        }
        for codec in codecs {
            media.add_attribute_with_value("rtpmap", format!("{} {}", codec.payload_type, codec.encoding()));
            if let Some(fmtp) = &codec.fmtp {
                media.add_attribute_with_value("fmtp", format!("{} {fmtp}", codec.payload_type));
            }
        }
        if let Some(ptime) = stream.ptime {
            media.add_attribute_with_value("ptime", ptime);
        }
        if stream.rtp.port().checked_add(1) != Some(stream.rtcp_port) {
            media.add_attribute_with_value("rtcp", stream.rtcp_port);
        }
        if stream.rtcp_mux {
            media.add_attribute_from_str("rtcp-mux");
        }
        for (name, value) in &stream.attributes {
            media.add_attribute_with_value(name, value);
        }
        media.add_attribute_from_str(stream.direction.name());
        self.session.medias.push(media);
    }

    /// A stream that is off, in the words of the other description (RFC 3264 §6).
    pub(super) fn reject(&mut self, media: &Media<'_>) {
        let formats: Vec<&str> = media.formats().collect();
        self.session.medias.push(line(media.kind_name(), 0, media.profile_name(), &formats.join(" ")));
    }

    pub(super) fn finish(self) -> Sdp {
        Sdp::from_session(self.session)
    }
}

fn line(kind: &str, port: u16, profile: &str, formats: &str) -> sdp_types::Media {
    sdp_types::Media {
        media: kind.to_owned(),
        port,
        num_ports: None,
        proto: profile.to_owned(),
        fmt: formats.to_owned(),
        media_title: None,
        connections: Vec::new(),
        bandwidths: Vec::new(),
        key: None,
        attributes: Vec::new(),
    }
}

fn formats(codecs: &[Codec]) -> String {
    let numbers: Vec<String> = codecs.iter().map(|codec| codec.payload_type.to_string()).collect();
    numbers.join(" ")
}
