//! What a call of ours says to a trunk: who calls, who is called, and by what that is proven.

use hmac::{Hmac, KeyInit as _, Mac as _};
use offhook_sip::digest::push_hex;
use offhook_sip::{Host, Name, NameAddr, Request, SipUri};
use offhook_sip_stack::auth::Authorizer;
use sha2::Sha256;

use super::{TrunkState, contact_user};
use crate::config::{Config, Key};
use crate::directory::AddressOfRecord;
use crate::event::Event;
use crate::identity::{Caller, wants_privacy};
use crate::route::{Number, Numbering, Trunk};
use crate::spending::Price;
use crate::stir::{Attestation, Passport};

/// A call on its way to a trunk.
#[derive(Clone, Debug)]
pub(crate) struct Outbound {
    /// The place of the trunk.
    pub(crate) trunk: usize,
    /// Whether it is a call for help, which has no limits.
    pub(crate) emergency: bool,
    pub(crate) from: NameAddr,
    pub(crate) to: NameAddr,
    /// More header fields, as name and value.
    headers: Vec<(String, String)>,
    /// What is signed about it, where the trunk has that: all but the time.
    passport: Option<Box<Passport>>,
    /// The user of our Contact.
    pub(crate) contact: String,
    /// As the caller dialled it, and as the trunk is told it.
    pub(crate) numbers: [String; 2],
    /// On whose costs.
    pub(crate) cost: Cost,
}

/// On whose costs a call goes, and what it costs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cost {
    /// The account, and the day on which it counts.
    pub(crate) charged: Option<(AddressOfRecord, i32)>,
    pub(crate) price: Option<Price>,
    pub(crate) currency: String,
}

/// What a call is about, whatever trunk carries it.
#[derive(Clone, Copy)]
pub(crate) struct Dialled<'a> {
    /// Whether the caller wants not to be known to those it calls.
    pub(crate) private: bool,
    /// Why the caller has sent the call on, if it is the one who did, in the word of a Diversion header.
    pub(crate) diverted: Option<&'a str>,
    pub(crate) caller: &'a Caller,
    /// As the plan has made it.
    pub(crate) number: &'a str,
    /// As the caller dialled it.
    pub(crate) dialled: &'a str,
    pub(crate) emergency: bool,
    pub(crate) cost: &'a Cost,
}

impl Outbound {
    /// The call by this trunk, and the Request-URI there.
    pub(crate) fn new(at: usize, trunk: &Trunk, call: Dialled<'_>, config: &Config) -> (Self, SipUri) {
        let numbering = config.plan.numbering(call.caller.account());
        let called = trunk.dialling.called(call.number, call.dialled, numbering);
        let host = trunk.server.host().clone();
        let uri = trunk.server.clone().with_user(&called).with_param("user", Some("phone"));
        let (number, attestation) = shown(trunk, call.caller, numbering);
        let signed =
            trunk.signer.as_ref().and_then(|_| passport(number.as_deref()?, attestation, call, config));
        let (from, asserted) = caller(trunk, call.caller, (number, numbering), config);
        let private = call.private;
        let mut headers = Vec::new();
        headers.push((Name::PAssertedIdentity.as_str().to_owned(), asserted.to_string()));
        if let Some(reason) = call.diverted {
            let by = NameAddr::new(asserted.uri.clone());
            let diversion = format!("{by};reason={reason};counter=1");
            headers.push((Name::Diversion.as_str().to_owned(), diversion));
        }
        if private {
            // The provider knows who calls, and tells nobody (RFC 3325 §7).
            headers.push((Name::Privacy.as_str().to_owned(), "id".to_owned()));
        }
        let must_name = trunk.account().is_some_and(|account| account.from_username);
        let from = if private && !must_name { anonymous() } else { from };
        let to = NameAddr::new(SipUri::new(Some(&called), host));
        let contact = contact_user(trunk, &config.key);
        let (numbers, cost) = ([call.dialled.to_owned(), called], call.cost.clone());
        let outbound = Self {
            trunk: at,
            emergency: call.emergency,
            from,
            to,
            headers,
            passport: signed.map(Box::new),
            contact,
            numbers,
            cost,
        };
        (outbound, uri)
    }

    /// What is told when it leaves, of a call with this Call-ID.
    pub(crate) fn sent(&self, call: &str, config: &Config) -> Event {
        let [dialled, sent] = self.numbers.clone();
        let Cost { charged, price, currency } = self.cost.clone();
        let trunk = config.trunks.get(self.trunk).map(|trunk| trunk.name.clone()).unwrap_or_default();
        Event::CallSent { call: call.to_owned(), trunk, dialled, sent, charged, price, currency }
    }

    /// All that is said in header fields of its own at this Unix second: a signature is good for a minute.
    pub(crate) fn headers(&self, config: &Config, now: u64) -> Vec<(String, String)> {
        let mut headers = self.headers.clone();
        let signer = config.trunks.get(self.trunk).and_then(|trunk| trunk.signer.as_ref());
        if let (Some(signer), Some(passport)) = (signer, &self.passport) {
            let identity = signer.identity(&Passport { iat: now, ..passport.as_ref().clone() });
            headers.extend(identity.map(|value| (Name::Identity.as_str().to_owned(), value)));
        }
        headers
    }

