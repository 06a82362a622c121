//! The ladder of many parties: a column for each, messages as arrows, time downwards.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use super::{Language, Reader, Reading, Way, arrow};

/// Something to draw.
#[derive(Clone, Debug)]
pub enum Step {
    /// A message from one column to another, by their places.
    Message {
        /// When, since any moment.
        at: Duration,
        /// The column that sent it.
        from: usize,
        /// The column that got it.
        to: usize,
        /// The message.
        bytes: Bytes,
    },
    /// A remark of the exchange.
    Note {
        /// When, since the same moment.
        at: Duration,
        /// What happened, in words.
        text: String,
    },
}

/// A ladder with a column for each party.
#[derive(Debug)]
pub struct Picture {
    names: Vec<String>,
    language: Language,
}

/// A message that was read, with how often it was sent.
struct Rung {
    at: Duration,
    from: usize,
    to: usize,
    read: Reading,
    times: usize,
}

enum Row {
    Rung(Rung),
    Note(Duration, String),
}

impl Picture {
    /// A picture of these parties, from left to right.
    pub fn new(names: Vec<String>, language: Language) -> Self {
        Self { names, language }
    }

    /// All lines, the names first. What is sent again is drawn once, with how often it was sent.
    pub fn draw(&self, steps: &[Step]) -> Vec<String> {
        let rows = self.rows(steps);
        let longest = |row: &Row| match row {
            Row::Rung(rung) => rung.label().chars().count() + SPARE,
            Row::Note(..) => 0,
        };
        let names = self.names.iter().map(|name| name.chars().count() + 2);
        let gap = rows.iter().map(longest).chain(names).max().unwrap_or(0).clamp(NARROWEST, WIDEST);
        let begun = rows.first().map_or(Duration::ZERO, Row::at);
        let mut lines = vec![self.heads(gap)];
        lines.extend(rows.iter().map(|row| self.row(row, begun, gap)));
        lines
    }

    fn rows(&self, steps: &[Step]) -> Vec<Row> {
        let mut readers: BTreeMap<(usize, usize), Reader> = BTreeMap::new();
        let mut drawn: BTreeMap<(usize, usize, &Bytes), usize> = BTreeMap::new();
        let mut rows: Vec<Row> = Vec::new();
        for step in steps {
            match step {
                Step::Note { at, text } => rows.push(Row::Note(*at, text.clone())),
                Step::Message { at, from, to, bytes } => {
                    if let Some(Row::Rung(rung)) =
                        drawn.get(&(*from, *to, bytes)).and_then(|row| rows.get_mut(*row))
                    {
                        rung.times += 1;
                        continue;
                    }
                    drawn.insert((*from, *to, bytes), rows.len());
                    // What a party knows of a call is what passed between it and this one.
                    let pair = (*from.min(to), *from.max(to));
                    let reader = readers.entry(pair).or_insert_with(|| Reader::new(self.language));
                    let read = reader.read(bytes);
                    rows.push(Row::Rung(Rung { at: *at, from: *from, to: *to, read, times: 1 }));
                }
            }
        }
        rows
    }

    fn heads(&self, gap: usize) -> String {
        let mut line = " ".repeat(MARGIN);
        for (column, name) in self.names.iter().enumerate() {
            // Centred over its line, as far as there is room to the left.
            let begin = (MARGIN + column * gap).saturating_sub(name.chars().count() / 2);
            let length = line.chars().count();
            if begin < length {
                line = line.chars().take(begin.max(1)).collect();
            } else {
                line.push_str(&" ".repeat(begin - length));
            }
            line.push_str(name);
        }
        line
    }

    fn row(&self, row: &Row, begun: Duration, gap: usize) -> String {
        let seconds = row.at().saturating_sub(begun).as_secs_f64();
        match row {
            Row::Note(_, text) => format!("{seconds:8.3}{:>width$}· {text}", "", width = MARGIN - 8),
            Row::Rung(rung) => {
                let drawing = self.lifelines(rung, gap);
                let line = format!("{seconds:8.3}  {:<10}  {drawing}", shortened(&rung.read.cseq, 10));
                let words =
                    [
                        rung.read.words.map(str::to_owned),
                        rung.read.sound.as_ref().and_then(|sound| sound.address).map(|address| {
                            format!("{} {address}", self.language.pick("sound to", "声音发往"))
                        }),
                    ];
                let words: Vec<String> = words.into_iter().flatten().collect();
                if words.is_empty() { line } else { format!("{line}   {}", words.join("; ")) }
            }
        }
    }

