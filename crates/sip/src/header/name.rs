//! Header field names, with their compact forms (RFC 3261 §7.3.3).

use std::fmt;

macro_rules! names {
    ($($variant:ident $text:literal $($compact:literal)?,)*) => {
        /// A header field's name: those with a meaning here, and `Other` for the rest.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Name {
            $(#[doc = concat!("`", $text, "`")] $variant,)*
            #[default]
            /// Any other; its text is in the field, see `Headers::raw_other`.
            Other,
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
        if let [letter] = name {
            let index = usize::from(letter.to_ascii_lowercase().wrapping_sub(b'a'));
            return COMPACT.get(index).copied().unwrap_or(Name::Other);
        }
        let Some(&(start, end)) = SPANS.get(name.len()) else { return Name::Other };
        let same = |known: &&Name| known.as_str().as_bytes().eq_ignore_ascii_case(name);
        BY_LENGTH[start as usize..end as usize].iter().find(same).copied().unwrap_or(Name::Other)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Name::Other { "Header" } else { self.as_str() })
    }
}

const COUNT: usize = Name::ALL.len();
const LONGEST: usize = 21;

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

const BY_LENGTH: [Name; COUNT] = SORTED.0;

/// Where the names of each length stand in `BY_LENGTH`.
const SPANS: [(u8, u8); LONGEST + 1] = SORTED.1;

const SORTED: ([Name; COUNT], [(u8, u8); LONGEST + 1]) = {
    let mut names = [Name::Other; COUNT];
    let mut spans = [(0, 0); LONGEST + 1];
    let (mut filled, mut length) = (0, 0);
    while length <= LONGEST {
        let start = filled;
        let mut i = 0;
        while i < COUNT {
            if Name::ALL[i].as_str().len() == length {
                names[filled] = Name::ALL[i];
                filled += 1;
            }
            i += 1;
        }
        spans[length] = (start as u8, filled as u8);
        length += 1;
    }
    assert!(filled == COUNT, "a name is longer than LONGEST");
    (names, spans)
};

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
        for name in ["", "z", "1", "C%6Fntact", "Via2", "X-Foo", &"x".repeat(300)] {
            assert_eq!(Name::parse(name.as_bytes()), Name::Other, "{name}");
        }
    }
}