    /// What answers the trunk's challenges, if anything does.
    pub(crate) fn authorizer(&self, config: &Config, state: Option<&TrunkState>) -> Option<Box<Authorizer>> {
        authorizer(config.trunks.get(self.trunk)?, state)
    }
}

/// What answers the challenges of a trunk in the dialog of one call.
pub(crate) fn authorizer(trunk: &Trunk, state: Option<&TrunkState>) -> Option<Box<Authorizer>> {
    let authorizer = trunk.account()?.authorizer();
    let known = state.and_then(|state| state.realm.as_deref());
    Some(Box::new(match known {
        Some(realm) => authorizer.for_realm(realm),
        None => authorizer,
    }))
}

/// The whole number under which somebody calls, and how far we vouch for it. It is the caller's own if that is one of the
/// trunk's, else the first of the trunk: nobody calls under a number that the line does not have.
fn shown(trunk: &Trunk, caller: &Caller, numbering: &Numbering) -> (Option<String>, Attestation) {
    let own = caller.number().and_then(|number| numbering.normalize(number).ok());
    let own = own.filter(|number| matches!(number, Number::Global(_))).map(|number| number.to_string());
    let is_its = |number: &String| trunk.numbers.is_empty() || trunk.numbers.contains(number);
    match (own.filter(is_its), caller.account()) {
        (Some(own), _) => (Some(own), Attestation::Full),
        (None, Some(_)) => (trunk.numbers.first().cloned(), Attestation::Partial),
        (None, None) => (trunk.numbers.first().cloned(), Attestation::Gateway),
    }
}

/// What is signed of a call, but for the time.
fn passport(number: &str, attestation: Attestation, call: Dialled<'_>, config: &Config) -> Option<Passport> {
    let digits = |number: &str| number.strip_prefix('+').unwrap_or(number).to_owned();
    Some(Passport {
        orig: digits(number),
        dest: vec![digits(call.number)],
        iat: 0,
        attestation: Some(attestation),
        origid: Some(origin(call.caller, &config.key)?),
        div: None,
    })
}

/// The same for all calls of a caller, and nothing by which others could know it (RFC 8588 §5): a UUID (RFC 9562 §5.8).
fn origin(caller: &Caller, key: &Key) -> Option<String> {
    let who = caller.account().map(ToString::to_string).unwrap_or_default();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key.0).ok()?;
    mac.update(b"origid");
    mac.update(who.as_bytes());
    let mut bytes: [u8; 16] = mac.finalize().into_bytes().get(..16)?.try_into().ok()?;
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut hex = String::with_capacity(36);
    push_hex(&mut hex, &bytes);
    [20, 16, 12, 8].into_iter().for_each(|at| hex.insert(at, '-'));
    Some(hex)
}

/// Who calls: for From, and asserted to the provider (RFC 3325).
fn caller(
    trunk: &Trunk,
    caller: &Caller,
    (number, numbering): (Option<String>, &Numbering),
    config: &Config,
) -> (NameAddr, NameAddr) {
    let number = number.map(|number| trunk.dialling.written(&number, numbering));
    let host = match (trunk.account(), caller.account()) {
        (Some(account), _) => account.registrar.host().clone(),
        (None, Some(account)) => Host::parse(account.host()).unwrap_or_else(|| trunk.server.host().clone()),
        (None, None) => config
            .domains
            .first()
            .and_then(|one| Host::parse(one))
            .unwrap_or_else(|| trunk.server.host().clone()),
    };
    let username = trunk.account().map(|account| account.username.as_str());
    let named = |user: Option<&str>| {
        let address = NameAddr::new(SipUri::new(user, host.clone()));
        match caller.name() {
            Some(name) => address.with_display_name(name),
            None => address,
        }
    };
    let user = caller.account().map(|account| account.user());
    let asserted = named(number.as_deref().or(username).or(user));
    match trunk.account() {
        Some(account) if account.from_username => (named(username), asserted),
        _ => (asserted.clone(), asserted),
    }
}

/// Why a call was sent on last (RFC 5806 §4), if it was.
pub(crate) fn diverted(request: &Request) -> Option<String> {
    let last = request.values(Name::Diversion).next()?;
    let last = NameAddr::parse(last.to_vec().into()).ok()?.to_string();
    let reason = last.split(';').find_map(|param| param.trim().strip_prefix("reason="))?;
    Some(reason.to_owned())
}

/// Whether a caller wants not to be known to those it calls.
pub(crate) fn hides(request: &Request) -> bool {
    wants_privacy(request) || calls_itself_nobody(request)
}

fn calls_itself_nobody(request: &Request) -> bool {
    let from = request.from().ok();
    let host = from.as_ref().and_then(|from| Some(from.uri.as_sip()?.host().to_string()));
    host.is_some_and(|host| host.eq_ignore_ascii_case("anonymous.invalid"))
}

/// RFC 3323 §4.1.1.3
fn anonymous() -> NameAddr {
    let host = Host::parse("anonymous.invalid").unwrap_or_else(|| unreachable!("a host"));
    NameAddr::new(SipUri::new(Some("anonymous"), host)).with_display_name("Anonymous")
}
