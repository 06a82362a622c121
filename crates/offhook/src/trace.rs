//! `offhook trace`: messages as they pass, and capture files.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use offhook_phone::Language;
use offhook_phone::captured::{self, Captured};
use offhook_phone::ladder::{Picture, Reader, Way, line};
use offhook_phone::pcap::Capture;
use serde_json::{Value, json};

use crate::account::Flags;
use crate::api::{Api, segment};
use crate::calls::ladder::printable;
use crate::exit::{Failure, NOT_FOUND, USAGE};
use crate::hep::{Hep, Passed};
use crate::print;

/// Flags of the command.
#[derive(Args, Debug)]
pub(crate) struct Trace {
    /// What to show, see below; or a capture file (*.pcap)
    #[arg(value_name = "FILTER")]
    filter: Option<String>,
    /// Of a capture file: what to show of it
    #[arg(value_name = "PART")]
    part: Option<String>,
    /// Prints the messages as they are
    #[arg(long)]
    text: bool,
    /// Writes them to a capture file too
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,
    /// Sends them to a capture server too (HEP version 3 over UDP)
    #[arg(long, value_name = "HOST:PORT")]
    hep: Option<String>,
    #[command(flatten)]
    common: Flags,
}

impl Trace {
    pub(crate) fn run(self, language: Language) -> Result<(), Failure> {
        let part = self.part.as_deref();
        match (self.filter.as_deref().unwrap_or_default(), part) {
            (file, part) if is_capture(file) => self.open(file, part.unwrap_or_default(), language),
            (filter, None) => self.follow(filter, language),
            (filter, Some(part)) => {
                let text = format!("{filter} is no capture file (*.pcap), of which {part} could be a part");
                Err(Failure::new(USAGE, text))
            }
        }
    }

    /// Shows what passes from now on.
    fn follow(&self, filter: &str, language: Language) -> Result<(), Failure> {
        let mut capture = self.pcap.as_deref().map(create).transpose()?;
        let hep = match self.hep.as_deref() {
            Some(place) => Some(
                Hep::open(place).map_err(|error| Failure::new(USAGE, format!("--hep {place}: {error}")))?,
            ),
            None => None,
        };
        let api = Api::of_running(&self.common.place)?;
        let lines = api.follow(&format!("/api/v1/trace?filter={}", segment(filter)))?;
        let mut picture = Live::new(language);
        for read in lines.lines() {
            let read = read.map_err(|error| Failure::other(format!("the server told no more: {error}")))?;
            let Ok(entry) = serde_json::from_str::<Value>(&read) else { continue };
            if let Some(capture) = &mut capture {
                let kept = keep(capture, &entry);
                kept.map_err(|error| Failure::other(format!("--pcap: {error}")))?;
            }
            if let Some(hep) = &hep {
                pass_on(hep, &entry);
            }
            if self.common.json {
                print::line(&read);
            } else if let Some(drawn) = picture.draw(&entry) {
                print::line(&drawn);
                if let Some(text) = entry["text"].as_str().filter(|_| self.text) {
                    print::line(&format!("{}\n", printable(text).trim_end()));
                }
            }
        }
        Err(Failure::other("the server has ended"))
    }

    /// Shows the calls of a capture file.
    fn open(&self, file: &str, filter: &str, language: Language) -> Result<(), Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::other(format!("{file}: {error}"));
        if self.hep.is_some() {
            return Err(Failure::new(USAGE, "--hep sends what passes now; a file is read as it is"));
        }
        if self.pcap.is_some() {
            return Err(Failure::new(USAGE, "--pcap writes what passes now; a file is read as it is"));
        }
        let opened = File::open(file).map_err(|error| failed(&error))?;
        let found = captured::read(BufReader::new(opened)).map_err(|error| failed(&error))?;
        let calls: Vec<&Captured> = found.calls.iter().filter(|call| call.matches(filter)).collect();
        if calls.is_empty() {
            let which = if filter.is_empty() { String::new() } else { format!(" with {filter} in it") };
            return Err(Failure::new(NOT_FOUND, format!("{file} has no SIP message{which}")));
        }
        for call in calls {
            if self.common.json {
                print::line(&as_json(call).to_string());
            } else {
                print::line(&format!("Call-ID: {}", printable(&call.call)));
                let names = call.parties.iter().map(ToString::to_string).collect();
                Picture::new(names, language).draw(&call.steps).iter().for_each(|line| print::line(line));
                if self.text {
                    texts(call).for_each(|text| print::line(&format!("\n{}", printable(&text).trim_end())));
                }
                print::line("");
            }
        }
        if found.left_out > 0 {
            eprintln!("offhook: {} more messages were left out", found.left_out);
        }
        Ok(())
    }
}

/// A ladder that is drawn while it happens: each message on a line of its own, between a party and the exchange.
struct Live {
    language: Language,
    begun: Option<Duration>,
    /// By party and Call-ID.
    readers: HashMap<(String, String), Reader>,
}

impl Live {
    fn new(language: Language) -> Self {
        Self { language, begun: None, readers: HashMap::new() }
    }

