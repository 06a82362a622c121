//! The store as the API sees it; what changes there, the shards learn.

use std::net::IpAddr;
use std::sync::Arc;

use offhook_exchange::bans::Ban;
use offhook_exchange::command::Command;
use offhook_exchange::directory::{
    AddressOfRecord, Also, Delta, Forward, HoursOf, RING_SECONDS, Record, Rights,
};
use offhook_exchange::message::KeptText;
use offhook_exchange::speech::Language;
use offhook_exchange::spending::{self, Money};
use offhook_store::{
    AccountChange, ChangedAccount, LineList, NewAccount, Password, RequestState, Source, Store, StoreError,
    StoredAccount, StoredNumber, StoredText, parse_number,
};
use offhook_web::calendar::rfc3339;
use offhook_web::{
    Account, AccountPatch, Answering, AnsweringPatch, Limits, LimitsPatch, Line, LineKind, Message,
    NewNumber, NewNumberRequest, Number, NumberEvent, NumberPatch, NumberRequest, Problem, Records, Reply,
    RingsAlso,
};

use crate::clock;
use crate::lines::LineDesk;
use crate::mail::Health;
use crate::shards::Shards;

/// The store, with the shards that must know of changes; none while no server runs.
pub(crate) struct Stored {
    pub(crate) store: Store,
    pub(crate) realm: String,
    pub(crate) shards: Option<Shards>,
    /// How accounts get numbers.
    pub(crate) numbers: NumberRules,
    /// How it is with mails, where some are sent.
    pub(crate) mail: Option<Arc<Health>>,
    pub(crate) lines: Arc<LineDesk>,
}

/// How accounts get numbers that they apply for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumberRules {
    /// Numbers that an account may have by applying for them.
    pub quota: usize,
    /// Whether an application is approved as it comes.
    pub at_once: bool,
}

impl Stored {
    async fn tell(&self, deltas: Vec<Delta>) -> Result<(), Problem> {
        let Some(shards) = &self.shards else { return Ok(()) };
        for delta in deltas {
            if shards.ask(Command::Apply(Box::new(delta))).await.is_none() {
                return Err(Problem::failed(
                    "it is stored, but the exchange will know it only after a restart",
                ));
            }
        }
        Ok(())
    }

    async fn show(&self, changed: ChangedAccount) -> Result<offhook_web::ChangedAccount, Problem> {
        let address = changed.account.address.clone();
        self.tell(changed.deltas).await?;
        let account = shown(self.store.account(&address).await.map_err(problem)?);
        let password = changed.generated.map(|password| password.reveal().to_owned());
        Ok(offhook_web::ChangedAccount { account, password })
    }

    /// A number that is dialled for something else would never ring.
    fn check_number(&self, number: Option<&str>) -> Result<(), Problem> {
        let number = number.and_then(|text| parse_number(text).ok()).unwrap_or_default();
        match self.lines.settings().owner_of(&number) {
            Some(owner) => Err(Problem::conflict(format!("{number} is the number of {owner} already"))),
            None => Ok(()),
        }
    }

    async fn add(&self, new: offhook_web::NewAccount) -> Result<offhook_web::ChangedAccount, Problem> {
        self.check_number(new.number.as_deref())?;
        let new = NewAccount {
            address: address(&new.address)?,
            password: new.password.map(Password::new).transpose().map_err(problem)?,
            name: new.name,
            number: new.number,
            email: new.email,
            language: language(new.language)?,
            realm: self.realm.clone(),
        };
        self.show(self.store.add_account(new, clock::unix().as_secs()).await.map_err(problem)?).await
    }

    async fn change(&self, name: &str, patch: AccountPatch) -> Result<offhook_web::ChangedAccount, Problem> {
        let address = address(name)?;
        self.check_number(patch.number.as_deref())?;
        let password = match patch.password {
            Some(Some(text)) => Some((self.realm.clone(), Some(Password::new(text).map_err(problem)?))),
            Some(None) => Some((self.realm.clone(), None)),
            None => None,
        };
        let language = patch.language.map(language).transpose()?;
        let change = AccountChange { name: patch.name, email: patch.email, language, password };
        let mut changed = self.store.set_account(&address, change).await.map_err(problem)?;
        if let Some(number) = patch.number {
            let more = self.store.assign_number(&number, &address, false).await.map_err(problem)?;
            changed.deltas.extend(more);
        }
        self.show(changed).await
    }

