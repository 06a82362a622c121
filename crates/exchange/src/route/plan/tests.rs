use super::super::countries::Country;
use super::*;

fn rule(name: &str, patterns: &[&str], to: Destination) -> Rule {
    Rule {
        patterns: patterns.iter().map(|one| Pattern::parse(one).unwrap()).collect(),
        ..Rule::new(name, to)
    }
}

fn trunk(name: &str) -> Destination {
    Destination::Trunk(Choice::only(name))
}

fn german(rules: Vec<Rule>) -> Plan {
    Plan { numbering: Numbering::of(Country::of("DE").unwrap()), rules, ..Plan::empty() }
}

struct Caller {
    account: Option<AddressOfRecord>,
    trunk: Option<&'static str>,
    at: u64,
}

/// Wednesday, 2026-07-01, 12:00 UTC.
const NOON: u64 = 1_782_907_200;

fn alice() -> Caller {
    Caller { account: Some(AddressOfRecord::new("alice", "example.com")), trunk: None, at: NOON }
}

fn ask(plan: &Plan, dialled: &str, from: &Caller) -> Verdict {
    let uri = format!("sip:{dialled}@example.com").parse().unwrap();
    let domains = ["example.com".to_owned()];
    let Caller { account, trunk, at } = from;
    plan.decide(&Asked { uri: &uri, caller: account.as_ref(), trunk: *trunk, at: *at, domains: &domains })
}

fn goes(plan: &Plan, dialled: &str) -> Decision {
    ask(plan, dialled, &alice()).decision
}

fn by(trunk: &str, number: &str) -> Decision {
    Decision::Trunk(Choice::only(trunk), number.into())
}

#[test]
fn the_first_rule_that_fits_decides_and_each_says_why_not() {
    let plan = german(vec![
        rule("short", &["1XX"], Destination::Domain("branch.example".into())),
        rule("mobile", &["+4915*", "+4916*", "+4917*"], trunk("mobile")),
        rule("home", &["+49*"], trunk("landline")),
        rule("rest", &[], trunk("rest")),
    ]);
    assert_eq!(goes(&plan, "123"), Decision::Domain("branch.example".into(), "123".into()));
    assert_eq!(goes(&plan, "0171-1234567"), by("mobile", "+491711234567"));
    let verdict = ask(&plan, "030-1234567", &alice());
    assert_eq!(verdict.decision, by("landline", "+49301234567"));
    let tried: Vec<_> = verdict.tried.iter().map(|one| (one.rule.as_str(), one.miss)).collect();
    assert_eq!(tried, [("short", Some(Miss::Number)), ("mobile", Some(Miss::Number)), ("home", None)]);
}

#[test]
fn a_number_is_changed_on_its_way_out() {
    let mut one = rule("local", &["+4930*"], trunk("line"));
    (one.strip, one.prepend) = (3, "0".into());
    assert_eq!(goes(&german(vec![one]), "+49301234567"), by("line", "0301234567"));
}

#[test]
fn abroad_is_off_until_it_is_allowed() {
    let mut plan = german(vec![rule("all", &["+*"], trunk("line"))]);
    assert!(matches!(goes(&plan, "+4312345678"), Decision::Refused(Status::DECLINE, _)));
    assert!(matches!(goes(&plan, "004312345678"), Decision::Refused(Status::DECLINE, _)));
    assert_eq!(goes(&plan, "+49301234567"), by("line", "+49301234567"));
    plan.allow_international = true;
    assert_eq!(goes(&plan, "+4312345678"), by("line", "+4312345678"));
    plan.allow_international = false;
    plan.numbering = Numbering::default();
    assert!(
        matches!(goes(&plan, "+49301234567"), Decision::Refused(Status::DECLINE, _)),
        "no country is known"
    );
}

#[test]
fn help_is_never_refused() {
    let mut line = rule("business", &["+49*"], trunk("line"));
    line.callers = vec!["bob@example.com".into()];
    line.windows = vec![Window::parse("Sun 00:00-01:00").unwrap()];
    let nothing = rule("nothing", &["*"], Destination::Reject(Status::DECLINE, "closed".into()));
    let mut plan = german(vec![nothing.clone(), line.clone()]);
    let verdict = ask(&plan, "110", &alice());
    assert!(verdict.emergency);
    assert_eq!(verdict.decision, by("line", "110"));
    assert_eq!(goes(&plan, "0301234567"), Decision::Refused(Status::DECLINE, "closed".into()));
    // A line of its own comes first.
    line.patterns = vec![Pattern::parse("112").unwrap()];
    line.to = trunk("emergency");
    plan.rules.push(line);
    assert_eq!(goes(&plan, "112"), by("emergency", "112"));
}

