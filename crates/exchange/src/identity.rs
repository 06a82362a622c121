//! Who someone is, and what name it may use (RFC 3261 §22, RFC 3325).

use std::ops::Deref;

use offhook_sip::{Edit, Headers, Host, Name, NameAddr, Request, SipUri, Status, Uri};
use offhook_sip_stack::{Flow, auth};

use crate::config::Config;
use crate::directory::{Account, AddressOfRecord, Directory, Secrets};
use crate::locality::user_of;
use crate::refusal::Refusal;
use crate::route::{Number, Numbering, Trunk};

/// Who sent a request that starts something.
#[derive(Clone, Debug)]
pub(crate) enum Caller {
    /// This account, proven by its credentials.
    Account(Account),
    /// Nobody asked for a proof.
    Unproven,
    /// Someone from elsewhere, who may call local accounts.
    Stranger,
    /// The same whose number was checked, and what phones are told of it.
    Checked(String),
}

impl Caller {
    /// The account, if there is one.
    pub(crate) fn account(&self) -> Option<&AddressOfRecord> {
        match self {
            Self::Account(account) => Some(&account.address),
            Self::Unproven | Self::Stranger | Self::Checked(_) => None,
        }
    }

    /// The first of its numbers.
    pub(crate) fn number(&self) -> Option<&str> {
        match self {
            Self::Account(account) => account.number.as_deref(),
            Self::Unproven | Self::Stranger | Self::Checked(_) => None,
        }
    }

    /// The name that is shown to those whom it calls.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::Account(account) => account.name.as_deref(),
            Self::Unproven | Self::Stranger | Self::Checked(_) => None,
        }
    }

    /// What others may believe about the caller (RFC 3325 §9.1).
    pub(crate) fn asserted(&self) -> Option<String> {
        match self {
            Self::Account(account) => Some(named(account, account.address.to_string().parse().ok()?)),
            Self::Checked(shown) => Some(shown.clone()),
            Self::Unproven | Self::Stranger => None,
        }
    }

    /// What a trunk may believe about the caller: a number that can be called back, which is the account's or, if that is of use
    /// here only, the first of the trunk; without any, the account's address. A trunk is told also of a caller that wants no
    /// phone to know it (RFC 3325 §7): it is in our trust domain, and has to know whom to charge.
    pub(crate) fn asserted_to(&self, trunk: &Trunk, numbering: &Numbering) -> Option<String> {
        let Self::Account(account) = self else { return None };
        let own = account.number.as_deref().and_then(|number| numbering.normalize(number).ok());
        let own = own.filter(|number| matches!(number, Number::Global(_)));
        let number = own.as_ref().map(Number::as_str).or(trunk.numbers.first().map(String::as_str));
        let Some(number) = number else { return self.asserted() };
        let uri = SipUri::new(Some(number), Host::parse(account.address.host())?);
        Some(named(account, uri.with_param("user", Some("phone")).into()))
    }
}

fn named(account: &Account, uri: Uri) -> String {
    let asserted = NameAddr::new(uri);
    match &account.name {
        Some(name) => asserted.with_display_name(name).to_string(),
        None => asserted.to_string(),
    }
}

/// The account of a digest user name, which is the user part of its address. `claimed` is the address that the
/// request is sent under: it decides between users of the same name in several domains.
pub(crate) fn by_username<'a>(
    username: &str,
    claimed: &NameAddr,
    directory: &'a Directory,
    config: &Config,
) -> Option<&'a Account> {
    let host = claimed.uri.as_sip().map_or_else(|| config.realm.clone(), |uri| uri.host().to_string());
    let account = directory.find(username, &host, &config.domains)?;
    // Secrets are computed for the user part, so a number is no user name.
    (account.address.user() == username).then_some(account)
}

