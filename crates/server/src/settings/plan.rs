//! `[numbers]`, `[[trunk]]` and `[[route]]`: where calls go that are for no account.

use jiff::tz::TimeZone;
use offhook_exchange::directory::AddressOfRecord;
use offhook_exchange::route::countries::Country;
use offhook_exchange::route::{Destination, Numbering, Pattern, Plan, Rule, Trunk, TrunkAuth, Window};
use offhook_sip::{Status, Uri};

use super::Meaning;
use crate::config_file::{Mistake, Object, Value, did_you_mean};

impl Meaning<'_> {
    /// The plan and the trunks that it names.
    pub(super) fn plan(&mut self, warnings: &mut Vec<String>) -> (Plan, Vec<Trunk>) {
        let numbering = self.numbering();
        let time_zone = self.time_zone();
        let numbering_of = self.numbering_of(&numbering);
        let trunks = self.trunks(&numbering);
        for trunk in trunks.iter().filter(|trunk| trunk.auth != TrunkAuth::Address) {
            warnings.push(format!(
                "the trunk {} needs a password: calls over such trunks are not carried yet",
                trunk.name
            ));
        }
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

    fn trunks(&mut self, numbering: &Numbering) -> Vec<Trunk> {
        let mut trunks: Vec<Trunk> = Vec::new();
        for object in self.written.objects.iter().filter(|object| object.list == "trunk") {
            match trunk(object, numbering) {
                Ok(trunk) if trunks.iter().any(|other| other.name == trunk.name) => {
                    self.mistakes.push(mistake(object, "name", format!("{} is declared twice", trunk.name)));
                }
                Ok(trunk) => {
                    for (number, other) in shared(&trunk, &trunks) {
                        let what = format!("{number} is a number of the trunk {other} already");
                        self.mistakes.push(mistake(object, "numbers", what));
                    }
                    trunks.push(trunk);
                }
                // What could not be read has been told of already.
                Err(_) if !object.complete => {}
                Err((key, what)) => self.mistakes.push(mistake(object, key, what)),
            }
        }
        trunks
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
type Wrong = (&'static str, String);

fn trunk(object: &Object, numbering: &Numbering) -> Result<Trunk, Wrong> {
    let name = text(object, "name").ok_or(("name", "this [[trunk]] has no name".to_owned()))?;
    let server = text(object, "server").ok_or(("server", "this [[trunk]] has no server".to_owned()))?;
    let spelt = if server.starts_with("sip:") || server.starts_with("sips:") {
        server.clone()
    } else {
        format!("sip:{server}")
    };
    let Ok(Uri::Sip(server)) = spelt.parse() else {
        return Err((
            "server",
            format!("{server:?} is no host such as \"sip.provider.example\" or \"192.0.2.9:5060\""),
        ));
    };
    let username = text(object, "username");
    let auth = match (text(object, "auth").as_deref(), username) {
        (Some("address"), Some(_)) => {
            return Err(("username", "with auth = \"address\" nobody has a user name".into()));
        }
        (Some("address"), None) => TrunkAuth::Address,
        (_, Some(username)) if object.values.contains_key("password") => TrunkAuth::Register { username },
        (_, Some(_)) => return Err(("username", "this user name needs its password".into())),
        (_, None) => {
            return Err(("auth", "a trunk has a username and a password, or auth = \"address\"".into()));
        }
    };
    let networks = match object.values.get("networks").map(|entry| &entry.value) {
        Some(Value::Networks(networks)) => networks.clone(),
        _ => Vec::new(),
    };
    let numbers = texts(object, "numbers")
        .iter()
        .map(|one| match numbering.normalize(one) {
            Ok(number) => Ok(number.to_string()),
            Err(error) => Err(("numbers", format!("{one:?} is no number: {error}"))),
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Trunk { name, server, auth, numbers, networks })
}

/// Numbers that another trunk has too, and its name.
fn shared<'a>(trunk: &'a Trunk, others: &'a [Trunk]) -> impl Iterator<Item = (&'a str, &'a str)> {
    let of = |number: &'a String| {
        let other = others.iter().find(|other| other.numbers.contains(number))?;
        Some((number.as_str(), other.name.as_str()))
    };
    trunk.numbers.iter().filter_map(of)
}

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
    if let Destination::Trunk(trunk) = &to {
        known(trunk).map_err(|what| ("to", what))?;
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

fn destination(written: &[(String, String)]) -> Result<Destination, String> {
    let of = |key: &str| written.iter().find(|(one, _)| one == key).map(|(_, value)| value.clone());
    let odd = written.iter().find(|(key, _)| !TARGETS.contains(&key.as_str()) && key != "reason");
    if let Some((key, _)) = odd {
        return Err(format!("{key:?} is nowhere to go: trunk, account, domain or reject"));
    }
    if written.iter().filter(|(key, _)| key != "reason").count() != 1 {
        return Err("a rule leads to one place: trunk, account, domain or reject".into());
    }
    if of("reason").is_some() && of("reject").is_none() {
        return Err("a reason belongs to reject".into());
    }
    if let Some(trunk) = of("trunk") {
        return Ok(Destination::Trunk(trunk));
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
    let code = of("reject").and_then(|code| code.parse().ok()).and_then(Status::new);
    let status = code.filter(|status| (4..=6).contains(&status.class()));
    let status = status.ok_or("a call is rejected with a status from 400 to 699, such as 603")?;
    Ok(Destination::Reject(status, of("reason").unwrap_or_else(|| status.reason().to_owned())))
}

fn country(iso: &str) -> Result<&'static Country, String> {
    Country::of(iso).ok_or_else(|| format!("{iso:?} is no country of two letters, such as \"DE\" or \"CN\""))
}

/// Without a country, the two numbers that mobile phones know everywhere.
fn unknown_country() -> Numbering {
    Numbering { emergency: vec!["112".into(), "911".into()], ..Numbering::default() }
}

fn text(object: &Object, key: &str) -> Option<String> {
    match &object.values.get(key)?.value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    }
}

fn texts(object: &Object, key: &str) -> Vec<String> {
    match object.values.get(key).map(|entry| &entry.value) {
        Some(Value::Texts(texts)) => texts.clone(),
        _ => Vec::new(),
    }
}

fn mistake(object: &Object, key: &str, what: String) -> Mistake {
    let place = object.values.get(key).map_or(&object.place, |entry| &entry.place);
    Mistake { place: Some(place.clone()), what, help: None }
}

const TARGETS: [&str; 4] = ["trunk", "account", "domain", "reject"];

#[cfg(test)]
mod tests;