    /// The columns' lines with the arrow between two of them.
    fn lifelines(&self, rung: &Rung, gap: usize) -> String {
        let last = self.names.len().saturating_sub(1);
        let mut cells: Vec<char> = (0..=last * gap).map(|at| if at % gap == 0 { '│' } else { ' ' }).collect();
        let (left, right) = (rung.from.min(rung.to) * gap, rung.from.max(rung.to) * gap);
        let way = if rung.from <= rung.to { Way::Sent } else { Way::Received };
        let inside = (right - left).saturating_sub(1);
        let label: String = shortened(&rung.label(), inside.saturating_sub(SPARE - 1));
        for (cell, drawn) in cells
            .iter_mut()
            .skip(left + 1)
            .take(inside)
            .zip(arrow(way, &label, inside.saturating_sub(5)).chars())
        {
            *cell = drawn;
        }
        cells.into_iter().collect()
    }
}

impl Row {
    fn at(&self) -> Duration {
        match self {
            Self::Rung(rung) => rung.at,
            Self::Note(at, _) => *at,
        }
    }
}

impl Rung {
    fn label(&self) -> String {
        if self.times == 1 {
            self.read.label.clone()
        } else {
            format!("{} ×{}", self.read.label, self.times)
        }
    }
}

fn shortened(text: &str, most: usize) -> String {
    match text.chars().count() {
        length if length <= most => text.to_owned(),
        _ => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// Where the first column stands: after the time and the CSeq.
const MARGIN: usize = 22;
/// What an arrow needs beside its label.
const SPARE: usize = 8;
const NARROWEST: usize = 24;
const WIDEST: usize = 52;

#[cfg(test)]
mod tests {
    use super::*;

    fn message(start: &str, cseq: &str) -> Bytes {
        format!(
            "{start}\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:1001@pbx>;tag=a\r\nTo: <sip:1002@pbx>\r\n\
             Call-ID: c\r\nCSeq: {cseq}\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        )
        .into()
    }

    #[test]
    fn a_forwarded_call_that_nobody_answers_reads_from_left_to_right_and_back() {
        let ms = Duration::from_millis;
        let invite = message("INVITE sip:1002@pbx SIP/2.0", "1 INVITE");
        let step = |at, from, to, bytes: &Bytes| Step::Message { at: ms(at), from, to, bytes: bytes.clone() };
        let steps = [
            step(5_000, 0, 1, &invite),
            step(5_001, 1, 2, &invite),
            step(5_501, 1, 2, &invite),
            step(6_501, 1, 2, &invite),
            Step::Note { at: ms(7_000), text: "the phone is gone".into() },
            step(8_000, 1, 0, &message("SIP/2.0 480 Temporarily Unavailable", "1 INVITE")),
        ];
        let names = ["1001", "exchange", "1002"].map(String::from).to_vec();
        let drawn = Picture::new(names, Language::English).draw(&steps);
        let expected = [
            "                    1001                             exchange                             1002",
            "   0.000  1 INVITE    │── INVITE 1002 ──────────────────▶│                                  │   please talk to me",
            "   0.001  1 INVITE    │                                  │── INVITE 1002 ×3 ───────────────▶│   please talk to me",
            "   2.000              · the phone is gone",
            "   3.000  1 INVITE    │◀─ 480 Temporarily Unavailable ───│                                  │   known, but not reachable now",
        ];
        assert_eq!(drawn, expected, "\n{}", drawn.join("\n"));
    }

    #[test]
    fn a_label_that_is_too_long_does_not_push_the_columns_apart() {
        let long = message(&format!("SIP/2.0 480 {}", "x".repeat(300)), "1 INVITE");
        let steps = [Step::Message { at: Duration::ZERO, from: 1, to: 0, bytes: long }];
        let drawn = Picture::new(vec!["a".into(), "b".repeat(90)], Language::Chinese).draw(&steps);
        assert!(drawn[1].chars().filter(|c| *c == '│').count() == 2, "{}", drawn[1]);
    }
}
