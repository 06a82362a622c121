//! A telephone number in the DNS: ENUM (RFC 6116), an application of the DDDS (RFC 3402).

use offhook_sip::{SipUri, Uri};
use regex::RegexBuilder;

use super::{DnsAnswer, DnsFailure, Naptr, Question, Records};

/// The search for the SIP URI of a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enumeration {
    /// The application unique string: the number with its `+`.
    number: String,
    /// Names that were asked for.
    asked: Vec<String>,
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Enumerated {
    /// Another name is asked for.
    Ask(Question),
    /// Where the number is.
    Found(SipUri),
    /// It is nowhere.
    Nothing(DnsFailure),
}

impl Enumeration {
    /// Looks for a number, `+` and up to 15 digits, in a tree such as `e164.arpa`. `None`: it is no such number.
    pub fn start(number: &str, tree: &str) -> Option<(Self, Question)> {
        let digits = number.strip_prefix('+')?;
        let is_number =
            (1..=MOST_DIGITS).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        if !is_number {
            return None;
        }
        let labels: String = digits.chars().rev().flat_map(|digit| [digit, '.']).collect();
        let name = format!("{labels}{}", tree.trim_matches('.'));
        let this = Self { number: number.to_owned(), asked: vec![name.clone()] };
        Some((this, Question::Naptr(name)))
    }

    /// Takes the answer to the last question.
    pub fn answer(&mut self, answer: DnsAnswer) -> Enumerated {
        let mut records = match answer {
            Ok(Records::Naptr(records)) => records,
            Ok(Records::Srv(_) | Records::Addresses(_)) => Vec::new(),
            Err(failure) => return Enumerated::Nothing(failure),
        };
        records.sort_by_key(|one| (one.order, one.preference));
        for record in &records {
            if record.flags.eq_ignore_ascii_case("u") {
                if is_sip(&record.service)
                    && let Some(uri) = self.substitute(&record.regexp)
                {
                    return Enumerated::Found(uri);
                }
            } else if record.flags.is_empty()
                && let Some(question) = self.follow(record)
            {
                return Enumerated::Ask(question);
            }
        }
        Enumerated::Nothing(DnsFailure::NoRecords)
    }

    /// The next name of a rule that is not the last one (RFC 3402 §3). None is asked for twice.
    fn follow(&mut self, record: &Naptr) -> Option<Question> {
        let next = record.replacement.trim_end_matches('.').to_ascii_lowercase();
        if next.is_empty() || self.asked.len() >= MOST_ASKED || self.asked.contains(&next) {
            return None;
        }
        self.asked.push(next.clone());
        Some(Question::Naptr(next))
    }

    /// What a substitution expression makes of the number (RFC 3402 §3.2), if that is a SIP URI. Whoever writes the record is
    /// a stranger: neither the expression nor what it makes may be large, and matching takes time linear in both.
    fn substitute(&self, expression: &str) -> Option<SipUri> {
        let [pattern, replacement] = parts(expression)?;
        let mut compiled = RegexBuilder::new(&pattern);
        let compiled = compiled.size_limit(LARGEST).dfa_size_limit(LARGEST).nest_limit(16).build().ok()?;
        let found = compiled.captures(&self.number)?;
        let whole = found.get(0)?;
        let mut made = self.number.get(..whole.start())?.to_owned();
        let mut letters = replacement.chars();
        while let Some(letter) = letters.next() {
            match (letter, letter == '\\') {
                (_, true) => match letters.next()? {
                    digit @ '1'..='9' => {
                        let group = usize::from(digit as u8 - b'0');
                        made.push_str(found.get(group).map_or("", |group| group.as_str()));
                    }
                    other => made.push(other),
                },
                (letter, false) => made.push(letter),
            }
            if made.len() > LONGEST {
                return None;
            }
        }
        made.push_str(self.number.get(whole.end()..)?);
        let is_plain = made.len() <= LONGEST && made.bytes().all(|b| b.is_ascii_graphic());
        match made.parse() {
            // Header fields in a URI would be put into our request by a stranger.
            Ok(Uri::Sip(uri)) if is_plain && !made.contains(['?', '<', '>', '"']) => Some(uri),
            _ => None,
        }
    }
}

/// Whether a service (RFC 6116 §3.4.3) is SIP (RFC 3764): `E2U+sip`, perhaps with others beside it.
fn is_sip(service: &str) -> bool {
    let mut words = service.split('+');
    words.next().is_some_and(|word| word.eq_ignore_ascii_case("E2U"))
        && words.any(|word| word.split(':').next().is_some_and(|kind| kind.eq_ignore_ascii_case("sip")))
}

/// Pattern and replacement between their delimiters. The number has no letters, so the flag `i` changes nothing.
fn parts(expression: &str) -> Option<[String; 2]> {
    if expression.len() > LONGEST {
        return None;
    }
    let mut letters = expression.chars();
    let delimiter = letters.next().filter(|one| !one.is_ascii_digit() && !"\\i".contains(*one))?;
    let mut found = [String::new(), String::new()];
    for part in &mut found {
        loop {
            match letters.next()? {
                letter if letter == delimiter => break,
                '\\' => match letters.next()? {
                    letter if letter == delimiter => part.push(letter),
                    letter => part.extend(['\\', letter]),
                },
                letter => part.push(letter),
            }
        }
    }
    matches!(letters.as_str(), "" | "i").then_some(found)
}

