//! What is stored, as the API shows and changes it.

use std::net::IpAddr;

use offhook_exchange::bans::Ban;
use serde::{Deserialize, Deserializer, Serialize};

use crate::{Problem, Reply, Rights, RightsPatch};

/// Accounts and numbers, wherever they are stored. Addresses are texts such as `sip:alice@example.com`.
pub trait Records: Send + Sync {
    /// All accounts, by address.
    fn accounts(&self) -> Reply<'_, Result<Vec<Account>, Problem>>;
    /// One account.
    fn account(&self, address: String) -> Reply<'_, Result<Account, Problem>>;
    /// Makes an account.
    fn add_account(&self, new: NewAccount) -> Reply<'_, Result<ChangedAccount, Problem>>;
    /// Changes what the patch names.
    fn change_account(
        &self,
        address: String,
        patch: AccountPatch,
    ) -> Reply<'_, Result<ChangedAccount, Problem>>;
    /// How an account wants its calls answered.
    fn answering(&self, address: String) -> Reply<'_, Result<Answering, Problem>>;
    /// Changes what the patch names of that.
    fn change_answering(
        &self,
        address: String,
        patch: AnsweringPatch,
    ) -> Reply<'_, Result<Answering, Problem>>;
    /// What an account may do beside calling.
    fn rights(&self, address: String) -> Reply<'_, Result<Rights, Problem>>;
    /// Changes what the patch names of that.
    fn change_rights(&self, address: String, patch: RightsPatch) -> Reply<'_, Result<Rights, Problem>>;
    /// The addresses that are not listened to.
    fn bans(&self) -> Reply<'_, Result<Vec<Ban>, Problem>>;
    /// Bans an address for so many seconds, or until the ban is lifted.
    fn ban(&self, address: IpAddr, seconds: Option<u64>, reason: String) -> Reply<'_, Result<Ban, Problem>>;
    /// Lifts a ban; `false`: there is none.
    fn lift_ban(&self, address: IpAddr) -> Reply<'_, Result<bool, Problem>>;
    /// What an account may do, where that is not as usual.
    fn limits(&self, address: String) -> Reply<'_, Result<Limits, Problem>>;
    /// Changes what the patch names of that.
    fn change_limits(&self, address: String, patch: LimitsPatch) -> Reply<'_, Result<Limits, Problem>>;
    /// Removes an account.
    fn remove_account(&self, address: String) -> Reply<'_, Result<(), Problem>>;
    /// Makes the accounts of a CSV text (`address,password,name,number,email`), all or none.
    fn import_accounts(&self, csv: String) -> Reply<'_, Result<Vec<ChangedAccount>, Problem>>;
    /// All accounts as CSV.
    fn export_accounts(&self) -> Reply<'_, Result<String, Problem>>;
    /// All numbers.
    fn numbers(&self) -> Reply<'_, Result<Vec<Number>, Problem>>;
    /// Adds a number, and assigns it where an account is named.
    fn add_number(&self, new: NewNumber) -> Reply<'_, Result<Number, Problem>>;
    /// Adds the numbers from one to another to the pool; returns the new ones.
    fn add_numbers(&self, first: String, last: String) -> Reply<'_, Result<Vec<Number>, Problem>>;
    /// Applications for numbers: those that wait, or the decided ones too.
    fn number_requests(&self, decided: bool) -> Reply<'_, Result<Vec<NumberRequest>, Problem>>;
    /// Applies for a number; decided at once where a rule does that.
    fn request_number(&self, new: NewNumberRequest) -> Reply<'_, Result<NumberRequest, Problem>>;
    /// Decides an application: approved, or rejected.
    fn decide_number(
        &self,
        id: u64,
        approved: bool,
        reason: Option<String>,
    ) -> Reply<'_, Result<NumberRequest, Problem>>;
    /// What has happened to a number, the oldest first.
    fn number_history(&self, number: String) -> Reply<'_, Result<Vec<NumberEvent>, Problem>>;
    /// Assigns a number, or takes it away.
    fn change_number(&self, number: String, patch: NumberPatch) -> Reply<'_, Result<Number, Problem>>;
    /// Removes a number.
    fn remove_number(&self, number: String) -> Reply<'_, Result<(), Problem>>;
    /// The newest text messages to and from an account, newest first, at most so many.
    fn messages(&self, account: String, most: u32) -> Reply<'_, Result<Vec<Message>, Problem>>;
    /// The trunks or routes as they are set.
    fn lines(&self, kind: LineKind) -> Reply<'_, Result<Vec<Line>, Problem>>;
    /// Makes a trunk or route, or changes what the patch names of one; `null` takes a key away.
    fn put_line(
        &self,
        kind: LineKind,
        name: String,
        patch: serde_json::Map<String, serde_json::Value>,
        is_new: bool,
    ) -> Reply<'_, Result<Line, Problem>>;
    /// Removes a trunk or route.
    fn remove_line(&self, kind: LineKind, name: String) -> Reply<'_, Result<(), Problem>>;
    /// What is wrong with the store; empty if all is well.
    fn troubles(&self) -> Vec<String>;
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its address.
    pub address: String,
    /// The name shown to those it calls.
    pub name: Option<String>,
    /// The first of its numbers.
    pub number: Option<String>,
    /// Where its owner is reached.
    pub email: Option<String>,
    /// How it is spoken and written to: `en` or `zh`; nothing: as the exchange does to all.
    pub language: Option<String>,
    /// `store`, or `file` if only the configuration file may change it.
    pub source: String,
    /// The realm of its password.
    pub realm: String,
    /// When it was made (RFC 3339).
    pub created_at: String,
}

