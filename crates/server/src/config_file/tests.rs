use std::path::Path;

use super::*;

fn read(text: &str) -> Result<Written, Mistakes> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("offhook.toml");
    std::fs::write(&file, text).unwrap();
    Sources { file: Some(file), ..Sources::default() }.read()
}

fn mistakes(text: &str) -> Vec<(usize, usize, String, Option<String>)> {
    let found = read(text).err().map(|found| found.0).unwrap_or_default();
    let shown = |one: Mistake| {
        let (line, column) = one.place.map_or((0, 0), |place| place.line_and_column());
        (line, column, one.what, one.help)
    };
    found.into_iter().map(shown).collect()
}

#[test]
fn every_kind_of_mistake_is_found_where_it_is() {
    for (text, line, column, what, help) in [
        ("[sip]\nupd = \"[::]:5060\"", 2, 1, "unknown key \"upd\" in [sip]", Some("did you mean \"udp\"?")),
        ("udp = 1", 1, 1, "unknown key \"udp\"", Some("did you mean \"sip.udp\"?")),
        ("[spi]\nudp = 1", 1, 2, "unknown key \"spi\"", Some("did you mean \"sip\"?")),
        ("zzzzzz = 1", 1, 1, "unknown key \"zzzzzz\"", None),
        ("sip = 5060", 1, 7, "sip is a table", Some("write [sip] on a line of its own, and its keys below")),
        (
            "[sip]\nudp = 5060",
            2,
            7,
            "sip.udp must be an address with a port, such as \"[::]:5060\", a list of them, or \"off\"",
            None,
        ),
        (
            "[media]\nanchor = \"allways\"",
            2,
            10,
            "media.anchor must be \"auto\" or \"always\" or \"never\"",
            Some("did you mean \"always\"?"),
        ),
        (
            "[media]\nports = \"20001-20003\"",
            2,
            9,
            "media.ports must be ports such as \"20000-20999\", at least four",
            None,
        ),
        (
            "[media]\ntimeout = \"60 years\"",
            2,
            11,
            "media.timeout must be a time such as \"60s\", \"10m\" or \"2h\"",
            None,
        ),
        (
            "[security]\nmax_calls_per_account = 0",
            2,
            25,
            "security.max_calls_per_account must be a whole number from 1 to 10000",
            None,
        ),
        (
            "[security]\nallow_international = \"no\"",
            2,
            23,
            "security.allow_international must be true or false",
            None,
        ),
        (
            "[sip]\nlocal_networks = [\"10.0.0.0/33\"]",
            2,
            18,
            "sip.local_networks must be networks such as [\"10.0.0.0/8\"]",
            None,
        ),
        ("[account]\naddress = \"sip:a@b\"", 1, 1, "account is a list", Some("write [[account]]")),
        (
            "[[account]]\nadress = \"sip:a@b\"",
            2,
            1,
            "unknown key \"adress\" in [[account]]",
            Some("did you mean \"address\"?"),
        ),
        (
            "[[acount]]\naddress = \"sip:a@b\"",
            1,
            3,
            "unknown key \"acount\"",
            Some("did you mean \"account\"?"),
        ),
        (
            "[security.ban]\nfailures = \"many\"",
            2,
            12,
            "security.ban.failures must be a whole number from 1 to 1000000",
            None,
        ),
    ] {
        let expected = (line, column, what.to_owned(), help.map(str::to_owned));
        assert_eq!(mistakes(text), [expected], "{text}");
    }
}

#[test]
fn a_broken_line_is_shown_and_nothing_else_is_said_of_its_file() {
    let found = mistakes("[sip]\nudp = [::]:5060\nzzz = 1\n");
    assert!(!found.is_empty());
    assert!(found.iter().all(|(line, _, what, _)| *line == 2 && !what.contains("unknown")), "{found:?}");
}

#[test]
fn all_mistakes_are_reported_at_once_with_a_caret_each() {
    let found = read("# 王\n[web]\nhtpt = 1\n\t[sip]\n\tupd = \"x\"\n").unwrap_err();
    let text = found.to_string();
    assert!(text.contains("offhook.toml:3:1\n"), "{text}");
    assert!(text.contains("3 | htpt = 1\n  | ^^^^ did you mean \"http\"?\n"), "{text}");
    assert!(text.contains("5 | \tupd = \"x\"\n  | \t^^^ did you mean \"udp\"?\n"), "{text}");
    assert!(text.find("htpt") < text.find("upd"), "in the order of the file: {text}");
    assert!(text.ends_with("2 mistakes in the configuration"), "{text}");
}

#[test]
fn an_empty_file_works() {
    assert!(read("").unwrap().get("sip.udp").is_none());
}

