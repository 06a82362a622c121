//! Who watches whom (RFC 6665): presence, lamps, registrations and message waiting, for accounts of this exchange.
//!
//! The home shard of an account has its watchers, what it has published, and what its calls are on all shards.

mod dialog_info;
mod kept;
pub(crate) mod lines;
mod message_summary;
mod moved;
pub(crate) mod package;
mod pidf;
mod publish;
mod reginfo;
mod xml;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::{Duration, Instant};

use bytes::Bytes;
use offhook_sip::Request;
use offhook_sip_stack::Flow;
use offhook_sip_stack::transaction::{ServerId, TransactionEvent, Transactions};
use offhook_sip_stack::usage::subscription::{Ended, Grant, Notifier};
use offhook_sip_stack::usage::{Body, Claims, InviteEvent, Stack, UsageId, UsageOwner};
use offhook_sip_stack::{Timers, shrink};

use crate::context::Context;
use crate::directory::{AddressOfRecord, Directory, Mailbox};
use crate::refusal::Refusal;
pub use kept::{KeptWatch, WatchChange};
pub use lines::{Direction, Line, LineState};
pub(crate) use lines::{Lines, Tracked};
pub(crate) use package::Package;
use pidf::Known;
pub(crate) use publish::Publications;

/// What presence is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Who may watch the presence and the calls of an account.
    pub watch: Watchers,
    /// Whether phones that did not ask are told of waiting messages when they register, and when that changes.
    pub unsolicited_mwi: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { watch: Watchers::Accounts, unsolicited_mwi: true }
    }
}

/// Who may watch an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watchers {
    /// All accounts of this exchange.
    Accounts,
    /// The account itself only.
    Nobody,
}

/// The watchers of a shard's accounts.
#[derive(Default)]
pub(crate) struct Presence {
    issued: u64,
    watches: BTreeMap<UsageId, Watch>,
    /// By our tag in it, the watch that a dialog is of.
    tags: HashMap<Box<str>, UsageId>,
    of: HashMap<AddressOfRecord, BTreeSet<UsageId>>,
    /// How many watches each watcher has; those without an account count as one.
    watchers: HashMap<Option<AddressOfRecord>, usize>,
    timers: Timers<UsageOwner>,
    claims: Claims,
    /// Invite usages have it; nothing is ever put in here.
    events: Vec<(UsageId, InviteEvent)>,
    pub(crate) publications: Publications,
    /// What the calls of watched accounts are, on all shards.
    pub(crate) lines: Lines,
    /// What is seen of this shard's calls.
    pub(crate) tracked: Tracked,
}

/// One subscription.
struct Watch {
    notifier: Notifier,
    account: AddressOfRecord,
    watcher: Option<AddressOfRecord>,
    package: Package,
    version: u32,
    /// A digest of what was told last.
    told: Option<u64>,
    /// Whether it is written down.
    kept: bool,
}

/// Who watches whom, and how long it may.
pub(crate) struct Wanted {
    pub(crate) account: AddressOfRecord,
    pub(crate) watcher: Option<AddressOfRecord>,
    pub(crate) package: Package,
    pub(crate) grant: Grant,
    /// The way on which it was asked.
    pub(crate) came: Flow,
}

/// Whether the calls of an account are to be followed on all shards from now on, or no more.
pub(crate) type Following = Option<(AddressOfRecord, bool)>;

impl Presence {
    /// The watch that an event is for, if it is for one.
    pub(crate) fn owner(&self, event: &TransactionEvent) -> Option<UsageId> {
        if self.watches.is_empty() && self.claims.is_empty() {
            return None;
        }
        self.claims.owner(event).or_else(|| match event {
            TransactionEvent::Request { request, .. } => {
                let (call_id, tag) = (request.call_id().ok()?, request.to_tag()?);
                let usage = *self.tags.get(tag)?;
                self.watches.get(&usage)?.notifier.owns(call_id, tag).then_some(usage)
            }
            _ => None,
        })
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.timers.next_deadline()
    }

