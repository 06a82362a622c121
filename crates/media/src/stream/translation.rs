//! The way through a stream whose sides have no format in common: sound is translated, and RTCP ends here.

use super::bridge::{Admitted, Refused};
use super::presses::instead_of;
use super::{Flow, Outcome, Path, Stream};
use crate::command::{SideName, Translation};
use crate::relay::{Outbox, Send};
use crate::transcode::Transcoder;
use offhook_rtp::rtcp::NtpTime;
use std::time::Instant;

/// Both directions.
#[derive(Debug)]
pub(super) struct Translators {
    /// Of what side A sends, of what side B sends.
    directions: [(Translation, Transcoder); 2],
    /// What our clock in sender reports counts from: only differences mean something to who receives them.
    since: Instant,
    packets: Vec<Vec<u8>>,
}

impl Stream {
    /// Begins, changes or ends the translation. Formats in which a number has two meanings cannot be told apart: then
    /// what comes passes as it is.
    pub(crate) fn transcode(&mut self, now: Instant, translations: Option<Box<[Translation; 2]>>) {
        let Some(wanted) = translations.filter(|_| self.end.is_none()) else {
            self.translators = None;
            return;
        };
        let is_same = |(before, wanted): (&(Translation, Transcoder), &Translation)| {
            (before.0.from, before.0.to) == (wanted.from, wanted.to)
        };
        if self.translators.as_ref().is_some_and(|one| one.directions.iter().zip(wanted.iter()).all(is_same))
        {
            return;
        }
        let [a, b] = wanted.map(|one| Some((one, Transcoder::new(one.from, one.to, one.numbers).ok()?)));
        self.translators = a
            .zip(b)
            .map(|(a, b)| Box::new(Translators { directions: [a, b], since: now, packets: Vec::new() }));
    }

    /// Takes a packet that was admitted from a side; what becomes of it goes to `out`.
    pub(super) fn translate(
        &mut self,
        now: Instant,
        name: SideName,
        (admitted, packet): (&Admitted, &[u8]),
        scratch: &mut [u8],
        out: &mut Outbox,
    ) -> Outcome {
        let [a, b] = &mut self.flows;
        let (flow, other) = if name == SideName::A { (a, b) } else { (b, a) };
        let Some(translators) = &mut self.translators else { return Outcome::default() };
        let opened = admitted.opened.and_then(|length| scratch.get(..length)).unwrap_or(packet);
        if admitted.control {
            translators.control(now, name, opened);
        } else {
            translators.packet(now, name, opened);
        }
        let Some(path) = other.path(now, admitted.control) else {
            flow.counters.undeliverable += 1;
            translators.packets.clear();
            return Outcome::default();
        };
        for made in translators.packets.drain(..) {
            let key =
                if admitted.control { None } else { instead_of(&mut self.presses, name.other(), &made) };
            let made = key.unwrap_or(made);
            match other.protect_made(admitted.control, made, scratch) {
                Ok(bytes) => {
                    flow.counters.forwarded += 1;
                    let Path { from_port, to } = path;
                    out.sends.push(Send { from_port, to, bytes: bytes.into() });
                }
                Err(_) => flow.counters.undeliverable += 1,
            }
        }
        Outcome::default()
    }
}

impl Translators {
    fn packet(&mut self, now: Instant, from: SideName, rtp: &[u8]) {
        self.directions[from.index()].1.packet(now, rtp, &mut self.packets);
    }

    /// Takes what a side reports, and makes a report for the other: so each hears as often as the other speaks.
    fn control(&mut self, now: Instant, from: SideName, rtcp: &[u8]) {
        let ntp = NtpTime::from_unix(now.saturating_duration_since(self.since));
        let [(_, a), (_, b)] = &mut self.directions;
        let (there, back) = if from == SideName::A { (a, b) } else { (b, a) };
        let said = there.control(now, ntp, rtcp, back.ssrc());
        if let Some(percent) = said.loss_percent {
            back.expect_loss(percent);
        }
        let mut report = Vec::new();
        if there.report(now, ntp, Some(back), NAME, &mut report).is_ok() {
            self.packets.push(report);
        }
    }
}

impl Flow {
    /// Protects what we have made ourselves.
    pub(super) fn protect_made(
        &mut self,
        control: bool,
        made: Vec<u8>,
        scratch: &mut [u8],
    ) -> Result<Vec<u8>, Refused> {
        let admitted = Admitted { control, latched: false, opened: None };
        let length = self.protect(&admitted, &made, scratch)?;
        Ok(length.and_then(|length| scratch.get(..length)).map_or(made, <[u8]>::to_vec))
    }
}

/// Our CNAME; it has to differ from that of neither phone, since each sees one of us alone (RFC 7022 §3).
const NAME: &str = "offhook";