/// Of a number with its country code (E.164 §6).
const MOST_DIGITS: usize = 15;
/// Names that are asked for one after the other.
const MOST_ASKED: usize = 5;
/// Of a character string in the DNS (RFC 1035 §3.3).
const LONGEST: usize = 255;
/// Octets of a compiled pattern.
const LARGEST: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn naptr(order: u16, flags: &str, service: &str, regexp: &str, replacement: &str) -> Naptr {
        let (flags, service) = (flags.into(), service.into());
        Naptr { order, preference: 0, flags, service, regexp: regexp.into(), replacement: replacement.into() }
    }

    fn found(records: Vec<Naptr>) -> Enumerated {
        let (mut search, _) = Enumeration::start("+442079460148", "e164.arpa").unwrap();
        search.answer(Ok(Records::Naptr(records)))
    }

    fn made(regexp: &str) -> Option<String> {
        match found(vec![naptr(1, "u", "E2U+sip", regexp, ".")]) {
            Enumerated::Found(uri) => Some(uri.to_string()),
            Enumerated::Ask(_) => panic!(),
            Enumerated::Nothing(_) => None,
        }
    }

    #[test]
    fn a_number_becomes_a_name_as_in_rfc_6116() {
        let (_, question) = Enumeration::start("+442079460148", "e164.arpa.").unwrap();
        assert_eq!(question, Question::Naptr("8.4.1.0.6.4.9.7.0.2.4.4.e164.arpa".into()));
        for no_number in ["442079460148", "+", "+44x", "+1234567890123456", "112", "+4420\n"] {
            assert_eq!(Enumeration::start(no_number, "e164.arpa"), None, "{no_number}");
        }
    }

    #[test]
    fn expressions_make_uris_and_nothing_else() {
        for (regexp, uri) in [
            ("!^.*$!sip:info@example.com!", Some("sip:info@example.com")),
            ("!^\\+44(.*)$!sip:\\1@uk.example!i", Some("sip:2079460148@uk.example")),
            (
                "!^(\\+44)(20)(.*)$!sips:\\3-\\2@uk.example;user=phone!",
                Some("sips:79460148-20@uk.example;user=phone"),
            ),
            ("/^.*$/sip:a\\/b@example.com/", Some("sip:a/b@example.com")),
            // What is not matched stays, as RFC 3402 has it.
            ("!\\+44!sip:!", None),
            ("!^.*$!tel:+442079460148!", None),
            ("!^.*$!sip:a@example.com?Subject=x!", None),
            ("!^.*$!sip:a b@example.com!", None),
            ("!^.*$!sip:a\r\nVia: x@example.com!", None),
            ("!^49!sip:info@example.com!", None),
            ("!^(.*$!sip:info@example.com!", None),
            ("!^.*$!sip:info@example.com", None),
            ("!^.*$!sip:info@example.com!x", None),
            ("1^.*$1sip:info@example.com1", None),
            ("", None),
            ("!", None),
            ("!^.*$!sip:a@\\", None),
            ("!(((.{1,1000}){1,1000}){1,1000})!sip:info@example.com!", None),
        ] {
            assert_eq!(made(regexp).as_deref(), uri, "{regexp}");
        }
        let long = format!("!^(.*)$!sip:{}@example.com!", "\\1".repeat(60));
        assert_eq!(made(&long), None);
    }

    #[test]
    fn the_first_rule_for_sip_counts_and_others_are_passed_over() {
        let good = || naptr(20, "U", "E2U+sip", "!^.*$!sip:second@example.com!", ".");
        for first in [
            naptr(10, "u", "E2U+email:mailto", "!^.*$!mailto:a@example.com!", "."),
            naptr(10, "u", "E2U+h323", "!^.*$!h323:a@example.com!", "."),
            naptr(10, "u", "SIP+D2U", "!^.*$!sip:no@example.com!", "."),
            naptr(10, "s", "E2U+sip", "", "_sip._udp.example.com"),
            naptr(10, "u", "E2U+sip", "rubbish", "."),
        ] {
            let expected = "sip:second@example.com".parse::<Uri>().unwrap();
            let Enumerated::Found(uri) = found(vec![good(), first.clone()]) else { panic!("{first:?}") };
            assert_eq!(Uri::Sip(uri), expected);
        }
        let both = naptr(5, "u", "E2U+voice:tel+sip", "!^.*$!sip:first@example.com!", ".");
        assert_eq!(
            found(vec![good(), both]),
            Enumerated::Found(match "sip:first@example.com".parse() {
                Ok(Uri::Sip(uri)) => uri,
                _ => panic!(),
            })
        );
        assert_eq!(found(Vec::new()), Enumerated::Nothing(DnsFailure::NoRecords));
    }

    #[test]
    fn names_that_lead_to_each_other_come_to_an_end() {
        let (mut search, _) = Enumeration::start("+442079460148", "e164.arpa").unwrap();
        let to = |name: &str| Ok(Records::Naptr(vec![naptr(1, "", "", "", name)]));
        assert_eq!(search.answer(to("A.example.")), Enumerated::Ask(Question::Naptr("a.example".into())));
        assert_eq!(search.answer(to("b.example")), Enumerated::Ask(Question::Naptr("b.example".into())));
        assert_eq!(search.answer(to("a.example")), Enumerated::Nothing(DnsFailure::NoRecords));
        let mut steps = 0;
        while let Enumerated::Ask(_) = search.answer(to(&format!("n{steps}.example"))) {
            steps += 1;
        }
        assert_eq!(steps, 2);
        assert_eq!(search.answer(Err(DnsFailure::Silent)), Enumerated::Nothing(DnsFailure::Silent));
    }
}