/// A text message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its number.
    pub id: i64,
    /// Who has sent it, as its receiver sees it.
    pub from: String,
    /// For whom it is.
    pub to: String,
    /// What its content is.
    pub content_type: String,
    /// The content, if it is text.
    pub text: Option<String>,
    /// Octets of the content.
    pub octets: usize,
    /// `kept`, `delivered` or `expired`.
    pub state: String,
    /// When it was sent (RFC 3339).
    pub sent_at: String,
    /// When it was delivered or expired (RFC 3339).
    pub settled_at: Option<String>,
    /// Until when it is kept (RFC 3339).
    pub expires_at: String,
}

/// An account that was made or changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedAccount {
    /// How it is now.
    #[serde(flatten)]
    pub account: Account,
    /// Its password, where it was generated: shown once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// An account to be made.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewAccount {
    /// Its address.
    pub address: String,
    /// Its password; generated if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// The name shown to those it calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// Where its owner is reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// How it is spoken and written to: `en` or `zh`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
}

/// What is to become of an account: a field that is left out stays, `null` empties it.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountPatch {
    /// A new name.
    #[serde(default, deserialize_with = "named")]
    pub name: Option<Option<String>>,
    /// A new e-mail address.
    #[serde(default, deserialize_with = "named")]
    pub email: Option<Option<String>>,
    /// A new language: `en` or `zh`.
    #[serde(default, deserialize_with = "named")]
    pub language: Option<Option<String>>,
    /// A new password; `null` generates one.
    #[serde(default, deserialize_with = "named")]
    pub password: Option<Option<String>>,
    /// One more number.
    #[serde(default)]
    pub number: Option<String>,
}

/// How an account wants its calls answered. Whom calls go on to is a number, a name, an address or a URI.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answering {
    /// Whom all calls go on to.
    pub forward_always: Option<String>,
    /// Whom calls go on to when the user is busy, declines or does not want to be disturbed.
    pub forward_busy: Option<String>,
    /// Whom calls go on to when nobody answers.
    pub forward_no_answer: Option<String>,
    /// Whom calls go on to when no phone is registered or can be reached.
    pub forward_unreachable: Option<String>,
    /// For how long phones ring before nobody answers.
    pub ring_seconds: u16,
    /// Whether phones do not ring.
    pub do_not_disturb: bool,
    /// Whether callers are turned away who hide who they are.
    pub reject_anonymous: bool,
    /// Numbers and addresses of callers that are turned away; a `*` at the end stands for anything.
    pub blocked: Vec<String>,
    /// The group whose calls the account may take while they ring, and whose members may take its own.
    pub pickup_group: Option<String>,
    /// The same for the only ones whose calls are taken; empty: anybody's.
    pub allowed: Vec<String>,
    /// Who rings as well.
    pub also: Vec<RingsAlso>,
    /// The schedule at whose times calls are taken; none: always.
    pub schedule: Option<String>,
    /// Whom calls go on to at other times.
    pub closed: Option<String>,
}

/// Who rings beside an account's own phones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RingsAlso {
    /// A number, the name of an account, or a SIP URI.
    pub to: String,
    /// After so many seconds.
    #[serde(default)]
    pub after: u16,
}

