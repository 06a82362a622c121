//! Trunks: lines to other telephone networks.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use offhook_sdp::Codec;
use offhook_sip::{SipUri, Uri};
use offhook_sip_stack::auth::Password;

use super::number::Numbering;
use super::plan::Plan;
use crate::config::SrtpPolicy;
use crate::directory::{Record, number_digits};
use crate::locality::user_of;
use crate::stir::{Policy, Signer};

/// A line to another network.
#[derive(Clone, Debug)]
pub struct Trunk {
    /// Its name in rules.
    pub name: String,
    /// The provider's server; its host is the provider's domain.
    pub server: SipUri,
    /// Where everything is sent, if not to `server`: an outbound proxy.
    pub proxy: Option<SipUri>,
    /// How each side knows the other.
    pub auth: TrunkAuth,
    /// Numbers whose calls come in here, normalised. With any, a call that comes from it for something else is refused.
    pub numbers: Vec<String>,
    /// Where its calls come from, beside the addresses of the server of a trunk with a password.
    pub networks: Vec<IpNet>,
    /// How numbers are written for it.
    pub dialling: Dialling,
    /// Calls that it may have at a time.
    pub max_calls: Option<u32>,
    /// Calls that may begin on it within a second.
    pub max_calls_per_second: Option<u32>,
    /// How often its server is asked whether it is there (OPTIONS, RFC 3261 §11).
    pub health: Option<Duration>,
    /// What its media has to be, if that is not as everywhere.
    pub media: Option<Arc<MediaTerms>>,
    /// With what its calls are signed, if they are (RFC 8224).
    pub signer: Option<Signer>,
    /// What is done about the signatures of calls that come by it, if that is not as everywhere.
    pub verify: Option<Policy>,
    /// When its calls are recorded, beside what the accounts in them want.
    pub record: Record,
    /// Whether it is there only for calls that it has, since an operator has removed or moved it.
    pub retired: bool,
}

/// Where calls go that are for no account, and the lines by which they leave.
#[derive(Clone, Debug)]
pub struct Lines {
    /// The plan.
    pub plan: Plan,
    /// The trunks that it may name.
    pub trunks: Vec<Trunk>,
}

/// How each side of a trunk knows the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrunkAuth {
    /// We have a user name and a password there.
    Password(Box<TrunkAccount>),
    /// By addresses: nobody registers, and calls from its networks are not challenged.
    Address,
    /// By certificates (RFC 5922): calls by TLS connections of a peer that has proven to be this domain, in small letters, are
    /// not challenged. It is known by nothing else.
    Tls(String),
}

/// Who we are at a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkAccount {
    /// The user of our address there.
    pub username: String,
    /// The user name in credentials, if it is another.
    pub auth_username: Option<String>,
    /// The password.
    pub password: Password,
    /// The only realm whose challenges are answered; none: the first that there is.
    pub realm: Option<String>,
    /// The domain at which we register.
    pub registrar: SipUri,
    /// The seconds for which we ask to be registered; none: we do not register.
    pub expires: Option<u32>,
    /// Whether From has the user name, whatever number the caller has.
    pub from_username: bool,
}

/// What the media of somebody's calls has to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MediaTerms {
    /// Whether it is encrypted, if that is not as everywhere.
    pub srtp: Option<SrtpPolicy>,
    /// The only formats of sound that are offered there, and taken of what is offered from there; none: any.
    pub codecs: Vec<Codec>,
}

/// How numbers are written for a trunk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dialling {
    /// The form of a whole number.
    pub format: NumberFormat,
    /// Letters that are taken off in front of what is called then; a `+` is one.
    pub strip: usize,
    /// What comes in front of it then.
    pub prefix: String,
}

/// The form of a whole number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NumberFormat {
    /// `+49301234567`.
    #[default]
    Plus,
    /// `49301234567`.
    E164,
    /// `0301234567`, and `0043…` for those abroad.
    National,
    /// As the caller dialled it.
    AsDialled,
}

