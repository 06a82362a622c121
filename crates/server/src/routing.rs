//! What the plan would do with a call, for those who ask before they call.

use offhook_exchange::directory::AddressOfRecord;
use offhook_exchange::route::{Asked, Choice, Decision, Destination};
use offhook_sip::Uri;

use crate::{Settings, clock};

/// Where a call would go, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteReport {
    /// The Request-URI that was looked at.
    pub uri: String,
    /// The user that it names here; `None`: it is for another domain.
    pub user: Option<String>,
    /// The number that it is, normalised, or why it is none.
    pub number: Result<String, String>,
    /// Whether help is called.
    pub emergency: bool,
    /// Each rule that was tried, and why it did not take the call; `None`: it did.
    pub tried: Vec<(String, Option<String>)>,
    /// Where the call would go.
    pub decision: RouteDecision,
}

/// Where a call would go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteDecision {
    /// To another network: the trunk, or several in the order of their priority, and the number there.
    Trunk(String, String),
    /// To an account.
    Account(String),
    /// To another domain: the URI there.
    Domain(String),
    /// To where the DNS says that the number is: the number, the tree, and where it goes if it is not there.
    Enum(String, String, Box<RouteDecision>),
    /// Nowhere: status and reason.
    Refused(u16, String),
}

/// A rule as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteRow {
    /// Its name.
    pub name: String,
    /// Its patterns, with commas between.
    pub patterns: String,
    /// Where it leads, in words.
    pub to: String,
}

/// The rules in the order in which they are tried.
pub fn list_routes(settings: &Settings) -> Vec<RouteRow> {
    let row = |rule: &offhook_exchange::route::Rule| RouteRow {
        name: rule.name.clone(),
        patterns: rule.patterns.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
        to: match &rule.to {
            Destination::Trunk(choices) => format!("trunk {}", in_words(choices)),
            Destination::Account(account) => format!("account {account}"),
            Destination::Domain(domain) => format!("domain {domain}"),
            Destination::Enum(tree) => format!("enum {tree}"),
            Destination::Reject(status, reason) => format!("reject {} {reason}", status.code()),
        },
    };
    settings.plan.rules.iter().map(row).collect()
}

/// What would become of a call to a number, a name or a URI now, beside the accounts that have it. `from` is the account
/// that calls.
///
/// # Errors
/// What cannot be read.
pub fn test_route(settings: &Settings, target: &str, from: Option<&str>) -> Result<RouteReport, String> {
    let domain = settings.domains.first().map_or("localhost", String::as_str);
    let spelt = match target.split_once(':') {
        Some((scheme, _)) if ["sip", "sips", "tel"].contains(&scheme.to_ascii_lowercase().as_str()) => {
            target.to_owned()
        }
        _ if target.contains('@') => format!("sip:{target}"),
        _ => offhook_sip::SipUri::new(Some(target), offhook_sip::Host::parse(domain).ok_or("no domain")?)
            .to_string(),
    };
    let uri: Uri = spelt.parse().map_err(|_| format!("{target:?} is no number and no URI"))?;
    let caller = from.map(AddressOfRecord::parse).transpose().map_err(|error| error.to_string())?;
    let host = uri.as_sip().map(|uri| uri.host().to_string());
    let is_here = |host: &String| settings.domains.iter().any(|one| one.eq_ignore_ascii_case(host));
    if let Some(host) = host.filter(|host| !is_here(host)) {
        let decision = match settings.other_domains {
            true => RouteDecision::Domain(uri.to_string()),
            false => RouteDecision::Refused(403, "Other domains are not reached from here".into()),
        };
        let number = Err(format!("{host} is another domain"));
        let uri = uri.to_string();
        return Ok(RouteReport { uri, user: None, number, emergency: false, tried: Vec::new(), decision });
    }
    let at = clock::unix().as_secs();
    let asked =
        Asked { uri: &uri, caller: caller.as_ref(), trunk: None, at, domains: settings.domains.as_slice() };
    let verdict = settings.plan.decide(&asked);
    let user = match &uri {
        Uri::Sip(uri) => uri.user_unescaped().map(|user| user.into_owned()),
        Uri::Tel(tel) => Some(tel.digits()),
        Uri::Other(_) => None,
    };
    Ok(RouteReport {
        uri: uri.to_string(),
        user,
        number: verdict.number.map(|number| number.to_string()).map_err(|error| error.to_string()),
        emergency: verdict.emergency,
        tried: verdict
            .tried
            .into_iter()
            .map(|one| (one.rule, one.miss.map(|miss| miss.to_string())))
            .collect(),
        decision: verdict.decision.into(),
    })
}

impl From<Decision> for RouteDecision {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Trunk(choices, number) => Self::Trunk(in_words(&choices), number),
            Decision::Account(account) => Self::Account(account.to_string()),
            Decision::Domain(domain, number) => Self::Domain(format!("sip:{number}@{domain}")),
            Decision::Enum { tree, number, otherwise } => {
                Self::Enum(number, tree, Box::new(Self::from(*otherwise)))
            }
            Decision::Refused(status, reason) => Self::Refused(status.code(), reason),
        }
    }
}

/// Trunks in the order of their priority: those of one priority are joined by `/`.
fn in_words(choices: &[Choice]) -> String {
    let mut sorted: Vec<&Choice> = choices.iter().collect();
    sorted.sort_by_key(|one| one.priority);
    let groups = sorted.chunk_by(|one, other| one.priority == other.priority);
    let names = |group: &[&Choice]| group.iter().map(|one| one.trunk.as_str()).collect::<Vec<_>>().join("/");
    groups.map(names).collect::<Vec<_>>().join(", then ")
}
