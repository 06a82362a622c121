//! A lite ICE agent (RFC 8445 §2.5): it answers checks, lets the phone choose the address, and believes in it as long
//! as the phone shows that it is there (RFC 7675).

use crate::command::IceCredentials;
use crate::latch::same;
use crate::stream::Component;
use crate::stun::{Answer, Binding, Key};
use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// What is known of the ways to one phone.
pub(crate) struct Ice {
    ours: Account,
    /// Ours before a restart: the old way stays in use until the phone has chosen a new one (RFC 8445 §9).
    former: Option<Account>,
    /// The phone's name, once signalling has said it.
    theirs: Option<String>,
    /// Addresses from which authentic checks came, of either component.
    valid: Vec<Valid>,
    /// The chosen addresses, of RTP and of RTCP.
    selected: [Option<Valid>; 2],
    /// From where the phone has checked since a restart, while it has chosen nothing anew.
    restarted: [Option<Valid>; 2],
    successes: Allowance,
    errors: Allowance,
}

/// A name with what its password becomes.
struct Account {
    credentials: IceCredentials,
    key: Key,
}

#[derive(Clone, Copy, Debug)]
struct Valid {
    component: Component,
    address: SocketAddr,
    at: Instant,
}

/// What a datagram of STUN led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Checked {
    /// Authentic: send this answer. The phone chose the address if `selected`, anew or for the first time.
    Valid { answer: Vec<u8>, selected: bool },
    /// Not authentic; perhaps there is an answer that says so.
    Unauthentic(Option<Vec<u8>>),
    /// A sign of life, or one check too many: nothing to send.
    Silent,
    /// No request, or one that names nobody.
    Malformed,
}

impl Ice {
    pub(crate) fn new(now: Instant, ours: IceCredentials) -> Ice {
        Ice {
            ours: Account::new(ours),
            former: None,
            theirs: None,
            valid: Vec::new(),
            selected: [None; 2],
            restarted: [None; 2],
            successes: Allowance::new(now, SUCCESSES),
            errors: Allowance::new(now, ERRORS),
        }
    }

    /// What we told the phone to use.
    pub(crate) fn ours(&self) -> &IceCredentials {
        &self.ours.credentials
    }

    /// Restarts with other credentials of ours (RFC 8445 §9).
    pub(crate) fn restart(&mut self, ours: IceCredentials) {
        if ours != self.ours.credentials {
            self.former = Some(std::mem::replace(&mut self.ours, Account::new(ours)));
            self.restarted = [None; 2];
        }
    }

    /// What signalling says that the phone is called; `None`: it does not do ICE, or has not said so yet.
    pub(crate) fn signalled(&mut self, theirs: Option<&IceCredentials>) {
        self.theirs = theirs.map(|theirs| theirs.ufrag.clone());
    }

    /// Whether both ends do ICE: then only its addresses count.
    pub(crate) fn is_agreed(&self) -> bool {
        self.theirs.is_some()
    }

    /// Takes a datagram of STUN.
    pub(crate) fn check(
        &mut self,
        now: Instant,
        component: Component,
        from: SocketAddr,
        packet: &[u8],
    ) -> Checked {
        let Some(binding) = Binding::parse(packet) else { return Checked::Malformed };
        if binding.indication {
            self.heard(now, component, from);
            return Checked::Silent;
        }
        // A stranger without a name gets no answer: nothing here reflects.
        let Some(username) = binding.username else { return Checked::Malformed };
        if !binding.is_signed() {
            return self.refuse(now, &binding, 400);
        }
        let Some((key, current)) = self.account(username) else { return self.refuse(now, &binding, 401) };
        if !binding.is_from(key) {
            return self.refuse(now, &binding, 401);
        }
        if !self.successes.take(now) {
            return Checked::Silent;
        }
        self.accept(now, component, from, &binding, current)
    }

    /// The address that the phone has chosen for a component, while it consents. After a restart, until it has chosen
    /// anew, one from which it has checked will do (RFC 8445 §12.1) if it has not been heard at the old one for a while:
    /// that may be gone, and some phones take seconds to choose.
    pub(crate) fn selected(&self, now: Instant, component: Component) -> Option<SocketAddr> {
        let fresh = |one: Option<Valid>| one.filter(|one| one.is_fresh(now));
        let (chosen, checked) =
            (fresh(self.selected[component.index()]), fresh(self.restarted[component.index()]));
        let way = match (chosen, checked) {
            (Some(chosen), Some(checked)) if checked.at < chosen.at + ABSENT => Some(chosen),
            (chosen, checked) => checked.or(chosen),
        };
        way.map(|one| one.address)
    }

    /// Whether packets from there are the phone's.
    pub(crate) fn accepts(&self, now: Instant, component: Component, from: SocketAddr) -> bool {
        self.selected[component.index()]
            .iter()
            .chain(&self.valid)
            .any(|one| one.component == component && one.is_fresh(now) && same(one.address, from))
    }

