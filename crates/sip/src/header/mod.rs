//! Typed access to header fields. Each call reads the field anew; nothing is cached.

pub mod auth;
pub mod contact;
pub mod cseq;
pub mod event;
pub mod media_type;
pub mod name;
pub mod name_addr;
pub mod params;
pub mod reliable;
pub mod replaces;
pub mod session_timer;
pub mod via;

use crate::line::FieldSpan;
use crate::{
    CSeq, Challenge, Contacts, Credentials, Event, Headers, MediaType, Method, Name, NameAddr, ParseError,
    ParseErrorKind as Kind, RAck, Replaces, SessionExpires, SubscriptionState, Via, lex,
};
use bytes::Bytes;
use std::ops::Range;

/// What RFC 3261 §10.2.1.1 has an expiry that cannot be read mean, in seconds.
pub(crate) const DEFAULT_EXPIRES: u32 = 3600;

impl Headers {
    /// The topmost Via.
    pub fn via(&self) -> Result<Via, ParseError> {
        let field = self.must(Name::Via)?.value_range();
        let top = lex::Values::new(&self.bytes[field.clone()]).next().unwrap_or(0..0);
        self.read(Name::Via, field.start + top.start..field.start + top.end, via)
    }

    /// All Vias, topmost first.
    pub fn vias(&self) -> impl Iterator<Item = Result<Via, ParseError>> {
        self.each(Name::Via, via)
    }

    /// From.
    pub fn from(&self) -> Result<NameAddr, ParseError> {
        self.mandatory(Name::From, name_addr)
    }

    /// To.
    pub fn to(&self) -> Result<NameAddr, ParseError> {
        self.mandatory(Name::To, name_addr)
    }

    /// The tag of From; RFC 2543 requests may have none.
    pub fn from_tag(&self) -> Option<&str> {
        self.tag(Name::From)
    }

    /// The tag of To.
    pub fn to_tag(&self) -> Option<&str> {
        self.tag(Name::To)
    }

    /// Call-ID.
    pub fn call_id(&self) -> Result<&str, ParseError> {
        let field = self.must(Name::CallId)?;
        let value = field.value(&self.bytes);
        let text = std::str::from_utf8(value).ok().filter(|_| crate::parse::is_call_id(value));
        text.ok_or(ParseError::new(Kind::Malformed(Name::CallId), field.value as usize))
    }

    /// CSeq.
    pub fn cseq(&self) -> Result<CSeq, ParseError> {
        let field = self.must(Name::CSeq)?;
        let at = field.value as usize;
        let (number, method) =
            cseq::scan(field.value(&self.bytes)).map_err(|kind| ParseError::new(kind, at))?;
        let method = Method::parse(method).ok_or(ParseError::new(Kind::Malformed(Name::CSeq), at))?;
        Ok(CSeq { number, method })
    }

    /// Max-Forwards, if there.
    pub fn max_forwards(&self) -> Result<Option<u8>, ParseError> {
        let number = self.number(Name::MaxForwards)?;
        number
            .map(|number| u8::try_from(number).map_err(|_| self.out_of_range(Name::MaxForwards)))
            .transpose()
    }

    /// Max-Breadth (RFC 5393 §5.3.3), if there.
    pub fn max_breadth(&self) -> Result<Option<u32>, ParseError> {
        self.number(Name::MaxBreadth)
    }

    /// All Contacts; an empty list if there are none.
    pub fn contacts(&self) -> Result<Contacts, ParseError> {
        contact::read(self)
    }

    /// Route, topmost first.
    pub fn routes(&self) -> impl Iterator<Item = Result<NameAddr, ParseError>> {
        self.name_addrs(Name::Route)
    }

    /// Record-Route, topmost first.
    pub fn record_routes(&self) -> impl Iterator<Item = Result<NameAddr, ParseError>> {
        self.name_addrs(Name::RecordRoute)
    }

    /// Path (RFC 3327).
    pub fn paths(&self) -> impl Iterator<Item = Result<NameAddr, ParseError>> {
        self.name_addrs(Name::Path)
    }

    /// Service-Route (RFC 3608).
    pub fn service_routes(&self) -> impl Iterator<Item = Result<NameAddr, ParseError>> {
        self.name_addrs(Name::ServiceRoute)
    }

    /// P-Asserted-Identity (RFC 3325).
    pub fn p_asserted_identity(&self) -> impl Iterator<Item = Result<NameAddr, ParseError>> {
        self.name_addrs(Name::PAssertedIdentity)
    }

    /// P-Preferred-Identity (RFC 3325).
    pub fn p_preferred_identity(&self) -> impl Iterator<Item = Result<NameAddr, ParseError>> {
        self.name_addrs(Name::PPreferredIdentity)
    }

