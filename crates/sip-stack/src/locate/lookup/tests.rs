use std::collections::HashMap;

use offhook_sip::Uri;
use rand::SeedableRng as _;

use super::*;

/// A zone, in the words of a zone file: `NAME NAPTR order preference flags service replacement`, `NAME SRV priority
/// weight port target`, `NAME A address`, `NAME fails silent`.
struct Zone(HashMap<Question, DnsAnswer>);

impl Zone {
    fn new(text: &str) -> Self {
        let mut zone = HashMap::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let number = |at: usize| words[at].parse::<u16>().unwrap();
            let name = words[0].to_owned();
            let (question, record) = match words[1] {
                "NAPTR" => {
                    let record = Naptr {
                        order: number(2),
                        preference: number(3),
                        flags: words[4].into(),
                        service: words[5].into(),
                        regexp: String::new(),
                        replacement: words[6].into(),
                    };
                    (Question::Naptr(name), Records::Naptr(vec![record]))
                }
                "SRV" => {
                    let (priority, weight, port, target) = (number(2), number(3), number(4), words[5].into());
                    (Question::Srv(name), Records::Srv(vec![Srv { priority, weight, port, target }]))
                }
                "A" => {
                    let reach = Reach { remote: words[2].parse().unwrap(), local: LOCAL.parse().unwrap() };
                    (Question::Addresses(name), Records::Addresses(vec![reach]))
                }
                kind => panic!("{kind}"),
            };
            match (zone.get_mut(&question), record) {
                (Some(Ok(Records::Naptr(known))), Records::Naptr(more)) => known.extend(more),
                (Some(Ok(Records::Srv(known))), Records::Srv(more)) => known.extend(more),
                (Some(Ok(Records::Addresses(known))), Records::Addresses(more)) => known.extend(more),
                (_, record) => _ = zone.insert(question, Ok(record)),
            }
        }
        Self(zone)
    }

    fn with(mut self, question: Question, failure: DnsFailure) -> Self {
        self.0.insert(question, Err(failure));
        self
    }

    fn answer(&self, question: &Question) -> DnsAnswer {
        self.0.get(question).cloned().unwrap_or(Err(DnsFailure::NoSuchName))
    }
}

const LOCAL: &str = "192.0.2.1";
const ALL: [Transport; 3] = [Transport::Udp, Transport::Tcp, Transport::Tls];

/// Searches to the end; returns what was found as `transport address` and the questions in the order in which they
/// were asked.
fn search(
    zone: &Zone,
    uri: &str,
    offered: &[Transport],
    seed: u64,
) -> (Result<Vec<String>, DnsFailure>, Vec<String>) {
    let Uri::Sip(uri) = uri.parse().unwrap() else { panic!("{uri}") };
    let mut rng = Rng::seed_from_u64(seed);
    let (mut lookup, mut open) = Lookup::start(&uri, offered).unwrap();
    let mut asked = Vec::new();
    loop {
        assert!(!open.is_empty(), "waits for nothing");
        let question = open.remove(0);
        asked.push(question.to_string());
        match lookup.answer(&question, zone.answer(&question), &mut rng) {
            Step::Ask(more) => open.extend(more),
            Step::Wait => {}
            Step::Found(hops) => {
                assert!(open.is_empty());
                let text = |hop: &Hop| format!("{} {}", hop.target.transport, hop.target.remote);
                return (Ok(hops.iter().map(text).collect()), asked);
            }
            Step::Failed(failure) => return (Err(failure), asked),
        }
    }
}

const FULL: &str = "
    example.com NAPTR 50 50 s SIPS+D2T _sips._tcp.example.com
    example.com NAPTR 90 50 s SIP+D2T _sip._tcp.example.com
    example.com NAPTR 100 50 s SIP+D2U _sip._udp.example.com
    _sips._tcp.example.com SRV 0 1 5061 one.example.com
    _sip._tcp.example.com SRV 0 1 5060 one.example.com
    _sip._tcp.example.com SRV 1 1 5060 two.example.com
    _sip._udp.example.com SRV 0 1 5070 two.example.com
    one.example.com A 198.51.100.1
    two.example.com A 198.51.100.2
    two.example.com A 2001:db8::2
    example.com A 198.51.100.9";