/// Whether From claims to be one of ours.
pub(crate) fn claims_us(from: &NameAddr, flow: &Flow, config: &Config) -> bool {
    match &from.uri {
        Uri::Sip(uri) => config.is_ours(uri.host(), flow),
        Uri::Tel(_) | Uri::Other(_) => false,
    }
}

/// Whether an account may appear under this From: its address, one of its numbers, or no name at all.
pub(crate) fn may_use(
    account: &Account,
    from: &NameAddr,
    flow: &Flow,
    directory: &Directory,
    config: &Config,
) -> Result<(), Refusal> {
    let own = match &from.uri {
        Uri::Sip(uri) if uri.host().to_string().eq_ignore_ascii_case("anonymous.invalid") => true,
        Uri::Sip(uri) => user_of(&from.uri).is_some_and(|user| {
            let found = directory.find(&user, &uri.host().to_string(), &config.domains);
            config.is_ours(uri.host(), flow) && is(account, found)
        }),
        Uri::Tel(uri) => is(account, directory.by_number(&uri.digits())),
        Uri::Other(_) => false,
    };
    if own { Ok(()) } else { Err(Refusal::new(Status::FORBIDDEN, "From is not an address of this account")) }
}

fn is(account: &Account, found: Option<&Account>) -> bool {
    found.is_some_and(|found| found.address == account.address)
}

/// Puts what we vouch for in place of what a phone claims (RFC 3325 §8: a phone is not trusted to assert). `to_trunk` is what a
/// trunk is told, if it goes there.
pub(crate) fn assert(edit: &mut Edit<Request>, request: &Request, caller: &Caller, to_trunk: Option<&str>) {
    forget_claims(edit, request);
    if let Some(asserted) = to_trunk.map(str::to_owned).or_else(|| asserted(request, caller)) {
        edit.add(Name::PAssertedIdentity, asserted);
    }
}

/// Puts the name of a group before the caller's, for those who answer for several.
pub(crate) fn show_group(edit: &mut Edit<Request>, request: &Request, group: &str) {
    let Ok(from) = request.from() else { return };
    edit.set(Name::From, of_group(&from.detach(), group));
}

/// A caller's name under that of a group; who has none is shown by its user.
pub(crate) fn of_group(from: &NameAddr, group: &str) -> NameAddr {
    let name = String::from_utf8_lossy(&from.display_name()).into_owned();
    let name = if name.is_empty() { user_of(&from.uri).unwrap_or_default() } else { name };
    from.clone().with_display_name(&format!("{group}: {name}"))
}

/// What a phone may be told of who sent a request.
pub(crate) fn asserted(request: &Request, caller: &Caller) -> Option<String> {
    // A caller that wants privacy is not named to a phone, which is outside of the trust domain (§7).
    caller.asserted().filter(|_| !wants_privacy(request))
}

/// Whether those who are called shall not know who calls (RFC 3323 §4.2, RFC 3325 §9.3).
pub(crate) fn wants_privacy(request: &Request) -> bool {
    asks_privacy(request, &["id", "user", "header"])
}

/// Whether a request asks for one of these kinds of privacy (RFC 3323 §4.2).
pub(crate) fn asks_privacy(request: &Request, kinds: &[&str]) -> bool {
    let mut asked = request.tokens(Name::Privacy).flat_map(|token| token.split(';'));
    asked.any(|one| kinds.iter().any(|kind| one.trim().eq_ignore_ascii_case(kind)))
}

/// Removes what only a trusted element may say.
pub(crate) fn forget_claims<M: Deref<Target = Headers>>(edit: &mut Edit<M>, message: &M) {
    for name in [Name::PAssertedIdentity, Name::PPreferredIdentity, Name::RemotePartyId] {
        if message.has(name) {
            edit.remove(name);
        }
    }
}

impl From<Secrets> for auth::Secrets {
    fn from(secrets: Secrets) -> Self {
        Self { md5: Some(secrets.md5), sha256: Some(secrets.sha256) }
    }
}
