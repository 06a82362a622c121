//! The lines of a description as they came, endings included.

/// One line. `raw` with its ending; together the lines are the text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line<'a> {
    /// The line with its ending, if it has one.
    pub(crate) raw: &'a [u8],
    /// The letter before `=`, or 0 for a line that is no `x=…`.
    pub(crate) key: u8,
    /// What follows `=`, without the ending and without white space at the end.
    pub(crate) value: &'a [u8],
}

/// Cuts at line feeds; carriage returns before them belong to the ending.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = Line<'_>> {
    text.split_inclusive(|byte| *byte == b'\n').map(|raw| {
        let content = raw.strip_suffix(b"\n").unwrap_or(raw);
        let (key, value) = match content {
            [key, b'=', value @ ..] => (*key, value.trim_ascii_end()),
            other => (0, other.trim_ascii_end()),
        };
        Line { raw, key, value }
    })
}

impl<'a> Line<'a> {
    /// The part of an attribute line before the colon.
    pub(crate) fn attribute(&self) -> Option<&'a [u8]> {
        if self.key != b'a' {
            return None;
        }
        self.value.split(|byte| *byte == b':').next()
    }

    /// The end of the line: `\r\n`, `\n`, or nothing at the end of the text.
    pub(crate) fn ending(&self) -> &'a [u8] {
        let content = self.raw.strip_suffix(b"\n").unwrap_or(self.raw);
        let content = content.strip_suffix(b"\r").unwrap_or(content);
        &self.raw[content.len()..]
    }
}

/// The words of a value, between runs of white space.
pub(crate) fn words(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}
