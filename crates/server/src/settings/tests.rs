use super::*;

fn settings(text: &str) -> Result<Settings, Mistakes> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("offhook.toml");
    std::fs::write(&file, text).unwrap();
    std::fs::write(folder.path().join("alice.secret"), "in a file\n").unwrap();
    Settings::read(&Sources { file: Some(file), ..Sources::default() })
}

fn mistakes(text: &str) -> String {
    settings(text).err().map(|mistakes| mistakes.to_string()).unwrap_or_default()
}

#[test]
fn nothing_written_means_the_defaults_of_the_exchange() {
    let settings = settings("").unwrap();
    let config = settings.exchange("realm".into(), settings.listeners.clone(), Key([0; 32]));
    let defaults = Config::new(vec!["x".into()], Key([0; 32]));
    assert_eq!(config.media_timeout, defaults.media_timeout);
    assert_eq!(config.hold_timeout, defaults.hold_timeout);
    assert_eq!(config.timer_c, defaults.timer_c);
    assert_eq!(config.max_calls_per_account, defaults.max_calls_per_account);
    assert_eq!(config.registrar.min_expires, defaults.registrar.min_expires);
    assert_eq!(config.registrar.default_expires, defaults.registrar.default_expires);
    assert_eq!(config.registrar.max_expires, defaults.registrar.max_expires);
    assert_eq!(config.registrar.max_contacts, defaults.registrar.max_contacts);
    assert_eq!((config.authentication, config.strangers), (defaults.authentication, defaults.strangers));
    assert_eq!(config.anchor, defaults.anchor);
    assert_eq!(config.realm, "realm");
    for own in ["localhost", "127.0.0.1", "[::1]"] {
        assert!(config.serves(own), "{own}");
    }
    assert!(settings.warnings.is_empty(), "{:?}", settings.warnings);
}

#[test]
fn threads_are_as_many_as_processors_and_ports_allow() {
    assert!((1..=64).contains(&settings("").unwrap().threads));
    assert_eq!(settings("sip.threads = 3").unwrap().threads, 3);
    assert_eq!(settings("media.ports = \"20000-20003\"").unwrap().threads, 1);
}

#[test]
fn without_authentication_only_doors_that_were_asked_for_are_open() {
    let doors = |text: &str| {
        let settings = settings(text).unwrap();
        let is_tls = |one: &Listener| one.transport == Transport::Tls;
        (settings.listeners.iter().any(is_tls), settings.https.len())
    };
    let private = "sip.udp = \"127.0.0.1:0\"\nsip.tcp = \"off\"\n";
    assert_eq!(doors(private), (true, 1));
    let open = format!("{private}security.authentication = \"off\"\n");
    assert_eq!(doors(&open), (false, 0));
    assert_eq!(doors(&format!("{open}sip.tls = \"127.0.0.1:0\"")), (true, 0));
    assert_eq!(doors(&format!("{private}web.tls = \"off\"")), (true, 0));
}

#[test]
fn the_addresses_listened_on_are_served_unless_domains_are_named() {
    let of = |text: &str| {
        let settings = settings(text).unwrap();
        let config = settings.exchange("realm".into(), settings.listeners.clone(), Key([0; 32]));
        config.domains.iter().filter(|domain| *domain == "127.0.0.9").count()
    };
    assert_eq!(of("sip.udp = \"127.0.0.9:5060\"\nsip.tcp = \"127.0.0.9:5060\""), 1);
    assert_eq!(of("domains = \"example.com\"\nsip.udp = \"127.0.0.9:5060\""), 0);
}

#[test]
fn what_bans_an_address_is_as_it_is_set() {
    let ban = settings("security.ban = { failures = 3, window = \"2m\" }\n").unwrap().ban;
    assert_eq!((ban.failures, ban.window.as_secs(), ban.duration.as_secs()), (3, 120, 3600));
}

