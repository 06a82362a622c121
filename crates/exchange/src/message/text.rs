//! A message as it is kept, and what the store is asked about messages.

use bytes::Bytes;
use offhook_sip::{Name, Request};

use crate::directory::AddressOfRecord;

/// A message to an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// For whom.
    pub account: AddressOfRecord,
    /// From, without its tag.
    pub from: String,
    /// The account that has sent it.
    pub sender: Option<AddressOfRecord>,
    /// Content-Type, as it came.
    pub content_type: String,
    /// Other headers that belong to the content, as name and value.
    pub headers: Vec<(String, String)>,
    /// The content, byte for byte.
    pub body: Bytes,
    /// Unix seconds.
    pub sent_at: u64,
    /// Unix seconds after which it is not delivered any more.
    pub expires_at: u64,
}

/// A message that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptText {
    /// Its number: those of one account are in the order in which they came.
    pub id: i64,
    /// The message.
    pub text: Text,
}

/// What the store is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextRequest {
    /// To keep a message until it is delivered. Answered with [`TextAnswer::Kept`] when it outlives a crash.
    Keep(Text),
    /// The first message that is kept for an account, of those with greater numbers.
    Next(AddressOfRecord, i64),
    /// What has become of a message that was kept.
    Settle(i64, TextState),
    /// To note a message that was delivered at once.
    Note(Text),
}

/// What has become of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextState {
    /// It waits for a phone.
    Kept,
    /// A phone has taken it.
    Delivered,
    /// Nobody has taken it in its time.
    Expired,
}

impl TextState {
    /// Its word, as it is stored and shown.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Delivered => "delivered",
            Self::Expired => "expired",
        }
    }
}

/// What the store answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextAnswer {
    /// The message is kept.
    Kept,
    /// As many messages wait for that account as may.
    Full,
    /// The next message; `None`: there is no other.
    Next(Option<Box<KeptText>>),
    /// The store cannot do it now.
    Failed,
}

impl Text {
    /// A message as it came.
    pub(crate) fn of(
        request: &Request,
        account: AddressOfRecord,
        sender: Option<AddressOfRecord>,
        times: (u64, u64),
    ) -> Self {
        let text = |name: Name| String::from_utf8_lossy(request.raw(name).unwrap_or_default()).into_owned();
        let from =
            request.from().map(|from| from.without_tag().to_string()).unwrap_or_else(|_| text(Name::From));
        let of_content = [
            Name::ContentDisposition,
            Name::ContentEncoding,
            Name::ContentLanguage,
            Name::MimeVersion,
            Name::Subject,
            Name::Priority,
            Name::InReplyTo,
            Name::Date,
        ];
        let headers = of_content.into_iter().filter(|name| request.has(*name));
        Self {
            account,
            from,
            sender,
            content_type: text(Name::ContentType),
            headers: headers.map(|name| (name.as_str().to_owned(), text(name))).collect(),
            body: Bytes::copy_from_slice(request.body()),
            sent_at: times.0,
            expires_at: times.1,
        }
    }
}
