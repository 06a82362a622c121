//! The plan: rules in order, and why each of them does or does not take a call.

use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use offhook_sip::{Status, Uri};

use super::number::{NotANumber, Number, Numbering};
use super::pattern::Pattern;
use super::trunk::Choice;
use super::window::Window;
use crate::directory::AddressOfRecord;

/// Everything that decides where a number leads.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How the people here dial.
    pub numbering: Numbering,
    /// How some accounts dial: the first that fits.
    pub numbering_of: Vec<(AddressOfRecord, Numbering)>,
    /// The first rule that takes a call decides.
    pub rules: Vec<Rule>,
    /// Whether numbers abroad may be called.
    pub allow_international: bool,
    /// In which windows of time are meant.
    pub time_zone: TimeZone,
}

/// A rule. What is empty does not restrict it.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// Numbers it is for.
    pub patterns: Vec<Pattern>,
    /// Accounts (`alice@example.com`) or domains (`example.com`) of ours whose calls it is for.
    pub callers: Vec<String>,
    /// Domains in which the number was dialled.
    pub domains: Vec<String>,
    /// Trunks by which the call came.
    pub from: Vec<String>,
    /// When it holds.
    pub windows: Vec<Window>,
    /// Where its calls go.
    pub to: Destination,
    /// Letters that are taken off in front; a `+` is one.
    pub strip: usize,
    /// What comes in front then.
    pub prepend: String,
}

/// Where a rule sends calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// To another network, by one of these.
    Trunk(Vec<Choice>),
    /// To an account of ours.
    Account(AddressOfRecord),
    /// To this number at another domain.
    Domain(String),
    /// To where this tree of the DNS says that the number is (RFC 6116), if it says so; else the next rule decides.
    Enum(String),
    /// Nowhere.
    Reject(Status, String),
}

/// What is asked of the plan.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The Request-URI.
    pub uri: &'a Uri,
    /// The account that calls, if one does.
    pub caller: Option<&'a AddressOfRecord>,
    /// The trunk by which the call came, if it did.
    pub trunk: Option<&'a str>,
    /// When, in Unix seconds.
    pub at: u64,
    /// Domains served here.
    pub domains: &'a [String],
}

/// What the plan says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The number, if it is one.
    pub number: Result<Number, NotANumber>,
    /// Whether help is called.
    pub emergency: bool,
    /// The rules that were looked at, in order.
    pub tried: Vec<Tried>,
    /// Where the call goes.
    pub decision: Decision,
}

/// A rule that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// The rule's name.
    pub rule: String,
    /// Why it did not take the call; `None`: it did.
    pub miss: Option<Miss>,
}

/// Why a rule does not take a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// The number fits none of its patterns.
    Number,
    /// It is for other callers.
    Caller,
    /// The number was dialled in another domain.
    Domain,
    /// The call came another way.
    Trunk,
    /// It does not hold now.
    Time,
    /// It would refuse a call for help.
    Emergency,
    /// A call of nobody here leaves only by a rule that names the trunk by which it came.
    Relay,
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Number => "the number does not fit",
            Self::Caller => "it is for other callers",
            Self::Domain => "it is for numbers dialled in another domain",
            Self::Trunk => "it is for calls that come by another trunk",
            Self::Time => "it does not hold at this time",
            Self::Emergency => "an emergency call is not refused",
            Self::Relay => "callers without an account leave only by a rule for their trunk",
        })
    }
}

/// Where a call goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// To this number by one of these trunks.
    Trunk(Vec<Choice>, String),
    /// To an account.
    Account(AddressOfRecord),
    /// To this number at another domain.
    Domain(String, String),
    /// To where a tree of the DNS says that this number is; if it does not, elsewhere.
    Enum {
        /// The tree.
        tree: String,
        /// The number, with a `+`.
        number: String,
        /// Where the call goes then.
        otherwise: Box<Decision>,
    },
    /// Nowhere, for this reason.
    Refused(Status, String),
}