#[test]
fn the_table_of_rfc_3263() {
    let zone = Zone::new(FULL);
    let udp = "udp 198.51.100.2:5070";
    let rows: [(&str, &[Transport], &[&str]); 9] = [
        (
            "sip:bob@example.com",
            &ALL,
            &[
                "tls 198.51.100.1:5061",
                "tcp 198.51.100.1:5060",
                "tcp 198.51.100.2:5060",
                "tcp [2001:db8::2]:5060",
                udp,
                "udp [2001:db8::2]:5070",
            ],
        ),
        ("sip:bob@example.com", &[Transport::Udp], &[udp, "udp [2001:db8::2]:5070"]),
        ("sips:bob@example.com", &ALL, &["tls 198.51.100.1:5061"]),
        ("sip:bob@example.com;transport=udp", &ALL, &[udp, "udp [2001:db8::2]:5070"]),
        ("sip:bob@example.com;transport=tls", &ALL, &["tls 198.51.100.1:5061"]),
        ("sip:bob@example.com:5066", &ALL, &["udp 198.51.100.9:5066"]),
        ("sips:bob@example.com:5066", &ALL, &["tls 198.51.100.9:5066"]),
        ("sip:bob@one.example.com", &ALL, &["udp 198.51.100.1:5060"]),
        ("sips:bob@one.example.com", &ALL, &["tls 198.51.100.1:5061"]),
    ];
    for (uri, offered, expected) in rows {
        let (found, _) = search(&zone, uri, offered, 1);
        assert_eq!(found.as_deref(), Ok(&expected.map_to_owned()[..]), "{uri} {offered:?}");
    }
}

trait ToOwnedAll {
    fn map_to_owned(&self) -> Vec<String>;
}

impl ToOwnedAll for &[&str] {
    fn map_to_owned(&self) -> Vec<String> {
        self.iter().map(|one| (*one).to_owned()).collect()
    }
}

#[test]
fn an_address_is_asked_only_for_the_way_there() {
    let zone = Zone::new("198.51.100.7 A 198.51.100.7");
    let (found, asked) = search(&zone, "sip:bob@198.51.100.7", &ALL, 1);
    assert_eq!(
        (found, asked),
        (Ok(vec!["udp 198.51.100.7:5060".into()]), vec!["A/AAAA 198.51.100.7".into()])
    );
}

#[test]
fn nothing_is_asked_that_the_uri_says() {
    let zone = Zone::new(FULL);
    let asked = |uri| search(&zone, uri, &ALL, 1).1;
    assert_eq!(asked("sip:bob@example.com:5066"), ["A/AAAA example.com"]);
    assert_eq!(
        asked("sip:bob@example.com;transport=tls"),
        ["SRV _sips._tcp.example.com", "A/AAAA one.example.com"]
    );
    assert_eq!(asked("sip:bob@example.com")[0], "NAPTR example.com");
}

#[test]
fn without_naptr_there_is_srv_and_without_srv_there_are_addresses() {
    let zone = Zone::new(
        "_sip._udp.a.example SRV 0 0 5080 host.a.example
         host.a.example A 198.51.100.5
         b.example A 198.51.100.6",
    );
    assert_eq!(search(&zone, "sip:x@a.example", &ALL, 1).0, Ok(vec!["udp 198.51.100.5:5080".into()]));
    let (found, asked) = search(&zone, "sip:x@b.example", &ALL, 1);
    assert_eq!(found, Ok(vec!["udp 198.51.100.6:5060".into()]));
    assert_eq!(asked.len(), 5, "{asked:?}");
}

#[test]
fn priorities_are_kept_and_weights_are_shares() {
    let zone = Zone::new(
        "_sip._udp.a.example SRV 1 0 5060 last.a.example
         _sip._udp.a.example SRV 0 0 5060 seldom.a.example
         _sip._udp.a.example SRV 0 90 5060 often.a.example
         _sip._udp.a.example SRV 0 10 5060 sometimes.a.example
         last.a.example A 198.51.100.1
         seldom.a.example A 198.51.100.2
         often.a.example A 198.51.100.3
         sometimes.a.example A 198.51.100.4",
    );
    let mut firsts = HashMap::new();
    for seed in 0..1000 {
        let found = search(&zone, "sip:x@a.example", &ALL, seed).0.unwrap();
        assert_eq!(found.len(), 4);
        assert_eq!(found[3], "udp 198.51.100.1:5060", "another priority");
        *firsts.entry(found[0].clone()).or_insert(0) += 1;
    }
    let first = |last: u8| firsts.get(&format!("udp 198.51.100.{last}:5060")).copied().unwrap_or(0);
    assert!((850..950).contains(&first(3)), "{firsts:?}");
    assert!((50..150).contains(&first(4)), "{firsts:?}");
    assert!((1..40).contains(&first(2)), "{firsts:?}");
}