    async fn import(&self, csv: &str) -> Result<Vec<offhook_web::ChangedAccount>, Problem> {
        let now = clock::unix().as_secs();
        let made = self.store.import_accounts(csv, &self.realm, now).await.map_err(problem)?;
        let mut all = Vec::with_capacity(made.len());
        for one in made {
            all.push(self.show(one).await?);
        }
        Ok(all)
    }

    async fn number(&self, text: &str) -> Result<Number, Problem> {
        let wanted = parse_number(text).map_err(problem)?;
        let numbers = self.store.numbers().await.map_err(problem)?;
        let found = numbers.into_iter().find(|one| one.number == wanted);
        found.map(shown_number).ok_or_else(|| problem(StoreError::NoNumber(wanted)))
    }

    async fn approve(&self, id: u64) -> Result<NumberRequest, Problem> {
        let approved = self.store.approve_number(id, clock::unix().as_secs()).await;
        let (request, deltas) = approved.map_err(problem)?;
        self.tell(deltas).await?;
        Ok(shown_request(request))
    }

    async fn assign(&self, number: &str, patch: NumberPatch) -> Result<Number, Problem> {
        let deltas = match patch.account {
            Some(account) => {
                let address = address(&account)?;
                self.check_number(Some(number))?;
                self.store.assign_number(number, &address, patch.from_anyone).await
            }
            None => self.store.release_number(number).await,
        };
        self.tell(deltas.map_err(problem)?).await?;
        self.number(number).await
    }
}

