//! Trunks: lines to other telephone networks.

use std::net::IpAddr;

use ipnet::IpNet;
use offhook_sip::SipUri;

/// A line to another network.
#[derive(Clone, Debug)]
pub struct Trunk {
    /// Its name in rules.
    pub name: String,
    /// The provider's server.
    pub server: SipUri,
    /// How each side knows the other.
    pub auth: TrunkAuth,
    /// Numbers whose calls come in here, normalised.
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
}
