//! The messages of a run as a picture.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use offhook_sip::{Message, Name};

/// What was sent, by whom to whom, and when.
#[derive(Debug, Default)]
pub struct Ladder {
    rungs: Vec<Rung>,
}

#[derive(Debug)]
struct Rung {
    at: Duration,
    from: String,
    to: String,
    text: String,
    bytes: Bytes,
    lost: bool,
}

impl Ladder {
    /// Adds a message.
    pub(crate) fn note(&mut self, at: Duration, from: &str, to: &str, bytes: &Bytes, lost: bool) {
        if self.rungs.len() >= MOST {
            return;
        }
        let text = match Message::parse(bytes.clone()) {
            Ok(Message::Request(request)) => request.method().to_string(),
            Ok(Message::Response(response)) => {
                let method = response.cseq().map(|cseq| cseq.method.to_string()).unwrap_or_default();
                format!("{} {method}", response.status().code())
            }
            Err(_) => "?".into(),
        };
        let sdp = Message::parse(bytes.clone()).is_ok_and(|message| {
            message.headers().has(Name::ContentType) && message.headers().body().starts_with(b"v=0")
        });
        let text = if sdp { format!("{text} (SDP)") } else { text };
        self.rungs.push(Rung { at, from: from.into(), to: to.into(), text, bytes: bytes.clone(), lost });
    }

    /// Whether a message to somebody has these words in it.
    pub fn told(&self, to: &str, words: &str) -> bool {
        let has = |rung: &Rung| String::from_utf8_lossy(&rung.bytes).contains(words);
        self.rungs.iter().any(|rung| rung.to == to && has(rung))
    }

    /// The picture, a column for each of `names`. Messages of others are left out.
    pub fn draw(&self, names: &[&str]) -> String {
        let mut picture = String::new();
        let heads: Vec<String> = names.iter().map(|name| format!("{name:^WIDTH$}")).collect();
        let _ = writeln!(picture, "          {}", heads.concat().trim_end());
        for rung in &self.rungs {
            let place = |name: &str| names.iter().position(|one| *one == name);
            let (Some(from), Some(to)) = (place(&rung.from), place(&rung.to)) else { continue };
            let _ = writeln!(
                picture,
                "{:8.3}  {}",
                rung.at.as_secs_f64(),
                draw_rung(rung, from, to, names.len())
            );
        }
        picture
    }
}

fn draw_rung(rung: &Rung, from: usize, to: usize, columns: usize) -> String {
    let (left, right) = (from.min(to), from.max(to));
    let span = (right - left) * WIDTH - 1;
    let label = if rung.lost { format!(" {} ✗ ", rung.text) } else { format!(" {} ", rung.text) };
    let line = format!("{label:─^width$}", width = span - 1);
    let arrow = if from < to { format!("{line}▶") } else { format!("◀{line}") };
    let mut text = " ".repeat(WIDTH / 2);
    let mut column = 0;
    while column < columns {
        text.push('│');
        if column == left {
            text.push_str(&arrow);
            column = right;
            continue;
        }
        column += 1;
        if column < columns {
            text.push_str(&" ".repeat(WIDTH - 1));
        }
    }
    text
}

/// Compares a picture with the one saved in `docs/flows`; with `SAVE_FLOWS` in the environment it is saved instead.
///
/// # Panics
/// If they differ, with both.
pub fn compare_with_saved(name: &str, picture: &str) {
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/flows").join(format!("{name}.txt"));
    if std::env::var_os("SAVE_FLOWS").is_some() {
        let saved = std::fs::write(&path, picture);
        assert!(saved.is_ok(), "{}: {saved:?}", path.display());
        return;
    }
    let saved = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(saved == picture, "{name} is not as saved.\nSaved:\n{saved}\nNow:\n{picture}");
}

const WIDTH: usize = 26;
/// A run of hours keeps its first messages only.
const MOST: usize = 2_000;
