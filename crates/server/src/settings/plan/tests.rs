use offhook_exchange::route::Number;

use crate::Settings;
use crate::config_file::{Mistakes, Sources};
use crate::routing::{RouteDecision, list_routes, test_route};

fn settings(text: &str) -> Result<Settings, Mistakes> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("offhook.toml");
    std::fs::write(&file, text).unwrap();
    Settings::read(&Sources { file: Some(file), ..Sources::default() })
}

const PLAN: &str = r#"
domains = ["example.com"]
[numbers]
country = "DE"
area_code = "30"
time_zone = "Europe/Berlin"
[[account]]
address = "sip:vienna@example.com"
country = "AT"
area_code = "1"
[[trunk]]
name = "carrier"
server = "192.0.2.9:5080"
auth = "address"
networks = ["192.0.2.0/28"]
numbers = ["030 5550"]
[[trunk]]
name = "provider"
server = "sip.provider.example"
username = "u"
password = "p"
[[route]]
name = "short"
match = ["7XX", "8XX"]
to = { domain = "branch.example" }
[[route]]
name = "premium"
match = "+49900*"
to = { reject = 603, reason = "No premium numbers" }
[[route]]
name = "office hours"
match = "+4930*"
when = "Mon,Tue,Wed,Thu,Fri,Sat,Sun 00:00-24:00"
caller = "sip:alice@example.com"
strip = 3
prepend = "0"
to = { trunk = "carrier" }
[[route]]
name = "boss"
match = "+4930*"
to = { account = "sip:boss@example.com" }
"#;

#[test]
fn a_plan_is_read_as_it_is_written() {
    let settings = settings(PLAN).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert!(settings.warnings.is_empty());
    assert_eq!(list_routes(&settings).len(), 4);
    assert_eq!(settings.trunks[0].server.to_string(), "sip:192.0.2.9:5080");
    assert_eq!(settings.trunks[0].numbers, ["+49305550"]);
    let vienna = &settings.plan.numbering_of[0].1;
    assert_eq!(vienna.normalize("1234567"), Ok(Number::Global("+4311234567".into())));
    let goes = |target: &str, from: &str| test_route(&settings, target, Some(from)).unwrap();
    let report = goes("030-1234567", "alice@example.com");
    assert_eq!(report.decision, RouteDecision::Trunk("carrier".into(), "0301234567".into()));
    let tried: Vec<_> = report.tried.iter().map(|(rule, why)| (rule.as_str(), why.as_deref())).collect();
    let no = Some("the number does not fit");
    assert_eq!(tried, [("short", no), ("premium", no), ("office hours", None)]);
    let report = goes("030-1234567", "bob@example.com");
    assert_eq!(report.tried[2].1.as_deref(), Some("it is for other callers"));
    assert_eq!(report.decision, RouteDecision::Account("sip:boss@example.com".into()));
    let report = goes("0900 123456", "bob@example.com");
    assert_eq!(report.decision, RouteDecision::Refused(603, "No premium numbers".into()));
    let report = goes("712", "bob@example.com");
    assert_eq!(report.decision, RouteDecision::Domain("sip:712@branch.example".into()));
    let report = goes("sip:bob@other.example", "bob@example.com");
    assert_eq!(report.decision, RouteDecision::Domain("sip:bob@other.example".into()));
    assert!(goes("110", "bob@example.com").emergency);
    assert!(test_route(&settings, "sip:", None).is_err());
}

#[test]
fn what_the_dns_does_not_know_goes_by_the_next_rule() {
    let text = PLAN.to_owned()
        + "[[route]]\nname = \"enum\"\nto = { enum = \"E164.arpa\" }\n"
        + "[[route]]\nname = \"rest\"\nto = { trunk = \"provider\" }\n";
    let settings = settings(&text).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert_eq!(list_routes(&settings)[4].to, "enum e164.arpa");
    let goes = |target: &str| test_route(&settings, target, Some("bob@example.com")).unwrap().decision;
    let otherwise = |number: &str| Box::new(RouteDecision::Trunk("provider".into(), number.into()));
    let number = "+498912345";
    let sought = RouteDecision::Enum(number.into(), "e164.arpa".into(), otherwise(number));
    assert_eq!(goes("089-12345"), sought);
    assert_eq!(goes("5555"), *otherwise("5555"), "an extension is in no tree");
    assert_eq!(
        goes("0043-1-234567"),
        RouteDecision::Refused(603, "Calls abroad are not allowed here".into())
    );
}

