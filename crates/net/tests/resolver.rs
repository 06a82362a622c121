//! The resolver against a DNS server that says what a test has it say.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use offhook_net::Resolver;
use offhook_sip_stack::locate::{DnsFailure, Question, Reach, Records, Srv};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};

const NAPTR: u16 = 35;
const SRV: u16 = 33;
const A: u16 = 1;
const NXDOMAIN: u8 = 3;
const SERVFAIL: u8 = 2;

/// What is answered: response code and records of (type, data), or nothing at all.
type Zone = fn(&str, u16) -> Option<(u8, Vec<(u16, Vec<u8>)>)>;

/// A server on a free port of loopback, and how often it was asked. Over UDP it cuts short what does not fit.
async fn serve(zone: Zone) -> (SocketAddr, Arc<AtomicUsize>) {
    let (udp, tcp) = loop {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
            break (udp, tcp);
        }
    };
    let (address, asked) = (udp.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = udp.recv_from(&mut buffer).await {
            count.fetch_add(1, Ordering::Relaxed);
            if let Some(mut reply) = answer(&buffer[..length], zone) {
                if reply.len() > 512 {
                    // TC, and no record.
                    reply.truncate(length.min(end_of_question(&buffer) + 12));
                    reply[2] |= 2;
                    reply[6..12].fill(0);
                    reply.truncate(end_of_question(&buffer));
                }
                let _ = udp.send_to(&reply, from).await;
            }
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = tcp.accept().await {
            tokio::spawn(async move {
                while let Ok(length) = stream.read_u16().await {
                    let mut query = vec![0; length.into()];
                    stream.read_exact(&mut query).await.unwrap();
                    let reply = answer(&query, zone).unwrap();
                    stream.write_u16(reply.len() as u16).await.unwrap();
                    stream.write_all(&reply).await.unwrap();
                }
            });
        }
    });
    (address, asked)
}

fn end_of_question(query: &[u8]) -> usize {
    let mut at = 12;
    while query[at] != 0 {
        at += usize::from(query[at]) + 1;
    }
    at + 5
}

fn answer(query: &[u8], zone: Zone) -> Option<Vec<u8>> {
    let (mut at, mut name) = (12, String::new());
    while query[at] != 0 {
        let length = usize::from(query[at]);
        name.push_str(std::str::from_utf8(&query[at + 1..at + 1 + length]).unwrap());
        name.push('.');
        at += length + 1;
    }
    let kind = u16::from_be_bytes([query[at + 1], query[at + 2]]);
    let (code, records) = zone(&name.to_ascii_lowercase(), kind)?;
    let mut reply = query[..at + 5].to_vec();
    // A response with recursion; one question.
    reply[2] = 0x81;
    reply[3] = 0x80 | code;
    reply[4..12].copy_from_slice(&[0, 1, 0, records.len() as u8, 0, 0, 0, 0]);
    for (kind, data) in records {
        reply.extend([0xc0, 12]);
        reply.extend(kind.to_be_bytes());
        reply.extend([0, 1, 0, 0, 1, 0]);
        reply.extend((data.len() as u16).to_be_bytes());
        reply.extend(data);
    }
    Some(reply)
}

fn name(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in text.split('.').filter(|label| !label.is_empty()) {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

fn srv(priority: u16, weight: u16, port: u16, target: &str) -> (u16, Vec<u8>) {
    let numbers = [priority, weight, port].map(u16::to_be_bytes).concat();
    (SRV, [numbers, name(target)].concat())
}

fn resolver(server: SocketAddr, patience: Duration) -> Resolver {
    let (resolver, trouble) = Resolver::new(&[server], patience);
    assert_eq!(trouble, None);
    resolver
}

#[tokio::test]
async fn records_are_read_and_what_is_missing_is_told_apart() {
    let (server, _) = serve(|name, kind| match (name, kind) {
        ("a.example.", NAPTR) => {
            let mut data = vec![0, 10, 0, 20, 1, b's', 7];
            data.extend(b"SIP+D2U\0");
            data.extend(self::name("_sip._udp.a.example"));
            Some((0, vec![(NAPTR, data)]))
        }
        ("_sip._udp.a.example.", SRV) => Some((0, vec![srv(1, 2, 5070, "one.a.example")])),
        ("one.a.example.", A) => Some((0, vec![(A, vec![127, 0, 0, 9])])),
        ("one.a.example.", _) => Some((0, vec![])),
        ("broken.example.", _) => Some((SERVFAIL, vec![])),
        _ => Some((NXDOMAIN, vec![])),
    })
    .await;
    let resolver = resolver(server, Duration::from_secs(20));
    let Ok(Records::Naptr(naptr)) = resolver.answer(&Question::Naptr("a.example".into())).await else {
        panic!("no NAPTR")
    };
    assert_eq!((naptr[0].order, naptr[0].preference, naptr[0].flags.as_str()), (10, 20, "s"));
    assert_eq!(
        (naptr[0].service.as_str(), naptr[0].replacement.as_str()),
        ("SIP+D2U", "_sip._udp.a.example.")
    );
    let expected = Srv { priority: 1, weight: 2, port: 5070, target: "one.a.example.".into() };
    let asked = resolver.answer(&Question::Srv("_sip._udp.a.example".into())).await;
    assert_eq!(asked, Ok(Records::Srv(vec![expected])));
    let reach = Reach { remote: IpAddr::from([127, 0, 0, 9]), local: IpAddr::from([127, 0, 0, 1]) };
    let asked = resolver.answer(&Question::Addresses("one.a.example".into())).await;
    assert_eq!(asked, Ok(Records::Addresses(vec![reach])));
    let failure = async |question| resolver.answer(&question).await.err();
    assert_eq!(failure(Question::Srv("one.a.example".into())).await, Some(DnsFailure::NoRecords));
    assert_eq!(failure(Question::Naptr("b.example".into())).await, Some(DnsFailure::NoSuchName));
    assert_eq!(failure(Question::Addresses("b.example".into())).await, Some(DnsFailure::NoSuchName));
    assert_eq!(failure(Question::Naptr("broken.example".into())).await, Some(DnsFailure::ServerFailure));
    assert_eq!(failure(Question::Naptr("a..example".into())).await, Some(DnsFailure::NoSuchName));
}

#[tokio::test]
async fn a_truncated_answer_is_fetched_over_tcp() {
    let (server, _) = serve(|_, _| {
        let record = |n| srv(n, 0, 5060, &format!("a-server-with-a-long-name-{n}.a.example"));
        Some((0, (1..=20).map(record).collect()))
    })
    .await;
    let found =
        resolver(server, Duration::from_secs(20)).answer(&Question::Srv("_sip._udp.a.example".into())).await;
    let Ok(Records::Srv(records)) = found else { panic!("{found:?}") };
    assert_eq!(records.len(), 20);
}

#[tokio::test]
async fn what_was_asked_is_not_asked_again_within_its_time() {
    let (server, asked) = serve(|name, kind| match (name, kind) {
        ("a.example.", SRV) => Some((0, vec![srv(0, 0, 5060, "h.example")])),
        _ => Some((NXDOMAIN, vec![])),
    })
    .await;
    let resolver = resolver(server, Duration::from_secs(20));
    for _ in 0..5 {
        assert!(resolver.answer(&Question::Srv("a.example".into())).await.is_ok());
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up() {
    let (server, _) = serve(|_, _| None).await;
    let resolver = resolver(server, Duration::from_millis(300));
    assert_eq!(resolver.answer(&Question::Naptr("a.example".into())).await, Err(DnsFailure::Silent));
}
