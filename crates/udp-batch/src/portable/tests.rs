use std::net::Ipv4Addr;

use super::*;

#[test]
fn what_one_socket_sends_the_other_receives() {
    let (a, b) = (
        UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap(),
        UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap(),
    );
    let local = b.local_addr().unwrap();
    let payloads: Vec<Vec<u8>> = (0..5_u8).map(|n| vec![n; 10 + usize::from(n)]).collect();
    let outgoing: Vec<_> =
        payloads.iter().map(|payload| Outgoing { destination: local, source: None, payload }).collect();
    assert_eq!(send(&a, false, &outgoing).unwrap(), 5);

    let mut got = Vec::new();
    let mut batch = ReceiveBatch::with_slots(1, 12);
    while got.len() < 5 {
        batch.clear();
        assert_eq!(receive(&b, local, &mut batch, &AtomicU64::new(0)).unwrap(), 1);
        got.extend(batch.iter_owned());
    }
    assert_eq!(&got[1].payload[..], &payloads[1][..]);
    assert_eq!((got[0].truncated, got[4].truncated), (false, true));
    assert_eq!(got[0].source, a.local_addr().unwrap());
}