#[test]
fn what_is_wrong_with_a_plan_is_said() {
    let trunk = "[[trunk]]\nname = \"carrier\"\nserver = \"192.0.2.9\"\nauth = \"address\"\n";
    let rows = [
        ("numbers.country = \"XX\"", "\"XX\" is no country of two letters"),
        ("numbers.time_zone = \"Mars/Base\"", "is no time zone of this machine"),
        ("numbers.area_code = \"a\"", "only digits belong here"),
        ("[[trunk]]\nserver = \"a\"", "this [[trunk]] has no name"),
        ("[[trunk]]\nname = \"a\"", "this [[trunk]] has no server"),
        ("[[trunk]]\nname = \"a\"\nserver = \"a b\"", "is no host such as"),
        ("[[trunk]]\nname = \"a\"\nserver = \"a\"", "a username and a password, or auth"),
        ("[[trunk]]\nname = \"a\"\nserver = \"a\"\nusername = \"u\"", "needs its password"),
        (
            "[[trunk]]\nname = \"a\"\nnumbers = \"bob\"\nserver = \"a\"\nauth = \"address\"",
            "\"bob\" is no number",
        ),
        ("[[route]]\nname = \"a\"", "leads nowhere"),
        ("[[route]]\nname = \"a\"\nto = { trunk = \"nowhere\" }", "there is no trunk \"nowhere\""),
        ("[[route]]\nname = \"a\"\nmatch = \"^.*$\"\nto = { reject = 603 }", "'^' is no part of a pattern"),
        ("[[route]]\nname = \"a\"\nwhen = \"soon\"\nto = { reject = 603 }", "a time is written"),
        ("[[route]]\nname = \"a\"\nto = { reject = 200 }", "a status from 400 to 699"),
        ("[[route]]\nname = \"a\"\nto = { reject = 603, trunk = \"a\" }", "leads to one place"),
        ("[[route]]\nname = \"a\"\nto = { road = \"a\" }", "\"road\" is nowhere to go"),
        ("[[route]]\nname = \"a\"\nto = { enum = \"192.0.2.1\" }", "no tree of the DNS"),
        ("[[route]]\nname = \"a\"\nto = { enum = \"e164.arpa:53\" }", "no tree of the DNS"),
        ("stir.verify = \"note\"", "nobody is named who may have signed"),
        ("stir.roots = \"nowhere.pem\"", "nowhere.pem: No such file"),
        ("[[route]]\nname = \"a\"\nprepend = \"x\"\nto = { reject = 603 }", "what comes in front"),
        ("security.allow_from = [\"not a host\"]", "is neither a network"),
    ];
    for (text, what) in rows {
        let mistakes = settings(text).err().map(|mistakes| mistakes.to_string()).unwrap_or_default();
        assert!(mistakes.contains(what), "{text}: {mistakes}");
    }
    let twice = format!("{trunk}[[route]]\nname = \"a\"\nto = {{ trunk = \"carier\" }}");
    let mistakes = settings(&twice).err().map(|mistakes| mistakes.to_string()).unwrap_or_default();
    assert!(mistakes.contains("did you mean \"carrier\"?"), "{mistakes}");
    let first = format!("numbers.country = \"DE\"\n{trunk}numbers = [\"+49305550\"]\n");
    let both = first + &trunk.replace("carrier", "other") + "numbers = [\"030 5551\", \"030 5550\"]";
    let mistakes = settings(&both).err().map(|mistakes| mistakes.to_string()).unwrap_or_default();
    assert!(mistakes.contains("+49305550 is a number of the trunk carrier already"), "{mistakes}");
    assert!(!mistakes.contains("5551 is"), "{mistakes}");
}
