use crate::{Codec, Sdp};

fn codecs(lines: &str) -> Vec<Codec> {
    let text = format!("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n{lines}");
    Sdp::parse(text.as_bytes()).expect("a description").media_at(0).expect("a stream").codecs()
}

#[test]
fn static_payload_types_need_no_map() {
    let names: Vec<String> =
        codecs("m=audio 9000 RTP/AVP 0 3 4 8 9 18 10 13 2 96\r\n").iter().map(Codec::encoding).collect();
    assert_eq!(
        names,
        [
            "PCMU/8000",
            "GSM/8000",
            "G723/8000",
            "PCMA/8000",
            "G722/8000",
            "G729/8000",
            "L16/44100/2",
            "CN/8000"
        ]
    );
}

#[test]
fn a_map_goes_before_the_static_meaning() {
    let codecs = codecs("m=audio 9000 RTP/AVP 0 9\r\na=rtpmap:0 GSM/8000\r\na=rtpmap:9 G722/16000\r\n");
    assert_eq!(codecs[0].name, "GSM");
    assert_eq!(codecs[1].clock_rate, 16_000);
}

#[test]
fn odd_maps_are_read_as_far_as_they_make_sense() {
    let codecs = codecs(
        "m=audio 9000 RTP/AVP 96 97 98 99 100 101 101 200 x 102\r\na=rtpmap:96 opus/48000/2\r\n\
         a=fmtp:96 useinbandfec=1; maxaveragebitrate=20000\r\na=rtpmap: 97 speex/16000\r\na=rtpmap:98 iLBC\r\n\
         a=rtpmap:99 /8000\r\na=rtpmap:100 X/0\r\na=rtpmap:101 telephone-event/8000/1\r\na=fmtp:101 0-15\r\n\
         a=rtpmap:102\r\na=rtpmap:300 X/8000\r\na=rtpmap:101 again/8000\r\n",
    );
    let names: Vec<String> = codecs.iter().map(Codec::encoding).collect();
    assert_eq!(names, ["opus/48000/2", "speex/16000", "iLBC/8000", "telephone-event/8000"]);
    assert_eq!(codecs[0].parameter("MaxAverageBitrate"), Some("20000"));
    assert_eq!(codecs[0].parameter("stereo"), None);
    assert_eq!(codecs[3].fmtp.as_deref(), Some("0-15"));
}

#[test]
fn formats_match_by_name_clock_and_channels() {
    assert!(Codec::new(8, "pcma", 8000).matches(&Codec::pcma()));
    assert!(!Codec::telephone_event(101, 48_000).matches(&Codec::telephone_event(101, 8000)));
    assert!(!Codec::new(96, "opus", 48_000).matches(&Codec::opus(96)));
    assert!(Codec::comfort_noise().is_auxiliary() && !Codec::g722().is_auxiliary());
}
