//! A carrier that is known by the domain of its certificate, and by nothing else.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use offhook_exchange::config::Listener;
use offhook_exchange::route::countries::Country;
use offhook_exchange::route::{Numbering, Trunk, TrunkAuth};
use offhook_sim::{PhoneId, World, compare_with_saved};
use offhook_sip::Uri;
use offhook_sip_stack::Transport;
use offhook_ua::Command;

const SECOND: Duration = Duration::from_secs(1);
const NUMBER: &str = "+49301234567";

/// Alice has a number of the carrier's, and is registered.
fn world(shards: u8) -> (World, PhoneId) {
    let mut world = World::new(1, |config| {
        config.shards = shards;
        let address = config.listeners[0].address;
        config.listeners.push(Listener { transport: Transport::Tls, address });
        config.plan.numbering = Numbering::of(Country::of("DE").unwrap());
        let Ok(Uri::Sip(server)) = "sip:carrier.example".parse() else { panic!("a URI") };
        let numbers = vec![NUMBER.to_owned()];
        let auth = TrunkAuth::Tls("carrier.example".into());
        config.trunks.push(Trunk { numbers, ..Trunk::new("carrier", server, auth) });
    });
    let alice = world.phone("alice", Some(NUMBER));
    world.phones[alice.0].sings = Some(440.0);
    world.register(alice);
    world.begin_ladder();
    (world, alice)
}

/// How a call ends for the one who places it and hangs up after a while.
fn call(world: &mut World, from: PhoneId, to: &str) -> u16 {
    world.phones[from.0].events.clear();
    let call = world.call(from, to);
    world.pass(5 * SECOND);
    world.command(from, Command::Hangup { call });
    world.pass(40 * SECOND);
    world.phones[from.0].ends()[0].0
}

#[test]
fn who_has_proven_the_name_of_a_trunk_reaches_its_number_whatever_host_it_writes() {
    for shards in [1, 3] {
        for host in ["example.com", "192.0.2.1", "sbc7.carrier.example"] {
            let (mut world, alice) = world(shards);
            let carrier = world.stranger_by_tls("carrier", &["b.example", "carrier.example"]);
            world.phones[carrier.0].sings = Some(1000.0);
            assert_eq!(call(&mut world, carrier, &format!("sip:{NUMBER}@{host}")), 200, "{host}");
            for (phone, hz) in [(alice, 1000.0), (carrier, 440.0)] {
                let heard = world.phones[phone.0].heard_hz(2.0);
                assert!((heard - hz).abs() < 10.0, "{heard} Hz");
            }
            if (shards, host) == (1, "sbc7.carrier.example") {
                compare_with_saved(
                    "trunk-by-tls-name",
                    &world.ladder.draw(&["carrier", "exchange", "alice"]),
                );
            }
            world.pass(240 * SECOND);
            assert!(world.office.is_idle());
        }
    }
}

#[test]
fn others_are_strangers_and_so_is_the_carrier_by_another_way() {
    let (mut world, alice) = world(3);
    let to = format!("sip:{NUMBER}@example.com");
    let elsewhere = format!("sip:{NUMBER}@carrier.example");
    let carrier = world.stranger_by_tls("carrier", &["carrier.example"]);
    for domains in [&["other.example"][..], &["sub.carrier.example"], &["*.example"], &[]] {
        world.connect_again(carrier, domains);
        assert_eq!(call(&mut world, carrier, &to), 407, "{domains:?}");
        assert_eq!(call(&mut world, carrier, &elsewhere), 403, "{domains:?}");
    }
    // The one that has proven it may not use the exchange to call elsewhere.
    world.connect_again(carrier, &["carrier.example"]);
    assert_eq!(call(&mut world, carrier, "sip:+49301234568@carrier.example"), 403);
    assert_eq!(call(&mut world, carrier, "sip:+49301234568@example.com"), 404);
    assert_eq!(call(&mut world, carrier, &to), 200);
    // From the same address, but by datagrams.
    world.disconnect(carrier);
    assert_eq!(call(&mut world, carrier, &to), 407);
    assert_eq!(call(&mut world, carrier, &elsewhere), 403);
    assert_eq!(world.phones[alice.0].ends().len(), 1);
}
