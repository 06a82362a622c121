use std::net::SocketAddr;

use futures_util::{SinkExt as _, StreamExt as _};
use offhook_net::{NetInput, SendFailure, StreamLimits};
use offhook_sip_stack::{Flow, Transport};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::authority::Authority;
use crate::peer::{PATIENCE, Peer, SHORT, message, read_end};

const BROWSER: &str = "192.0.2.7:50000";

/// A connection that HTTP has made a WebSocket of: ours, and the browser's end of its bytes.
fn adopt(server: &Peer) -> DuplexStream {
    let (ours, browser) = duplex(1 << 16);
    let addresses = ("192.0.2.1:8443".parse().unwrap(), BROWSER.parse().unwrap());
    server.streams.adopt(ours, Vec::new(), Transport::Wss, addresses);
    browser
}

async fn browser(server: &Peer) -> WebSocketStream<DuplexStream> {
    WebSocketStream::from_raw_socket(adopt(server), Role::Client, None).await
}

async fn received(browser: &mut WebSocketStream<DuplexStream>) -> Message {
    timeout(PATIENCE, browser.next()).await.expect("nothing came").unwrap().unwrap()
}

fn text(number: usize) -> Message {
    Message::text(String::from_utf8(message(number)).unwrap())
}

fn server(limits: StreamLimits) -> Peer {
    Peer::start(None, None, limits)
}

#[tokio::test]
async fn each_message_is_a_websocket_message_of_text_or_bytes() {
    let mut server = server(StreamLimits::default());
    let mut browser = browser(&server).await;
    let flow = server.opened().await;
    assert_eq!((flow.transport, flow.remote), (Transport::Wss, BROWSER.parse::<SocketAddr>().unwrap()));
    browser.send(text(1)).await.unwrap();
    assert_eq!(server.message().await, (message(1).into(), flow));
    browser.send(Message::binary(message(2))).await.unwrap();
    assert_eq!(server.message().await, (message(2).into(), flow));

    server.send(flow, 3);
    server.send(Flow { connection: None, ..flow }, 4);
    assert_eq!(received(&mut browser).await, text(3));
    assert_eq!(received(&mut browser).await, text(4));

    browser.close(None).await.unwrap();
    assert_eq!(server.lost().await, flow);
    assert!(matches!(received(&mut browser).await, Message::Close(_)));
    // Nobody calls a browser back.
    server.send(Flow { connection: None, ..flow }, 5);
    assert_eq!(server.failure().await, SendFailure::ConnectionLost);
}

#[tokio::test]
async fn pings_and_keep_alives_are_answered_and_not_reported() {
    let mut server = server(StreamLimits::default());
    let mut browser = browser(&server).await;
    let flow = server.opened().await;
    browser.send(Message::Ping("there?".into())).await.unwrap();
    assert_eq!(received(&mut browser).await, Message::Pong("there?".into()));
    browser.send(Message::text("\r\n\r\n")).await.unwrap();
    assert_eq!(received(&mut browser).await, Message::text("\r\n"));
    browser.send(Message::text("\r\n")).await.unwrap();
    browser.send(text(1)).await.unwrap();
    assert_eq!(server.message().await, (message(1).into(), flow));
}

#[tokio::test(start_paused = true)]
async fn a_silent_browser_is_asked_and_lost_when_it_does_not_answer() {
    let mut server = server(StreamLimits::default());
    let mut dead = adopt(&server);
    let flow = server.opened().await;
    let begin = tokio::time::Instant::now();
    let mut ping = [0; 2];
    dead.read_exact(&mut ping).await.unwrap();
    assert_eq!((ping, begin.elapsed().as_secs()), ([0x89, 0], 30));
    let lost = server.inputs.recv().await.unwrap();
    assert!(matches!(lost, NetInput::ConnectionLost(lost) if lost == flow), "{lost:?}");
    assert_eq!(begin.elapsed().as_secs(), 90);
}

#[tokio::test(start_paused = true)]
async fn a_browser_that_answers_pings_stays() {
    let mut server = server(StreamLimits::default());
    let mut browser = browser(&server).await;
    let flow = server.opened().await;
    for _ in 0..20 {
        assert_eq!(received(&mut browser).await, Message::Ping("".into()));
        browser.flush().await.unwrap();
    }
    browser.send(text(1)).await.unwrap();
    assert_eq!(server.message().await, (message(1).into(), flow));
}

