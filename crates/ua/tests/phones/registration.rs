//! Registering, with a registrar that asks for a password.

use std::time::Duration;

use offhook_sip::digest::{self, Algorithm};
use offhook_sip::{Message, Name, Response, Status};
use offhook_sip_stack::Rng;
use offhook_sip_stack::auth::{Authenticator, Kind, Offer, Secrets};
use offhook_ua::{Command, Credentials, Event};
use rand::SeedableRng as _;

use crate::wire::{Wire, config, script, uri};

fn account(password: &str) -> Wire {
    let mut config = config(0);
    config.identity = uri("sip:alice@example.com");
    config.credentials = Some(Credentials { username: "alice".to_owned(), password: password.to_owned() });
    config.registrar = Some(uri("sip:example.com"));
    config.outbound_proxy = Some(uri(&format!("sip:{}", script())));
    Wire::new(1, vec![config])
}

/// Answers every REGISTER as a registrar with the password "secret" does, until the phone is silent.
fn serve(wire: &mut Wire) {
    let mut rng = Rng::seed_from_u64(9);
    let mut authenticator = Authenticator::new([7; 32], "example.com", 300);
    wire.pass(Duration::from_millis(50));
    while let Some(message) = wire.strays.pop() {
        let Message::Request(request) = message else { continue };
        let secrets = Secrets {
            md5: Some(digest::ha1(Algorithm::Md5, "alice", "example.com", "secret")),
            sha256: Some(digest::ha1(Algorithm::Sha256, "alice", "example.com", "secret")),
        };
        let lookup = |user: &str| (user == "alice").then(|| secrets.clone());
        let response = match authenticator.verify(&request, Kind::UserToUser, 1000, None, |_| false, lookup) {
            Ok(_) => Response::to_request(&request, Status::OK)
                .copy(Name::Contact, &request)
                .copy(Name::Expires, &request),
            Err(_) => {
                let mut builder = Response::to_request(&request, Status::UNAUTHORIZED);
                for (name, challenge) in authenticator.challenge(
                    Kind::UserToUser,
                    Offer::default(),
                    false,
                    [192, 0, 2, 9].into(),
                    1000,
                    &mut rng,
                ) {
                    builder = builder.header(name, challenge);
                }
                builder
            }
        };
        let text = String::from_utf8_lossy(response.to_tag("r").finish().bytes()).replace("\r\n", "\n");
        wire.inject(0, &text);
        wire.pass(Duration::from_millis(50));
    }
}

#[test]
fn the_right_password_registers_and_the_registration_is_kept_and_taken_back() {
    let mut wire = account("secret");
    wire.command(0, Command::Register);
    serve(&mut wire);
    assert_eq!(wire.phones[0].events, [Event::Registered { expires: Duration::from_secs(600) }]);
    assert!(wire.phones[0].ua.is_registered());
    wire.pass(Duration::from_secs(500));
    while wire.strays.is_empty() {
        wire.pass(Duration::from_millis(100));
    }
    serve(&mut wire);
    assert_eq!(wire.phones[0].events.len(), 2);
    wire.command(0, Command::Unregister);
    serve(&mut wire);
    assert_eq!(wire.phones[0].events.last(), Some(&Event::Unregistered));
    assert!(!wire.phones[0].ua.is_registered());
    wire.assert_nothing_left();
}

#[test]
fn the_wrong_password_fails_once_and_for_good() {
    let mut wire = account("guess");
    wire.command(0, Command::Register);
    serve(&mut wire);
    wire.pass(Duration::from_secs(3600));
    serve(&mut wire);
    assert!(
        matches!(wire.phones[0].events[..], [Event::RegistrationFailed { code: 401, retry_after: None, .. }]),
        "{:?}",
        wire.phones[0].events
    );
    wire.assert_nothing_left();
}

#[test]
fn a_phone_without_a_server_says_so() {
    let mut wire = Wire::new(1, vec![config(0)]);
    wire.command(0, Command::Register);
    assert!(matches!(wire.phones[0].events[..], [Event::RegistrationFailed { .. }]));
    wire.command(0, Command::Unregister);
    assert_eq!(wire.phones[0].events.last(), Some(&Event::Unregistered));
}

#[test]
fn a_silent_registrar_is_asked_again_later() {
    let mut wire = account("secret");
    wire.command(0, Command::Register);
    wire.pass(Duration::from_secs(33));
    let failed = wire.phones[0].events.last();
    assert!(matches!(failed, Some(Event::RegistrationFailed { code: 408, retry_after: Some(_), .. })));
    let before = wire.strays.len();
    wire.pass(Duration::from_secs(61));
    assert!(wire.strays.len() > before);
    wire.strays.drain(..wire.strays.len() - 1);
    serve(&mut wire);
    assert!(wire.phones[0].ua.is_registered());
}