impl Records for Stored {
    fn accounts(&self) -> Reply<'_, Result<Vec<Account>, Problem>> {
        Box::pin(async move {
            let accounts = self.store.accounts().await.map_err(problem)?;
            Ok(accounts.into_iter().map(shown).collect())
        })
    }

    fn account(&self, name: String) -> Reply<'_, Result<Account, Problem>> {
        Box::pin(async move { Ok(shown(self.store.account(&address(&name)?).await.map_err(problem)?)) })
    }

    fn add_account(
        &self,
        new: offhook_web::NewAccount,
    ) -> Reply<'_, Result<offhook_web::ChangedAccount, Problem>> {
        Box::pin(self.add(new))
    }

    fn change_account(
        &self,
        name: String,
        patch: AccountPatch,
    ) -> Reply<'_, Result<offhook_web::ChangedAccount, Problem>> {
        Box::pin(async move { self.change(&name, patch).await })
    }

    fn answering(&self, name: String) -> Reply<'_, Result<Answering, Problem>> {
        Box::pin(async move {
            let answering = self.store.answering(&address(&name)?).await.map_err(problem)?;
            Ok(shown_answering(answering))
        })
    }

    fn change_answering(&self, name: String, patch: AnsweringPatch) -> Reply<'_, Result<Answering, Problem>> {
        Box::pin(async move {
            let change = |answering: &mut offhook_exchange::directory::Answering| apply(patch, answering);
            let changed = self.store.set_answering(&address(&name)?, change).await;
            let (answering, delta) = changed.map_err(problem)?;
            self.tell(vec![delta]).await?;
            Ok(shown_answering(answering))
        })
    }

    fn rights(&self, name: String) -> Reply<'_, Result<offhook_web::Rights, Problem>> {
        Box::pin(async move {
            let rights = self.store.rights(&address(&name)?).await.map_err(problem)?;
            Ok(shown_rights(rights))
        })
    }

    fn change_rights(
        &self,
        name: String,
        patch: offhook_web::RightsPatch,
    ) -> Reply<'_, Result<offhook_web::Rights, Problem>> {
        Box::pin(async move {
            let record = match &patch.record {
                Some(word) => Some(Record::parse(word).ok_or_else(|| {
                    Problem::bad(format!("record is never, on-demand or always, not {word:?}"))
                })?),
                None => None,
            };
            let change = |rights: &mut Rights| {
                rights.record = record.unwrap_or(rights.record);
                rights.intercom = patch.intercom.unwrap_or(rights.intercom);
                if let Some(supervises) = patch.supervises {
                    rights.supervises = supervises;
                }
            };
            let (rights, delta) = self.store.set_rights(&address(&name)?, change).await.map_err(problem)?;
            self.tell(vec![delta]).await?;
            Ok(shown_rights(rights))
        })
    }

    fn bans(&self) -> Reply<'_, Result<Vec<Ban>, Problem>> {
        Box::pin(async move { self.store.bans(clock::unix().as_secs()).await.map_err(problem) })
    }

    fn ban(&self, address: IpAddr, seconds: Option<u64>, reason: String) -> Reply<'_, Result<Ban, Problem>> {
        Box::pin(async move {
            let since = clock::unix().as_secs();
            let until = seconds.map(|seconds| since.saturating_add(seconds));
            let ban = Ban { address, since, until, reason };
            let delta = self.store.ban(ban.clone()).await.map_err(problem)?;
            self.tell(vec![delta]).await?;
            Ok(ban)
        })
    }

    fn lift_ban(&self, address: IpAddr) -> Reply<'_, Result<bool, Problem>> {
        Box::pin(async move {
            let Some(delta) = self.store.lift_ban(address).await.map_err(problem)? else { return Ok(false) };
            self.tell(vec![delta]).await?;
            Ok(true)
        })
    }

    fn limits(&self, name: String) -> Reply<'_, Result<Limits, Problem>> {
        Box::pin(async move { Ok(shown_limits(self.store.limits(&address(&name)?).await.map_err(problem)?)) })
    }

    fn change_limits(&self, name: String, patch: LimitsPatch) -> Reply<'_, Result<Limits, Problem>> {
        Box::pin(async move {
            let money =
                patch.money_per_day.map(|money| money.map(|text| money_of(&text)).transpose()).transpose()?;
            let change = |limits: &mut spending::Limits| {
                limits.calls = patch.calls.unwrap_or(limits.calls);
                limits.minutes_per_day = patch.minutes_per_day.unwrap_or(limits.minutes_per_day);
                limits.money_per_day = money.unwrap_or(limits.money_per_day);
            };
            let changed = self.store.set_limits(&address(&name)?, change).await;
            let (limits, delta) = changed.map_err(problem)?;
            self.tell(vec![delta]).await?;
            Ok(shown_limits(limits))
        })
    }

    fn remove_account(&self, name: String) -> Reply<'_, Result<(), Problem>> {
        Box::pin(async move {
            let deltas = self.store.remove_account(&address(&name)?).await.map_err(problem)?;
            self.tell(deltas).await
        })
    }

    fn import_accounts(&self, csv: String) -> Reply<'_, Result<Vec<offhook_web::ChangedAccount>, Problem>> {
        Box::pin(async move { self.import(&csv).await })
    }

    fn export_accounts(&self) -> Reply<'_, Result<String, Problem>> {
        Box::pin(async move { self.store.export_accounts().await.map_err(problem) })
    }

    fn numbers(&self) -> Reply<'_, Result<Vec<Number>, Problem>> {
        Box::pin(async move {
            let numbers = self.store.numbers().await.map_err(problem)?;
            Ok(numbers.into_iter().map(shown_number).collect())
        })
    }

    fn add_number(&self, new: NewNumber) -> Reply<'_, Result<Number, Problem>> {
        Box::pin(async move {
            let added = self.store.add_number(&new.number).await.map_err(problem)?;
            match new.account {
                Some(_) => {
                    self.assign(&new.number, NumberPatch { account: new.account, from_anyone: false }).await
                }
                None => Ok(shown_number(added)),
            }
        })
    }

    fn add_numbers(&self, first: String, last: String) -> Reply<'_, Result<Vec<Number>, Problem>> {
        Box::pin(async move {
            let added = self.store.add_numbers(&first, &last).await.map_err(problem)?;
            Ok(added.into_iter().map(shown_number).collect())
        })
    }

    fn number_requests(&self, decided: bool) -> Reply<'_, Result<Vec<NumberRequest>, Problem>> {
        Box::pin(async move {
            let requests = self.store.number_requests(decided).await.map_err(problem)?;
            Ok(requests.into_iter().map(shown_request).collect())
        })
    }

    fn request_number(&self, new: NewNumberRequest) -> Reply<'_, Result<NumberRequest, Problem>> {
        Box::pin(async move {
            let (account, now) = (address(&new.account)?, clock::unix().as_secs());
            let wanted = new.number.as_deref();
            let made = self.store.request_number(&account, wanted, self.numbers.quota, now).await;
            let made = made.map_err(problem)?;
            match self.numbers.at_once {
                // Without a free number it waits for one.
                true => match self.approve(made.id).await {
                    Err(problem) if problem.status == 409 => Ok(shown_request(made)),
                    decided => decided,
                },
                false => Ok(shown_request(made)),
            }
        })
    }

    fn decide_number(
        &self,
        id: u64,
        approved: bool,
        reason: Option<String>,
    ) -> Reply<'_, Result<NumberRequest, Problem>> {
        Box::pin(async move {
            if approved {
                return self.approve(id).await;
            }
            let now = clock::unix().as_secs();
            let rejected = self.store.reject_number(id, reason.as_deref(), now).await;
            rejected.map(shown_request).map_err(problem)
        })
    }

    fn number_history(&self, number: String) -> Reply<'_, Result<Vec<NumberEvent>, Problem>> {
        Box::pin(async move {
            let events = self.store.number_history(&number).await.map_err(problem)?;
            let shown = |one: offhook_store::NumberEvent| NumberEvent {
                event: one.event,
                account: one.account.map(|account| account.to_string()),
                at: rfc3339(std::time::Duration::from_secs(one.at)),
            };
            Ok(events.into_iter().map(shown).collect())
        })
    }

    fn change_number(&self, number: String, patch: NumberPatch) -> Reply<'_, Result<Number, Problem>> {
        Box::pin(async move { self.assign(&number, patch).await })
    }

    fn remove_number(&self, number: String) -> Reply<'_, Result<(), Problem>> {
        Box::pin(async move { self.tell(self.store.remove_number(&number).await.map_err(problem)?).await })
    }

    fn messages(&self, account: String, most: u32) -> Reply<'_, Result<Vec<Message>, Problem>> {
        Box::pin(async move {
            let address = address(&account)?;
            // Who asks for nobody's messages has made a mistake.
            self.store.account(&address).await.map_err(problem)?;
            let texts = self.store.list_texts(&address, most).await.map_err(problem)?;
            Ok(texts.into_iter().map(shown_text).collect())
        })
    }

    fn lines(&self, kind: LineKind) -> Reply<'_, Result<Vec<Line>, Problem>> {
        Box::pin(self.lines.list(&self.store, list_of(kind)))
    }

    fn put_line(
        &self,
        kind: LineKind,
        name: String,
        patch: serde_json::Map<String, serde_json::Value>,
        is_new: bool,
    ) -> Reply<'_, Result<Line, Problem>> {
        Box::pin(async move {
            let place = (list_of(kind), name.as_str());
            self.lines.put(&self.store, self.shards.as_ref(), place, (patch, is_new)).await
        })
    }

    fn remove_line(&self, kind: LineKind, name: String) -> Reply<'_, Result<(), Problem>> {
        Box::pin(
            async move { self.lines.remove(&self.store, self.shards.as_ref(), (list_of(kind), &name)).await },
        )
    }

    fn troubles(&self) -> Vec<String> {
        let health = self.store.health();
        let waiting = health.waiting;
        let memory = health
            .memory_only()
            .then(|| format!("the registrations of {waiting} accounts would be lost in a crash"));
        let journal = health.journal_error.map(|error| format!("the journal cannot be written: {error}"));
        let mail = self.mail.as_ref().and_then(|mail| mail.trouble());
        [journal, memory, mail].into_iter().flatten().collect()
    }
}

