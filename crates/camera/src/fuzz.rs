//! What the fuzz targets run on arbitrary bytes. Not part of the crate's interface.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use offhook_media::camera::{CameraId, Coding, Feed, LARGEST_PICTURE};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::{Keeper, Over, Source, States};

/// A session with a camera that says what it likes. The first byte says how: with bit 0 as a raw stream of bytes, else with answers to
/// DESCRIBE, SETUP and PLAY that are right but for the session description, which is the first part of the bytes; packets in
/// the connection (RFC 2326 §10.12) follow, each with its channel and its length before it. What comes of it goes no further
/// than a picture or a piece of sound, and it always ends. Returns how many of these there were.
pub fn rtsp(bytes: &[u8]) -> usize {
    let Ok(listener) = TcpListener::bind("127.0.0.1:0") else { return 0 };
    let Ok(address) = listener.local_addr() else { return 0 };
    let said = bytes.to_vec();
    let camera = std::thread::spawn(move || {
        if let Ok((stream, _)) = listener.accept() {
            // Whoever stops listening in the middle is right to do so.
            let _ = talk(stream, &said);
        }
    });
    let coding = if bytes.first().is_some_and(|one| one & 2 == 0) { Coding::H264 } else { Coding::H265 };
    let named = (CameraId(1), "camera".to_owned());
    let Ok(source) = Source::new(named, &format!("rtsp://{address}/live"), Some(coding), None) else {
        return 0;
    };
    let fed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&fed);
    let sink = Arc::new(move |feed: Feed| {
        count.fetch_add(usize::from(!matches!(feed, Feed::State { .. })), Ordering::Relaxed);
        if let Feed::Picture { units, .. } = &feed {
            assert!(units.len() <= LARGEST_PICTURE);
        }
        true
    });
    let keeper = Keeper { source, sink, states: States::default(), since: Instant::now() };
    let (_door, mut wanted) = watch::channel(true);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else { return 0 };
    let over = runtime.block_on(async { timeout(PATIENCE, keeper.fetch(&mut wanted)).await });
    drop(runtime);
    assert!(matches!(over, Ok(Over::Failed { .. })), "a camera that has gone away has ended the session");
    assert!(camera.join().is_ok());
    fed.load(Ordering::Relaxed)
}

/// The camera's side.
fn talk(mut stream: TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    let Some((how, bytes)) = bytes.split_first() else { return Ok(()) };
    stream.set_nodelay(true)?;
    if how & 1 == 1 {
        request(&mut stream)?;
        return stream.write_all(bytes);
    }
    let length = bytes.first().map_or(0, |length| usize::from(*length) * 4).min(bytes.len());
    let (description, packets) = bytes.split_at(length);
    for setting in 0..MOST_REQUESTS {
        let asked = request(&mut stream)?;
        let number = asked.lines().find_map(|line| line.strip_prefix("CSeq:")).unwrap_or("1").trim();
        let head = format!("RTSP/1.0 200 OK\r\nCSeq: {number}\r\n");
        if asked.starts_with("DESCRIBE") {
            let coding = if how & 2 == 0 { "H264" } else { "H265" };
            let stream_of_pictures = format!("a=rtpmap:96 {coding}/90000\r\na=control:1\r\n");
            let theirs = description.get(1..).unwrap_or_default();
            let body = [DESCRIPTION, stream_of_pictures.as_bytes(), theirs].concat();
            let kind = "Content-Type: application/sdp\r\nContent-Length";
            stream.write_all(format!("{head}{kind}: {}\r\n\r\n", body.len()).as_bytes())?;
            stream.write_all(&body)?;
        } else if asked.starts_with("SETUP") {
            let channel = 2 * (setting - 1);
            let transport = format!("RTP/AVP/TCP;unicast;interleaved={channel}-{}", channel + 1);
            stream.write_all(format!("{head}Session: 1\r\nTransport: {transport}\r\n\r\n").as_bytes())?;
        } else if asked.starts_with("PLAY") {
            stream.write_all(format!("{head}Session: 1\r\n\r\n").as_bytes())?;
            return play(&mut stream, packets);
        } else {
            return Ok(());
        }
    }
    Ok(())
}

fn play(stream: &mut TcpStream, packets: &[u8]) -> std::io::Result<()> {
    let (mut sent, mut rest) = (Vec::new(), packets);
    while let [channel, length, more @ ..] = rest {
        let (packet, after) = more.split_at(usize::from(*length).min(more.len()));
        rest = after;
        sent.extend([b'$', channel & 3]);
        sent.extend((packet.len() as u16).to_be_bytes());
        sent.extend(packet);
    }
    stream.write_all(&sent)
}

/// A request without a body, as a text.
fn request(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut text = Vec::new();
    let mut octet = [0; 512];
    while !text.ends_with(b"\r\n\r\n") {
        let count = stream.read(&mut octet)?;
        if count == 0 || text.len() > LONGEST {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        text.extend(&octet[..count]);
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// What a description begins with, lest nothing ever be played.
const DESCRIPTION: &[u8] = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n";
const MOST_REQUESTS: usize = 8;
const LONGEST: usize = 16 << 10;
/// Longer than any of the session's own patience.
const PATIENCE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::rtsp;

    #[test]
    fn a_camera_that_talks_nonsense_ends_its_session_and_nothing_else() {
        // Answers that are right, then sound, a picture in pieces, a report, and something of a channel that nobody opened.
        let sound = b"m=audio 0 RTP/AVP 0\r\na=control:22\r\n";
        assert_eq!((1 + sound.len()) % 4, 0);
        let mut whole = vec![0, (1 + sound.len()) as u8 / 4];
        whole.extend(sound);
        for (channel, packet) in [
            (2, &b"\x80\x00\0\x01\0\0\0\0\0\0\0\x07\xff\xff\xff\xff"[..]),
            (2, b"\x80\x00\0\x02\0\0\0\x04\0\0\0\x07\xff\xff\xff\xff"),
            (0, b"\x80\x60\0\x01\0\0\0\0\0\0\0\x07\x67\x42\0\x1e\xe9\x01\x40\x7b\x20"),
            (0, b"\x80\x60\0\x02\0\0\0\0\0\0\0\x07\x68\xce\x31\x52"),
            (0, b"\x80\xe0\0\x03\0\0\0\0\0\0\0\x07\x65\x88\x84"),
            (1, b"\x80\xc8\0\x06\0\0\0\x07\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
            (3, b"nobody"),
        ] {
            whole.extend([channel, packet.len() as u8]);
            whole.extend(packet);
        }
        assert!(rtsp(&whole) >= 2, "what is right goes on");
        // Its reader panics.
        let mut no_description = whole.clone();
        no_description[2..2 + sound.len()].copy_from_slice(format!("no\r\na={:x<27}\r\n", "").as_bytes());
        rtsp(&no_description);
        let mut seed = 1_u64;
        let mut dice = |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % below
        };
        for _ in 0..200 {
            let mut damaged = whole.clone();
            for _ in 0..dice(6) {
                let place = dice(damaged.len());
                damaged[place] = dice(256) as u8;
            }
            damaged.truncate(dice(4 * whole.len()) + 1);
            rtsp(&damaged);
        }
    }
}