impl Plan {
    /// A plan without rules.
    pub fn empty() -> Self {
        Self {
            numbering: Numbering::default(),
            numbering_of: Vec::new(),
            rules: Vec::new(),
            allow_international: false,
            time_zone: TimeZone::UTC,
        }
    }

    /// How an account dials.
    pub fn numbering(&self, caller: Option<&AddressOfRecord>) -> &Numbering {
        let own = self.numbering_of.iter().find(|(account, _)| Some(account) == caller);
        own.map_or(&self.numbering, |(_, numbering)| numbering)
    }

    /// The number that a Request-URI names, as its caller dials.
    ///
    /// # Errors
    /// Why it is none.
    pub fn number(&self, asked: &Asked<'_>) -> Result<Number, NotANumber> {
        let is_ours = |domain: &str| asked.domains.iter().any(|one| one.eq_ignore_ascii_case(domain));
        self.numbering(asked.caller).read(asked.uri, is_ours)
    }

    /// Whether help is called, as its caller dials.
    pub fn is_emergency(&self, asked: &Asked<'_>) -> bool {
        self.number(asked).is_ok_and(|number| self.numbering(asked.caller).is_emergency(&number))
    }

    /// Where a call goes that is for no account by itself, and why.
    pub fn decide(&self, asked: &Asked<'_>) -> Verdict {
        let number = self.number(asked);
        let Ok(dialled) = &number else {
            let refused = Decision::Refused(Status::NOT_FOUND, Status::NOT_FOUND.reason().to_owned());
            return Verdict { number, emergency: false, tried: Vec::new(), decision: refused };
        };
        // Only of those whom we know: a stranger has no line here, not even to call for help.
        let emergency = asked.caller.is_some() && self.numbering(asked.caller).is_emergency(dialled);
        let (mut tried, mut sought) = (Vec::new(), Vec::new());
        let mut decision = None;
        for rule in &self.rules {
            let miss = self.miss(rule, dialled, emergency, asked);
            tried.push(Tried { rule: rule.name.clone(), miss });
            match &rule.to {
                _ if miss.is_some() => {}
                Destination::Enum(tree) => sought.push((tree.clone(), rule.changed(dialled))),
                _ => {
                    decision = Some(rule.send(dialled));
                    break;
                }
            }
        }
        // Help is called by whatever line there is.
        let any_line = || {
            let line = self.rules.iter().find(|rule| matches!(rule.to, Destination::Trunk(_)))?;
            let Destination::Trunk(trunks) = &line.to else { return None };
            Some(Decision::Trunk(trunks.clone(), dialled.as_str().to_owned()))
        };
        let decision = decision
            .or_else(|| emergency.then(any_line).flatten())
            .unwrap_or_else(|| Decision::Refused(Status::NOT_FOUND, format!("No route leads to {dialled}")));
        let mut decision = self.abroad(decision, dialled, asked);
        for (tree, number) in sought.into_iter().rev() {
            // Who may not call abroad finds nobody there in the DNS either.
            let otherwise = Box::new(decision.clone());
            let sought = Decision::Enum { tree, number, otherwise };
            if let allowed @ Decision::Enum { .. } = self.abroad(sought, dialled, asked) {
                decision = allowed;
            }
        }
        Verdict { decision, number, emergency, tried }
    }