    fn draw(&mut self, entry: &Value) -> Option<String> {
        if entry["gap"] == true {
            return Some(
                self.language
                    .pick("  … some passed too fast to be shown", "  …… 有报文来不及显示")
                    .to_owned(),
            );
        }
        let at = Duration::from_micros(entry["at_us"].as_u64()?);
        let seconds = at.saturating_sub(*self.begun.get_or_insert(at)).as_secs_f64();
        if let Some(note) = entry["note"].as_str() {
            return Some(format!(
                "  {seconds:5.3}  · {} ({})",
                printable(note),
                printable(entry["call"].as_str()?)
            ));
        }
        let text = entry["text"].as_str()?;
        if self.readers.len() >= MOST_READERS {
            self.readers.clear();
        }
        let (remote, call) = (print::word(&entry["remote"]), print::word(&entry["call"]));
        let transport = print::word(&entry["transport"]);
        let who = match entry["account"].as_str() {
            Some(account) => format!("{account} {transport} {remote}"),
            None => format!("{transport} {remote}"),
        };
        let language = self.language;
        let reader = self.readers.entry((remote, call)).or_insert_with(|| Reader::new(language));
        // As the party sees it.
        let way = if entry["way"] == "sent" { Way::Received } else { Way::Sent };
        Some(line(seconds, &printable(&who), way, "exchange", &reader.read(&text.to_owned().into())))
    }
}

/// Whether it names a file: nobody is called so.
fn is_capture(filter: &str) -> bool {
    let path = Path::new(filter);
    path.extension().is_some_and(|kind| kind == "pcap" || kind == "pcapng" || kind == "cap")
}

fn create(place: &Path) -> Result<Capture<BufWriter<File>>, Failure> {
    let created = File::create(place).and_then(|file| Capture::new(BufWriter::new(file)));
    created.map_err(|error| Failure::new(USAGE, format!("--pcap {}: {error}", place.display())))
}

fn pass_on(hep: &Hep, entry: &Value) {
    let address = |name: &str| entry[name].as_str()?.parse::<SocketAddr>().ok();
    let (Some(local), Some(remote), Some(text)) =
        (address("local"), address("remote"), entry["text"].as_str())
    else {
        return;
    };
    let at = Duration::from_micros(entry["at_us"].as_u64().unwrap_or_default());
    let (from, to) = if entry["way"] == "sent" { (local, remote) } else { (remote, local) };
    let is_udp = entry["transport"].as_str().is_some_and(|one| one.eq_ignore_ascii_case("udp"));
    hep.send(&Passed { from, to, is_udp, at, text });
}

/// Ctrl-C may come at any time, so nothing waits.
fn keep(capture: &mut Capture<BufWriter<File>>, entry: &Value) -> std::io::Result<()> {
    let address = |name: &str| entry[name].as_str()?.parse::<SocketAddr>().ok();
    let (Some(local), Some(remote), Some(text)) =
        (address("local"), address("remote"), entry["text"].as_str())
    else {
        return Ok(());
    };
    let at = Duration::from_micros(entry["at_us"].as_u64().unwrap_or_default());
    let (from, to) = if entry["way"] == "sent" { (local, remote) } else { (remote, local) };
    capture.write(at, from, to, text.as_bytes())?;
    capture.flush()
}

fn texts(call: &Captured) -> impl Iterator<Item = String> {
    call.messages().map(|(at, from, to, bytes)| {
        format!("{:.6}  {from} ──▶ {to}\n{}", at.as_secs_f64(), String::from_utf8_lossy(bytes))
    })
}

fn as_json(call: &Captured) -> Value {
    let message = |(at, from, to, bytes): (Duration, SocketAddr, SocketAddr, &[u8])| {
        json!({
            "at_us": at.as_micros() as u64,
            "from": from.to_string(),
            "to": to.to_string(),
            "text": String::from_utf8_lossy(bytes),
        })
    };
    json!({ "call": call.call, "messages": call.messages().map(message).collect::<Vec<_>>() })
}

const MOST_READERS: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_a_line_between_a_party_and_the_exchange() {
        let mut live = Live::new(Language::English);
        let entry = |way: &str, text: &str| {
            json!({
                "at_us": 5, "call": "c", "way": way, "transport": "udp", "remote": "192.0.2.1:5060",
                "local": "192.0.2.2:5060", "account": "sip:a\u{7}@pbx", "text": text,
            })
        };
        let options = "OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:x>\r\n\
                       Call-ID: c\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";
        let drawn = live.draw(&entry("received", options)).unwrap();
        assert!(drawn.starts_with("  0.000  sip:a·@pbx udp 192.0.2.1:5060 ── OPTIONS"), "{drawn}");
        assert!(drawn.contains("▶ exchange   are you there"), "{drawn}");
        assert!(live.draw(&entry("sent", options)).unwrap().contains("◀─ OPTIONS"));
        assert!(live.draw(&json!({ "gap": true })).unwrap().contains("too fast"));
        assert_eq!(live.draw(&json!({ "at_us": 1, "leg": "x", "call": "c" })), None);
    }

    #[test]
    fn only_names_of_capture_files_are_files() {
        assert!(is_capture("x.pcap") && is_capture("/tmp/y.cap") && is_capture("z.pcapng"));
        assert!(!is_capture("1002") && !is_capture("sip:alice@pcap.example") && !is_capture("192.0.2.1"));
    }
}
