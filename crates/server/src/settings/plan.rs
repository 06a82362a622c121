//! `[numbers]` and `[[route]]`: where calls go that are for no account.

use jiff::tz::TimeZone;
use offhook_exchange::directory::AddressOfRecord;
use offhook_exchange::route::countries::Country;
use offhook_exchange::route::{Choice, Destination, Numbering, Pattern, Plan, Rule, Trunk, Window};
use offhook_sip::Status;

use super::Meaning;
use crate::config_file::{Mistake, Object, Value, did_you_mean};

impl Meaning<'_> {
    /// The plan and the trunks that it names.
    pub(super) fn plan(&mut self) -> (Plan, Vec<Trunk>) {
        let numbering = self.numbering();
        let time_zone = self.time_zone();
        let numbering_of = self.numbering_of(&numbering);
        let trunks = self.trunks(&numbering);
        let rules = self.rules(&trunks);
        let allow_international = self.is_on("security.allow_international");
        (Plan { numbering, numbering_of, rules, allow_international, time_zone }, trunks)
    }

    fn numbering(&mut self) -> Numbering {
        let country = self.text("numbers.country").and_then(|iso| match country(&iso) {
            Ok(country) => Some(country),
            Err(what) => {
                self.mistake("numbers.country", what, None);
                None
            }
        });
        let mut numbering = country.map_or_else(unknown_country, Numbering::of);
        numbering.area_code = self.text("numbers.area_code");
        if let Some(Value::Texts(named)) = self.written.get("numbers.emergency").map(|entry| &entry.value) {
            numbering.emergency.clone_from(named);
        }
        let is_digits = |text: &String| text.bytes().all(|byte| byte.is_ascii_digit());
        for (path, fits) in [
            ("numbers.area_code", numbering.area_code.iter().all(is_digits)),
            ("numbers.emergency", numbering.emergency.iter().all(is_digits)),
        ] {
            if !fits {
                self.mistake(path, "only digits belong here".into(), None);
            }
        }
        numbering
    }

    fn time_zone(&mut self) -> TimeZone {
        let Some(name) = self.text("numbers.time_zone") else { return TimeZone::system() };
        TimeZone::get(&name).unwrap_or_else(|_| {
            let help = Some("such as \"Europe/Berlin\"; the package tzdata has them".to_owned());
            self.mistake("numbers.time_zone", format!("{name:?} is no time zone of this machine"), help);
            TimeZone::UTC
        })
    }

    /// How declared accounts dial that dial otherwise.
    fn numbering_of(&mut self, usual: &Numbering) -> Vec<(AddressOfRecord, Numbering)> {
        let mut all = Vec::new();
        for object in self.written.objects.iter().filter(|object| object.list == "account") {
            let (iso, area) = (text(object, "country"), text(object, "area_code"));
            let address = text(object, "address").and_then(|text| AddressOfRecord::parse(&text).ok());
            let Some(address) = address.filter(|_| iso.is_some() || area.is_some()) else { continue };
            let mut numbering = match iso.as_deref().map(country) {
                Some(Ok(country)) => Numbering::of(country),
                Some(Err(what)) => {
                    self.mistakes.push(mistake(object, "country", what));
                    continue;
                }
                None => usual.clone(),
            };
            numbering.area_code = area.or(numbering.area_code);
            all.push((address, numbering));
        }
        all
    }

    fn rules(&mut self, trunks: &[Trunk]) -> Vec<Rule> {
        let mut rules: Vec<Rule> = Vec::new();
        for object in self.written.objects.iter().filter(|object| object.list == "route") {
            match rule(object, trunks) {
                Ok(rule) if rules.iter().any(|other| other.name == rule.name) => {
                    self.mistakes.push(mistake(object, "name", format!("{} is declared twice", rule.name)));
                }
                Ok(rule) => rules.push(rule),
                Err(_) if !object.complete => {}
                Err((key, what)) => self.mistakes.push(mistake(object, key, what)),
            }
        }
        rules
    }

    pub(super) fn is_on(&self, path: &'static str) -> bool {
        matches!(self.written.value(path), Some(Value::Flag(true)))
    }
}