    fn miss(&self, rule: &Rule, number: &Number, emergency: bool, asked: &Asked<'_>) -> Option<Miss> {
        let misses = |list: &[String], found: bool| !list.is_empty() && !found;
        if !rule.patterns.is_empty() && !rule.patterns.iter().any(|one| one.fits(number.as_str())) {
            return Some(Miss::Number);
        }
        let is_trunk = |one: &String| asked.trunk == Some(one.as_str());
        let came_by = rule.from.iter().any(is_trunk);
        let is_sought = matches!(rule.to, Destination::Enum(_));
        if is_sought && !matches!(number, Number::Global(_)) {
            return Some(Miss::Number);
        }
        let leaves = is_sought || matches!(rule.to, Destination::Trunk(_) | Destination::Domain(_));
        // Otherwise a rule that was meant for accounts would let a carrier's callers call at our cost.
        if leaves && asked.caller.is_none() && !came_by {
            return Some(Miss::Relay);
        }
        if emergency {
            // Who calls for help, and when, restricts nothing.
            return matches!(rule.to, Destination::Reject(..)).then_some(Miss::Emergency);
        }
        let is_caller = |one: &String| {
            asked.caller.is_some_and(|caller| {
                caller.as_str().eq_ignore_ascii_case(one) || caller.host().eq_ignore_ascii_case(one)
            })
        };
        if misses(&rule.callers, rule.callers.iter().any(is_caller)) {
            return Some(Miss::Caller);
        }
        let host = asked.uri.as_sip().map(|uri| uri.host().to_string());
        let is_host = |one: &String| host.as_ref().is_some_and(|host| host.eq_ignore_ascii_case(one));
        if misses(&rule.domains, rule.domains.iter().any(is_host)) {
            return Some(Miss::Domain);
        }
        if misses(&rule.from, came_by) {
            return Some(Miss::Trunk);
        }
        let (day, minute) = self.local_time(asked.at);
        let holds = rule.windows.iter().any(|window| window.holds(day, minute));
        (!rule.windows.is_empty() && !holds).then_some(Miss::Time)
    }

    /// Day of the week, Monday being 0, and minute of the day.
    fn local_time(&self, unix: u64) -> (u8, u16) {
        let seconds = i64::try_from(unix).unwrap_or(i64::MAX);
        let moment = Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
        let local = moment.to_zoned(self.time_zone.clone());
        let day = local.weekday().to_monday_zero_offset().unsigned_abs();
        (day, u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs()))
    }

    /// What leaves for abroad has to be allowed.
    fn abroad(&self, decision: Decision, number: &Number, asked: &Asked<'_>) -> Decision {
        let leaves = matches!(decision, Decision::Trunk(..) | Decision::Domain(..) | Decision::Enum { .. });
        let numbering = self.numbering(asked.caller);
        if !leaves || self.allow_international || !numbering.is_abroad(number) {
            return decision;
        }
        let reason = match numbering.country {
            Some(_) => "Calls abroad are not allowed here",
            None => "Without numbers.country, this may be a call abroad, and those are not allowed here",
        };
        Decision::Refused(Status::DECLINE, reason.to_owned())
    }
}

impl Rule {
    /// One for all calls, which go there as they were dialled.
    pub fn new(name: &str, to: Destination) -> Self {
        Self {
            name: name.into(),
            patterns: Vec::new(),
            callers: Vec::new(),
            domains: Vec::new(),
            from: Vec::new(),
            windows: Vec::new(),
            to,
            strip: 0,
            prepend: String::new(),
        }
    }

    /// What a rule makes of a number.
    fn changed(&self, number: &Number) -> String {
        let left: String = number.as_str().chars().skip(self.strip).collect();
        format!("{}{left}", self.prepend)
    }

    fn send(&self, number: &Number) -> Decision {
        let changed = || self.changed(number);
        match &self.to {
            Destination::Trunk(trunks) => Decision::Trunk(trunks.clone(), changed()),
            Destination::Account(account) => Decision::Account(account.clone()),
            Destination::Domain(domain) => Decision::Domain(domain.clone(), changed()),
            Destination::Enum(tree) => {
                let reason = Status::NOT_FOUND.reason().to_owned();
                let otherwise = Box::new(Decision::Refused(Status::NOT_FOUND, reason));
                Decision::Enum { tree: tree.clone(), number: changed(), otherwise }
            }
            Destination::Reject(status, reason) => Decision::Refused(*status, reason.clone()),
        }
    }
}

#[cfg(test)]
mod tests;