fn address(text: &str) -> Result<AddressOfRecord, Problem> {
    AddressOfRecord::parse(text).map_err(|error| Problem::bad(error.to_string()))
}

fn language(code: Option<String>) -> Result<Option<Language>, Problem> {
    let parse = |code: String| {
        Language::parse(&code).ok_or_else(|| Problem::bad(format!("{code:?} is no language: en or zh")))
    };
    code.map(parse).transpose()
}

fn shown(stored: StoredAccount) -> Account {
    Account {
        address: stored.account.address.to_string(),
        name: stored.account.name,
        number: stored.account.number,
        email: stored.email,
        language: stored.account.language.map(|one| one.code().to_owned()),
        source: match stored.source {
            Source::Store => "store".into(),
            Source::File => "file".into(),
        },
        realm: stored.account.realm,
        created_at: rfc3339(std::time::Duration::from_secs(stored.created_at)),
    }
}

fn list_of(kind: LineKind) -> LineList {
    match kind {
        LineKind::Trunk => LineList::Trunk,
        LineKind::Route => LineList::Route,
    }
}

fn money_of(text: &str) -> Result<Money, Problem> {
    text.parse().map_err(|error| Problem::bad(format!("{text:?}: {error}")))
}

fn shown_limits(limits: spending::Limits) -> Limits {
    Limits {
        calls: limits.calls,
        minutes_per_day: limits.minutes_per_day,
        money_per_day: limits.money_per_day.map(|money| money.to_string()),
    }
}

fn shown_answering(answering: offhook_exchange::directory::Answering) -> Answering {
    let Forward { always, busy, no_answer, unreachable } = answering.forward;
    Answering {
        forward_always: always,
        forward_busy: busy,
        forward_no_answer: no_answer,
        forward_unreachable: unreachable,
        ring_seconds: answering.ring_seconds.unwrap_or(RING_SECONDS),
        do_not_disturb: answering.do_not_disturb,
        reject_anonymous: answering.reject_anonymous,
        blocked: answering.blocked,
        allowed: answering.allowed,
        also: answering.also.into_iter().map(|one| RingsAlso { to: one.to, after: one.after }).collect(),
        schedule: answering.hours.as_ref().map(|hours| hours.schedule.clone()),
        closed: answering.hours.map(|hours| hours.otherwise),
        pickup_group: answering.pickup_group,
    }
}