#[test]
fn later_sources_win() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("offhook.toml");
    std::fs::create_dir(folder.path().join("conf.d")).unwrap();
    let timeouts = |seconds: [u32; 4]| {
        let [a, b, c, d] = seconds;
        format!(
            "[sip.registration]\nmin_expires = {a}\ndefault_expires = {b}\nmax_expires = {c}\nmax_contacts = {d}\n"
        )
    };
    std::fs::write(&file, timeouts([1, 1, 1, 1])).unwrap();
    let more =
        |name: &str, text: &str| std::fs::write(folder.path().join("conf.d").join(name), text).unwrap();
    more("20.toml", "sip.registration.default_expires = 3\nsip.registration.max_expires = 3\n");
    more("10.toml", "sip.registration.default_expires = 2\n");
    more("ignored.txt", "nonsense");
    let sources = Sources {
        file: Some(file),
        environment: vec![
            ("OFFHOOK_SIP_REGISTRATION_MAX_EXPIRES".into(), "4".into()),
            ("OFFHOOK_SIP_REGISTRATION_MAX_CONTACTS".into(), "4".into()),
            ("OFFHOOK_SERVICE_HOST".into(), "10.0.0.1".into()),
        ],
        flags: vec![("--set".into(), "sip.registration.max_contacts".into(), "5".into())],
    };
    let written = sources.read().unwrap();
    let of = |key: &str| written.get(key).map(|entry| (entry.value.clone(), entry.place.source.name.clone()));
    let name = |path: &str| folder.path().join(path).display().to_string();
    let time = |seconds| Value::Time(std::time::Duration::from_secs(seconds));
    assert_eq!(of("sip.registration.min_expires"), Some((time(1), name("offhook.toml"))));
    assert_eq!(of("sip.registration.default_expires"), Some((time(3), name("conf.d/20.toml"))));
    let variable = "OFFHOOK_SIP_REGISTRATION_MAX_EXPIRES".to_owned();
    assert_eq!(of("sip.registration.max_expires"), Some((time(4), variable)));
    assert_eq!(of("sip.registration.max_contacts"), Some((Value::Count(5), "--set".into())));
    assert_eq!(written.warnings, ["OFFHOOK_SERVICE_HOST in the environment sets nothing"]);
}

#[test]
fn flags_and_variables_need_no_quotes() {
    let set = |key: &str, value: &str| {
        let flags = vec![("--set".to_owned(), key.to_owned(), value.to_owned())];
        Sources { file: Some(empty()), flags, ..Sources::default() }
            .read()
            .unwrap()
            .get(key)
            .unwrap()
            .value
            .clone()
    };
    let address = Value::Addresses(vec!["127.0.0.1:5070".parse().unwrap()]);
    assert_eq!(set("sip.udp", "127.0.0.1:5070"), address);
    assert_eq!(set("sip.udp", "\"127.0.0.1:5070\""), address);
    assert_eq!(set("sip.udp", "off"), Value::Addresses(vec![]));
    assert_eq!(set("media.ports", "\"20000-20199\""), Value::Ports(20_000..=20_199));
    assert_eq!(set("media.ports", "20000-20199"), Value::Ports(20_000..=20_199));
    assert_eq!(set("domains", "[\"127.0.0.1\"]"), Value::Texts(vec!["127.0.0.1".into()]));
    assert_eq!(
        set("domains", "a.example, b.example"),
        Value::Texts(vec!["a.example".into(), "b.example".into()])
    );
    assert_eq!(set("data_dir", "1"), Value::Text("1".into()));
    assert_eq!(set("security.allow_international", "true"), Value::Flag(true));
}

fn empty() -> PathBuf {
    "/dev/null".into()
}

#[test]
fn a_flag_with_a_mistake_is_shown_as_the_line_it_stands_for() {
    let flags = vec![("--set".to_owned(), "sip.upd".to_owned(), "127.0.0.1:5070".to_owned())];
    let found = Sources { file: Some(empty()), flags, ..Sources::default() }.read().unwrap_err().to_string();
    assert!(found.contains("--> --set:1:5\n"), "{found}");
    assert!(found.contains("1 | sip.upd = \"127.0.0.1:5070\"\n"), "{found}");
}

#[test]
fn a_file_that_was_named_must_exist() {
    let sources = Sources { file: Some("/nowhere/offhook.toml".into()), ..Sources::default() };
    assert!(sources.read().unwrap_err().to_string().contains("/nowhere/offhook.toml: "));
}

#[test]
fn every_default_is_of_its_kind() {
    for key in KEYS.iter().filter(|key| !key.default.is_empty()) {
        assert!(default_of(key).is_some(), "{}", key.path);
    }
}

#[test]
fn the_sample_shows_every_key_with_its_default() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/offhook.toml");
    let text = std::fs::read_to_string(&sample).unwrap();
    let written = read(&text).unwrap();
    for key in KEYS {
        match written.get(key.path) {
            Some(entry) => assert_eq!(Some(&entry.value), default_of(key).as_ref(), "{}", key.path),
            None => {
                let name = key.path.rsplit('.').next().unwrap();
                assert!(text.contains(&format!("\n# {name} = ")), "{} is not shown", key.path);
            }
        }
    }
    // What is commented out is right as well.
    let is_key = |line: &&str| {
        let line = line.trim_start_matches("# ");
        line.starts_with('[') || line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '))
    };
    let uncommented: Vec<_> = text
        .lines()
        .skip_while(|line| !line.starts_with("# Accounts that"))
        .filter(is_key)
        .map(|line| line.trim_start_matches("# "))
        .collect();
    let objects = read(&uncommented.join("\n")).unwrap().objects;
    let lists: Vec<_> = objects.iter().map(|object| object.list).collect();
    let expected = [
        "account", "camera", "group", "menu", "page", "queue", "route", "schedule", "trunk", "trunk", "trunk",
    ];
    assert_eq!(lists, expected);
    for (list, keys, _) in OBJECTS {
        let shown =
            |key: &Key| objects.iter().any(|one| one.list == *list && one.values.contains_key(key.path));
        let hidden: Vec<_> = keys.iter().filter(|key| !shown(key)).map(|key| key.path).collect();
        let has_file = ["account", "camera"].contains(list);
        assert!(hidden.is_empty() || (has_file && hidden == ["password"]), "{list}: {hidden:?}");
    }
}

#[test]
fn the_schema_has_every_key() {
    let schema = schema();
    assert_eq!(schema["properties"]["sip"]["properties"]["udp"]["default"], "[::]:5060");
    assert_eq!(schema["properties"]["media"]["properties"]["anchor"]["enum"][1], "always");
    let account = &schema["properties"]["account"]["items"]["properties"];
    assert_eq!(account["address"]["type"], "string");
}
