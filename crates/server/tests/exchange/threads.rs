//! An exchange with several signal threads.

use offhook_server::Server;
use offhook_sip::digest::Algorithm;
use serde_json::Value;

use crate::client::{Tcp, Udp, Wire, add_account, server, settings};

const PHONES: usize = 24;

#[test]
fn whoever_registers_at_any_thread_is_known_to_all_and_after_a_restart_with_fewer() {
    let data = tempfile::tempdir().unwrap();
    let first = server(data.path(), &[("sip.threads", "3")]);
    for phone in 0..PHONES {
        let user = format!("u{phone}");
        add_account(&first, &format!("sip:{user}@example.com"), "secret");
        // Each from a port of its own, so that the system gives them to different threads.
        let answers = match phone % 3 {
            0 => Tcp::to(&first).register(&user, "secret", Algorithm::Md5),
            _ => Udp::to(&first).register(&user, "secret", Algorithm::Sha256),
        };
        assert_eq!(answers, (401, 200), "{user}");
    }
    assert_eq!(devices(&first).len(), PHONES);
    assert!(measure(&first, "offhook_datagrams_passed_on_total") > 0.0);
    assert_eq!(measure(&first, "offhook_accounts"), PHONES as f64);
    assert_eq!(measure(&first, "offhook_devices"), PHONES as f64);
    first.stop();
    let second = server(data.path(), &[("sip.threads", "2")]);
    assert_eq!(devices(&second).len(), PHONES);
    second.stop();
}

#[test]
fn an_account_that_is_added_or_removed_is_so_at_every_thread() {
    let data = tempfile::tempdir().unwrap();
    let server = server(data.path(), &[("sip.threads", "3")]);
    add_account(&server, "sip:alice@example.com", "secret");
    // A call is challenged where its Call-ID belongs; which thread that is, nobody knows.
    let status = |wire: &mut Udp, call: &str| {
        let options = wire.request("MESSAGE", "sip:alice@example.com", call, 1, "");
        wire.ask(&options).status().code()
    };
    let mut wire = Udp::to(&server);
    assert!((0..20).all(|n| status(&mut wire, &format!("before{n}")) == 407));
    assert_eq!(Udp::to(&server).register("alice", "secret", Algorithm::Md5), (401, 200));
    server.ask("DELETE", "/api/v1/accounts/alice@example.com", Vec::new()).unwrap();
    assert!(devices(&server).is_empty());
    assert_eq!(Udp::to(&server).register("alice", "secret", Algorithm::Md5), (401, 401));
    server.stop();
}

#[test]
fn a_port_that_threads_share_is_shared_with_no_other_server() {
    let data = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let first = server(data[0].path(), &[("sip.threads", "3"), ("sip.tcp", "off")]);
    let udp = first.listeners()[0].address.to_string();
    for threads in ["1", "2"] {
        let more = [("sip.threads", threads), ("sip.udp", udp.as_str()), ("sip.tcp", "off")];
        let error = Server::start(settings(data[1].path(), &more)).err().unwrap().to_string();
        assert!(error.starts_with(&format!("udp {udp} is taken by ")), "{error}");
    }
    first.stop();
}

fn devices(server: &Server) -> Vec<Value> {
    let listed = server.ask("GET", "/api/v1/devices", Vec::new()).unwrap();
    let listed: Value = serde_json::from_slice(&listed).unwrap();
    listed["devices"].as_array().unwrap().clone()
}

fn measure(server: &Server, name: &str) -> f64 {
    let text = String::from_utf8(crate::api::get(server, "/metrics").1).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).expect(name);
    line.parse().unwrap()
}
