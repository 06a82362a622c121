//! What the system takes to pass a datagram on when each stream has a socket of its own: receive one, send one, nothing
//! else. `relay_floor SOCKETS PACKETS_A_SECOND SECONDS` prints the processor time of a datagram.
//!
//! A relay cannot cost much less as long as it makes these two calls for each packet.
#![allow(clippy::disallowed_methods)] // It measures.

#[cfg(target_os = "linux")]
fn main() -> std::io::Result<()> {
    floor::run(&std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect::<Vec<_>>())
}

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
mod floor {
    use std::fs::read_to_string;
    use std::io::{self, ErrorKind};
    use std::net::{SocketAddr, UdpSocket};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread::{sleep, spawn};
    use std::time::{Duration, Instant};

    use offhook_udp_batch::{Interest, Poller};

    pub(super) fn run(words: &[u64]) -> io::Result<()> {
        let &[sockets, rate, seconds] = words else {
            return Err(io::Error::other("relay_floor SOCKETS PACKETS_A_SECOND SECONDS"));
        };
        let sink = open()?;
        let doors: Vec<UdpSocket> = (0..sockets).map(|_| open()).collect::<io::Result<_>>()?;
        let targets: Vec<SocketAddr> = doors.iter().map(UdpSocket::local_addr).collect::<io::Result<_>>()?;
        let (to, end) = (sink.local_addr()?, Arc::new(AtomicBool::new(false)));
        let (relay_end, sink_end) = (Arc::clone(&end), Arc::clone(&end));
        let relay = spawn(move || relay(&doors, to, &relay_end));
        let listener = spawn(move || listen(&sink, &sink_end));
        let sent = blast(&targets, rate, Duration::from_secs(seconds))?;
        // What is on its way still counts.
        sleep(Duration::from_millis(200));
        end.store(true, Ordering::Relaxed);
        let (passed, nanoseconds) = relay.join().map_err(|_| io::Error::other("the relay panicked"))??;
        let heard = listener.join().map_err(|_| io::Error::other("the listener panicked"))?;
        let each = nanoseconds as f64 / 1e3 / passed.max(1) as f64;
        println!(
            "{{\"sockets\": {sockets}, \"sent\": {sent}, \"passed\": {passed}, \"heard\": {heard}, \"us\": {each:.3}}}"
        );
        Ok(())
    }

    fn open() -> io::Result<UdpSocket> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    }

    /// Passes on what comes; returns how much, and the processor time of this thread in nanoseconds.
    fn relay(doors: &[UdpSocket], to: SocketAddr, end: &AtomicBool) -> io::Result<(u64, u64)> {
        let (mut poller, mut ready, mut buffer) = (Poller::new()?, Vec::new(), [0; 2048]);
        for (door, token) in doors.iter().zip(0..) {
            poller.add(door, token, Interest::Read)?;
        }
        let (begin, mut passed) = (processor_time()?, 0);
        while !end.load(Ordering::Relaxed) {
            poller.wait(Some(Duration::from_millis(100)), &mut ready)?;
            for door in ready.iter().filter_map(|ready| doors.get(ready.token as usize)) {
                let Ok(len) = door.recv(&mut buffer) else { continue };
                passed += u64::from(door.send_to(&buffer[..len], to).is_ok());
            }
        }
        Ok((passed, processor_time()? - begin))
    }

    fn processor_time() -> io::Result<u64> {
        let text = read_to_string("/proc/thread-self/schedstat")?;
        text.split(' ').next().and_then(|word| word.parse().ok()).ok_or(ErrorKind::InvalidData.into())
    }

    /// Takes what comes; returns how much.
    fn listen(sink: &UdpSocket, end: &AtomicBool) -> u64 {
        let (mut buffer, mut heard) = ([0; 2048], 0);
        while !end.load(Ordering::Relaxed) {
            // Not asleep on the socket: to wake it would be counted as the relay's time.
            sleep(Duration::from_millis(1));
            while sink.recv(&mut buffer).is_ok() {
                heard += 1;
            }
        }
        heard
    }

    /// Sends 172 bytes at an even rate, a millisecond's worth at a time, to one port after the other: as phones do.
    fn blast(targets: &[SocketAddr], rate: u64, time: Duration) -> io::Result<u64> {
        let (socket, begun, mut sent) = (UdpSocket::bind("127.0.0.1:0")?, Instant::now(), 0);
        while begun.elapsed() < time {
            let due = (begun.elapsed().as_secs_f64() * rate as f64) as u64;
            while sent < due {
                socket.send_to(&[0xff; 172], targets[sent as usize % targets.len()])?;
                sent += 1;
            }
            sleep(Duration::from_millis(1));
        }
        Ok(sent)
    }
}