fn shown_rights(rights: Rights) -> offhook_web::Rights {
    let Rights { record, supervises, intercom } = rights;
    offhook_web::Rights { record: record.word().to_owned(), supervises, intercom }
}

fn apply(patch: AnsweringPatch, to: &mut offhook_exchange::directory::Answering) {
    let forward = &mut to.forward;
    for (new, old) in [
        (patch.forward_always, &mut forward.always),
        (patch.forward_busy, &mut forward.busy),
        (patch.forward_no_answer, &mut forward.no_answer),
        (patch.forward_unreachable, &mut forward.unreachable),
    ] {
        if let Some(new) = new {
            *old = new;
        }
    }
    to.do_not_disturb = patch.do_not_disturb.unwrap_or(to.do_not_disturb);
    to.reject_anonymous = patch.reject_anonymous.unwrap_or(to.reject_anonymous);
    if let Some(seconds) = patch.ring_seconds {
        to.ring_seconds = (seconds != RING_SECONDS).then_some(seconds);
    }
    if let Some(blocked) = patch.blocked {
        to.blocked = blocked;
    }
    to.allowed = patch.allowed.unwrap_or_else(|| std::mem::take(&mut to.allowed));
    if let Some(also) = patch.also {
        to.also = also.into_iter().map(|one| Also { to: one.to, after: one.after }).collect();
    }
    let (schedule, otherwise) = to.hours.take().map(|it| (it.schedule, it.otherwise)).unzip();
    let hours = patch.schedule.unwrap_or(schedule).zip(patch.closed.unwrap_or(otherwise));
    to.hours = hours.map(|(schedule, otherwise)| HoursOf { schedule, otherwise });
    if let Some(group) = patch.pickup_group {
        to.pickup_group = group;
    }
}

fn shown_text(stored: StoredText) -> Message {
    let KeptText { id, text } = stored.kept;
    let moment = |seconds| rfc3339(std::time::Duration::from_secs(seconds));
    let is_text = text.content_type.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("text/"));
    Message {
        id,
        from: text.from,
        to: text.account.to_string(),
        text: is_text.then(|| String::from_utf8_lossy(&text.body).into_owned()),
        octets: text.body.len(),
        content_type: text.content_type,
        state: stored.state.word().to_owned(),
        sent_at: moment(text.sent_at),
        settled_at: stored.settled_at.map(moment),
        expires_at: moment(text.expires_at),
    }
}

fn shown_request(request: offhook_store::NumberRequest) -> NumberRequest {
    let at = |seconds| rfc3339(std::time::Duration::from_secs(seconds));
    let (state, reason) = match request.state {
        RequestState::Waiting => ("waiting", None),
        RequestState::Approved => ("approved", None),
        RequestState::Rejected(reason) => ("rejected", reason),
    };
    NumberRequest {
        id: request.id,
        account: request.account.to_string(),
        number: request.number,
        state: state.into(),
        reason,
        requested_at: at(request.requested_at),
        decided_at: request.decided_at.map(at),
    }
}

fn shown_number(stored: StoredNumber) -> Number {
    Number { number: stored.number, account: stored.account.map(|account| account.to_string()) }
}

fn problem(error: StoreError) -> Problem {
    let text = error.to_string();
    match error {
        _ if error.is_conflict() => Problem::conflict(text),
        _ if error.is_not_found() => Problem::not_found(text),
        StoreError::FileOwned(_) => Problem::locked(text),
        StoreError::BadNumber(_)
        | StoreError::BadRange { .. }
        | StoreError::BadAddress(_)
        | StoreError::BadText { .. }
        | StoreError::BadLanguage
        | StoreError::EmptyPassword
        | StoreError::BadDestination(_)
        | StoreError::BadGroup(_)
        | StoreError::TooManyBlocked(_)
        | StoreError::TooManyAlso(_)
        | StoreError::TooManySupervised(_)
        | StoreError::BadRingSeconds(_)
        | StoreError::BadCalls(_)
        | StoreError::Row { .. }
        | StoreError::Csv(_) => Problem::bad(text),
        _ => {
            // A full disk or a locked database: not only who asked should know.
            tracing::error!(error = text, "the store failed");
            Problem::failed(text)
        }
    }
}