/// One of the trunks that a rule leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Its name.
    pub trunk: String,
    /// Lower ones are tried first.
    pub priority: u32,
    /// The share of calls among those of one priority.
    pub weight: u32,
}

impl Choice {
    /// The only one.
    pub fn only(trunk: &str) -> Vec<Self> {
        vec![Self { trunk: trunk.to_owned(), priority: 1, weight: 1 }]
    }
}

impl Trunk {
    /// A trunk with nothing but what it must have.
    pub fn new(name: &str, server: SipUri, auth: TrunkAuth) -> Self {
        Self {
            name: name.to_owned(),
            server,
            proxy: None,
            auth,
            numbers: Vec::new(),
            networks: Vec::new(),
            dialling: Dialling::default(),
            max_calls: None,
            max_calls_per_second: None,
            health: None,
            media: None,
            signer: None,
            verify: None,
            record: Record::Never,
            retired: false,
        }
    }

    /// The same without anything by which a call could find it.
    pub(crate) fn retire(&mut self) {
        self.retired = true;
        // No name of a trunk has a blank in front.
        self.name.insert(0, ' ');
        self.numbers.clear();
        self.networks.clear();
        if matches!(self.auth, TrunkAuth::Tls(_)) {
            self.auth = TrunkAuth::Address;
        }
    }

    /// Whether another is the same line at the same place, whatever else has changed.
    pub(crate) fn is_same_line(&self, other: &Self) -> bool {
        let place =
            |one: &Self| one.account().map(|account| (account.username.clone(), account.registrar.clone()));
        self.name == other.name
            && self.next_hop() == other.next_hop()
            && place(self) == place(other)
            && self.account().and_then(|one| one.expires).is_some()
                == other.account().and_then(|one| one.expires).is_some()
    }

    /// Who we are there, where that is proven by a password.
    pub fn account(&self) -> Option<&TrunkAccount> {
        match &self.auth {
            TrunkAuth::Password(account) => Some(account),
            TrunkAuth::Address | TrunkAuth::Tls(_) => None,
        }
    }

    /// Where everything is sent.
    pub fn next_hop(&self) -> &SipUri {
        self.proxy.as_ref().unwrap_or(&self.server)
    }

    /// The domain that its servers have to prove under TLS.
    pub fn domain(&self) -> String {
        match &self.auth {
            TrunkAuth::Tls(domain) => domain.clone(),
            TrunkAuth::Address | TrunkAuth::Password(_) => self.next_hop().host().to_string(),
        }
    }

    /// Whether its calls need a leg of ours: to answer challenges, to be counted, signed or recorded, for its media, or because
    /// they are not sent to where its name leads.
    pub fn is_bridged(&self) -> bool {
        let is_counted = self.max_calls.is_some() || self.max_calls_per_second.is_some();
        let is_made = self.signer.is_some() || self.media.is_some() || self.record != Record::Never;
        self.account().is_some() || self.proxy.is_some() || is_counted || is_made
    }

    /// Whether an address is in one of its networks.
    pub fn is_in_networks(&self, ip: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&ip))
    }

    /// Which of its numbers a Request-URI names: as people here dial it, or as E.164 without the `+`, which many carriers
    /// leave out. `is_ours` knows the domains that are served here.
    pub fn number(&self, uri: &Uri, numbering: &Numbering, is_ours: impl Fn(&str) -> bool) -> Option<&str> {
        let dialled = numbering.read(uri, is_ours).ok();
        let is_dialled =
            |one: &&String| dialled.as_ref().is_some_and(|number| number.as_str() == one.as_str());
        let is_bare = |one: &&String| {
            let in_context = matches!(uri, Uri::Tel(tel) if tel.param("phone-context").is_some());
            let digits = user_of(uri).filter(|_| !in_context).and_then(|user| number_digits(&user));
            digits.is_some() && one.strip_prefix('+') == digits.as_deref()
        };
        let own = self.numbers.iter().find(is_dialled).or_else(|| self.numbers.iter().find(is_bare));
        own.map(String::as_str)
    }
}

