//! Header field names, with their compact forms (RFC 3261 §7.3.3).

use std::fmt;

macro_rules! names {
    ($($variant:ident $text:literal $($compact:literal)?,)*) => {
        /// A header field's name: those with a meaning here, and `Other` for the rest.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Name {
            /// Any other; its text is in the field, see `Headers::raw_other`.
            #[default]
            Other,
            $(#[doc = concat!("`", $text, "`")] $variant,)*
        }

        impl Name {
            /// Every known name.
            pub const ALL: &'static [Name] = &[$(Name::$variant,)*];

            /// The full name as the RFC writes it; empty for `Other`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Name::$variant => $text,)*
                    Name::Other => "",
                }
            }

            /// The one-letter form, where there is one.
            pub const fn compact(self) -> Option<char> {
                match self {
                    $($(Name::$variant => Some($compact),)?)*
                    _ => None,
                }
            }
        }
    };
}

names! {
    Accept "Accept",
    AcceptContact "Accept-Contact" 'a',
    AcceptEncoding "Accept-Encoding",
    AcceptLanguage "Accept-Language",
    AlertInfo "Alert-Info",
    Allow "Allow",
    AllowEvents "Allow-Events" 'u',
    AuthenticationInfo "Authentication-Info",
    Authorization "Authorization",
    CallId "Call-ID" 'i',
    CallInfo "Call-Info",
    Contact "Contact" 'm',
    ContentDisposition "Content-Disposition",
    ContentEncoding "Content-Encoding" 'e',
    ContentLanguage "Content-Language",
    ContentLength "Content-Length" 'l',
    ContentType "Content-Type" 'c',
    CSeq "CSeq",
    Date "Date",
    Diversion "Diversion",
    ErrorInfo "Error-Info",
    Event "Event" 'o',
    Expires "Expires",
    FlowTimer "Flow-Timer",
    From "From" 'f',
    HistoryInfo "History-Info",
    Identity "Identity" 'y',
    InReplyTo "In-Reply-To",
    Join "Join",
    MaxBreadth "Max-Breadth",
    MaxForwards "Max-Forwards",
    MimeVersion "MIME-Version",
    MinExpires "Min-Expires",
    MinSe "Min-SE",
    Organization "Organization",
    PAccessNetworkInfo "P-Access-Network-Info",
    PAssertedIdentity "P-Asserted-Identity",
    PAssociatedUri "P-Associated-URI",
    PPreferredIdentity "P-Preferred-Identity",
    Path "Path",
    Priority "Priority",
    Privacy "Privacy",
    ProxyAuthenticate "Proxy-Authenticate",
    ProxyAuthorization "Proxy-Authorization",
    ProxyRequire "Proxy-Require",
    RAck "RAck",
    Reason "Reason",
    RecordRoute "Record-Route",
    ReferSub "Refer-Sub",
    ReferTo "Refer-To" 'r',
    ReferredBy "Referred-By" 'b',
    RejectContact "Reject-Contact" 'j',
    RemotePartyId "Remote-Party-ID",
    Replaces "Replaces",
    ReplyTo "Reply-To",
    RequestDisposition "Request-Disposition" 'd',
    Require "Require",
    RetryAfter "Retry-After",
    Route "Route",
    RSeq "RSeq",
    Server "Server",
    ServiceRoute "Service-Route",
    SessionExpires "Session-Expires" 'x',
    SipETag "SIP-ETag",
    SipIfMatch "SIP-If-Match",
    Subject "Subject" 's',
    SubscriptionState "Subscription-State",
    Supported "Supported" 'k',
    Timestamp "Timestamp",
    To "To" 't',
    Unsupported "Unsupported",
    UserAgent "User-Agent",
    Via "Via" 'v',
    Warning "Warning",
    WwwAuthenticate "WWW-Authenticate",
}

impl Name {
    /// Reads a name in full or compact form, in any case.
    pub fn parse(name: &[u8]) -> Name {
        match name {
            [] => Name::Other,
            [letter] => of_letter(*letter),
            _ if name.len() > LONGEST || name.contains(&b'\r') => Name::Other,
            _ => find(words(name)),
        }
    }

