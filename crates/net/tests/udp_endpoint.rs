//! Two endpoints on the loopback interface.
#![allow(clippy::unwrap_used, clippy::expect_used)] // Helpers of tests are no tests to clippy.

use std::time::Duration;

use bytes::Bytes;
use offhook_net::udp_batch::SocketOptions;
use offhook_net::{Inlet, NetInput, SendFailure, UdpEndpoint, bind_udp};
use offhook_sip_stack::{Flow, Transmit, Transport};
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

fn start(address: &str) -> (UdpEndpoint, Receiver<NetInput>) {
    let (inlet, inputs) = Inlet::new(16, || {});
    let socket = bind_udp(address.parse().unwrap(), &SocketOptions::default()).unwrap();
    (UdpEndpoint::start(socket, inlet).unwrap(), inputs)
}

async fn message(inputs: &mut Receiver<NetInput>) -> (Bytes, Flow) {
    match timeout(Duration::from_secs(60), inputs.recv()).await.expect("nothing came").unwrap() {
        NetInput::Message { bytes, flow } => (bytes, flow),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_message_and_its_answer_travel_between_two_endpoints() {
    for address in ["127.0.0.1:0", "[::1]:0", "0.0.0.0:0"] {
        let ((caller, mut to_caller), (callee, mut to_callee)) = (start(address), start(address));
        let mut remote = callee.local_addr();
        if remote.ip().is_unspecified() {
            remote.set_ip("127.0.0.3".parse().unwrap());
        }
        let flow = Flow { transport: Transport::Udp, local: caller.local_addr(), remote, connection: None };
        for number in 0..100 {
            let bytes = Bytes::from(format!("request {number}"));
            caller.send(Transmit { flow, bytes: bytes.clone() }).unwrap();
            let (got, back) = message(&mut to_callee).await;
            assert_eq!((got, back.local), (bytes, remote));

            callee.send(Transmit { flow: back, bytes: Bytes::from_static(b"answer") }).unwrap();
            let (got, there) = message(&mut to_caller).await;
            assert_eq!((&got[..], there.remote), (&b"answer"[..], remote));
        }
    }
}

#[tokio::test]
async fn a_message_that_cannot_leave_comes_back() {
    let (endpoint, _inputs) = start("127.0.0.1:0");
    let local = endpoint.local_addr();
    let flow = Flow { transport: Transport::Udp, local, remote: local, connection: None };
    let failed = endpoint.send(Transmit { flow, bytes: vec![0; 66_000].into() }).unwrap_err();
    assert!(matches!(failed.failure, SendFailure::System(_)));
    assert_eq!(failed.transmit.bytes.len(), 66_000);
}