    pub(crate) fn len(&self) -> usize {
        self.watches.len()
    }

    /// Whether nothing that was sent waits for an answer. Subscriptions may stay.
    pub(crate) fn is_idle(&self) -> bool {
        self.claims.is_empty()
    }

    /// Whether one more subscription of this watcher has room.
    pub(crate) fn has_room_for(&self, watcher: Option<&AddressOfRecord>) -> bool {
        let own = self.watchers.get(&watcher.cloned()).copied().unwrap_or(0);
        let most = if watcher.is_some() { MOST_OF_ONE } else { MOST };
        self.watches.len() < MOST && own < most
    }

    /// Accepts a SUBSCRIBE; the first NOTIFY follows with [`Presence::tell`].
    ///
    /// # Errors
    /// If it cannot make a dialog.
    pub(crate) fn accept(
        &mut self,
        server: ServerId,
        request: &Request,
        wanted: Wanted,
        transactions: &mut Transactions,
        cx: &mut Context<'_>,
    ) -> Result<(UsageId, Following), Refusal> {
        self.issued += 1;
        let usage = UsageId(self.issued);
        let Wanted { account, watcher, package, grant, came } = wanted;
        let expires = grant.expires;
        let accepted =
            self.enter(transactions, cx, |stack| Notifier::accept(usage, server, request, grant, stack));
        let notifier = accepted.map_err(|status| Refusal::new(status, "SUBSCRIBE needs one Contact"))?;
        let made = request.bytes();
        let kept = !expires.is_zero() && kept::may_be_kept(made, &came);
        if kept {
            cx.out.watches.push(WatchChange::Made(Box::new(KeptWatch {
                tag: notifier.local_tag().to_owned(),
                account: account.clone(),
                watcher: watcher.clone(),
                made: Bytes::copy_from_slice(made),
                refreshed: None,
                flow: kept::without_connection(&came),
                expires_at: cx.unix() + expires.as_secs(),
            })));
        }
        let watch = Watch { notifier, account, watcher, package, version: 0, told: None, kept };
        Ok((usage, self.insert(usage, watch)))
    }

    /// One that a process before had. Its peer is told at a moment of its own, or when something changes before.
    pub(crate) fn restore(
        &mut self,
        kept: &KeptWatch,
        (made, refreshed): (&Request, Option<&Request>),
        (package, grant): (Package, Grant),
        transactions: &mut Transactions,
        cx: &mut Context<'_>,
    ) -> Following {
        if self.tags.contains_key(kept.tag.as_str()) || !self.has_room_for(kept.watcher.as_ref()) {
            return None;
        }
        self.issued += 1;
        let usage = UsageId(self.issued);
        let version = kept::sequence(cx.unix());
        // A few of them every tenth of a second, or all would answer at once.
        let moment = cx.now + SPREAD * (self.watches.len() as u32 + 1);
        let restored = self.enter(transactions, cx, |stack| {
            let words = (made, refreshed);
            let notifier = Notifier::restore(usage, words, &kept.tag, grant, version, stack);
            notifier.inspect(|notifier| notifier.wake_at(moment, stack))
        });
        let notifier = restored.ok()?;
        let (account, watcher) = (kept.account.clone(), kept.watcher.clone());
        self.insert(usage, Watch { notifier, account, watcher, package, version, told: None, kept: true })
    }

    fn insert(&mut self, usage: UsageId, watch: Watch) -> Following {
        let first = watch.package.shows_calls() && !self.is_followed(&watch.account);
        self.tags.insert(watch.notifier.local_tag().into(), usage);
        self.of.entry(watch.account.clone()).or_default().insert(usage);
        *self.watchers.entry(watch.watcher.clone()).or_default() += 1;
        let account = watch.account.clone();
        self.watches.insert(usage, watch);
        first.then_some((account, true))
    }

    fn is_followed(&self, account: &AddressOfRecord) -> bool {
        let all = self.of.get(account).into_iter().flatten();
        all.filter_map(|usage| self.watches.get(usage)).any(|watch| watch.package.shows_calls())
    }