    /// The name that stands in `bytes` from `from` on and ends at a colon, and where the colon is; `None` if it
    /// is empty or too long for a known one. No CR may stand before the colon, and `Other` need not be a token.
    #[inline]
    pub(crate) fn leading(bytes: &[u8], from: usize) -> Option<(Name, usize)> {
        let mut words = Words::default();
        for (index, word) in words.iter_mut().enumerate() {
            let at = from + index * 8;
            let octets = u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?);
            let length = (colons(octets).trailing_zeros() / 8) as usize;
            *word = octets | ANY_CASE;
            if length < 8 {
                *word &= (1 << (length * 8)) - 1;
                let name = match at + length - from {
                    0 => return None,
                    1 => of_letter(bytes[from]),
                    _ => find(words),
                };
                return Some((name, at + length));
            }
        }
        None
    }
}

fn of_letter(letter: u8) -> Name {
    let index = usize::from(letter.to_ascii_lowercase().wrapping_sub(b'a'));
    COMPACT.get(index).copied().unwrap_or(Name::Other)
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Name::Other { "Header" } else { self.as_str() })
    }
}

const COUNT: usize = Name::ALL.len();

/// Indexed by letter.
const COMPACT: [Name; 26] = {
    let mut table = [Name::Other; 26];
    let mut i = 0;
    while i < COUNT {
        if let Some(letter) = Name::ALL[i].compact() {
            table[letter as usize - 'a' as usize] = Name::ALL[i];
        }
        i += 1;
    }
    table
};

/// A name of at most [`LONGEST`] octets in lower case, eight octets to a word, the first in the lowest place.
type Words = [u64; 3];

const LONGEST: usize = 24;

/// What makes a letter lower case and leaves a hyphen as it is. Of the octets that a line may hold, only the
/// two cases of a letter become the same by it.
const ANY_CASE: u64 = 0x2020_2020_2020_2020;

const fn words(name: &[u8]) -> Words {
    assert!(name.len() <= LONGEST);
    let mut words = [0; 3];
    let mut i = 0;
    while i < name.len() {
        words[i / 8] |= (name[i] as u64 | 0x20) << (i % 8 * 8);
        i += 1;
    }
    words
}

/// The highest bit of each octet that is a colon, and perhaps of some above the lowest of these.
fn colons(octets: u64) -> u64 {
    const LOW: u64 = 0x0101_0101_0101_0101;
    let zero_where_colon = octets ^ (LOW * b':' as u64);
    zero_where_colon.wrapping_sub(LOW) & !zero_where_colon & (LOW << 7)
}

/// Far more slots than names, so that a miss ends soon.
const SLOTS: usize = 256;

/// The full names by their [`slot`]; a taken slot leads to the next.
static TABLE: [(Words, Name); SLOTS] = {
    let mut table = [([0; 3], Name::Other); SLOTS];
    let mut i = 0;
    while i < COUNT {
        let words = words(Name::ALL[i].as_str().as_bytes());
        let mut at = slot(words);
        while table[at].0[0] != 0 {
            at = (at + 1) % SLOTS;
        }
        table[at] = (words, Name::ALL[i]);
        i += 1;
    }
    table
};

#[inline]
fn find(words: Words) -> Name {
    let mut at = slot(words);
    loop {
        let ([first, second, third], name) = &TABLE[at];
        if (*first == words[0] && *second == words[1] && *third == words[2]) || *first == 0 {
            return *name;
        }
        at = (at + 1) % SLOTS;
    }
}

const fn slot(words: Words) -> usize {
    // Of the multipliers that were tried, the one with the fewest names beside their slot: one.
    let sum = words[0].wrapping_add(words[1].rotate_left(17)).wrapping_add(words[2].rotate_left(41));
    (sum.wrapping_mul(0x346c_ac79_0eae_e72d) >> 56) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_in_any_case_and_in_its_compact_form() {
        for name in Name::ALL {
            assert_eq!(Name::parse(name.as_str().as_bytes()), *name);
            assert_eq!(Name::parse(name.as_str().to_uppercase().as_bytes()), *name);
            assert_eq!(Name::parse(name.as_str().to_lowercase().as_bytes()), *name);
            if let Some(letter) = name.compact() {
                assert_eq!(Name::parse(&[letter as u8]), *name);
                assert_eq!(Name::parse(&[letter.to_ascii_uppercase() as u8]), *name);
            }
        }
    }

    #[test]
    fn anything_else_is_other() {
        for name in ["", "z", "1", "C%6Fntact", "Via2", "X-Foo", "Call\rID", "Fro\0", &"x".repeat(300)] {
            assert_eq!(Name::parse(name.as_bytes()), Name::Other, "{name}");
        }
    }
}