/// The key that is wrong, and how.
pub(super) type Wrong = (&'static str, String);

fn rule(object: &Object, trunks: &[Trunk]) -> Result<Rule, Wrong> {
    let name = text(object, "name").ok_or(("name", "this [[route]] has no name".to_owned()))?;
    let patterns = texts(object, "match").iter().map(|one| Pattern::parse(one)).collect::<Result<_, _>>();
    let patterns = patterns.map_err(|error| ("match", error.to_string()))?;
    let windows = texts(object, "when").iter().map(|one| Window::parse(one)).collect::<Result<_, _>>();
    let windows = windows.map_err(|error| ("when", error.to_string()))?;
    let known = |trunk: &str| match trunks.iter().any(|one| one.name == trunk) {
        true => Ok(()),
        false => {
            let meant = did_you_mean(trunk, trunks.iter().map(|one| one.name.as_str()));
            let help = meant.map(|meant| format!("; {meant}")).unwrap_or_default();
            Err(format!("there is no trunk {trunk:?}{help}"))
        }
    };
    let from = texts(object, "from");
    from.iter().try_for_each(|trunk| known(trunk)).map_err(|what| ("from", what))?;
    let to = match object.values.get("to").map(|entry| &entry.value) {
        Some(Value::Destination(written)) => destination(written).map_err(|what| ("to", what))?,
        _ => {
            return Err((
                "to",
                "this [[route]] leads nowhere: set to = { trunk = \"NAME\" } or the like".into(),
            ));
        }
    };
    if let Destination::Trunk(choices) = &to {
        choices.iter().try_for_each(|one| known(&one.trunk)).map_err(|what| ("to", what))?;
    }
    let address = |one: String| one.strip_prefix("sip:").map_or(one.clone(), str::to_owned);
    let strip = match object.values.get("strip").map(|entry| &entry.value) {
        Some(Value::Count(count)) => *count as usize,
        _ => 0,
    };
    let prepend = text(object, "prepend").unwrap_or_default();
    if !prepend.chars().all(|letter| letter.is_ascii_digit() || "+*#".contains(letter)) {
        return Err(("prepend", "what comes in front is digits, +, * and #".into()));
    }
    Ok(Rule {
        name,
        patterns,
        callers: texts(object, "caller").into_iter().map(address).collect(),
        domains: texts(object, "domain"),
        from,
        windows,
        to,
        strip,
        prepend,
    })
}

fn destination(places: &[Vec<(String, String)>]) -> Result<Destination, String> {
    let choices = places.iter().map(|place| choice(place)).collect::<Option<Vec<_>>>();
    if let Some(choices) = choices {
        let twice = |(at, one): (usize, &Choice)| choices[..at].iter().any(|other| other.trunk == one.trunk);
        return match choices.iter().enumerate().find(|(at, one)| twice((*at, one))) {
            Some((_, one)) => Err(format!("the trunk {} is named twice", one.trunk)),
            None => Ok(Destination::Trunk(choices)),
        };
    }
    let [written] = places else {
        return Err(
            "of several places each is a trunk: { trunk = \"NAME\", priority = 1, weight = 1 }".into()
        );
    };
    let of = |key: &str| written.iter().find(|(one, _)| one == key).map(|(_, value)| value.clone());
    let is_known = |key: &str| {
        TARGETS.contains(&key)
            || key == "reason"
            || of("trunk").is_some() && ["priority", "weight"].contains(&key)
    };
    let odd = written.iter().find(|(key, _)| !is_known(key));
    if let Some((key, _)) = odd {
        return Err(format!("{key:?} is nowhere to go: trunk, account, domain, enum or reject"));
    }
    if written.iter().filter(|(key, _)| TARGETS.contains(&key.as_str())).count() != 1 {
        return Err("a rule leads to one place: trunk, account, domain, enum or reject".into());
    }
    if of("reason").is_some() && of("reject").is_none() {
        return Err("a reason belongs to reject".into());
    }
    if of("trunk").is_some() {
        return Err("priority and weight of a trunk are whole numbers from 1 to 65535".into());
    }
    if let Some(account) = of("account") {
        return AddressOfRecord::parse(&account).map(Destination::Account).map_err(|error| error.to_string());
    }
    if let Some(domain) = of("domain") {
        return match offhook_sip::HostPort::parse(&domain) {
            Some(_) => Ok(Destination::Domain(domain)),
            None => Err(format!("{domain:?} is no domain such as \"branch.example\"")),
        };
    }
    if let Some(tree) = of("enum") {
        let is_name = !tree.contains(['[', '*']) && tree.parse::<std::net::IpAddr>().is_err();
        return match offhook_sip::HostPort::parse(&tree).filter(|one| one.port.is_none() && is_name) {
            Some(_) => Ok(Destination::Enum(tree.to_ascii_lowercase())),
            None => Err(format!("{tree:?} is no tree of the DNS such as \"e164.arpa\"")),
        };
    }
    let code = of("reject").and_then(|code| code.parse().ok()).and_then(Status::new);
    let status = code.filter(|status| (4..=6).contains(&status.class()));
    let status = status.ok_or("a call is rejected with a status from 400 to 699, such as 603")?;
    Ok(Destination::Reject(status, of("reason").unwrap_or_else(|| status.reason().to_owned())))
}

/// A trunk of several; `None`: it is something else.
fn choice(place: &[(String, String)]) -> Option<Choice> {
    let of = |key: &str| place.iter().find(|(one, _)| one == key).map(|(_, value)| value.as_str());
    let number = |key: &str| match of(key) {
        Some(text) => text.parse().ok().filter(|number| (1..=65_535).contains(number)),
        None => Some(1),
    };
    let is_all = place.iter().all(|(key, _)| ["trunk", "priority", "weight"].contains(&key.as_str()));
    is_all.then_some(())?;
    Some(Choice { trunk: of("trunk")?.to_owned(), priority: number("priority")?, weight: number("weight")? })
}

fn country(iso: &str) -> Result<&'static Country, String> {
    Country::of(iso).ok_or_else(|| format!("{iso:?} is no country of two letters, such as \"DE\" or \"CN\""))
}

/// Without a country, the two numbers that mobile phones know everywhere.
fn unknown_country() -> Numbering {
    Numbering { emergency: vec!["112".into(), "911".into()], ..Numbering::default() }
}

pub(super) fn text(object: &Object, key: &str) -> Option<String> {
    match &object.values.get(key)?.value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    }
}

pub(super) fn texts(object: &Object, key: &str) -> Vec<String> {
    match object.values.get(key).map(|entry| &entry.value) {
        Some(Value::Texts(texts)) => texts.clone(),
        _ => Vec::new(),
    }
}

pub(super) fn mistake(object: &Object, key: &str, what: String) -> Mistake {
    let place = object.values.get(key).map_or(&object.place, |entry| &entry.place);
    Mistake { place: Some(place.clone()), what, help: None }
}

const TARGETS: [&str; 5] = ["trunk", "account", "domain", "enum", "reject"];

#[cfg(test)]
mod tests;