    /// The account and the package of a watch.
    pub(crate) fn about(&self, usage: UsageId) -> Option<(&AddressOfRecord, Package)> {
        self.watches.get(&usage).map(|watch| (&watch.account, watch.package))
    }

    /// Takes a SUBSCRIBE in the dialog of a watch.
    pub(crate) fn refresh(
        &mut self,
        usage: UsageId,
        (server, request, came): (ServerId, &Request, &Flow),
        grant: &Grant,
        transactions: &mut Transactions,
        cx: &mut Context<'_>,
    ) {
        if let Some(watch) = self.watches.get(&usage).filter(|watch| watch.kept && !grant.expires.is_zero()) {
            let refreshed = request.bytes();
            if kept::may_be_kept(refreshed, came) {
                cx.out.watches.push(WatchChange::Refreshed {
                    tag: watch.notifier.local_tag().to_owned(),
                    refreshed: Bytes::copy_from_slice(refreshed),
                    flow: kept::without_connection(came),
                    expires_at: cx.unix() + grant.expires.as_secs(),
                });
            }
        }
        self.with(usage, transactions, cx, |watch, stack| {
            watch.notifier.refresh(server, request, grant, stack);
            watch.told = None;
        });
    }

    /// Takes what the transaction layer has for a watch, other than a request.
    pub(crate) fn receive(&mut self, usage: UsageId, event: &TransactionEvent) {
        self.claims.settle(event);
        if let Some(watch) = self.watches.get_mut(&usage) {
            watch.notifier.receive(event);
        }
    }

    /// The next watch whose time has come, if one has.
    pub(crate) fn due(&mut self, transactions: &mut Transactions, cx: &mut Context<'_>) -> Option<UsageId> {
        let (deadline, owner) = self.timers.pop_due(cx.now)?;
        self.with(owner.usage, transactions, cx, |watch, stack| watch.notifier.timeout(deadline, stack));
        Some(owner.usage)
    }

    /// What some watchers of an account are told has changed; returns these.
    pub(crate) fn changed(&mut self, account: &AddressOfRecord, shows: fn(Package) -> bool) -> Vec<UsageId> {
        let mut all: Vec<_> = self.of.get(account).into_iter().flatten().copied().collect();
        all.retain(|usage| self.watches.get(usage).is_some_and(|watch| shows(watch.package)));
        for usage in &all {
            if let Some(watch) = self.watches.get_mut(usage) {
                watch.notifier.changed();
            }
        }
        all
    }

    /// An account is gone; returns its watches, which end.
    pub(crate) fn gone(&mut self, account: &AddressOfRecord) -> Vec<UsageId> {
        self.publications.forget(account);
        let all: Vec<_> = self.of.get(account).into_iter().flatten().copied().collect();
        for usage in &all {
            if let Some(watch) = self.watches.get_mut(usage) {
                watch.notifier.end(Ended::NoResource);
            }
        }
        all
    }

    /// Whether one of an account's watches of its mailbox is on this way, so that its phone need not be told besides.
    pub(crate) fn shows_mailbox(&self, account: &AddressOfRecord, flow: &Flow) -> bool {
        let all = self.of.get(account).into_iter().flatten().filter_map(|usage| self.watches.get(usage));
        all.into_iter().any(|watch| {
            watch.package == Package::MessageSummary && watch.notifier.flow().remote == flow.remote
        })
    }

