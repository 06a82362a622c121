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
            [letter] => {
                let index = usize::from(letter.to_ascii_lowercase().wrapping_sub(b'a'));
                COMPACT.get(index).copied().unwrap_or(Name::Other)
            }
            [first, .., last] => {
                let mut slot = slot(name.len(), *first, *last);
                loop {
                    let Some((text, known)) = TABLE[slot] else { return Name::Other };
                    // Nearly everyone writes names as the RFCs do.
                    if text == name || text.eq_ignore_ascii_case(name) {
                        return known;
                    }
                    slot = (slot + 1) % SLOTS;
                }
            }
        }
    }
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

/// Far more slots than names, so that a miss ends soon.
const SLOTS: usize = 512;

/// The full names by their [`slot`]; a taken slot leads to the next.
static TABLE: [Option<(&[u8], Name)>; SLOTS] = {
    let mut table: [Option<(&[u8], Name)>; SLOTS] = [None; SLOTS];
    let mut i = 0;
    while i < COUNT {
        let text = Name::ALL[i].as_str().as_bytes();
        let mut at = slot(text.len(), text[0], text[text.len() - 1]);
        while table[at].is_some() {
            at = (at + 1) % SLOTS;
        }
        table[at] = Some((text, Name::ALL[i]));
        i += 1;
    }
    table
};

const fn slot(length: usize, first: u8, last: u8) -> usize {
    // The case bit does not count.
    (length * 23 + (first | 0x20) as usize * 5 + (last | 0x20) as usize * 131) % SLOTS
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
        for name in ["", "z", "1", "C%6Fntact", "Via2", "X-Foo", &"x".repeat(300)] {
            assert_eq!(Name::parse(name.as_bytes()), Name::Other, "{name}");
        }
    }
}
