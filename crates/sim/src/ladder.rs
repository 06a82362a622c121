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
    said: Said,
    bytes: Bytes,
    fate: Fate,
}

/// What a message is, in a word or two.
#[derive(Debug)]
pub(crate) struct Said {
    /// `INVITE`, `200 INVITE`.
    pub(crate) what: String,
    sdp: bool,
}

/// What the network does to a message beside carrying it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Arrives,
    Late(Duration),
    Lost,
}

impl Said {
    pub(crate) fn of(bytes: &Bytes) -> Self {
        let Ok(message) = Message::parse(bytes.clone()) else { return Self { what: "?".into(), sdp: false } };
        let headers = message.headers();
        let sdp = headers.has(Name::ContentType) && headers.body().starts_with(b"v=0");
        let what = match &message {
            Message::Request(request) => request.method().to_string(),
            Message::Response(response) => {
                let method = response.cseq().map(|cseq| cseq.method.to_string()).unwrap_or_default();
                format!("{} {method}", response.status().code())
            }
        };
        Self { what, sdp }
    }
}

impl Ladder {
    /// Adds a message.
    pub(crate) fn note(&mut self, at: Duration, way: [String; 2], said: Said, bytes: &Bytes, fate: Fate) {
        if self.rungs.len() >= MOST {
            return;
        }
        let [from, to] = way;
        self.rungs.push(Rung { at, from, to, said, bytes: bytes.clone(), fate });
    }

    /// When somebody sent somebody this, such as `INVITE` or `200 INVITE`, whatever became of it.
    pub fn times(&self, from: &str, to: &str, what: &str) -> Vec<Duration> {
        self.sent(from, to, what).map(|rung| rung.at).collect()
    }

    /// The last of these messages.
    pub fn last(&self, from: &str, to: &str, what: &str) -> Option<Bytes> {
        self.sent(from, to, what).last().map(|rung| rung.bytes.clone())
    }

    fn sent(&self, from: &str, to: &str, what: &str) -> impl Iterator<Item = &Rung> {
        self.rungs.iter().filter(move |rung| rung.from == from && rung.to == to && rung.said.what == what)
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
    let sdp = if rung.said.sdp { " (SDP)" } else { "" };
    let fate = match rung.fate {
        Fate::Arrives => String::new(),
        Fate::Late(by) => format!(" +{}ms", by.as_millis()),
        Fate::Lost => " ✗".into(),
    };
    let label = format!(" {}{sdp}{fate} ", rung.said.what);
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
