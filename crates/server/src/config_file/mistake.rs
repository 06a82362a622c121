//! Mistakes, shown where they are.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A text that keys were read from: a file, a variable or a flag.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// What to call it: a path, `OFFHOOK_SIP_UDP`, `--set`.
    pub name: String,
    /// Its text; for variables and flags the line of a file that would say the same.
    pub text: String,
}

/// A place in a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The text.
    pub source: Arc<Source>,
    /// The octets meant.
    pub span: Range<usize>,
}

/// Something that keeps the configuration from being used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where.
    pub place: Option<Place>,
    /// What is wrong.
    pub what: String,
    /// What would be right.
    pub help: Option<String>,
}

/// All mistakes of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl Place {
    /// Line and column, from 1; columns count characters.
    pub fn line_and_column(&self) -> (usize, usize) {
        let before = self.before();
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        (line, before[start..].chars().count() + 1)
    }

    fn before(&self) -> &str {
        let mut end = self.span.start.min(self.source.text.len());
        while !self.source.text.is_char_boundary(end) {
            end -= 1;
        }
        &self.source.text[..end]
    }

    /// The text of the line, and how many characters of it are meant.
    fn shown(&self) -> (&str, usize) {
        let start = self.before().rfind('\n').map_or(0, |at| at + 1);
        let line = self.source.text[start..].lines().next().unwrap_or_default();
        let begin = self.before().len() - start;
        let meant = line.get(begin..line.len().min(begin + self.span.len())).unwrap_or_default();
        (line, meant.chars().count().max(1))
    }
}

impl Mistakes {
    /// These and more, source by source, each from the top.
    pub(crate) fn and(mut self, more: Vec<Mistake>) -> Self {
        self.0.extend(more);
        let mut sources: Vec<Arc<Source>> = Vec::new();
        for place in self.0.iter().filter_map(|one| one.place.as_ref()) {
            if !sources.iter().any(|known| Arc::ptr_eq(known, &place.source)) {
                sources.push(Arc::clone(&place.source));
            }
        }
        let order = |place: &Place| {
            let at = sources.iter().position(|known| Arc::ptr_eq(known, &place.source));
            (at, place.span.start)
        };
        self.0.sort_by_key(|one| one.place.as_ref().map(order));
        self
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}", self.what)?;
        let Some(place) = &self.place else {
            return self.help.as_ref().map_or(Ok(()), |help| writeln!(f, "  {help}"));
        };
        let (line, column) = place.line_and_column();
        let (text, length) = place.shown();
        let margin = " ".repeat(line.to_string().len());
        writeln!(f, "{margin}--> {}:{line}:{column}", place.source.name)?;
        writeln!(f, "{margin} |")?;
        writeln!(f, "{line} | {text}")?;
        // Tabs stay tabs, so that the caret stands under what it means.
        let indent: String =
            text.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        write!(f, "{margin} | {indent}{}", "^".repeat(length))?;
        match &self.help {
            Some(help) => writeln!(f, " {help}"),
            None => writeln!(f),
        }
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for mistake in &self.0 {
            writeln!(f, "{mistake}")?;
        }
        let count = self.0.len();
        write!(f, "{count} mistake{} in the configuration", if count == 1 { "" } else { "s" })
    }
}

impl std::error::Error for Mistakes {}

/// The nearest of `known` to what was written, if it is near enough to have been meant.
pub(crate) fn did_you_mean<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let limit = (written.chars().count() / 3).clamp(1, 3);
    let (distance, word) = known.map(|word| (distance(written, word), word)).min()?;
    (distance <= limit).then(|| format!("did you mean \"{word}\"?"))
}

/// Letters to add, to leave out, to exchange or to swap with a neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let same = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + same);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}