#[test]
fn what_contradicts_itself_is_refused() {
    for (text, what) in [
        ("media.codecs = [\"pcma\", \"pmcu\"]", "did you mean \"pcmu\"?"),
        ("media.srtp = \"require\"\nmedia.anchor = \"never\"", "needs media to go through the exchange"),
        ("sip.timer_c = \"180s\"", "sip.timer_c must be more than three minutes"),
        ("services.conference.rooms = \"3009-3000\"", "these are no numbers of rooms"),
        ("services.conference.rooms = \"lobby\"", "the first and the last, such as \"3000-3009\""),
        ("services.conference.pin = \"12a\"", "a PIN is 1 to 32 digits"),
        ("services.park.slots = \"720-701\"", "these are no slots"),
        ("services.park.slots = \"1-2000\"", "at most 1000"),
        ("services.park.time = \"2s\"", "from 10 seconds to a day"),
        ("services.transfer.code = \"hold\"", "keys of a phone"),
        ("services.voicemail.longest = \"2s\"", "from 5 seconds to an hour"),
        ("services.voicemail.nummer = \"*1\"", "did you mean"),
        ("services.voicemial.number = \"*1\"", "did you mean"),
        ("sip.threads = 3\nmedia.ports = \"20000-20009\"", "four ports for each of 2 threads, not of 3"),
        ("sip.threads = 65", "sip.threads must be a whole number from 1 to 64"),
        ("sip.registration.min_expires = \"3h\"", "min_expires is more than max_expires"),
        ("sip.registration.default_expires = \"3h\"", "default_expires is not between"),
        ("sip.udp = \"off\"\nsip.tcp = \"off\"\nsip.tls = \"off\"", "there is nothing to do"),
        (
            "turn.ports = \"20500-21500\"",
            "turn.ports 20500-21500 and media.ports 20000-20999 have ports in common",
        ),
        ("turn.ports = \"3000-3999\"", "turn.ports 3000-3999 include 3478, which is a port of turn.listen"),
        ("turn.ports = \"5000-5099\"", "include 5060, which is a port of sip"),
        ("turn.listen = \"3478\"", "turn.listen must be an address with a port"),
        ("turn.allow_peers = \"0.0.0.0/0\"", "0.0.0.0/0 opens nothing"),
        ("turn.allow_peers = [\"8.8.8.0/24\"]", "8.8.8.0/24 opens nothing"),
        ("turn.max_allocations = 0", "a whole number from 1 to 60000"),
        ("turn.alow_peers = []", "did you mean \"allow_peers\"?"),
        ("store.url = \"postgres://x\"", "a database that this version does not know"),
        ("domains = [\"example.com:5060\"]", "neither a host name nor an address"),
        ("domains = [\"a b\"]", "neither a host name nor an address"),
        ("security.authentication = \"off\"\nsip.udp = \"8.8.8.8:5060\"", "8.8.8.8, a public address"),
        ("security.authentication = \"off\"\nweb.listen = \"8.8.8.8:443\"", "8.8.8.8, a public address"),
        ("sip.certificate = \"a.pem\"", "sip.certificate needs its key"),
        ("web.key = \"a.key\"", "web.key belongs to a certificate"),
        ("web.tls = \"files\"", "files are wanted, but none are named"),
        ("[[account]]\nname = \"x\"", "this [[account]] has no address"),
        ("[[account]]\naddress = \"alice\"", "there is no @"),
        (
            "[[account]]\naddress = \"sip:a@b\"\n[[account]]\naddress = \"sip:a@B\"",
            "sip:a@b is declared twice",
        ),
        ("[[account]]\naddress = \"sip:a@b\"\nnumber = \"x\"", "no telephone number"),
        (
            "[[account]]\naddress = \"sip:a@b\"\npassword = \"x\"\npassword_file = \"y\"",
            "password is given already",
        ),
        ("[[account]]\naddress = \"sip:a@b\"\npassword_file = \"nowhere\"", "nowhere: "),
        (
            "[[account]]\naddress = \"sip:a@b\"\npassword = { env = \"OFFHOOK_NOT_SET\" }",
            "not in the environment",
        ),
    ] {
        assert!(mistakes(text).contains(what), "{text}: {}", mistakes(text));
    }
}

#[test]
fn what_cannot_be_read_and_what_makes_no_sense_are_told_together_from_the_top() {
    let text = "[sip]\ntimer_c = \"3s\"\ntpc = \"off\"\n[media]\nanchor = \"sometimes\"\n\
        [[account]]\naddress = \"alice\"\n[[account]]\nadress = \"sip:bob@example.com\"\n";
    let told: Vec<String> =
        mistakes(text).lines().filter(|line| line.starts_with("error: ")).map(str::to_owned).collect();
    let expected = [
        "error: sip.timer_c must be more than three minutes (RFC 3261 §16.6)",
        "error: unknown key \"tpc\" in [sip]",
        "error: media.anchor must be \"auto\" or \"always\" or \"never\"",
        "error: an address looks like sip:alice@example.com; there is no @",
        // Not also that this account has no address.
        "error: unknown key \"adress\" in [[account]]",
    ];
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for (told, expected) in told.iter().zip(expected) {
        assert_eq!(told, expected);
    }
}

#[test]
fn an_address_that_cannot_be_read_is_not_taken_for_every_address() {
    let text = "security.authentication = \"off\"\nsip.udp = \"127.0.0.1:99999\"\nsip.tcp = \"off\"";
    assert!(mistakes(text).ends_with("1 mistake in the configuration"), "{}", mistakes(text));
}