#[tokio::test]
async fn a_frame_that_announces_a_gigabyte_ends_the_connection_at_once() {
    let mut server = server(StreamLimits::default());
    let mut browser = browser(&server).await;
    server.opened().await;
    let mut announced = vec![0x82, 0xff];
    announced.extend_from_slice(&(1_u64 << 30).to_be_bytes());
    announced.extend_from_slice(&[0; 4]);
    browser.get_mut().write_all(&announced).await.unwrap();
    server.lost().await;
    match received(&mut browser).await {
        Message::Close(Some(frame)) => assert_eq!(frame.code, CloseCode::Size),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn endless_fragments_are_not_waited_for_for_ever() {
    let limits = StreamLimits { partial: SHORT, ..StreamLimits::default() };
    let mut server = server(limits);
    let mut browser = adopt(&server);
    server.opened().await;
    let (mut reading, mut writing) = tokio::io::split(&mut browser);
    let endless = async {
        // An empty piece of text, masked, not the last; then more of it, and pings in between.
        let mut piece = vec![0x01, 0x80, 0, 0, 0, 0];
        while writing.write_all(&piece).await.is_ok() {
            piece = vec![0x00, 0x80, 0, 0, 0, 0, 0x89, 0x80, 0, 0, 0, 0];
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, async { tokio::join!(endless, read_end(&mut reading)) }).await.expect("still open");
    server.lost().await;
}

#[tokio::test]
async fn what_breaks_the_rules_of_frames_ends_the_connection() {
    let mut server = server(StreamLimits::default());
    let mut browser = browser(&server).await;
    server.opened().await;
    browser.get_mut().write_all(&message(1)).await.unwrap();
    server.lost().await;
    match received(&mut browser).await {
        Message::Close(Some(frame)) => assert_eq!(frame.code, CloseCode::Protocol),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn too_many_browsers_are_turned_away() {
    let mut server = server(StreamLimits { per_address: 1, ..StreamLimits::default() });
    let _first = adopt(&server);
    server.opened().await;
    read_end(&mut adopt(&server)).await;
    assert_eq!(server.streams.counts().refused, 1);
}

/// The other end of our client, made by others: takes one connection, answers what comes with the same.
#[allow(clippy::result_large_err)] // As the library has it.
async fn echo(
    stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    protocol: Option<&'static str>,
) {
    let choose = |request: &Request, mut response: Response| {
        assert_eq!(request.headers()["sec-websocket-protocol"], "sip");
        if let Some(protocol) = protocol {
            response.headers_mut().insert("sec-websocket-protocol", protocol.parse().unwrap());
        }
        Ok(response)
    };
    let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(stream, choose).await else { return };
    while let Some(Ok(message)) = socket.next().await {
        if message.is_text() {
            socket.send(message).await.unwrap();
        }
    }
}

#[tokio::test]
async fn our_client_speaks_websocket_with_others() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move { echo(listener.accept().await.unwrap().0, Some("sip")).await });
    let mut phone = Peer::client(None);
    phone.call(Transport::Ws, address, "example.com", 1);
    let flow = phone.opened().await;
    assert_eq!(phone.message().await, (message(1).into(), flow));
    phone.streams.close(flow.connection.unwrap());
    assert_eq!(phone.lost().await, flow);
    serving.await.unwrap();
}

#[tokio::test]
async fn our_client_speaks_websocket_over_tls() {
    let authority = Authority::new();
    // For hosts, unlike SIP domains, a wildcard will do.
    let tls = authority.server(&["*.example.com"]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let stream = listener.accept().await.unwrap().0;
        echo(tls.accept(stream).await.unwrap(), Some("sip")).await;
    });
    let mut phone = Peer::client(Some(authority.client()));
    phone.call(Transport::Wss, address, "www.example.com", 1);
    let flow = phone.opened().await;
    assert_eq!(flow.transport, Transport::Wss);
    assert_eq!(phone.message().await, (message(1).into(), flow));
}

#[tokio::test]
async fn a_server_that_does_not_choose_sip_is_no_peer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { echo(listener.accept().await.unwrap().0, None).await });
    let mut phone = Peer::client(None);
    phone.call(Transport::Ws, address, "example.com", 1);
    assert_eq!(phone.failure().await, SendFailure::NoWebSocket);
}
