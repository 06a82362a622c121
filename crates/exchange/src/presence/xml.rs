//! Writing small XML documents.

use std::fmt::Write as _;

/// A document that grows.
pub(super) struct Xml(String);

impl Xml {
    pub(super) fn new() -> Self {
        Self("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned())
    }

    /// Opens an element with these attributes.
    pub(super) fn open(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.start(name, attributes);
        self.0.push_str(">\n");
    }

    pub(super) fn close(&mut self, name: &str) {
        let _ = writeln!(self.0, "</{name}>");
    }

    /// An element with nothing in it.
    pub(super) fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.start(name, attributes);
        self.0.push_str("/>\n");
    }

    /// An element with a text.
    pub(super) fn text(&mut self, name: &str, text: &str) {
        let _ = write!(self.0, "<{name}>");
        self.escaped(text);
        let _ = writeln!(self.0, "</{name}>");
    }

    pub(super) fn finish(self) -> String {
        self.0
    }

    fn start(&mut self, name: &str, attributes: &[(&str, &str)]) {
        let _ = write!(self.0, "<{name}");
        for (name, value) in attributes {
            let _ = write!(self.0, " {name}=\"");
            self.escaped(value);
            self.0.push('"');
        }
    }

    /// Characters that XML 1.0 does not have at all are left out.
    fn escaped(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '&' => self.0.push_str("&amp;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&apos;"),
                '\t' | '\n' | '\r' => self.0.push(c),
                c if (c as u32) < 0x20 || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
                c => self.0.push(c),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_users_write_stays_text() {
        let mut xml = Xml::new();
        xml.open("a", &[("b", "\"><x")]);
        xml.text("note", "</note>&\u{1}\u{ffff}é");
        xml.close("a");
        let text = xml.finish();
        assert!(text.ends_with("<a b=\"&quot;&gt;&lt;x\">\n<note>&lt;/note&gt;&amp;é</note>\n</a>\n"));
    }
}
