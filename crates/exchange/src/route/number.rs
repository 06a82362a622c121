//! Numbers as they are dialled, and as the plan compares them (ITU-T E.164, RFC 3966).

use std::fmt;

use offhook_sip::{TelUri, Uri};

use super::countries::Country;
use crate::directory::number_digits;

/// How the people here dial.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Numbering {
    /// Their country; without one, only numbers with a `+` are whole.
    pub country: Option<&'static Country>,
    /// Their area code, without the national prefix: numbers without one are completed by it.
    pub area_code: Option<String>,
    /// Numbers that are never blocked.
    pub emergency: Vec<String>,
}

/// A number.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Number {
    /// `+` and up to 15 digits (E.164).
    Global(String),
    /// Of use here only: an extension, a service, an emergency number.
    Local(String),
}

impl Number {
    /// As it is compared and sent: with a `+` if it is global.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Global(number) | Self::Local(number) => number,
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a text is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotANumber {
    /// It holds something else than digits, `*`, `#`, separators and a leading `+`.
    Character,
    /// It has more digits than any number.
    TooLong,
    /// Its phone-context is neither the beginning of a number nor a domain of ours (RFC 3966 §5.1.5).
    Context,
}

impl fmt::Display for NotANumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Character => "a number has digits, * and # only, and perhaps a + in front",
            Self::TooLong => "a number has at most 15 digits (E.164)",
            Self::Context => "its phone-context is neither a number nor a domain of this exchange",
        })
    }
}

impl Numbering {
    /// For a country with its usual emergency numbers.
    pub fn of(country: &'static Country) -> Self {
        let emergency = country.emergency().iter().map(|number| (*number).to_owned()).collect();
        Self { country: Some(country), area_code: None, emergency }
    }

    /// Reads what stands for a number in a Request-URI: a tel URI, or the user of a sip URI, whose own parameters are
    /// those of a tel URI (RFC 3261 §19.1.6). `is_ours` knows the domains that are served here.
    ///
    /// # Errors
    /// Why it is none.
    pub fn read(&self, uri: &Uri, is_ours: impl Fn(&str) -> bool) -> Result<Number, NotANumber> {
        let user = match uri {
            Uri::Tel(tel) => return self.read_tel(tel, is_ours),
            Uri::Sip(uri) => uri.user_unescaped().ok_or(NotANumber::Character)?,
            Uri::Other(_) => return Err(NotANumber::Character),
        };
        match TelUri::new(user.split(';').next().unwrap_or_default()) {
            Some(_) if user.contains(';') => match format!("tel:{user}").parse() {
                Ok(Uri::Tel(tel)) => self.read_tel(&tel, is_ours),
                _ => Err(NotANumber::Character),
            },
            _ => self.normalize(&user),
        }
    }

    fn read_tel(&self, tel: &TelUri, is_ours: impl Fn(&str) -> bool) -> Result<Number, NotANumber> {
        let number = tel.digits();
        match tel.param("phone-context").filter(|_| !tel.global()) {
            None => self.normalize(&number),
            // The context is what is missing in front.
            Some(context) if context.starts_with('+') => {
                self.normalize(&format!("{}{number}", number_digits(context).ok_or(NotANumber::Context)?))
            }
            Some(context) if is_ours(context) => self.normalize(&number),
            Some(_) => Err(NotANumber::Context),
        }
    }

    /// A number as it was dialled.
    ///
    /// # Errors
    /// Why it is none.
    pub fn normalize(&self, dialled: &str) -> Result<Number, NotANumber> {
        let digits = number_digits(dialled).ok_or(NotANumber::Character)?;
        if self.is_emergency_digits(&digits) {
            return Ok(Number::Local(digits));
        }
        let global = |rest: &str| -> Result<Number, NotANumber> {
            match rest.len() {
                _ if rest.contains(['*', '#']) => Err(NotANumber::Character),
                0..=MOST_DIGITS => Ok(Number::Global(format!("+{rest}"))),
                _ => Err(NotANumber::TooLong),
            }
        };
        if let Some(rest) = digits.strip_prefix('+') {
            return global(rest);
        }
        if digits.len() > MOST_DIALLED {
            return Err(NotANumber::TooLong);
        }
        let local = || Ok(Number::Local(digits.clone()));
        // A service code or an extension is not completed.
        let Some(country) = self.country.filter(|_| digits.len() > SHORT && !digits.contains(['*', '#']))
        else {
            return local();
        };
        if let Some(rest) = digits.strip_prefix(country.international) {
            return global(rest);
        }
        let trunk = Some(country.national).filter(|prefix| !prefix.is_empty());
        match (trunk.map(|prefix| digits.strip_prefix(prefix)), &self.area_code) {
            (Some(Some(rest)), _) => global(&format!("{}{rest}", country.code)),
            // Ten digits of North America are whole without the 1.
            (Some(None), _) if country.code == "1" && digits.len() == 10 => global(&format!("1{digits}")),
            (Some(None), Some(area)) => global(&format!("{}{area}{digits}", country.code)),
            (Some(None), None) => local(),
            (None, _) => global(&format!("{}{digits}", country.code)),
        }
    }

    /// Whether help is called. A national or global spelling of an emergency number is none.
    pub fn is_emergency(&self, number: &Number) -> bool {
        matches!(number, Number::Local(digits) if self.is_emergency_digits(digits))
    }

