use std::path::Path;

use offhook_net::{Identity, read_certificates};

use crate::authority::{Authority, GOOD, now};

fn reason(certificate: &Path, key: &Path) -> String {
    Identity::read(certificate, key, now()).unwrap_err().to_string()
}

#[test]
fn every_mistake_names_the_file_and_what_is_wrong_with_it() {
    let authority = Authority::new();
    let (certificate, key) = authority.sign(&["example.com"], GOOD);
    assert!(Identity::read(&certificate, &key, now()).is_ok());

    let missing = authority.file("missing.pem");
    assert!(reason(&missing, &key).starts_with(&format!("{}: No such file", missing.display())));
    assert!(reason(&certificate, &missing).contains("missing.pem: No such file"));
    assert!(reason(&key, &key).contains("leaf.key: no certificate in PEM"));
    assert!(reason(&certificate, &certificate).contains("leaf.pem: no private key in PEM"));

    let text = authority.file("text");
    std::fs::write(&text, "hello").unwrap();
    assert!(reason(&text, &key).contains("text: no certificate in PEM"));
    std::fs::write(&text, "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n").unwrap();
    assert!(reason(&text, &key).contains("text: is not PEM"));
    assert!(read_certificates(&text).is_err());

    let another = Authority::new();
    let (_, other_key) = another.sign(&["example.com"], GOOD);
    assert!(reason(&certificate, &other_key).contains("leaf.key: is not the key of the certificate in"));
}

#[test]
fn a_certificate_out_of_its_time_is_refused() {
    let authority = Authority::new();
    let (certificate, key) = authority.sign(&["example.com"], (2001, 2003));
    assert!(reason(&certificate, &key).contains("leaf.pem: the certificate expired on"));
    let (certificate, key) = authority.sign(&["example.com"], (2140, 2150));
    assert!(reason(&certificate, &key).contains("is not valid before"));
}

#[test]
fn the_key_is_not_printed() {
    let identity = Authority::new().identity(&["example.com"]);
    assert_eq!(format!("{identity:?}"), "Identity { chain: 1, key: \"…\" }");
}
