use offhook_exchange::config::SrtpPolicy;
use offhook_exchange::route::{Destination, Dialling, NumberFormat};

use super::*;
use crate::Settings;
use crate::config_file::{Mistakes, Sources};
use crate::routing::list_routes;

fn settings(text: &str) -> Result<Settings, Mistakes> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("offhook.toml");
    std::fs::write(&file, text).unwrap();
    std::fs::write(folder.path().join("secret"), "hush\n").unwrap();
    Settings::read(&Sources { file: Some(file), ..Sources::default() })
}

const FULL: &str = r#"
[[trunk]]
name = "provider"
server = "provider.example"
username = "t0815"
auth_username = "a4711"
password = { file = "secret" }
realm = "voice"
registrar = "reg.provider.example"
proxy = "edge.provider.example:5070"
transport = "tls"
expires = "5m"
from = "username"
format = "national"
strip = 1
prefix = "9"
numbers = ["+49301234567"]
max_calls = 8
srtp = "require"
codecs = ["g729", "pcma"]
max_calls_per_second = 2
record = "on-demand"
health = "off"
[[trunk]]
name = "plain"
server = "sip.other.example"
username = "u"
password = "p"
register = false
"#;

#[test]
fn a_trunk_is_what_is_written_and_the_usual_where_nothing_is() {
    let settings = settings(FULL).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let [full, plain] = &settings.trunks[..] else { panic!() };
    let account = full.account().unwrap();
    assert_eq!(account.password, Password::new("hush"));
    assert_eq!((account.username.as_str(), account.auth_username.as_deref()), ("t0815", Some("a4711")));
    assert_eq!(
        (account.realm.as_deref(), account.expires, account.from_username),
        (Some("voice"), Some(300), true)
    );
    assert_eq!(account.registrar.to_string(), "sip:reg.provider.example");
    assert_eq!(full.next_hop().to_string(), "sip:edge.provider.example:5070;transport=tls");
    let dialling = Dialling { format: NumberFormat::National, strip: 1, prefix: "9".into() };
    assert_eq!((&full.dialling, full.max_calls, full.max_calls_per_second), (&dialling, Some(8), Some(2)));
    assert_eq!((full.health, plain.health), (None, Some(HEALTH)));
    assert_eq!((full.record, plain.record), (Record::OnDemand, Record::Never));
    let account = plain.account().unwrap();
    assert_eq!((account.expires, account.realm.as_deref()), (None, None));
    assert_eq!(account.registrar.to_string(), "sip:sip.other.example");
    assert!(!format!("{full:?}").contains("hush"));
    let media = full.media.as_ref().unwrap();
    assert_eq!((media.srtp, media.codecs[1].name.as_str()), (Some(SrtpPolicy::Require), "PCMA"));
    assert!(plain.media.is_none());
}

#[test]
fn a_trunk_known_by_its_certificate_has_the_domain_of_its_server_unless_another_is_named() {
    let text = "[[trunk]]\nname = \"a\"\nserver = \"Carrier.example.\"\nauth = \"tls\"\n\
                [[trunk]]\nname = \"b\"\nserver = \"192.0.2.9\"\nauth = \"tls\"\ntls_name = \"SBC.carrier.example\"\n\
                [[trunk]]\nname = \"c\"\nserver = \"a.example\"\nproxy = \"p.example\"\nauth = \"tls\"\ntransport = \"tls\"\n";
    let settings = settings(text).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let names: Vec<_> = settings.trunks.iter().map(|trunk| trunk.auth.clone()).collect();
    let tls = |name: &str| TrunkAuth::Tls(name.into());
    assert_eq!(names, [tls("carrier.example"), tls("sbc.carrier.example"), tls("a.example")]);
    let hops: Vec<_> = settings.trunks.iter().map(|trunk| trunk.next_hop().to_string()).collect();
    assert_eq!(hops[1..], ["sip:192.0.2.9;transport=tls", "sip:p.example;transport=tls"]);
    assert_eq!(settings.trunks[1].domain(), "sbc.carrier.example");
}

