//! `Protection`: whether the sound of a call is encrypted, and where its keys come from: SDP (SRTP with SDES, RFC 4568) or a
//! DTLS handshake on the way of the sound (RFC 5763).

use offhook_media::session::{self, DtlsRole, Fingerprint};
use offhook_rtp::srtp::{Crypto, MasterKey};
use offhook_sdp::offer_answer::Attributes;
use offhook_sdp::{Media, Profile, Refusal};
use offhook_sip_stack::Rng;
use rand::RngExt as _;

use crate::{Config, SrtpKeys, SrtpPolicy};

/// How an offer of ours asks for encryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// Not at all.
    Plain,
    /// By keys beside plain RTP, which may be left alone (RFC 8643).
    Opportunistic,
    /// By keys, and nothing else.
    Encrypted,
}

/// What is offered first, and what when that is refused.
fn manners(policy: SrtpPolicy, placing: bool, secret: bool) -> &'static [Manner] {
    use Manner::{Encrypted, Opportunistic, Plain};
    match (policy, placing, secret) {
        (SrtpPolicy::Off, _, _) => &[Plain],
        (SrtpPolicy::Require, _, _) => &[Encrypted],
        (SrtpPolicy::Prefer, true, true) => &[Encrypted, Plain],
        // Keys in the clear protect nothing, so they are for those who take no other offer.
        (SrtpPolicy::Prefer, true, false) => &[Plain, Encrypted],
        // An offer in a 200 cannot be made again.
        (SrtpPolicy::Prefer, false, true) => &[Opportunistic],
        (SrtpPolicy::Prefer, false, false) => &[Plain],
    }
}

/// The encryption of one call's sound.
#[derive(Debug)]
pub(crate) struct Protection {
    policy: SrtpPolicy,
    keys: SrtpKeys,
    /// Of our certificate; none: no handshakes.
    certificate: Option<Fingerprint>,
    manner: Manner,
    /// The other ways to offer a call that is being placed.
    others: &'static [Manner],
    /// The keys in our description: what may be chosen, afterwards what was.
    ours: Vec<Crypto>,
    /// Whether our description has our certificate.
    dtls: bool,
    /// Ours in handshakes, once it is settled.
    role: Option<DtlsRole>,
    agreed: session::Protection,
}

/// What we make of a stream that the peer offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// No encryption.
    Plain,
    /// The keys of this line.
    Sdes(Crypto),
    /// A handshake with the owner of this certificate, in this role of ours.
    Dtls(Fingerprint, DtlsRole),
}

/// A choice that is made, and what our answer says of it.
#[derive(Debug)]
pub(crate) struct Taken {
    ours: Option<Crypto>,
    agreed: session::Protection,
    /// For the answer.
    pub(crate) attributes: Attributes,
}