    /// Tells a watcher the present state, unless it knows it, and forgets a watch that is over. Returns the account whose
    /// calls nobody watches any more, if it is so.
    pub(crate) fn tell(
        &mut self,
        usage: UsageId,
        directory: &Directory,
        transactions: &mut Transactions,
        cx: &mut Context<'_>,
    ) -> Following {
        let watch = self.watches.get(&usage)?;
        if watch.notifier.wants_state() {
            let now = cx.unix();
            let compose = |version| self.compose(watch, directory, now, version);
            let mut hasher = DefaultHasher::new();
            compose(0).hash(&mut hasher);
            let (digest, version) = (hasher.finish(), watch.version);
            let text = compose(version);
            self.with(usage, transactions, cx, |watch, stack| {
                // A watcher that has just asked, and the last NOTIFY, are never spared.
                if watch.told == Some(digest) && !watch.notifier.is_ending() {
                    return watch.notifier.spare();
                }
                let content_type = watch.package.content_type().to_owned();
                watch.notifier.notify(Some(&Body { content_type, bytes: text.into() }), stack);
                watch.told = Some(digest);
                watch.version = watch.version.wrapping_add(1);
            });
        }
        self.forget_over(usage, cx)
    }

    fn forget_over(&mut self, usage: UsageId, cx: &mut Context<'_>) -> Following {
        if !self.watches.get(&usage)?.notifier.is_over() {
            return None;
        }
        let watch = self.watches.remove(&usage)?;
        let tag = watch.notifier.local_tag();
        self.tags.remove(tag);
        if watch.kept {
            cx.out.watches.push(WatchChange::Over(tag.to_owned()));
        }
        shrink(&mut self.tags);
        if let Some(count) = self.watchers.get_mut(&watch.watcher) {
            *count -= 1;
            if *count == 0 {
                self.watchers.remove(&watch.watcher);
            }
        }
        if let Some(all) = self.of.get_mut(&watch.account) {
            all.remove(&usage);
            if all.is_empty() {
                self.of.remove(&watch.account);
            }
        }
        let last = watch.package.shows_calls() && !self.is_followed(&watch.account);
        last.then_some((watch.account, false))
    }

    /// What a watcher is told.
    fn compose(&self, watch: &Watch, directory: &Directory, now: u64, version: u32) -> String {
        let account = &watch.account;
        match watch.package {
            Package::Dialog => dialog_info::compose(account, self.lines.of(account), version),
            Package::Registration => reginfo::compose(account, &directory.bindings(account), now, version),
            Package::MessageSummary => {
                message_summary::compose(account, directory.mailbox(account).unwrap_or_default())
            }
            Package::Presence => {
                let known = Known {
                    registered: directory.bindings(account).0.iter().any(|one| one.expires_at > now),
                    on_the_phone: self.lines.of(account).any(|line| line.state == LineState::Confirmed),
                    said: self.publications.of(account, now),
                };
                pidf::compose(account, &known)
            }
        }
    }

    fn with(
        &mut self,
        usage: UsageId,
        transactions: &mut Transactions,
        cx: &mut Context<'_>,
        work: impl FnOnce(&mut Watch, &mut Stack<'_, '_>),
    ) {
        let Some(mut watch) = self.watches.remove(&usage) else { return };
        self.enter(transactions, cx, |stack| work(&mut watch, stack));
        self.watches.insert(usage, watch);
    }

    fn enter<R>(
        &mut self,
        transactions: &mut Transactions,
        cx: &mut Context<'_>,
        work: impl FnOnce(&mut Stack<'_, '_>) -> R,
    ) -> R {
        let mut cx = cx.sip();
        let mut stack = Stack {
            cx: &mut cx,
            transactions,
            timers: &mut self.timers,
            claims: &mut self.claims,
            authorizer: None,
            events: &mut self.events,
        };
        work(&mut stack)
    }
}

/// What a phone that did not ask is told of a mailbox.
pub(crate) fn mailbox_body(account: &AddressOfRecord, mailbox: Mailbox) -> Body {
    let content_type = Package::MessageSummary.content_type().to_owned();
    Body { content_type, bytes: message_summary::compose(account, mailbox).into() }
}

/// Subscriptions of a shard.
const MOST: usize = 100_000;
/// Subscriptions of one account to accounts of one shard: the console of a large office.
const MOST_OF_ONE: usize = 1_000;
/// Between two first NOTIFYs after a start.
const SPREAD: Duration = Duration::from_millis(5);
