use std::net::SocketAddr;

use offhook_net::{
    ClientAuth, Identity, Roots, SendFailure, StreamLimits, TlsClient, TlsFault, TlsServer, read_certificates,
};
use offhook_sip_stack::Transport;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::authority::{Authority, now};
use crate::peer::{Peer, SHORT, message, read_end, until};

#[tokio::test]
async fn messages_go_both_ways_on_one_connection() {
    let authority = Authority::new();
    let mut server = Peer::server(&authority.server(&["example.com"]), StreamLimits::default());
    let mut phone = Peer::client(Some(authority.client()));
    phone.call(Transport::Tls, server.address, "example.com", 1);
    let flow = server.opened().await;
    assert_eq!((flow.transport, flow.local), (Transport::Tls, server.address));
    assert_eq!(server.message().await, (message(1).into(), flow));
    server.send(flow, 2);
    // Found by its address too: a dialog's route may know no more.
    server.call_unknown(Transport::Tls, flow.remote, 3);
    let ours = phone.opened().await;
    assert_eq!((ours.transport, ours.remote), (Transport::Tls, server.address));
    assert_eq!(phone.message().await, (message(2).into(), ours));
    assert_eq!(phone.message().await, (message(3).into(), ours));
    assert_eq!((server.streams.counts().open, phone.streams.counts().open), (1, 1));

    phone.streams.close(ours.connection.unwrap());
    assert_eq!(server.lost().await, flow);
}

#[tokio::test]
async fn a_connection_to_one_domain_is_not_used_for_another_at_the_same_address() {
    let authority = Authority::new();
    let mut server =
        Peer::server(&authority.server(&["one.example", "two.example"]), StreamLimits::default());
    let mut caller = Peer::client(Some(authority.client()));
    caller.call(Transport::Tls, server.address, "one.example", 1);
    let first = server.opened().await;
    assert_eq!(server.message().await, (message(1).into(), first));
    caller.call(Transport::Tls, server.address, "two.example", 2);
    let second = server.opened().await;
    assert_eq!(server.message().await, (message(2).into(), second));
    caller.call(Transport::Tls, server.address, "one.example", 3);
    assert_eq!(server.message().await, (message(3).into(), first));
    let opened = [caller.opened().await.connection, caller.opened().await.connection];
    caller.call(Transport::Tls, server.address, "three.example", 4);
    assert_eq!(caller.failure().await, SendFailure::Tls(TlsFault::WrongName));
    assert_ne!(opened[0], opened[1]);
}