impl Dialling {
    /// What is called, for a number that a rule has made of what was dialled.
    pub fn called(&self, number: &str, dialled: &str, numbering: &Numbering) -> String {
        let written = match self.format {
            NumberFormat::AsDialled => dialled.to_owned(),
            _ => self.written(number, numbering),
        };
        let left: String = written.chars().skip(self.strip).collect();
        format!("{}{left}", self.prefix)
    }

    /// A number in this form. One that is of use in one country or network only stays as it is.
    pub fn written(&self, number: &str, numbering: &Numbering) -> String {
        let Some(digits) = number.strip_prefix('+') else { return number.to_owned() };
        match (self.format, numbering.country) {
            (NumberFormat::E164, _) => digits.to_owned(),
            (NumberFormat::National, Some(country)) => match digits.strip_prefix(country.code) {
                Some(rest) => format!("{}{rest}", country.national),
                None => format!("{}{digits}", country.international),
            },
            (NumberFormat::Plus | NumberFormat::AsDialled | NumberFormat::National, _) => number.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::countries::Country;

    #[test]
    fn a_number_of_a_trunk_is_known_however_a_carrier_writes_it() {
        let Ok(Uri::Sip(server)) = "sip:198.51.100.9".parse() else { panic!("a URI") };
        let numbers = vec!["+49301234567".to_owned(), "1001".to_owned()];
        let trunk = Trunk { numbers, ..Trunk::new("carrier", server, TrunkAuth::Address) };
        let mut numbering = Numbering::of(Country::of("DE").unwrap());
        for area_code in [None, Some("30".to_owned())] {
            numbering.area_code = area_code;
            for (uri, number) in [
                ("sip:+49301234567@192.0.2.1", Some("+49301234567")),
                ("sip:+49-30-1234567@192.0.2.1;user=phone", Some("+49301234567")),
                ("sip:49301234567@192.0.2.1", Some("+49301234567")),
                ("sip:0049301234567@192.0.2.1", Some("+49301234567")),
                ("sip:0301234567@example.com", Some("+49301234567")),
                ("sip:0301234567;phone-context=+49@example.com", None),
                ("sip:301234567;phone-context=+49@example.com", Some("+49301234567")),
                ("tel:+49-30-1234567", Some("+49301234567")),
                ("tel:30-1234567;phone-context=+49", Some("+49301234567")),
                ("tel:49301234567;phone-context=+1", None),
                ("sip:1001@192.0.2.1", Some("1001")),
                ("sip:+1001@192.0.2.1", None),
                ("sip:+49301234568@192.0.2.1", None),
                ("sip:bob@example.com", None),
                ("sip:192.0.2.1", None),
                ("mailto:bob@example.com", None),
            ] {
                let found = trunk.number(&uri.parse().unwrap(), &numbering, |host| host == "example.com");
                assert_eq!(found, number, "{uri}");
            }
        }
    }

    #[test]
    fn a_number_is_written_as_the_trunk_wants_it() {
        let numbering = Numbering::of(Country::of("DE").unwrap());
        let table = [
            (NumberFormat::Plus, 0, "", "+49301234567", "+49301234567"),
            (NumberFormat::E164, 0, "", "+49301234567", "49301234567"),
            (NumberFormat::National, 0, "", "+49301234567", "0301234567"),
            (NumberFormat::National, 0, "", "+4312345678", "004312345678"),
            (NumberFormat::AsDialled, 0, "", "+49301234567", "030-1234567"),
            (NumberFormat::E164, 2, "9", "+49301234567", "9301234567"),
            (NumberFormat::E164, 0, "", "112", "112"),
        ];
        for (format, strip, prefix, number, called) in table {
            let dialling = Dialling { format, strip, prefix: prefix.to_owned() };
            assert_eq!(dialling.called(number, "030-1234567", &numbering), called, "{dialling:?} {number}");
        }
        let nowhere = Dialling { format: NumberFormat::National, ..Dialling::default() };
        assert_eq!(nowhere.written("+49301234567", &Numbering::default()), "+49301234567");
    }
}