/// What is to become of that: a field that is left out stays, `null` empties it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnsweringPatch {
    /// See [`Answering::forward_always`].
    #[serde(default, deserialize_with = "named")]
    pub forward_always: Option<Option<String>>,
    /// See [`Answering::forward_busy`].
    #[serde(default, deserialize_with = "named")]
    pub forward_busy: Option<Option<String>>,
    /// See [`Answering::forward_no_answer`].
    #[serde(default, deserialize_with = "named")]
    pub forward_no_answer: Option<Option<String>>,
    /// See [`Answering::forward_unreachable`].
    #[serde(default, deserialize_with = "named")]
    pub forward_unreachable: Option<Option<String>>,
    /// See [`Answering::ring_seconds`].
    pub ring_seconds: Option<u16>,
    /// See [`Answering::do_not_disturb`].
    pub do_not_disturb: Option<bool>,
    /// See [`Answering::reject_anonymous`].
    pub reject_anonymous: Option<bool>,
    /// See [`Answering::blocked`].
    pub blocked: Option<Vec<String>>,
    /// See [`Answering::allowed`].
    pub allowed: Option<Vec<String>>,
    /// See [`Answering::also`].
    pub also: Option<Vec<RingsAlso>>,
    /// See [`Answering::schedule`]; without [`Answering::closed`] it means nothing.
    #[serde(default, deserialize_with = "named")]
    pub schedule: Option<Option<String>>,
    /// See [`Answering::closed`].
    #[serde(default, deserialize_with = "named")]
    pub closed: Option<Option<String>>,
    /// See [`Answering::pickup_group`].
    #[serde(default, deserialize_with = "named")]
    pub pickup_group: Option<Option<String>>,
}

/// Trunks, or routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    /// Lines to other networks.
    Trunk,
    /// Rules that say where calls go.
    Route,
}

/// A trunk or a route as it is set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// `store`, or `file` if only the configuration file may change it.
    pub source: String,
    /// The keys of the configuration file, but for the name; a password is `…`.
    pub settings: serde_json::Map<String, serde_json::Value>,
}

/// What an account may do; `null`: as the configuration says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Calls at a time.
    pub calls: Option<u32>,
    /// Minutes of talk by trunks on a day.
    pub minutes_per_day: Option<u32>,
    /// Money on a day, such as `5.00`, in the currency of the rates.
    pub money_per_day: Option<String>,
}

/// What is to become of that: a field that is left out stays, `null` empties it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsPatch {
    /// See [`Limits::calls`].
    #[serde(default, deserialize_with = "named")]
    pub calls: Option<Option<u32>>,
    /// See [`Limits::minutes_per_day`].
    #[serde(default, deserialize_with = "named")]
    pub minutes_per_day: Option<Option<u32>>,
    /// See [`Limits::money_per_day`].
    #[serde(default, deserialize_with = "named")]
    pub money_per_day: Option<Option<String>>,
}

/// A number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Number {
    /// The number, without visual separators.
    pub number: String,
    /// Whose it is, if it is not free.
    pub account: Option<String>,
}

/// A number to be added.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewNumber {
    /// The number.
    pub number: String,
    /// Whose it shall be.
    #[serde(default)]
    pub account: Option<String>,
}

/// An application for a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberRequest {
    /// By which it is known.
    pub id: u64,
    /// Who wants it.
    pub account: String,
    /// The number that is wanted, or was given; `null`: any.
    pub number: Option<String>,
    /// `waiting`, `approved` or `rejected`.
    pub state: String,
    /// Why it was rejected.
    pub reason: Option<String>,
    /// When it was made (RFC 3339) …
    pub requested_at: String,
    /// … and decided.
    pub decided_at: Option<String>,
}

/// An application to be made.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewNumberRequest {
    /// Who wants it.
    pub account: String,
    /// The number that is wanted; left out: any.
    #[serde(default)]
    pub number: Option<String>,
}

/// Something that happened to a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberEvent {
    /// `added`, `assigned`, `released` or `removed`.
    pub event: String,
    /// The account that it was assigned to, or taken from.
    pub account: Option<String>,
    /// When (RFC 3339).
    pub at: String,
}

/// What is to become of a number.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NumberPatch {
    /// Whose it shall be; `null`: nobody's.
    pub account: Option<String>,
    /// Takes it from whoever has it.
    #[serde(default)]
    pub from_anyone: bool,
}

/// A field that is there, even if it is `null`.
fn named<'de, D: Deserializer<'de>, T: Deserialize<'de>>(input: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(input).map(Some)
}