#[test]
fn callers_domains_and_times_restrict_a_rule() {
    let mut plan = german(vec![rule("all", &["+*"], trunk("line"))]);
    plan.time_zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
    let miss = |plan: &Plan, from: &Caller| ask(plan, "0301234567", from).tried[0].miss;
    assert_eq!(miss(&plan, &alice()), None);
    plan.rules[0].callers = vec!["bob@example.com".into()];
    assert_eq!(miss(&plan, &alice()), Some(Miss::Caller));
    plan.rules[0].callers = vec!["EXAMPLE.com".into()];
    assert_eq!(miss(&plan, &alice()), None);
    plan.rules[0].domains = vec!["other.example".into()];
    assert_eq!(miss(&plan, &alice()), Some(Miss::Domain));
    plan.rules[0].domains.clear();
    // Noon of UTC is 14:00 in summer.
    plan.rules[0].windows = vec![Window::parse("Wed 14:00-14:01").unwrap()];
    assert_eq!(miss(&plan, &alice()), None);
    assert_eq!(miss(&plan, &Caller { at: NOON + 60, ..alice() }), Some(Miss::Time));
    plan.rules[0].windows.clear();
    plan.rules[0].from = vec!["carrier".into()];
    assert_eq!(miss(&plan, &alice()), Some(Miss::Trunk));
}

#[test]
fn who_has_no_account_reaches_accounts_and_no_line() {
    let bob = AddressOfRecord::new("bob", "example.com");
    let mut incoming = rule("incoming", &["+4930*"], Destination::Account(bob.clone()));
    incoming.from = vec!["carrier".into()];
    let plan = german(vec![rule("out", &["*"], trunk("line")), incoming]);
    let carrier = Caller { account: None, trunk: Some("carrier"), at: NOON };
    let verdict = ask(&plan, "+49301234567", &carrier);
    assert_eq!(verdict.tried[0].miss, Some(Miss::Relay));
    assert_eq!(verdict.decision, Decision::Account(bob));
    let stranger = Caller { account: None, trunk: None, at: NOON };
    assert!(matches!(
        ask(&plan, "+49301234567", &stranger).decision,
        Decision::Refused(Status::NOT_FOUND, _)
    ));
    let help = ask(&plan, "110", &stranger).decision;
    assert!(matches!(help, Decision::Refused(..)), "nor by calling for help: {help:?}");
}

#[test]
fn a_call_of_a_trunk_leaves_by_a_rule_that_names_the_trunk_and_not_abroad() {
    let mut transit = rule("transit", &["+*"], trunk("line"));
    transit.from = vec!["carrier".into()];
    let plan = german(vec![transit]);
    let by_trunk = |name| Caller { account: None, trunk: name, at: NOON };
    let goes = |number: &str, name| ask(&plan, number, &by_trunk(name)).decision;
    assert_eq!(goes("+49301234567", Some("carrier")), by("line", "+49301234567"));
    assert!(matches!(goes("+4312345678", Some("carrier")), Decision::Refused(Status::DECLINE, _)));
    for other in [Some("line"), None] {
        let verdict = ask(&plan, "+49301234567", &by_trunk(other));
        assert_eq!(verdict.tried[0].miss, Some(Miss::Relay), "{other:?}");
        assert!(matches!(verdict.decision, Decision::Refused(Status::NOT_FOUND, _)), "{other:?}");
    }
}

#[test]
fn an_account_may_dial_in_its_own_way() {
    let mut plan = german(vec![rule("all", &["+*"], trunk("line"))]);
    plan.allow_international = true;
    let vienna = Numbering { area_code: Some("1".into()), ..Numbering::of(Country::of("AT").unwrap()) };
    plan.numbering_of.push((AddressOfRecord::new("alice", "example.com"), vienna));
    assert_eq!(goes(&plan, "1234567"), by("line", "+4311234567"));
    assert!(ask(&plan, "133", &alice()).emergency);
    let bob = Caller { account: Some(AddressOfRecord::new("bob", "example.com")), ..alice() };
    assert_eq!(ask(&plan, "030-1234567", &bob).decision, by("line", "+49301234567"));
}

#[test]
fn what_is_no_number_has_no_route() {
    let plan = german(vec![rule("all", &["*"], trunk("line"))]);
    for dialled in ["bob", "1%0ATo:%20x", "1%27%3B%20DROP%20TABLE", &"9".repeat(200)] {
        assert!(matches!(goes(&plan, dialled), Decision::Refused(Status::NOT_FOUND, _)), "{dialled}");
    }
}