    /// The values of any header of addresses.
    pub fn name_addrs(&self, name: Name) -> impl Iterator<Item = Result<NameAddr, ParseError>> {
        self.each(name, name_addr)
    }

    /// Expires in seconds; a malformed or too large value counts as 3600 (RFC 3261 §10.2.1.1).
    pub fn expires(&self) -> Option<u32> {
        self.raw(Name::Expires).map(|value| expiry(value).unwrap_or(DEFAULT_EXPIRES))
    }

    /// Min-Expires in seconds.
    pub fn min_expires(&self) -> Result<Option<u32>, ParseError> {
        self.number(Name::MinExpires)
    }

    /// Retry-After in seconds, without its comment and parameters.
    pub fn retry_after(&self) -> Result<Option<u32>, ParseError> {
        let Some(field) = self.span(Name::RetryAfter) else { return Ok(None) };
        let malformed = ParseError::new(Kind::Malformed(Name::RetryAfter), field.value as usize);
        let (seconds, rest) = cseq::leading_number(field.value(&self.bytes)).ok_or(malformed)?;
        match rest.first() {
            None | Some(b' ' | b'\t' | b'\r' | b'\n' | b'(' | b';') => {}
            Some(_) => return Err(malformed),
        }
        u32::try_from(seconds).map(Some).map_err(|_| self.out_of_range(Name::RetryAfter))
    }

    /// Content-Type.
    pub fn content_type(&self) -> Result<Option<MediaType>, ParseError> {
        self.one(Name::ContentType, |bytes, at| media_type::read(bytes.slice(at)))
    }

    /// Accept's media ranges.
    pub fn accept(&self) -> impl Iterator<Item = Result<MediaType, ParseError>> {
        self.each(Name::Accept, |bytes, at| media_type::read(bytes.slice(at)))
    }

    /// Require's option tags.
    pub fn require(&self) -> impl Iterator<Item = &str> {
        self.tokens(Name::Require)
    }

    /// Proxy-Require's option tags.
    pub fn proxy_require(&self) -> impl Iterator<Item = &str> {
        self.tokens(Name::ProxyRequire)
    }

    /// Supported's option tags.
    pub fn supported(&self) -> impl Iterator<Item = &str> {
        self.tokens(Name::Supported)
    }

    /// Whether Supported or Require names this option tag.
    pub fn supports(&self, tag: &str) -> bool {
        self.supported().chain(self.require()).any(|known| known.eq_ignore_ascii_case(tag))
    }

    /// Unsupported's option tags.
    pub fn unsupported(&self) -> impl Iterator<Item = &str> {
        self.tokens(Name::Unsupported)
    }

    /// Allow's methods, as text.
    pub fn allow(&self) -> impl Iterator<Item = &str> {
        self.tokens(Name::Allow)
    }

    /// The comma-separated tokens of any header. One that is not UTF-8 reads as U+FFFD, which matches
    /// nothing.
    pub fn tokens(&self, name: Name) -> impl Iterator<Item = &str> {
        self.values(name)
            .filter(|token| !token.is_empty())
            .map(|token| std::str::from_utf8(token).unwrap_or("\u{fffd}"))
    }

    /// Credentials in Authorization or Proxy-Authorization.
    pub fn credentials(&self, name: Name) -> impl Iterator<Item = Result<Credentials, ParseError>> {
        self.each_field(name, |bytes, at| Credentials::parse(bytes.slice(at)).map_err(|error| error.at))
    }

    /// Challenges in WWW-Authenticate or Proxy-Authenticate.
    pub fn challenges(&self, name: Name) -> impl Iterator<Item = Result<Challenge, ParseError>> {
        self.each_field(name, |bytes, at| Challenge::parse(bytes.slice(at)).map_err(|error| error.at))
    }

    /// Session-Expires (RFC 4028).
    pub fn session_expires(&self) -> Result<Option<SessionExpires>, ParseError> {
        self.one(Name::SessionExpires, |bytes, at| session_timer::read(&bytes[at]))
    }

    /// Min-SE in seconds (RFC 4028).
    pub fn min_se(&self) -> Result<Option<u32>, ParseError> {
        self.one(Name::MinSe, |bytes, at| session_timer::read(&bytes[at]).map(|read| read.seconds))
    }

    /// RSeq (RFC 3262).
    pub fn rseq(&self) -> Result<Option<u32>, ParseError> {
        self.number(Name::RSeq)
    }

    /// RAck (RFC 3262).
    pub fn rack(&self) -> Result<Option<RAck>, ParseError> {
        self.one(Name::RAck, |bytes, at| reliable::read(&bytes[at]).ok_or(0))
    }