impl Protection {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            policy: config.srtp,
            keys: config.srtp_keys,
            certificate: config.certificate.as_ref().map(|certificate| certificate.fingerprint()),
            manner: Manner::Plain,
            others: &[],
            ours: Vec::new(),
            dtls: false,
            role: None,
            agreed: session::Protection::Plain,
        }
    }

    /// What the media is protected with.
    pub(crate) fn agreed(&self) -> session::Protection {
        self.agreed.clone()
    }

    /// Whether our offers ask for one port for RTP and RTCP, so that one handshake will do.
    pub(crate) fn wants_one_port(&self) -> bool {
        self.dtls
    }

    /// Makes ready for the first offer of a call: that of a call we are `placing`, or one in our answer. `secret` says
    /// whether nobody on the way can read it.
    pub(crate) fn begin(&mut self, placing: bool, secret: bool, rng: &mut Rng) {
        let by_handshake = self.keys == SrtpKeys::Dtls;
        if self.others.is_empty() {
            // What a handshake brings is secret whoever reads the offer.
            self.others = manners(self.policy, placing, secret || by_handshake);
        }
        self.manner = self.others.first().copied().unwrap_or(Manner::Plain);
        // Whoever was asked before knows the keys of that offer.
        (self.agreed, self.role) = (session::Protection::Plain, None);
        self.dtls = by_handshake && self.manner != Manner::Plain;
        self.ours = match self.manner {
            Manner::Opportunistic | Manner::Encrypted if !by_handshake => {
                Crypto::offer(|bytes| rng.fill(bytes))
            }
            Manner::Plain | Manner::Opportunistic | Manner::Encrypted => Vec::new(),
        };
    }

    /// Whether a call whose offer was refused can be offered in another way: the next [`Self::begin`] does it.
    pub(crate) fn try_another(&mut self) -> bool {
        self.others = self.others.get(1..).unwrap_or_default();
        !self.others.is_empty()
    }

    /// The profile of a first offer.
    pub(crate) fn profile(&self) -> Profile {
        match self.manner {
            Manner::Encrypted if self.dtls => Profile::TlsSavp,
            Manner::Encrypted => Profile::Savp,
            Manner::Plain | Manner::Opportunistic => Profile::Avp,
        }
    }

    /// What our offer says of keys. Every offer leaves it to the other side who begins (RFC 5763 §5).
    pub(crate) fn attributes(&self) -> Attributes {
        let certificate = self.certificate.as_ref().filter(|_| self.dtls);
        let handshake = certificate.into_iter().flat_map(|shown| by_handshake(shown, "actpass"));
        self.ours.iter().map(attribute).chain(handshake).collect()
    }

    /// What we take of a stream that the peer offers.
    ///
    /// # Errors
    /// It must be encrypted and we do not want that, or the other way round, or there is no way that both know.
    pub(crate) fn consider(&self, offered: &Media<'_>) -> Result<Choice, Refusal> {
        let sdes = || offered.cryptos().find_map(Crypto::parse).map(Choice::Sdes);
        let sdes = || sdes().filter(|_| self.keys != SrtpKeys::Dtls);
        let dtls = || {
            let theirs = offered.fingerprints().find_map(|value| Fingerprint::from_attribute(value).ok())?;
            self.certificate.as_ref().map(|_| Choice::Dtls(theirs, self.answering(offered.setup())))
        };
        match (offered.profile(), self.policy) {
            (Profile::Avp | Profile::Avpf, SrtpPolicy::Off) => Ok(Choice::Plain),
            // Keys or a certificate beside plain RTP are an offer of encryption too (RFC 8643).
            (Profile::Avp | Profile::Avpf, SrtpPolicy::Prefer) => {
                Ok(sdes().or_else(dtls).unwrap_or(Choice::Plain))
            }
            (Profile::Avp | Profile::Avpf, SrtpPolicy::Require) => {
                sdes().or_else(dtls).ok_or(Refusal::Unencrypted)
            }
            (_, SrtpPolicy::Off) => Err(Refusal::Encrypted),
            (Profile::Savp | Profile::Savpf, SrtpPolicy::Prefer | SrtpPolicy::Require) => {
                sdes().or_else(dtls).ok_or(Refusal::NoKey)
            }
            (Profile::TlsSavp | Profile::TlsSavpf, _) => dtls().ok_or(Refusal::NoKey),
            (Profile::Other, _) => Err(Refusal::Profile),
        }
    }

    /// Our role when an offer says this of it (RFC 5763 §5). Where we may choose, we wait: whoever begins is the one whose
    /// certificate may be of any kind.
    fn answering(&self, setup: Option<&str>) -> DtlsRole {
        let is = |name: &str| setup.is_some_and(|setup| setup.eq_ignore_ascii_case(name));
        match self.role {
            _ if is("passive") => DtlsRole::Client,
            _ if is("active") => DtlsRole::Server,
            Some(role) => role,
            None => DtlsRole::Server,
        }
    }

    /// What our answer says to a choice. Our key stays as long as its suite does: then its counters go on, and no number is
    /// used twice with it.
    pub(crate) fn take(&self, choice: Choice, rng: &mut Rng) -> Taken {
        use session::Protection::{Dtls, Plain, Sdes};
        match choice {
            Choice::Plain => Taken { ours: None, agreed: Plain, attributes: Vec::new() },
            Choice::Sdes(Crypto { tag, suite, key: theirs }) => {
                let ours = match &self.agreed {
                    Sdes { suite: known, ours, .. } if *known == suite => ours.clone(),
                    _ => MasterKey::random(suite, |bytes| rng.fill(bytes)),
                };
                let line = Crypto { tag, suite, key: ours.clone() };
                let attributes = vec![attribute(&line)];
                Taken { ours: Some(line), agreed: Sdes { suite, ours, theirs }, attributes }
            }
            Choice::Dtls(fingerprint, role) => {
                let setup = if role == DtlsRole::Client { "active" } else { "passive" };
                let shown = self.certificate.iter().flat_map(|shown| by_handshake(shown, setup));
                Taken { ours: None, agreed: Dtls { role, fingerprint }, attributes: shown.collect() }
            }
        }
    }

    /// Our answer has said this.
    pub(crate) fn answer(&mut self, taken: Taken) {
        self.agree(taken.ours, taken.agreed, true);
    }

    /// The peer has answered our offer. While other answers may come, `last` is false.
    ///
    /// # Errors
    /// It leaves out the encryption that must be, or names a key that we have not offered, or comes before the call is answered and names another than the
    /// answer before it.
    pub(crate) fn answered(
        &mut self,
        offered: &Media<'_>,
        answer: &Media<'_>,
        last: bool,
    ) -> Result<(), Refusal> {
        let chosen = answer.cryptos().filter_map(Crypto::parse).find_map(|line| {
            let ours = self.ours.iter().find(|ours| ours.tag == line.tag && ours.suite == line.suite)?;
            Some((ours.clone(), line.key))
        });
        let certificate = || answer.fingerprints().find_map(|value| Fingerprint::from_attribute(value).ok());
        let (ours, agreed) = match (chosen, certificate().filter(|_| self.dtls)) {
            (Some((line, theirs)), _) => {
                let (suite, ours) = (line.suite, line.key.clone());
                (Some(line), session::Protection::Sdes { suite, ours, theirs })
            }
            (None, Some(fingerprint)) => {
                let passive = answer.setup().is_some_and(|setup| setup.eq_ignore_ascii_case("passive"));
                let role = if passive { DtlsRole::Client } else { DtlsRole::Server };
                (None, session::Protection::Dtls { role, fingerprint })
            }
            (None, None) if offered.profile().is_secure() || self.policy == SrtpPolicy::Require => {
                let named = answer.cryptos().next().is_some() || answer.fingerprints().next().is_some();
                return Err(if named { Refusal::NoKey } else { Refusal::Unencrypted });
            }
            (None, None) => (None, session::Protection::Plain),
        };
        // Forks may choose differently. Back at a key that was used before, its counters would begin anew.
        if !last
            && let session::Protection::Sdes { suite: before, .. } = &self.agreed
            && ours.as_ref().map(|line| line.suite) != Some(*before)
        {
            return Err(Refusal::NoKey);
        }
        self.agree(ours, agreed, last);
        Ok(())
    }

    fn agree(&mut self, ours: Option<Crypto>, agreed: session::Protection, last: bool) {
        if let session::Protection::Dtls { role, .. } = &agreed {
            self.role = Some(*role);
        }
        if last {
            self.dtls = matches!(agreed, session::Protection::Dtls { .. });
            self.ours = ours.into_iter().collect();
        }
        self.agreed = agreed;
    }
}

fn by_handshake(shown: &Fingerprint, setup: &str) -> [(&'static str, String); 2] {
    [("fingerprint", shown.to_string()), ("setup", setup.to_owned())]
}

fn attribute(line: &Crypto) -> (&'static str, String) {
    ("crypto", line.to_value())
}

#[cfg(test)]
mod tests;
