mod rfc4317;
mod rules;

use super::*;

fn parse(text: &str) -> Sdp {
    Sdp::parse(text.as_bytes()).expect("a description")
}

fn phone(address: &str, codecs: Vec<Codec>) -> Capabilities {
    let rtp: SocketAddr = address.parse().expect("an address");
    Capabilities { origin: Origin::new(1, 1, rtp.ip()), streams: vec![Stream::audio(rtp, codecs)] }
}

fn g711() -> Vec<Codec> {
    vec![Codec::pcmu(), Codec::pcma(), Codec::telephone_event(101, 8000)]
}

/// An offer of one stream at 192.0.2.9:4000.
fn offered(formats: &str, attributes: &str) -> Sdp {
    parse(&format!(
        "v=0\r\no=- 5 5 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n\
         m=audio 4000 RTP/AVP {formats}\r\n{attributes}"
    ))
}
