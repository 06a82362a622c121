use offhook_exchange::services::Strategy;

use crate::Settings;
use crate::config_file::{Mistakes, Sources};

fn settings(text: &str) -> Result<Settings, Mistakes> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("offhook.toml");
    std::fs::write(&file, text).unwrap();
    Settings::read(&Sources { file: Some(file), ..Sources::default() })
}

const GROUPS: &str = r#"
[[schedule]]
name = "office"
time_zone = "Europe/Berlin"
open = ["mon-fri 08:30-17:00"]
closed = ["2026-12-24..2026-12-26", "01-01"]
[[group]]
number = "600"
name = "Sales"
members = ["1001", "sip:bob@example.com"]
strategy = "round-robin"
rings_for = "12s"
then = "*971001"
when = "office"
otherwise = "1009"
[[group]]
number = "601"
members = "1001"
"#;

#[test]
fn groups_are_read_as_they_are_written() {
    let settings = settings(GROUPS).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let [sales, other] = &settings.services.groups[..] else { panic!("two groups") };
    assert_eq!((sales.name.as_str(), sales.strategy), ("Sales", Strategy::RoundRobin));
    assert_eq!(sales.members, ["1001", "sip:bob@example.com"]);
    assert_eq!((sales.rings_for.as_secs(), sales.then.as_deref()), (12, Some("*971001")));
    let hours = sales.hours.as_ref().unwrap();
    assert_eq!((hours.when.name.as_str(), hours.otherwise.as_str()), ("office", "1009"));
    assert_eq!((other.name.as_str(), other.strategy, other.skip_busy), ("601", Strategy::All, true));
    assert!(other.hours.is_none() && other.then.is_none());
}

#[test]
fn mistakes_have_their_place() {
    for (written, line, what) in [
        ("[[group]]\nmembers = [\"1\"]\n", 1, "has no number"),
        ("[[group]]\nnumber = \"600\"\n", 1, "has no members"),
        ("[[group]]\nnumber = \"6 00\"\nmembers = [\"1\"]\n", 2, "cannot be dialled"),
        ("[[group]]\nnumber = \"600\"\nmembers = [\"1\", \"1\"]\n", 3, "named twice"),
        ("[[group]]\nnumber = \"600\"\nmembers = [\"1\"]\nthen = \"600\"\n", 4, "the group itself"),
        ("[[group]]\nnumber = \"600\"\nmembers = [\"1\"]\nrings_for = \"1h\"\n", 4, "three minutes"),
        ("[[group]]\nnumber = \"600\"\nmembers = [\"1\"]\nwhen = \"office\"\n", 4, "set otherwise"),
        (
            "[[schedule]]\nname = \"office\"\n[[group]]\nnumber = \"600\"\nmembers = [\"1\"]\n\
             when = \"ofice\"\notherwise = \"1\"\n",
            6,
            "did you mean \"office\"?",
        ),
        ("[[queue]]\nnumber = \"610\"\n", 1, "has no agents"),
        ("[[queue]]\nnumber = \"610\"\nagents = [\"1\"]\nthen = \"610\"\n", 4, "the queue itself"),
        ("[[queue]]\nnumber = \"610\"\nagents = [\"1\"]\nstrategy = \"best\"\n", 4, "longest-idle"),
        ("[services.wake_up]\ncode = \"55\"\n", 2, "does not begin with its only *"),
        ("[[group]]\nnumber = \"600\"\nmember = [\"1\"]\n", 3, "did you mean \"members\"?"),
        ("[[schedule]]\nname = \"a\"\nopen = \"sometimes\"\n", 3, "a time is written"),
        ("[[schedule]]\nname = \"a\"\nclosed = \"christmas\"\n", 3, "days are written"),
        ("[[schedule]]\nname = \"a\"\ntime_zone = \"Mars\"\n", 3, "no time zone"),
        ("[[schedule]]\nname = \"a\"\n[[schedule]]\nname = \"a\"\n", 4, "declared twice"),
    ] {
        let mistakes = settings(written).expect_err(written).to_string();
        let place = format!("offhook.toml:{line}:");
        assert!(mistakes.contains(what) && mistakes.contains(&place), "{written}\n{mistakes}");
    }
}
