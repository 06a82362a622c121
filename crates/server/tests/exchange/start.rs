//! Starting and stopping.

use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt as _;

use offhook_server::{Offline, RunFile, Server, banner};

use crate::client::{add_account, server, settings};

#[test]
fn a_taken_port_names_its_owner_and_the_flag_that_changes_it() {
    let data = tempfile::tempdir().unwrap();
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    let error = Server::start(settings(data.path(), &[("sip.udp", &address)])).err().unwrap().to_string();
    assert!(error.starts_with(&format!("udp {address} is taken by ")), "{error}");
    assert!(error.contains(&format!("(pid {})", std::process::id())), "{error}");
    assert!(error.ends_with("choose another with --set sip.udp=ADDRESS:PORT"), "{error}");
    let web = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = web.local_addr().unwrap().to_string();
    let error = Server::start(settings(data.path(), &[("web.http", &address)])).err().unwrap().to_string();
    assert!(error.ends_with("choose another with --set web.http=ADDRESS:PORT"), "{error}");
}

#[test]
fn the_banner_says_where_everything_is_and_nothing_that_is_not() {
    let data = tempfile::tempdir().unwrap();
    let server = server(data.path(), &[("sip.tcp", "off")]);
    let (udp, tls) = (server.listeners()[0].address, server.listeners()[1].address);
    let lines = banner(&server, &["A note".into(), "a longer note".into()]);
    let version = env!("CARGO_PKG_VERSION");
    let expected = [
        format!("offhook {version}   data {} (SQLite)", data.path().display()),
        format!("  SIP     udp {udp}   tls {tls}   ws/wss on the web port"),
        "  Domain  example.com, 127.0.0.1".into(),
        "  Media   udp 20000-20999; address offered to phones: 127.0.0.1".into(),
        format!("  Web     {}   {} (own CA; `offhook cert trust`)", server.urls()[0], server.urls()[1]),
        "  ┌───────────────┐".into(),
        "  │ A note        │".into(),
        "  │ a longer note │".into(),
        "  └───────────────┘".into(),
    ];
    assert_eq!(lines, expected);
    server.stop();
}

#[test]
fn what_a_server_leaves_for_commands_is_theirs_alone_and_goes_with_it() {
    let data = tempfile::tempdir().unwrap();
    let pid_file = data.path().join("pid");
    let server = server(data.path(), &[("pid_file", &pid_file.display().to_string())]);
    let path = RunFile::path(data.path());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let left = RunFile::read(data.path()).unwrap();
    assert_eq!((left.url.as_ref(), left.token.as_str()), (server.urls().first(), server.token()));
    assert_eq!(std::fs::read_to_string(&pid_file).unwrap(), format!("{}\n", std::process::id()));
    server.stop();
    assert!(!path.exists() && !pid_file.exists());
}

#[test]
fn commands_use_the_store_while_no_server_runs_and_are_refused_while_one_does() {
    let data = tempfile::tempdir().unwrap();
    let offline = Offline::open(&settings(data.path(), &[])).unwrap();
    let body = br#"{"address":"sip:alice@example.com","number":"1001"}"#.to_vec();
    assert!(offline.ask("POST", "/api/v1/accounts", body).is_ok());
    assert_eq!(offline.ask("GET", "/api/v1/status", Vec::new()).unwrap_err().status, 503);
    drop(offline);
    let server = server(data.path(), &[]);
    let listed = String::from_utf8(server.ask("GET", "/api/v1/accounts", Vec::new()).unwrap()).unwrap();
    assert!(listed.contains("sip:alice@example.com"));
    assert!(Offline::open(&settings(data.path(), &[])).err().unwrap().is_in_use());
    server.stop();
}

#[test]
fn accounts_of_domains_that_are_not_served_are_warned_of() {
    let data = tempfile::tempdir().unwrap();
    let first = server(data.path(), &[]);
    add_account(&first, "sip:alice@elsewhere.example", "secret");
    first.stop();
    let second = server(data.path(), &[]);
    assert_eq!(second.warnings(), ["1 of the accounts belong to domains that are not served (see domains)"]);
    second.stop();
}