    /// Something came from the chosen address: the phone is there and wants to talk. Older agents send no more checks
    /// once they have chosen (RFC 5245 §10).
    pub(crate) fn heard(&mut self, now: Instant, component: Component, from: SocketAddr) {
        let selected = self.selected[component.index()].as_mut();
        if let Some(one) = selected.filter(|one| one.is_fresh(now) && same(one.address, from)) {
            one.at = now;
        }
    }

    /// The key for a `USERNAME`, and whether it is the present one.
    fn account(&self, username: &[u8]) -> Option<(&Key, bool)> {
        if self.ours.is_named(username, self.theirs.as_deref()) {
            return Some((&self.ours.key, true));
        }
        let former = self.former.as_ref().filter(|former| former.is_named(username, None))?;
        Some((&former.key, false))
    }

    fn accept(
        &mut self,
        now: Instant,
        component: Component,
        from: SocketAddr,
        binding: &Binding<'_>,
        current: bool,
    ) -> Checked {
        let key = if current {
            &self.ours.key
        } else {
            self.former.as_ref().map_or(&self.ours.key, |one| &one.key)
        };
        let error = match binding.unknown {
            Some(unknown) => Some(Answer::Error(420, Some(unknown))),
            // A lite agent never chooses; the other end takes that over when told so (RFC 8445 §7.3.1.1).
            None if binding.controlled => Some(Answer::Error(487, None)),
            None => None,
        };
        if let Some(error) = error {
            return Checked::Valid { answer: error.write(binding.transaction, Some(key)), selected: false };
        }
        let answer = Answer::Success(from).write(binding.transaction, Some(key));
        self.note_valid(Valid { component, address: from, at: now });
        if current && self.former.is_some() {
            self.restarted[component.index()] = Some(Valid { component, address: from, at: now });
        }
        let place = &mut self.selected[component.index()];
        let selected = match place {
            Some(one) if same(one.address, from) && one.is_fresh(now) => {
                one.at = now;
                false
            }
            _ => binding.use_candidate && current,
        };
        if binding.use_candidate && current {
            *place = Some(Valid { component, address: from, at: now });
            self.former = None;
            self.restarted = [None; 2];
        }
        Checked::Valid { answer, selected }
    }

    fn refuse(&mut self, now: Instant, binding: &Binding<'_>, code: u16) -> Checked {
        let answered = self.errors.take(now);
        let answer = answered.then(|| Answer::Error(code, None).write(binding.transaction, None));
        Checked::Unauthentic(answer)
    }

    /// Bounded: the one that was checked longest ago makes room.
    fn note_valid(&mut self, valid: Valid) {
        let known = |one: &Valid| one.component == valid.component && same(one.address, valid.address);
        if let Some(one) = self.valid.iter_mut().find(|one| known(one)) {
            one.at = valid.at;
            return;
        }
        if self.valid.len() >= VALID {
            let oldest = self.valid.iter().enumerate().min_by_key(|(_, one)| one.at).map(|(place, _)| place);
            self.valid.swap_remove(oldest.unwrap_or(0));
        }
        self.valid.push(valid);
    }
}

impl Account {
    fn new(credentials: IceCredentials) -> Account {
        let key = Key::short_term(&credentials.pwd);
        Account { credentials, key }
    }

    /// Whether a `USERNAME` is this name, a colon and the other end's (RFC 8445 §7.2.2).
    fn is_named(&self, username: &[u8], theirs: Option<&str>) -> bool {
        let rest = username.strip_prefix(self.credentials.ufrag.as_bytes());
        let other = rest.and_then(|rest| rest.strip_prefix(b":"));
        other.is_some_and(|other| theirs.is_none_or(|theirs| theirs.as_bytes() == other))
    }
}

impl Valid {
    fn is_fresh(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.at) < CONSENT
    }
}

impl fmt::Debug for Ice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ice").field("selected", &self.selected).finish_non_exhaustive()
    }
}

/// So many in a second, and no more at once.
struct Allowance {
    left: u32,
    a_second: u32,
    filled: Instant,
}

impl Allowance {
    fn new(now: Instant, a_second: u32) -> Allowance {
        Allowance { left: a_second, a_second, filled: now }
    }

    fn take(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.filled) >= Duration::from_secs(1) {
            (self.left, self.filled) = (self.a_second, now);
        }
        let taken = self.left > 0;
        self.left = self.left.saturating_sub(1);
        taken
    }
}

/// How long a check proves that the phone wants what we send (RFC 7675 §5.1).
const CONSENT: Duration = Duration::from_secs(30);
/// A phone that is there is heard more often than this: by its media, or by its checks.
const ABSENT: Duration = Duration::from_millis(500);
/// Addresses of one phone that are remembered.
const VALID: usize = 16;
/// Authentic checks answered in a second: full agents send one each 50 ms for each component.
const SUCCESSES: u32 = 100;
/// Refusals in a second.
const ERRORS: u32 = 5;
