//! Out of the exchange: by the plan to trunks and other domains, or to the domain that was asked for.

use std::net::IpAddr;

use offhook_sip::{HostPort, Method, Name, Request, SipUri, Status, Uri};
use offhook_sip_stack::Flow;
use offhook_sip_stack::transaction::ServerId;

use super::Core;
use super::enumerate::Sought;
use super::trunks::{ByTrunks, Came};
use super::whereabouts::Found;
use crate::config::{Config, Strangers};
use crate::context::Context;
use crate::event::Event;
use crate::identity::Caller;
use crate::proxy::{Asking, Outward};
use crate::refusal::Refusal;
use crate::route::{Asked, Decision, Trunk};

/// Where a request for somebody here goes.
pub(super) enum Way {
    /// Out by one of several trunks.
    Trunks(ByTrunks),
    /// To phones.
    Phones(Found),
    /// Out.
    Out(To),
    /// Where the DNS says that the number is.
    Sought(Box<Sought>),
}

/// Where a request goes that leaves.
pub(super) struct To {
    pub(super) uri: SipUri,
    /// Whether the operator chose it, not the caller.
    pub(super) planned: bool,
    pub(super) emergency: bool,
    /// Who the caller is, for a trunk.
    asserted: Option<String>,
    /// Which trunk that is.
    pub(super) by: Option<ByOne>,
}

/// The one trunk of a call that is forwarded.
pub(super) struct ByOne {
    pub(super) trunk: String,
    /// As the plan has made it.
    pub(super) number: String,
    /// As the caller dialled it.
    pub(super) dialled: String,
    /// As the trunk is told it.
    sent: String,
}

impl Way {
    /// To the domain that a URI names.
    pub(super) fn elsewhere(uri: &Uri) -> Result<Self, Refusal> {
        match uri {
            Uri::Sip(uri) => {
                let (planned, emergency, asserted, by) = (false, false, None, None);
                Ok(Self::Out(To { uri: uri.clone(), planned, emergency, asserted, by }))
            }
            Uri::Tel(_) | Uri::Other(_) => Err(Status::UNSUPPORTED_URI_SCHEME.into()),
        }
    }

    /// To where the operator wants it.
    pub(super) fn planned(uri: SipUri) -> Self {
        Self::Out(To { uri, planned: true, emergency: false, asserted: None, by: None })
    }
}

impl Core {
    /// Where the user of a Request-URI of ours is: an account by its name or its number, or where the plan sends that
    /// number.
    pub(super) fn whereabouts(
        &self,
        user: Option<String>,
        (request, uri): (&Request, &Uri),
        caller: &Caller,
        from: &Flow,
        now: u64,
    ) -> Result<Way, Refusal> {
        let came = caller.account().is_none().then(|| self.trunk_of(request, from)).flatten();
        self.way_to(user, uri, caller, came, now)
    }

    /// The same for a call that may have come by a trunk.
    pub(super) fn way_to(
        &self,
        user: Option<String>,
        uri: &Uri,
        caller: &Caller,
        came: Option<Came<'_>>,
        now: u64,
    ) -> Result<Way, Refusal> {
        let renamed;
        let (user, uri) = match &came {
            Some(Came { trunk, number: None, .. })
                if !trunk.numbers.is_empty() || trunk.account().is_some() =>
            {
                return Err(Refusal::new(Status::NOT_FOUND, "This is no number of this trunk"));
            }
            Some(Came { number: Some(number), .. }) => {
                renamed = with_number(uri, number);
                (Some(number.clone()), renamed.as_ref().unwrap_or(uri))
            }
            Some(Came { number: None, .. }) | None => (user, uri),
        };
        let dialled = user.clone().unwrap_or_default();
        let found = match user {
            Some(user) => self.targets(&user, uri, now),
            None => Err(Status::NOT_FOUND.into()),
        };
        if !matches!(&found, Err(refusal) if refusal.status == Status::NOT_FOUND) {
            return found.map(Way::Phones);
        }
        let trunk = came.as_ref().map(|came| came.trunk.name.as_str());
        let domains = self.config.domains.as_slice();
        let asked = Asked { uri, caller: caller.account(), trunk, at: now, domains };
        let plan = &self.config.plan;
        let Ok(number) = plan.number(&asked) else { return found.map(Way::Phones) };
        if let Some(account) = self.directory.by_number(number.as_str()) {
            return self.of_record(&account.address.to_string(), now);
        }
        let verdict = plan.decide(&asked);
        self.way_of(verdict.decision, (caller, &dialled, verdict.emergency), now)
    }

