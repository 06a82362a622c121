//! `Protection`: whether the sound of a call is encrypted, and with which keys (SRTP with keys in SDP, RFC 4568).

use offhook_media::session::Keys;
use offhook_rtp::srtp::{Crypto, MasterKey};
use offhook_sdp::offer_answer::Attributes;
use offhook_sdp::{Media, Profile, Refusal};
use offhook_sip_stack::Rng;
use rand::RngExt as _;

use crate::SrtpPolicy;

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
    manner: Manner,
    /// The other ways to offer a call that is being placed.
    others: &'static [Manner],
    /// The keys in our description: what may be chosen, afterwards what was.
    ours: Vec<Crypto>,
    agreed: Option<Keys>,
}

/// A line of the peer's that we take, and ours that answers it.
#[derive(Debug)]
pub(crate) struct Taken {
    ours: Crypto,
    theirs: MasterKey,
}

impl Protection {
    pub(crate) fn new(policy: SrtpPolicy) -> Self {
        Self { policy, manner: Manner::Plain, others: &[], ours: Vec::new(), agreed: None }
    }

    /// What the media is protected with; `None`: with nothing.
    pub(crate) fn keys(&self) -> Option<Keys> {
        self.agreed.clone()
    }

    /// Makes ready for the first offer of a call: that of a call we are `placing`, or one in our answer. `secret` says
    /// whether nobody on the way can read it.
    pub(crate) fn begin(&mut self, placing: bool, secret: bool, rng: &mut Rng) {
        if self.others.is_empty() {
            self.others = manners(self.policy, placing, secret);
        }
        self.manner = self.others.first().copied().unwrap_or(Manner::Plain);
        // Whoever was asked before knows the keys of that offer.
        self.agreed = None;
        self.ours = match self.manner {
            Manner::Plain => Vec::new(),
            Manner::Opportunistic | Manner::Encrypted => Crypto::offer(|bytes| rng.fill(bytes)),
        };
    }

    /// Whether a call whose offer was refused can be offered in another way: the next [`Self::begin`] does it.
    pub(crate) fn try_another(&mut self) -> bool {
        self.others = self.others.get(1..).unwrap_or_default();
        !self.others.is_empty()
    }

    /// The profile of a first offer.
    pub(crate) fn profile(&self) -> Profile {
        if self.manner == Manner::Encrypted { Profile::Savp } else { Profile::Avp }
    }

    /// What our offer says of keys.
    pub(crate) fn attributes(&self) -> Attributes {
        self.ours.iter().map(attribute).collect()
    }

    /// The line that we take of a stream that the peer offers; `None`: it is not to be encrypted.
    pub(crate) fn consider(&self, offered: &Media<'_>) -> Result<Option<Crypto>, Refusal> {
        let crypto = || offered.cryptos().find_map(Crypto::parse);
        match (offered.profile(), self.policy) {
            (Profile::Avp | Profile::Avpf, SrtpPolicy::Off) => Ok(None),
            // Keys beside plain RTP are an offer of encryption too (RFC 8643).
            (Profile::Avp | Profile::Avpf, SrtpPolicy::Prefer) => Ok(crypto()),
            (Profile::Avp | Profile::Avpf, SrtpPolicy::Require) => {
                crypto().map(Some).ok_or(Refusal::Unencrypted)
            }
            (_, SrtpPolicy::Off) => Err(Refusal::Encrypted),
            (Profile::Savp | Profile::Savpf, SrtpPolicy::Prefer | SrtpPolicy::Require) => {
                crypto().map(Some).ok_or(Refusal::NoKey)
            }
            (Profile::TlsSavp | Profile::TlsSavpf | Profile::Other, _) => Err(Refusal::Profile),
        }
    }

    /// Our line in answer to one of the peer's, under its tag. Our key stays as long as its suite does: then its counters
    /// go on, and no number is used twice with it.
    pub(crate) fn take(&self, theirs: Crypto, rng: &mut Rng) -> Taken {
        let Crypto { tag, suite, key: theirs } = theirs;
        let known = self.agreed.as_ref().filter(|keys| keys.suite == suite);
        let new = || MasterKey::random(suite, |bytes| rng.fill(bytes));
        let key = known.map_or_else(new, |keys| keys.ours.clone());
        Taken { ours: Crypto { tag, suite, key }, theirs }
    }

    /// Our answer has said this.
    pub(crate) fn answer(&mut self, taken: Option<Taken>) {
        let taken = taken.map(|Taken { ours, theirs }| (ours, theirs));
        self.agree(taken, true);
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
        let must = offered.profile().is_secure() || self.policy == SrtpPolicy::Require;
        if chosen.is_none() && must {
            return Err(if answer.cryptos().next().is_some() {
                Refusal::NoKey
            } else {
                Refusal::Unencrypted
            });
        }
        // Forks may choose differently. Back at a key that was used before, its counters would begin anew.
        let before = self.agreed.as_ref().map(|keys| keys.suite);
        if !last && before.is_some() && before != chosen.as_ref().map(|(ours, _)| ours.suite) {
            return Err(Refusal::NoKey);
        }
        self.agree(chosen, last);
        Ok(())
    }

    fn agree(&mut self, chosen: Option<(Crypto, MasterKey)>, last: bool) {
        if last {
            self.ours = chosen.iter().map(|(ours, _)| ours.clone()).collect();
        }
        self.agreed = chosen.map(|(Crypto { suite, key: ours, .. }, theirs)| Keys { suite, ours, theirs });
    }
}

impl Taken {
    /// What our answer says of it.
    pub(crate) fn attributes(&self) -> Attributes {
        vec![attribute(&self.ours)]
    }
}

fn attribute(line: &Crypto) -> (&'static str, String) {
    ("crypto", line.to_value())
}

#[cfg(test)]
mod tests;
