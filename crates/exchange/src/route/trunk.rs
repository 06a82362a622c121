//! Trunks: lines to other telephone networks.

use std::net::IpAddr;

use ipnet::IpNet;
use offhook_sip::{SipUri, Uri};

use super::number::Numbering;
use crate::directory::number_digits;
use crate::locality::user_of;

/// A line to another network.
#[derive(Clone, Debug)]
pub struct Trunk {
    /// Its name in rules.
    pub name: String,
    /// The provider's server.
    pub server: SipUri,
    /// How each side knows the other.
    pub auth: TrunkAuth,
    /// Numbers whose calls come in here, normalised. With any, a call that comes from it for something else is refused.
    pub numbers: Vec<String>,
    /// Where its calls come from.
    pub networks: Vec<IpNet>,
}

/// How each side of a trunk knows the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrunkAuth {
    /// We register with this user name and a password.
    Register {
        /// The user name.
        username: String,
    },
    /// By addresses: nobody registers, and calls from its networks are not challenged.
    Address,
}

impl Trunk {
    /// Whether a call from this address comes from the trunk and needs no other proof.
    pub fn is_from(&self, ip: IpAddr) -> bool {
        self.auth == TrunkAuth::Address && self.networks.iter().any(|network| network.contains(&ip))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::countries::Country;

    #[test]
    fn a_number_of_a_trunk_is_known_however_a_carrier_writes_it() {
        let Ok(Uri::Sip(server)) = "sip:198.51.100.9".parse() else { panic!("a URI") };
        let numbers = vec!["+49301234567".to_owned(), "1001".to_owned()];
        let (name, networks) = ("carrier".to_owned(), Vec::new());
        let trunk = Trunk { name, server, auth: TrunkAuth::Address, numbers, networks };
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
}