#[test]
fn what_is_wrong_is_said() {
    let known = || Zone::new("a.example A 198.51.100.6");
    let naptr = Question::Naptr("a.example".into());
    let addresses = Question::Addresses("a.example".into());
    let srv = Question::Srv("_sip._tcp.a.example".into());
    let search = |zone: Zone| search(&zone, "sip:x@a.example", &ALL, 1).0;
    assert_eq!(search(Zone::new("")), Err(DnsFailure::NoSuchName));
    assert_eq!(search(known().with(addresses, DnsFailure::NoRecords)), Err(DnsFailure::NoRecords));
    assert_eq!(search(known().with(naptr.clone(), DnsFailure::Silent)), Err(DnsFailure::Silent));
    assert_eq!(search(known().with(srv.clone(), DnsFailure::Silent)), Err(DnsFailure::Silent));
    assert!(search(known().with(naptr, DnsFailure::ServerFailure)).is_ok(), "old servers do not know NAPTR");
    let none = Zone::new(
        "_sip._udp.a.example SRV 0 0 0 .
         a.example A 198.51.100.6",
    );
    assert_eq!(search(none), Err(DnsFailure::NotOffered));
}

#[test]
fn one_server_without_an_address_does_not_hide_the_others() {
    let zone = Zone::new(
        "_sip._udp.a.example SRV 0 0 5060 gone.a.example
         _sip._udp.a.example SRV 1 0 5060 here.a.example
         here.a.example A 198.51.100.5",
    );
    let zone = zone.with(Question::Addresses("gone.a.example".into()), DnsFailure::Silent);
    assert_eq!(search(&zone, "sip:x@a.example", &ALL, 1).0, Ok(vec!["udp 198.51.100.5:5060".into()]));
}

#[test]
fn a_large_answer_is_cut() {
    let lines = |n: u16| {
        format!("_sip._udp.a.example SRV {n} 0 5060 h{n}.a.example\nh{n}.a.example A 198.51.100.{n}\n")
    };
    let zone = Zone::new(&(1..=40).map(lines).collect::<String>());
    let (found, asked) = search(&zone, "sip:x@a.example", &ALL, 1);
    assert!(found.unwrap().len() <= MOST_PLACES && asked.len() <= 20, "{asked:?}");
}

#[test]
fn naptr_that_leads_elsewhere_or_in_circles_is_not_followed() {
    let zone = Zone::new(
        "a.example NAPTR 1 1 - SIP+D2U a.example
         a.example NAPTR 2 1 s SIP+D2S _sip._sctp.a.example
         a.example NAPTR 3 1 s SIP+D2U .
         _sip._udp.a.example SRV 0 0 5060 h.a.example
         h.a.example A 198.51.100.5",
    );
    assert_eq!(search(&zone, "sip:x@a.example", &ALL, 1).0, Ok(vec!["udp 198.51.100.5:5060".into()]));
}

#[test]
fn a_transport_that_we_do_not_speak_is_refused_at_once() {
    let start = |uri: &str, offered: &[Transport]| {
        let Uri::Sip(uri) = uri.parse().unwrap() else { panic!("{uri}") };
        Lookup::start(&uri, offered).map(|_| ())
    };
    assert_eq!(start("sips:x@a.example", &[Transport::Udp]), Err(Unreachable::Transport));
    assert_eq!(start("sip:x@a.example;transport=ws", &ALL), Err(Unreachable::Transport));
    assert_eq!(start("sip:x@a.example:0", &ALL), Err(Unreachable::Address));
    assert_eq!(start("sip:x@255.255.255.255", &ALL), Err(Unreachable::Address));
}
