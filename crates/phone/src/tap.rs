//! Shows and keeps what passes: the trace, the ladder and the capture file.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufWriter;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use offhook_sip::{Message, Method};
use offhook_sip_stack::Flow;

use crate::console::Console;
use crate::ladder::{Ladder, Way};
use crate::pcap::Capture;
use crate::settings::Settings;
use crate::{Failure, clock};

/// Where lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// To stdout and stderr.
    Terminal,
    /// To whoever draws the screen.
    Screen,
    /// Nobody watches.
    Nowhere,
}

/// Sees every message and packet.
#[derive(Debug)]
pub(crate) struct Tap {
    pub(crate) console: Console,
    trace: bool,
    ladder: Option<Ladder>,
    /// Where ladder lines go if not to the console: to whoever draws the screen.
    pub(crate) lines: Option<Vec<String>>,
    capture: Option<Capture<BufWriter<File>>>,
    /// Stands in captures for our address where a socket is bound to all.
    ours: SocketAddr,
    /// Requests that were sent and have no final answer yet.
    unanswered: BTreeSet<(String, u32, String)>,
    received: u64,
}

impl Tap {
    /// What the settings ask for.
    pub(crate) fn new(settings: &Settings, shown: Shown) -> Result<Self, Failure> {
        let console = if shown == Shown::Terminal { Console::new(settings.json) } else { Console::silent() };
        let peer = if settings.server.is_some() { "exchange" } else { "peer" };
        let ladder = match shown {
            Shown::Terminal => settings.observed.ladder,
            Shown::Screen => true,
            Shown::Nowhere => false,
        };
        Ok(Self {
            console,
            trace: settings.observed.trace && shown == Shown::Terminal,
            ladder: ladder.then(|| Ladder::new(peer, settings.language)),
            lines: (shown == Shown::Screen).then(Vec::new),
            capture: settings.observed.pcap.as_deref().map(create).transpose()?,
            ours: SocketAddr::from(([127, 0, 0, 1], 0)),
            unanswered: BTreeSet::new(),
            received: 0,
        })
    }

    /// Our address, once it is known.
    pub(crate) fn set_ours(&mut self, ours: SocketAddr) {
        self.ours = ours;
    }

    /// A SIP message passed.
    pub(crate) fn message(&mut self, now: Instant, way: Way, flow: &Flow, bytes: &Bytes) {
        let bytes = &without_keys(bytes);
        self.received += u64::from(way == Way::Received);
        self.count(way, bytes);
        if let Some(ladder) = &mut self.ladder {
            let line = ladder.draw(now, way, bytes);
            match &mut self.lines {
                Some(lines) => lines.push(line),
                None => self.console.beside(&line),
            }
        }
        if self.trace {
            let arrow = match way {
                Way::Sent => "──▶",
                Way::Received => "◀──",
            };
            let text = printable(bytes);
            self.console.note(&format!("{arrow} {} {}\n{text}\n", flow.transport, flow.remote));
        }
        self.datagram(way, flow.local, flow.remote, bytes);
    }

    /// A media packet passed.
    pub(crate) fn datagram(&mut self, way: Way, local: SocketAddr, remote: SocketAddr, bytes: &[u8]) {
        let Some(capture) = &mut self.capture else { return };
        let ip = if local.ip().is_unspecified() { self.ours.ip() } else { local.ip() };
        let local = SocketAddr::new(ip, local.port());
        let (from, to) = match way {
            Way::Sent => (local, remote),
            Way::Received => (remote, local),
        };
        if let Err(error) = capture.write(clock::since_1970(), from, to, bytes) {
            self.console.note(&format!("offhook: the capture stops here: {error}"));
            self.capture = None;
        }
    }

    /// SIP messages that came.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Whether a request of ours still waits for its final answer.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.unanswered.is_empty()
    }

    fn count(&mut self, way: Way, bytes: &Bytes) {
        let Ok(message) = Message::parse(bytes.clone()) else { return };
        let headers = message.headers();
        let (Ok(call_id), Ok(cseq)) = (headers.call_id(), headers.cseq()) else { return };
        // A CANCEL has the number of what it cancels.
        let key = (call_id.to_owned(), cseq.number, cseq.method.to_string());
        match (way, &message) {
            (Way::Sent, Message::Request(request)) => {
                let answered = !matches!(request.method(), Method::Ack | Method::Cancel);
                if answered && self.unanswered.len() < MAX_UNANSWERED {
                    self.unanswered.insert(key);
                }
            }
            (Way::Received, Message::Response(response)) if response.status().is_final() => {
                self.unanswered.remove(&key);
            }
            (Way::Sent, Message::Response(_)) | (Way::Received, _) => {}
        }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.console.clear();
        if let Some(Err(error)) = self.capture.as_mut().map(Capture::flush) {
            self.console.note(&format!("offhook: the capture is not complete: {error}"));
        }
    }
}

fn create(place: &Path) -> Result<Capture<BufWriter<File>>, Failure> {
    File::create(place)
        .and_then(|file| Capture::new(BufWriter::new(file)))
        .map_err(|error| Failure::usage(format!("--pcap {}: {error}", place.display())))
}

/// A message as it may be shown and kept: the keys of encrypted sound are secrets.
fn without_keys(bytes: &Bytes) -> Bytes {
    let mut masked = bytes.to_vec();
    offhook_ua::mask_keys(&mut masked);
    masked.into()
}

/// The message as text whose control characters do nothing to the terminal.
fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '·' } else { c }).collect()
}

const MAX_UNANSWERED: usize = 1024;