#[test]
fn an_open_door_inside_is_allowed_with_a_loud_warning() {
    let text = "security.authentication = \"off\"\nsip.udp = \"127.0.0.1:5060\"\nsip.tcp = \"10.0.0.1:5060\"";
    let settings = settings(text).unwrap();
    assert_eq!(settings.authentication, Authentication::Off);
    assert!(settings.warnings[0].starts_with("AUTHENTICATION IS OFF"));
}

#[test]
fn passwords_come_from_where_they_are_kept() {
    let text = "[[account]]\naddress = \"sip:alice@example.com\"\npassword_file = \"alice.secret\"\n\
        [[account]]\naddress = \"sip:bob@example.com\"\npassword = { file = \"alice.secret\" }\n\
        [[account]]\naddress = \"sip:carol@example.com\"\npassword = \"plain\"\n\
        [[account]]\naddress = \"sip:dave@example.com\"\n";
    let accounts = settings(text).unwrap().accounts;
    let passwords: Vec<_> = accounts
        .iter()
        .map(|account| account.password.as_ref().map(|password| password.reveal().to_owned()))
        .collect();
    let [file, plain] = ["in a file", "plain"].map(|text| Some(text.to_owned()));
    assert_eq!(passwords, [file.clone(), file, plain, None]);
}

#[test]
fn domains_are_written_as_the_hosts_of_uris() {
    let settings = settings("domains = [\"Example.COM.\", \"2001:db8::1\", \"192.0.2.1\"]").unwrap();
    assert_eq!(settings.domains, ["example.com", "[2001:db8::1]", "192.0.2.1"]);
}

#[test]
fn turn_is_where_media_is_and_nowhere_on_loopback() {
    let listen = |text: &str| settings(text).unwrap().turn.map(|turn| turn.listen);
    let at = |text: &str| Some(vec![text.parse().unwrap()]);
    assert_eq!(listen(""), at("[::]:3478"));
    assert_eq!(listen("sip.udp = \"192.0.2.1:5060\"\nsip.tcp = \"192.0.2.1:5060\""), at("192.0.2.1:3478"));
    assert_eq!(listen("sip.udp = \"127.0.0.1:5060\"\nsip.tcp = \"off\""), None);
    assert_eq!(listen("sip.udp = \"127.0.0.1:5060\""), None);
    assert_eq!(listen("turn.listen = \"off\""), None);
    let open = "security.authentication = \"off\"\nweb.http = \"off\"\nsip.udp = \"10.0.0.1:5060\"\nsip.tcp = \"off\"\n";
    assert_eq!(listen(open), None, "not by itself where nobody has to prove anything");
    assert_eq!(listen(&format!("{open}turn.listen = \"10.0.0.1:3478\"")), at("10.0.0.1:3478"));
    let named = "sip.udp = \"127.0.0.1:5060\"\nsip.tcp = \"off\"\nturn.listen = \"127.0.0.1:3478\"";
    assert_eq!(listen(named), at("127.0.0.1:3478"));
}

#[test]
fn turn_over_tls_is_beside_the_usual_port_of_turn_or_where_it_is_named() {
    let tls = |text: &str| settings(text).unwrap().turn.map(|turn| turn.tls);
    let at = |text: &str| Some(vec![text.parse().unwrap()]);
    assert_eq!(tls(""), at("[::]:5349"));
    assert_eq!(tls("turn.listen = \"10.0.0.1:3478\""), at("10.0.0.1:5349"));
    assert_eq!(tls("turn.listen = \"10.0.0.1:3479\""), Some(Vec::new()));
    assert_eq!(tls("turn.listen = \"10.0.0.1:3479\"\nturn.tls = \"10.0.0.1:443\""), at("10.0.0.1:443"));
    assert_eq!(tls("turn.tls = \"off\""), Some(Vec::new()));
}

#[test]
fn ports_of_media_that_turn_would_take_by_itself_turn_it_off_with_a_warning() {
    let settings = settings("media.ports = \"20000-29999\"").unwrap();
    assert_eq!(settings.turn, None);
    assert_eq!(
        settings.warnings,
        ["TURN is off: turn.ports 21000-21999 and media.ports 20000-29999 have ports in common"]
    );
}

#[test]
fn limits_and_peers_of_turn_are_as_written() {
    let text = "[turn]\nallow_peers = [\"10.0.0.0/8\", \"127.0.0.1\"]\nmax_allocations = 7\n\
        max_allocations_per_account = 3\nbytes_per_second = 1000\nports = \"30000-30009\"\n";
    let settings = settings(text).unwrap();
    let turn = settings.turn.unwrap();
    assert_eq!(
        (turn.limits.allocations, turn.limits.per_account, turn.limits.bytes_per_second),
        (7, 3, 1000)
    );
    assert_eq!((turn.allow_peers.len(), turn.ports, turn.is_named), (2, 30_000..=30_009, false));
    assert!(settings.warnings[0].contains("127.0.0.1/32: every account may send"), "{:?}", settings.warnings);
}
