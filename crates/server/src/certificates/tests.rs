use std::os::unix::fs::PermissionsExt as _;

use super::*;

const NOW: Duration = Duration::from_secs(1_800_000_000);

fn days(days: u64) -> Duration {
    Duration::from_secs(days * 86_400)
}

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

fn described(own: &Own) -> Certificate {
    describe::describe("sip", &own.certificate(), true, NOW).unwrap()
}

#[test]
fn the_first_start_makes_an_authority_and_a_certificate_for_all_names() {
    let folder = tempfile::tempdir().unwrap();
    let own = Own::new(folder.path());
    own.keep(&names(&["example.com", "192.0.2.1", "2001:db8::1"]), NOW).unwrap();
    let made = described(&own);
    assert_eq!(made.names, ["example.com", "192.0.2.1", "2001:db8::1"]);
    assert!(made.days_left > 300 && made.days_left <= 825);
    assert_eq!(made.sha256.len(), 95);
    let authority = describe::describe("authority", &own.authority(), true, NOW).unwrap();
    assert_eq!((&authority.subject, &authority.issuer), (&made.issuer, &made.issuer));
    assert!(authority.days_left > 3_640 && authority.names.is_empty());
    for key in ["tls/ca.key", "tls/server.key"] {
        let mode = std::fs::metadata(folder.path().join(key)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{key}");
    }
    assert!(Identity::read(&own.certificate(), &own.key(), NOW).is_ok());
}

#[test]
fn a_certificate_stays_until_it_is_about_to_end_or_a_name_is_new() {
    let folder = tempfile::tempdir().unwrap();
    let own = Own::new(folder.path());
    let few = names(&["example.com", "example.org"]);
    own.keep(&few, NOW).unwrap();
    let first = described(&own).sha256;
    own.keep(&few[..1], NOW + days(100)).unwrap();
    assert_eq!(described(&own).sha256, first);

    own.keep(&names(&["example.net"]), NOW).unwrap();
    let second = described(&own);
    assert_eq!(second.names, ["example.net"]);

    own.keep(&names(&["example.net"]), NOW + days(390)).unwrap();
    assert!(Identity::read(&own.certificate(), &own.key(), NOW + days(700)).is_ok());
    let authority = std::fs::read(own.authority()).unwrap();
    own.keep(&names(&["example.net"]), NOW + days(3_400)).unwrap();
    assert_ne!(std::fs::read(own.authority()).unwrap(), authority);
    assert!(Identity::read(&own.certificate(), &own.key(), NOW + days(3_500)).is_ok());
}

#[test]
fn what_is_broken_in_our_own_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let own = Own::new(folder.path());
    own.keep(&names(&["example.com"]), NOW).unwrap();
    std::fs::write(folder.path().join("tls/ca.key"), "nonsense").unwrap();
    let error = own.renew(&names(&["example.com"]), NOW).unwrap_err().to_string();
    assert!(error.contains("tls/ca.key: cannot be used"), "{error}");
    std::fs::write(own.authority(), "nonsense").unwrap();
    let error = own.keep(&names(&["example.com"]), NOW).unwrap_err().to_string();
    assert!(error.contains("tls/ca.pem: no certificate in PEM"), "{error}");
}