    /// Where a decision of the plan leads.
    fn way_of(
        &self,
        decision: Decision,
        (caller, dialled, emergency): (&Caller, &str, bool),
        now: u64,
    ) -> Result<Way, Refusal> {
        let (plan, planned) = (&self.config.plan, true);
        match decision {
            Decision::Account(account) => self.of_record(&account.to_string(), now),
            Decision::Domain(domain, number) => {
                let uri = at(&domain, &number).ok_or_else(|| no_way("The plan names no domain"))?;
                Ok(Way::Out(To { uri, planned, emergency, asserted: None, by: None }))
            }
            Decision::Trunk(choices, number) => {
                let trunk = match &choices[..] {
                    [only] => self.config.trunks.iter().find(|trunk| trunk.name == only.trunk),
                    _ => None,
                };
                let Some(trunk) = trunk.filter(|trunk| !trunk.is_bridged()) else {
                    let dialled = dialled.to_owned();
                    return Ok(Way::Trunks(ByTrunks { choices, number, dialled, emergency, diverted: None }));
                };
                let numbering = plan.numbering(caller.account());
                let asserted = caller.asserted_to(trunk, numbering);
                let sent = trunk.dialling.called(&number, dialled, numbering);
                let uri = by(trunk, &sent);
                let dialled = dialled.to_owned();
                let by = Some(ByOne { trunk: trunk.name.clone(), number, dialled, sent });
                Ok(Way::Out(To { uri, planned, emergency, asserted, by }))
            }
            Decision::Enum { tree, number, otherwise } => {
                let otherwise = self.way_of(*otherwise, (caller, dialled, emergency), now).map(Box::new);
                let dialled = dialled.to_owned();
                Ok(Way::Sought(Box::new(Sought { tree, number, dialled, otherwise })))
            }
            Decision::Refused(status, reason) => Err(Refusal::new(status, reason)),
        }
    }

    fn of_record(&self, address: &str, now: u64) -> Result<Way, Refusal> {
        let Ok(uri) = address.parse::<Uri>() else { return Err(Status::NOT_FOUND.into()) };
        let user = uri.as_sip().and_then(SipUri::user_unescaped).unwrap_or_default();
        self.targets(&user, &uri, now).map(Way::Phones)
    }

    /// Sends a request out: where the plan says, or where somebody wants who has proven who they are.
    pub(super) fn outward(
        &mut self,
        server: ServerId,
        asking: Asking,
        to: To,
        cx: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        if self.draining {
            return Err(Refusal::from(Status::SERVICE_UNAVAILABLE).with(Name::RetryAfter, 30));
        }
        let To { uri, planned, emergency, asserted, by } = to;
        // Whom the plan lets out it has decided itself.
        if !planned && (asking.caller.account().is_none() || !self.config.other_domains) {
            return Err(Refusal::new(Status::FORBIDDEN, "Other domains are not reached from here"));
        }
        let by = by.filter(|_| *asking.request.method() == Method::Invite);
        let charge = match &by {
            Some(by) => {
                let call_id = asking.request.call_id().unwrap_or_default();
                self.afford((&asking.caller, call_id), &by.number, emergency, cx)?
            }
            None => None,
        };
        let (id, rates) = (charge.as_ref().map(|charge| charge.id), &self.proxy.active.spending.rates);
        let by = by.and_then(|by| {
            let at = self.config.trunk_named(&by.trunk)?;
            let sent = Event::CallSent {
                call: asking.request.call_id().unwrap_or_default().to_owned(),
                trunk: by.trunk,
                dialled: by.dialled,
                sent: by.sent,
                charged: charge.as_ref().map(|charge| (charge.account.clone(), charge.day)),
                price: rates.price(&by.number),
                currency: rates.currency().to_owned(),
            };
            Some((at, sent))
        });
        let concern = self.concern(&asking, None);
        let outward = Outward { asking, to: uri, planned, emergency, asserted, concern, charge, by };
        let started = self.proxy.start_elsewhere(server, outward, &self.config, &mut self.transactions, cx);
        if let (Err(_), Some(id)) = (&started, id) {
            self.proxy.active.spending.over(id, cx.epoch.unix(cx.now));
        }
        started
    }
}

impl Config {
    /// The place of a trunk that is in use.
    pub(super) fn trunk_named(&self, name: &str) -> Option<usize> {
        self.trunks.iter().position(|trunk| trunk.name == name && !trunk.retired)
    }

    /// Whether someone without an account may call in from an address.
    pub(crate) fn lets_in(&self, ip: IpAddr) -> bool {
        self.strangers == Strangers::Allow || self.allow_from.iter().any(|network| network.contains(&ip))
    }
}

/// The same URI for a number as it is kept.
fn with_number(uri: &Uri, number: &str) -> Option<Uri> {
    match uri {
        Uri::Sip(uri) => Some(uri.clone().with_user(number).into()),
        Uri::Tel(_) => format!("tel:{number}").parse().ok(),
        Uri::Other(_) => None,
    }
}

/// A number at a domain.
fn at(domain: &str, number: &str) -> Option<SipUri> {
    let HostPort { host, port } = HostPort::parse(domain)?;
    let uri = SipUri::new(Some(number), host);
    Some(port.map_or(uri.clone(), |port| uri.with_port(port)))
}

/// A number by a trunk.
fn by(trunk: &Trunk, number: &str) -> SipUri {
    trunk.server.clone().with_user(number).with_param("user", Some("phone"))
}

fn no_way(why: &str) -> Refusal {
    Refusal::new(Status::SERVER_INTERNAL_ERROR, why)
}