    /// Replaces (RFC 3891).
    pub fn replaces(&self) -> Result<Option<Replaces>, ParseError> {
        self.one(Name::Replaces, |bytes, at| Replaces::parse(bytes.slice(at)).map_err(|error| error.at))
    }

    /// Refer-To (RFC 3515).
    pub fn refer_to(&self) -> Result<Option<NameAddr>, ParseError> {
        self.one(Name::ReferTo, name_addr)
    }

    /// Referred-By (RFC 3892).
    pub fn referred_by(&self) -> Result<Option<NameAddr>, ParseError> {
        self.one(Name::ReferredBy, name_addr)
    }

    /// Event (RFC 6665).
    pub fn event(&self) -> Result<Option<Event>, ParseError> {
        self.one(Name::Event, |bytes, at| event::read_event(bytes.slice(at)))
    }

    /// Subscription-State (RFC 6665).
    pub fn subscription_state(&self) -> Result<Option<SubscriptionState>, ParseError> {
        self.one(Name::SubscriptionState, |bytes, at| event::read_state(bytes.slice(at)))
    }

    /// Timestamp as written.
    pub fn timestamp(&self) -> Option<&[u8]> {
        self.raw(Name::Timestamp)
    }

    /// User-Agent as written.
    pub fn user_agent(&self) -> Option<&[u8]> {
        self.raw(Name::UserAgent)
    }

    fn must(&self, name: Name) -> Result<&FieldSpan, ParseError> {
        self.span(name).ok_or(ParseError::new(Kind::Missing(name), self.body as usize))
    }

    fn mandatory<T>(&self, name: Name, read: impl Read<T>) -> Result<T, ParseError> {
        let field = self.must(name)?;
        self.read(name, field.value_range(), read)
    }

    /// The first field of a header that has one value.
    fn one<T>(&self, name: Name, read: impl Read<T>) -> Result<Option<T>, ParseError> {
        let field = self.span(name);
        field.map(|field| self.read(name, field.value_range(), read)).transpose()
    }

    /// Every value of a header that is a comma-separated list.
    pub(crate) fn each<T>(
        &self,
        name: Name,
        read: impl Read<T>,
    ) -> impl Iterator<Item = Result<T, ParseError>> {
        self.value_ranges(name).map(move |range| self.read(name, range, &read))
    }

    /// Every field of a header whose commas do not separate values (RFC 3261 §7.3.1).
    fn each_field<T>(&self, name: Name, read: impl Read<T>) -> impl Iterator<Item = Result<T, ParseError>> {
        self.spans(name).map(move |field| self.read(name, field.value_range(), &read))
    }

    #[inline]
    fn read<T>(&self, name: Name, range: Range<usize>, read: impl Read<T>) -> Result<T, ParseError> {
        let base = range.start;
        read(&self.bytes, range).map_err(|at| ParseError::new(Kind::Malformed(name), base + at))
    }

    fn number(&self, name: Name) -> Result<Option<u32>, ParseError> {
        let Some(field) = self.span(name) else { return Ok(None) };
        let number = lex::number(field.value(&self.bytes));
        let number = number.ok_or(ParseError::new(Kind::Malformed(name), field.value as usize))?;
        u32::try_from(number).map(Some).map_err(|_| self.out_of_range(name))
    }

    fn out_of_range(&self, name: Name) -> ParseError {
        ParseError::new(Kind::OutOfRange(name), self.span(name).map_or(0, |field| field.value as usize))
    }

    fn tag(&self, name: Name) -> Option<&str> {
        let value = self.raw(name)?;
        let found = name_addr::scan_address(value).ok()?;
        let tag = params::get(&value[found.params..], "tag")?;
        std::str::from_utf8(lex::strip_quotes(tag).unwrap_or(tag)).ok()
    }
}

/// Reads a value from its place in the message's bytes, or says how far into it something is wrong.
pub(crate) trait Read<T>: Fn(&Bytes, Range<usize>) -> Result<T, usize> {}

impl<T, F: Fn(&Bytes, Range<usize>) -> Result<T, usize>> Read<T> for F {}

fn via(bytes: &Bytes, at: Range<usize>) -> Result<Via, usize> {
    let found = via::scan(&bytes[at.clone()])?;
    Ok(found.of(bytes, at))
}

pub(crate) fn name_addr(bytes: &Bytes, at: Range<usize>) -> Result<NameAddr, usize> {
    let found = name_addr::scan(&bytes[at.clone()])?;
    Ok(found.of(bytes, at))
}

/// Delta-seconds, if they are that and fit.
pub(crate) fn expiry(value: &[u8]) -> Option<u32> {
    lex::number(value).and_then(|seconds| u32::try_from(seconds).ok())
}