#[tokio::test]
async fn a_large_message_arrives_whole() {
    let authority = Authority::new();
    let mut server = Peer::server(&authority.server(&["example.com"]), StreamLimits::default());
    let phone = Peer::client(Some(authority.client()));
    let body = "x".repeat(50_000);
    let large = format!("MESSAGE sip:a@b SIP/2.0\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    phone.call(Transport::Tls, server.address, "example.com", 1);
    server.opened().await;
    let (_, flow) = server.message().await;
    let remote = server.address;
    let transmit = |bytes: String| offhook_sip_stack::Transmit {
        flow: offhook_sip_stack::Flow {
            local: "0.0.0.0:0".parse().unwrap(),
            remote,
            connection: None,
            ..flow
        },
        bytes: bytes.into(),
    };
    phone.streams.send(transmit(large.clone())).unwrap();
    assert_eq!(server.message().await.0, large);
}

#[tokio::test]
async fn a_certificate_for_another_name_or_by_an_unknown_authority_is_refused() {
    let authority = Authority::new();
    let server = Peer::server(&authority.server(&["example.com", "*.example.org"]), StreamLimits::default());
    for name in ["example.net", "127.0.0.1", "sip.example.org"] {
        let mut phone = Peer::client(Some(authority.client()));
        phone.call(Transport::Tls, server.address, name, 1);
        assert_eq!(phone.failure().await, SendFailure::Tls(TlsFault::WrongName), "{name}");
    }
    let mut phone = Peer::client(Some(Authority::new().client()));
    phone.call(Transport::Tls, server.address, "example.com", 1);
    assert_eq!(phone.failure().await, SendFailure::Tls(TlsFault::UnknownIssuer));
    until(|| server.streams.counts().handshakes_failed == 4).await;
}

#[tokio::test]
async fn a_certificate_that_signed_itself_is_refused_with_that_reason() {
    let authority = Authority::new();
    let (certificate, key) = authority.self_signed(&["example.com"]);
    let identity = Identity::read(&certificate, &key, now()).unwrap();
    let server =
        Peer::server(&TlsServer::new(identity, &ClientAuth::Off, &[]).unwrap(), StreamLimits::default());
    let mut phone = Peer::client(Some(authority.client()));
    phone.call(Transport::Tls, server.address, "example.com", 1);
    let failure = phone.failure().await;
    assert_eq!(failure, SendFailure::Tls(TlsFault::SelfSigned));
    assert!(failure.to_string().contains("signed by itself"));

    let mut careless = Peer::client(Some(TlsClient::insecure(None).unwrap()));
    careless.call(Transport::Tls, server.address, "whatever.example", 1);
    careless.opened().await;
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let authority = Authority::new();
    let (certificate, key) = authority.sign(&["example.com"], (2001, 2003));
    let then = std::time::Duration::from_secs(1_020_000_000);
    let identity = Identity::read(&certificate, &key, then).unwrap();
    let server =
        Peer::server(&TlsServer::new(identity, &ClientAuth::Off, &[]).unwrap(), StreamLimits::default());
    let mut phone = Peer::client(Some(authority.client()));
    phone.call(Transport::Tls, server.address, "example.com", 1);
    assert_eq!(phone.failure().await, SendFailure::Tls(TlsFault::Expired));
}

#[tokio::test]
async fn plain_bytes_on_the_tls_port_are_turned_away_and_counted() {
    let authority = Authority::new();
    let server = Peer::server(&authority.server(&["example.com"]), StreamLimits::default());
    let mut plain = TcpStream::connect(server.address).await.unwrap();
    plain.write_all(&message(1)).await.unwrap();
    read_end(&mut plain).await;
    until(|| server.streams.counts().open == 0).await;
    assert_eq!(server.streams.counts().handshakes_failed, 1);
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_given_up() {
    let authority = Authority::new();
    let limits = StreamLimits { handshake: SHORT, ..StreamLimits::default() };
    let server = Peer::server(&authority.server(&["example.com"]), limits);
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    let mut half = TcpStream::connect(server.address).await.unwrap();
    // The head of a record of 512 octets, and no more.
    half.write_all(&[0x16, 3, 1, 2, 0, 1]).await.unwrap();
    read_end(&mut silent).await;
    read_end(&mut half).await;
    until(|| server.streams.counts().open == 0).await;
    assert_eq!(server.streams.counts().handshakes_failed, 2);
}

#[tokio::test]
async fn beyond_the_limits_of_handshakes_peers_are_turned_away() {
    turns_away(StreamLimits { handshakes: 1, ..StreamLimits::default() }).await;
    turns_away(StreamLimits { handshakes_per_address: 1, ..StreamLimits::default() }).await;
}

/// When one handshake is under way.
async fn turns_away(limits: StreamLimits) {
    let authority = Authority::new();
    let mut server = Peer::server(&authority.server(&["example.com"]), limits);
    let first = TcpStream::connect(server.address).await.unwrap();
    until(|| server.streams.counts().open == 1).await;
    read_end(&mut TcpStream::connect(server.address).await.unwrap()).await;
    assert_eq!(server.streams.counts().refused, 1);
    drop(first);
    until(|| server.streams.counts().open == 0).await;
    let phone = Peer::client(Some(authority.client()));
    phone.call(Transport::Tls, server.address, "example.com", 1);
    server.opened().await;
}

#[tokio::test]
async fn tls_is_opened_only_to_who_is_expected() {
    let authority = Authority::new();
    let server = Peer::server(&authority.server(&["example.com"]), StreamLimits::default());
    let mut phone = Peer::client(Some(authority.client()));
    for transport in [Transport::Tls, Transport::Ws, Transport::Wss] {
        phone.call_unknown(transport, server.address, 1);
        assert_eq!(phone.failure().await, SendFailure::ConnectionLost);
    }
    // To the same address over another transport it says nothing.
    let nobody: SocketAddr = server.address;
    Peer::client(None).call(Transport::Tls, nobody, "example.com", 1);
    let mut plain = Peer::client(None);
    plain.call(Transport::Tls, nobody, "example.com", 1);
    assert_eq!(plain.failure().await, SendFailure::Unsupported);
}

#[tokio::test]
async fn where_client_certificates_are_asked_for_nobody_comes_in_without() {
    let authority = Authority::new();
    let roots = read_certificates(&authority.file("ca.pem")).unwrap();
    let tls = TlsServer::new(authority.identity(&["example.com"]), &ClientAuth::Demanded(roots.clone()), &[])
        .unwrap();
    let mut server = Peer::server(&tls, StreamLimits::default());
    let mut without = Peer::client(Some(authority.client()));
    without.call(Transport::Tls, server.address, "example.com", 1);
    without.opened().await;
    without.lost().await;

    let trusted = Roots::none().and(roots).unwrap();
    let known = TlsClient::new(trusted.clone(), Some(authority.identity(&["phone"]))).unwrap();
    let with = Peer::client(Some(known));
    with.call(Transport::Tls, server.address, "example.com", 2);
    server.opened().await;
    assert_eq!(server.message().await.0, message(2));

    let foreign = TlsClient::new(trusted, Some(Authority::new().identity(&["phone"]))).unwrap();
    let mut foreign = Peer::client(Some(foreign));
    foreign.call(Transport::Tls, server.address, "example.com", 3);
    foreign.opened().await;
    foreign.lost().await;
}

#[tokio::test]
async fn a_client_that_is_asked_may_come_without_and_is_the_domains_of_a_certificate_that_it_shows() {
    let authority = Authority::new();
    let asks = ClientAuth::Asked(authority.roots());
    let tls = TlsServer::new(authority.identity(&["example.com"]), &asks, &[]).unwrap();
    let mut server = Peer::server(&tls, StreamLimits::default());
    let without = Peer::client(Some(authority.client()));
    without.call(Transport::Tls, server.address, "example.com", 1);
    let flow = server.opened().await;
    assert_eq!(server.message().await, (message(1).into(), flow));

    let names = ["Carrier.example", "b.example"];
    let mut carrier = Peer::client(Some(authority.client_as(Some(authority.identity(&names)))));
    carrier.call(Transport::Tls, server.address, "example.com", 2);
    let (flow, proven) = server.proven().await;
    assert_eq!(proven, ["carrier.example", "b.example"]);
    assert_eq!(server.opened().await, flow);
    assert_eq!(server.message().await, (message(2).into(), flow));
    // Who answers has proven the name by which it was called.
    let (ours, proven) = carrier.proven().await;
    assert_eq!(proven, ["example.com"]);
    assert_eq!(carrier.opened().await, ours);
    carrier.streams.close(ours.connection.unwrap());
    assert_eq!(server.lost().await, flow);
    assert_eq!(server.proven().await, (flow, vec![]));
}

#[tokio::test]
async fn a_client_that_shows_a_bad_certificate_is_turned_away_though_it_might_have_shown_none() {
    let authority = Authority::new();
    let asks = ClientAuth::Asked(authority.roots());
    let tls = TlsServer::new(authority.identity(&["example.com"]), &asks, &[]).unwrap();
    let server = Peer::server(&tls, StreamLimits::default());
    let (certificate, key) = authority.sign(&["carrier.example"], (2001, 2003));
    let then = std::time::Duration::from_secs(1_020_000_000);
    let expired = Identity::read(&certificate, &key, then).unwrap();
    let (certificate, key) = authority.self_signed(&["carrier.example"]);
    let own = Identity::read(&certificate, &key, now()).unwrap();
    let foreign = Authority::new().identity(&["carrier.example"]);
    for (turned_away, bad) in (1..).zip([expired, own, foreign]) {
        let mut peer = Peer::client(Some(authority.client_as(Some(bad))));
        peer.call(Transport::Tls, server.address, "example.com", 1);
        peer.opened().await;
        peer.lost().await;
        until(|| server.streams.counts().handshakes_failed == turned_away).await;
    }
}

#[tokio::test]
async fn whoever_is_not_checked_has_proven_nothing() {
    let authority = Authority::new();
    let server = Peer::server(&authority.server(&["example.com"]), StreamLimits::default());
    let mut careless = Peer::client(Some(TlsClient::insecure(None).unwrap()));
    careless.call(Transport::Tls, server.address, "whatever.example", 1);
    let reported = careless.inputs.recv().await;
    assert!(matches!(reported, Some(offhook_net::NetInput::ConnectionOpened(_))), "{reported:?}");
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_to_new_connections_and_old_ones_stay() {
    let (old, new) = (Authority::new(), Authority::new());
    let tls = old.server(&["example.com"]);
    let mut server = Peer::server(&tls, StreamLimits::default());
    let first = Peer::client(Some(old.client()));
    first.call(Transport::Tls, server.address, "example.com", 1);
    let flow = server.opened().await;
    server.message().await;
    tls.renew(new.identity(&["example.com"]), &ClientAuth::Off).unwrap();

    let second = Peer::client(Some(new.client()));
    second.call(Transport::Tls, server.address, "example.com", 2);
    server.opened().await;
    server.message().await;
    first.call(Transport::Tls, server.address, "example.com", 3);
    assert_eq!(server.message().await, (message(3).into(), flow));
}
