//! Where a request is forwarded to (RFC 3261 §16.5).

use std::collections::VecDeque;
use std::sync::Arc;

use offhook_sdp::Profile;
use offhook_sip::Uri;
use offhook_sip_stack::Flow;

use super::anchor::Concern;
use super::protection::Manner;
use super::signed_route::Party;
use crate::config::{AnchorPolicy, Config};
use crate::directory::{AddressOfRecord, Binding};
use crate::trunks::Outbound;

/// One place to try.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// The Request-URI there.
    pub(crate) uri: String,
    /// Preference in thousandths.
    pub(crate) q: u16,
    /// The way there.
    pub(crate) flow: Flow,
    /// Whether only this flow leads there.
    pub(crate) behind_nat: bool,
    /// Routes to put in, topmost first (RFC 3327 §5.3).
    pub(crate) path: Vec<String>,
    /// The profile in which it would offer sound, if it has said so.
    pub(crate) media: Option<Profile>,
    /// How many offers it has refused with 488.
    pub(crate) refused: usize,
    /// The domain whose server it is, if that is not one of ours: who has to answer over TLS (RFC 5922 §4).
    pub(crate) domain: Option<String>,
    /// Who the caller is, for a trunk (RFC 3325).
    pub(crate) asserted: Option<String>,
    /// Whose phone it is.
    pub(crate) account: Option<AddressOfRecord>,
    /// What is said to the trunk whose server it is, by a leg of ours.
    pub(crate) line: Option<Arc<Outbound>>,
    /// The member of a group whose phone it is, for a call to that group.
    pub(crate) member: Option<Arc<Member>>,
    /// After so many seconds it rings, whatever those before it do; `None`: when they have failed.
    pub(crate) after: Option<u16>,
    /// Whom the call concerns, if somebody of ours may have to hear it.
    pub(crate) concern: Option<Arc<Concern>>,
    /// Other flows of the same device, or other servers of the same domain, the one to try next first (RFC 5626 §5.3): not before this one has failed.
    pub(crate) alternatives: Vec<Target>,
}

/// Whose phone rings for a group.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) account: AddressOfRecord,
    /// What is shown before the caller's name.
    pub(crate) shown: String,
}

impl Target {
    /// The party at this target.
    pub(crate) fn party(&self) -> Party {
        Party { flow: self.flow, behind_nat: self.behind_nat || !self.path.is_empty() }
    }

    /// The same place with another offer, after it has refused one for its media (see [`Manner::after`]).
    pub(crate) fn with_other_offer(&self, config: &Config) -> Option<Self> {
        let refused = self.refused + 1;
        let next = Manner::after(refused, self.flow.transport, self.media, config.srtp);
        let is_possible = config.anchor != AnchorPolicy::Never && next.is_some();
        is_possible.then(|| Self { refused, ..self.clone() })
    }

    /// The next of the alternatives, which takes over the others.
    pub(crate) fn take_alternative(&mut self) -> Option<Self> {
        let mut others = std::mem::take(&mut self.alternatives).into_iter();
        let next = others.next()?;
        Some(Self { alternatives: others.collect(), ..next })
    }
}

impl From<&Binding> for Target {
    fn from(binding: &Binding) -> Self {
        // Headers in a Contact have no place in a Request-URI (§19.1.1), where they could become a Route.
        let uri = match binding.contact.parse() {
            _ if !binding.contact.contains('?') => binding.contact.clone(),
            Ok(Uri::Sip(uri)) => uri.without_headers().to_string(),
            _ => binding.contact.clone(),
        };
        Self {
            uri,
            q: binding.q,
            flow: binding.flow,
            behind_nat: binding.behind_nat,
            path: binding.path.clone(),
            media: binding.media,
            refused: 0,
            domain: None,
            asserted: None,
            account: None,
            line: None,
            member: None,
            after: None,
            concern: None,
            alternatives: Vec::new(),
        }
    }
}

/// The targets that these bindings of an account are: one for each device that says which it is and keeps several flows, the newest
/// of them first; one for each other binding.
pub(crate) fn of_bindings<'a>(
    account: &AddressOfRecord,
    bindings: impl DoubleEndedIterator<Item = &'a Binding>,
) -> Vec<Target> {
    let of_binding = |binding| Target { account: Some(account.clone()), ..Target::from(binding) };
    let mut targets: Vec<(Option<&str>, Target)> = Vec::new();
    for binding in bindings.rev() {
        let device = binding.instance.as_deref().filter(|_| binding.reg_id.is_some());
        match targets.iter_mut().find(|(known, _)| device.is_some() && *known == device) {
            Some((_, target)) => target.alternatives.push(of_binding(binding)),
            None => targets.push((device, of_binding(binding))),
        }
    }
    targets.reverse();
    targets.into_iter().map(|(_, target)| target).collect()
}

/// Targets of the same preference ring together, the preferred ones first (§16.6). Those who ring as well, after some time, come
/// after all of these.
pub(crate) fn by_preference(mut targets: Vec<Target>) -> VecDeque<Vec<Target>> {
    targets.sort_by_key(|target| (target.after, std::cmp::Reverse(target.q)));
    let mut groups: VecDeque<Vec<Target>> = VecDeque::new();
    for target in targets {
        let together = |one: &Target| match target.after {
            None => one.after.is_none() && one.q == target.q,
            after => one.after == after,
        };
        match groups.back_mut() {
            Some(group) if together(&group[0]) => group.push(target),
            _ => groups.push_back(vec![target]),
        }
    }
    groups
}

/// Whether targets are to ring by now, so many seconds after the first.
pub(crate) fn is_due(group: &[Target], seconds: u16) -> bool {
    group.first().and_then(|target| target.after).is_some_and(|after| after <= seconds)
}
