//! `;name=value` parameters of header values.

use crate::lex;
use bytes::Bytes;
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// The parameters of a header value, in order, as written. Names compare without case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Params(Bytes);

impl Params {
    /// Parameters that [`scan`] has accepted.
    pub(crate) fn found(bytes: Bytes) -> Params {
        Params(bytes)
    }

    /// A parameter's value without surrounding quotes, escapes kept; empty for one without a value.
    pub fn get(&self, name: &str) -> Option<&str> {
        let value = get(&self.0, name)?;
        std::str::from_utf8(lex::strip_quotes(value).unwrap_or(value)).ok()
    }

    /// A parameter's value without surrounding quotes and with `\` escapes undone.
    pub fn unescaped(&self, name: &str) -> Option<Cow<'_, str>> {
        lex::unquoted_text(get(&self.0, name)?)
    }

    /// A parameter's value as a number; `None` if it is absent, not digits only, or too large.
    pub fn number(&self, name: &str) -> Option<u32> {
        lex::number(get(&self.0, name)?).and_then(|number| u32::try_from(number).ok())
    }

    /// Whether the parameter is there.
    pub fn has(&self, name: &str) -> bool {
        get(&self.0, name).is_some()
    }

    /// All parameters: names and values as written (quotes kept).
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
        Spans::new(&self.0, 0).flatten().map(|param| {
            let name = std::str::from_utf8(&self.0[param.name]).unwrap_or_default();
            (name, param.value.map(|value| &self.0[value]))
        })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The same with this parameter, replacing any of its name; the value is quoted if it must be. A name
    /// that is not a token changes nothing.
    pub fn with(self, name: &str, value: Option<&str>) -> Params {
        if !lex::is_token(name.as_bytes()) {
            return self;
        }
        let mut out = self.without(name).0.to_vec();
        lex::append(&mut out, format_args!(";{name}"));
        if let Some(value) = value {
            let plain = !value.is_empty() && lex::value(value.as_bytes(), 0) == value.len();
            let quoted = (!plain).then(|| lex::quote(value));
            lex::append(&mut out, format_args!("={}", quoted.as_deref().unwrap_or(value)));
        }
        Params(out.into())
    }

    /// The same without this parameter.
    pub fn without(self, name: &str) -> Params {
        if !self.has(name) {
            return self;
        }
        let mut out = Vec::with_capacity(self.0.len());
        for param in Spans::new(&self.0, 0).flatten() {
            if !self.0[param.name.clone()].eq_ignore_ascii_case(name.as_bytes()) {
                out.push(b';');
                out.extend_from_slice(&self.0[param.name.start..param.end]);
            }
        }
        Params(out.into())
    }

    /// The same in memory of its own.
    pub fn detach(&self) -> Params {
        Params(Bytes::copy_from_slice(&self.0))
    }
}

impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        lex::write_unfolded(f, &self.0)
    }
}

/// Where one parameter stands.
pub(crate) struct ParamSpan {
    pub(crate) name: Range<usize>,
    pub(crate) value: Option<Range<usize>>,
    pub(crate) end: usize,
}

/// Walks `*( ";" name [ "=" value ] )` with white space anywhere, until the bytes end or do not fit.
pub(crate) struct Spans<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Spans<'a> {
    pub(crate) fn new(bytes: &'a [u8], from: usize) -> Spans<'a> {
        Spans { bytes, at: from }
    }

    #[inline(always)]
    fn param(&mut self) -> Result<ParamSpan, usize> {
        let bytes = self.bytes;
        let semicolon = lex::skip_lws(bytes, self.at);
        if bytes.get(semicolon) != Some(&b';') {
            return Err(semicolon);
        }
        let start = lex::skip_lws(bytes, semicolon + 1);
        let end = lex::token(bytes, start);
        if start == end {
            return Err(start);
        }
        self.at = end;
        let name = start..end;
        let equals = lex::skip_lws(bytes, end);
        if bytes.get(equals) != Some(&b'=') {
            return Ok(ParamSpan { name, value: None, end });
        }
        let start = lex::skip_lws(bytes, equals + 1);
        let end = match bytes.get(start) {
            Some(b'"') => lex::quoted_end(bytes, start).ok_or(start)?,
            _ => lex::value(bytes, start),
        };
        if start == end {
            return Err(start);
        }
        self.at = end;
        Ok(ParamSpan { name, value: Some(start..end), end })
    }
}

impl Iterator for Spans<'_> {
    type Item = Result<ParamSpan, usize>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if lex::skip_lws(self.bytes, self.at) >= self.bytes.len() {
            return None;
        }
        let param = self.param();
        if param.is_err() {
            self.at = self.bytes.len();
        }
        Some(param)
    }
}

/// Checks that everything from `from` on is parameters.
pub(crate) fn scan(bytes: &[u8], from: usize) -> Result<(), usize> {
    let mut spans = Spans::new(bytes, from);
    while lex::skip_lws(bytes, spans.at) < bytes.len() {
        spans.param()?;
    }
    Ok(())
}

/// The value of a parameter as written; empty for one without.
pub(crate) fn get<'a>(bytes: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut spans = Spans::new(bytes, 0);
    while let Ok(param) = spans.param() {
        if bytes[param.name].eq_ignore_ascii_case(name.as_bytes()) {
            return Some(param.value.map_or(&[][..], |value| &bytes[value]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(text: &'static str) -> Params {
        scan(text.as_bytes(), 0).unwrap();
        Params(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn names_match_in_any_case_and_values_may_be_absent_folded_or_quoted() {
        let params = params(" ; LR ;\r\n Branch \r\n = z9 ; x = \"a\\\"b;c\"");
        assert_eq!(params.get("lr"), Some(""));
        assert_eq!(params.get("branch"), Some("z9"));
        assert_eq!(params.get("X"), Some("a\\\"b;c"));
        assert_eq!(params.unescaped("x").as_deref(), Some("a\"b;c"));
        assert_eq!(params.get("y"), None);
        assert_eq!(params.iter().count(), 3);
    }

    #[test]
    fn empty_parameters_and_open_quotes_are_refused() {
        for text in [";;", ";", ";a=", ";a=\"b", "a", ";a b", ";a=<b>", ";a,b"] {
            assert!(scan(text.as_bytes(), 0).is_err(), "{text}");
        }
    }

    #[test]
    fn a_changed_parameter_is_quoted_only_where_it_must_be() {
        let params = params(";a=1;b=2;A=3").with("a", Some("x y")).with("c", None).with("d", Some("[::1]"));
        assert_eq!(params.to_string(), ";b=2;a=\"x y\";c;d=[::1]");
        assert_eq!(params.with("bad name", None).to_string(), ";b=2;a=\"x y\";c;d=[::1]");
    }
}