#[test]
fn several_trunks_have_their_order_from_where_they_stand_or_what_is_said() {
    for (to, shown) in [
        ("{ trunk = \"plain\" }", "trunk plain"),
        ("{ trunk = [\"plain\", \"provider\"] }", "trunk plain, then provider"),
        ("[{ trunk = \"plain\", weight = 3 }, { trunk = \"provider\" }]", "trunk plain/provider"),
        ("[{ trunk = \"plain\", priority = 2 }, { trunk = \"provider\" }]", "trunk provider, then plain"),
    ] {
        let text =
            FULL.replace("{ file = \"secret\" }", "\"x\"") + "[[route]]\nname = \"out\"\nto = " + to + "\n";
        let settings = settings(&text).unwrap_or_else(|mistakes| panic!("{to}: {mistakes}"));
        assert_eq!(list_routes(&settings)[0].to, shown);
        let Destination::Trunk(choices) = &settings.plan.rules[0].to else { panic!("{to}") };
        assert_eq!(choices[0].weight, if to.contains("weight") { 3 } else { 1 });
    }
}

#[test]
fn what_is_wrong_with_a_trunk_is_said() {
    let trunk = |more: &str| format!("[[trunk]]\nname = \"a\"\nserver = \"a.example\"\n{more}\n");
    let route = |to: &str| {
        let two = trunk("auth = \"address\"") + &trunk("auth = \"address\"").replace("\"a\"", "\"b\"");
        format!("{two}[[route]]\nname = \"r\"\nto = {to}\n")
    };
    for (text, what) in [
        (
            trunk("username = \"u\"\npassword = { env = \"OFFHOOK_NOT_SET\" }"),
            "OFFHOOK_NOT_SET is not in the",
        ),
        (trunk("username = \"u\"\npassword = { file = \"nowhere\" }"), "nowhere: No such file"),
        (trunk("auth = \"address\"\nusername = \"u\""), "nobody has a user name"),
        (trunk("auth = \"address\"\nregister = true"), "nobody registers"),
        (trunk("username = \"u\"\npassword = \"p\"\nexpires = \"5s\""), "from 60s to 1d"),
        (trunk("username = \"u\"\npassword = \"p\"\nhealth = \"often\""), "or \"off\""),
        (trunk("auth = \"tls\"\nusername = \"u\""), "nobody has a user name"),
        (
            trunk("auth = \"tls\"\nnetworks = [\"192.0.2.0/28\"]"),
            "known by its certificate, wherever it calls from",
        ),
        (trunk("auth = \"tls\"\ntransport = \"udp\""), "everything goes by TLS"),
        (trunk("auth = \"tls\"\ntls_name = \"*.a.example\""), "is no domain such as"),
        (trunk("auth = \"tls\"\ntls_name = \"192.0.2.9\""), "is no domain such as"),
        (trunk("auth = \"tls\"").replace("a.example", "192.0.2.9"), "set tls_name to the domain"),
        (trunk("auth = \"address\"\ntls_name = \"a.example\""), "only with auth = \"tls\""),
        (trunk("auth = \"tsl\""), "did you mean \"tls\""),
        (trunk("auth = \"tls\"\ntls_nmae = \"a.example\""), "did you mean \"tls_name\""),
        (trunk("auth = \"address\"\nprefix = \"x\""), "what comes in front is digits"),
        (trunk("auth = \"address\"\nproxy = \"a b\""), "is no host such as"),
        (trunk("auth = \"address\"\nsign_key = \"k\""), "set sign_certificate"),
        (trunk("auth = \"address\"\nsign_certificate = \"https://a/\""), "set sign_key"),
        (trunk("auth = \"address\"\nsign_key = \"k\"\nsign_certificate = \"https://a/\""), "k: "),
        (trunk("auth = \"address\"\nverify = \"note\""), "nobody is named who may have signed"),
        (trunk("auth = \"address\"\nsrtp = \"yes\""), "must be \"off\" or \"prefer\" or \"require\""),
        (trunk("auth = \"address\"\ncodecs = [\"gsm\"]"), "\"gsm\" is none of opus"),
        (trunk("auth = \"address\"\ncodecs = []"), "without a codec no call has sound"),
        (trunk("auth = \"address\"\nmax_calls = 0"), "a whole number from 1"),
        (trunk("auth = \"address\"\nrecord = \"often\""), "on-demand"),
        (route("{ trunk = [\"a\", \"a\"] }"), "the trunk a is named twice"),
        (route("{ trunk = [\"a\", \"c\"] }"), "there is no trunk \"c\""),
        (route("[{ trunk = \"a\" }, { reject = 603 }]"), "of several places each is a trunk"),
        (route("{ trunk = \"a\", weight = 0 }"), "whole numbers from 1 to 65535"),
        (route("[]"), "must be { trunk"),
    ] {
        let mistakes = settings(&text).err().map(|mistakes| mistakes.to_string()).unwrap_or_default();
        assert!(mistakes.contains(what), "{text}: {mistakes}");
    }
}