    fn is_emergency_digits(&self, digits: &str) -> bool {
        self.emergency.iter().any(|one| one == digits)
    }

    /// Whether a number leads abroad. Without a country, every global one may.
    pub fn is_abroad(&self, number: &Number) -> bool {
        let Number::Global(number) = number else { return false };
        let own = |country: &Country| number[1..].starts_with(country.code);
        !self.country.is_some_and(own)
    }
}

/// Of a number with its country code (E.164 §6).
const MOST_DIGITS: usize = 15;
/// With an international prefix before it.
const MOST_DIALLED: usize = 20;
/// So many digits are an extension or a service.
const SHORT: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    fn numbering(iso: &str) -> Numbering {
        Numbering::of(Country::of(iso).unwrap())
    }

    fn normal(numbering: &Numbering, dialled: &str) -> String {
        numbering.normalize(dialled).map_or_else(|error| format!("{error:?}"), |number| number.to_string())
    }

    #[test]
    fn numbers_are_completed_as_their_country_dials() {
        for (iso, dialled, whole) in [
            ("DE", "+49 30 1234567", "+49301234567"),
            ("DE", "0049 (30) 123-4567", "+49301234567"),
            ("DE", "030 1234567", "+49301234567"),
            ("DE", "1234567", "1234567"),
            ("DE", "1001", "1001"),
            ("DE", "110", "110"),
            ("US", "011 49 30 1234567", "+49301234567"),
            ("US", "1 (212) 555-0123", "+12125550123"),
            ("US", "212 555 0123", "+12125550123"),
            ("US", "911", "911"),
            ("CN", "0086 138 0000 0000", "+8613800000000"),
            ("CN", "010 8888 8888", "+861088888888"),
            ("CN", "138 0000 0000", "13800000000"),
            ("IT", "06 1234567", "+39061234567"),
            ("ES", "912 345 678", "+34912345678"),
            ("RU", "8 495 123-45-67", "+74951234567"),
            ("RU", "8 10 49 30 1234567", "+49301234567"),
            ("HU", "06 1 123 4567", "+3611234567"),
            ("JP", "010 1 212 555 0123", "+12125550123"),
            ("AU", "0011 64 3 123 4567", "+6431234567"),
            ("DE", "*43", "*43"),
            ("DE", "*21*03012345678#", "*21*03012345678#"),
        ] {
            assert_eq!(normal(&numbering(iso), dialled), whole, "{iso} {dialled}");
        }
    }

    #[test]
    fn a_local_number_gets_the_area_code() {
        let berlin = Numbering { area_code: Some("30".into()), ..numbering("DE") };
        assert_eq!(normal(&berlin, "1234567"), "+49301234567");
        assert_eq!(normal(&berlin, "1001"), "1001");
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let german = numbering("DE");
        for (dialled, why) in [
            ("bob", NotANumber::Character),
            ("", NotANumber::Character),
            ("1'; DROP TABLE accounts;--", NotANumber::Character),
            ("1001\nTo: x", NotANumber::Character),
            ("+49*30", NotANumber::Character),
            ("+1234567890123456", NotANumber::TooLong),
        ] {
            assert_eq!(german.normalize(dialled), Err(why), "{dialled}");
        }
        assert_eq!(german.normalize(&"9".repeat(200)), Err(NotANumber::TooLong));
        assert_eq!(german.normalize(&format!("+{}", "9".repeat(200))), Err(NotANumber::TooLong));
    }

    #[test]
    fn a_phone_context_completes_or_names_us() {
        let german = numbering("DE");
        let read = |uri: &str| german.read(&uri.parse().unwrap(), |domain| domain == "example.com");
        let global = |number: &str| Ok(Number::Global(number.into()));
        assert_eq!(read("tel:863-1234;phone-context=+1-914-555"), global("+19145558631234"));
        assert_eq!(
            read("sip:863-1234;phone-context=+1-914-555@example.com;user=phone"),
            global("+19145558631234")
        );
        assert_eq!(read("tel:1001;phone-context=example.com"), Ok(Number::Local("1001".into())));
        assert_eq!(read("tel:1001;phone-context=other.example"), Err(NotANumber::Context));
        assert_eq!(read("tel:+49301234567;phone-context=other.example"), global("+49301234567"));
        assert_eq!(read("sip:030-1234567@example.com"), global("+49301234567"));
        assert_eq!(read("sip:bob@example.com"), Err(NotANumber::Character));
    }

    #[test]
    fn abroad_is_another_country_code_or_not_knowing_ones_own() {
        let number = |text: &str| Number::Global(text.into());
        assert!(!numbering("DE").is_abroad(&number("+49301234567")));
        assert!(numbering("DE").is_abroad(&number("+4312345678")));
        assert!(Numbering::default().is_abroad(&number("+49301234567")));
        assert!(!Numbering::default().is_abroad(&Number::Local("1001".into())));
    }

    #[test]
    fn the_table_is_in_order_and_each_country_stands_once() {
        let table = super::super::countries::COUNTRIES;
        assert!(table.windows(2).all(|pair| pair[0].iso < pair[1].iso));
        for country in table {
            assert!(!country.code.is_empty() && !country.international.is_empty(), "{country:?}");
            assert!(country.emergency().iter().all(|number| number.len() <= SHORT), "{country:?}");
        }
    }
}
