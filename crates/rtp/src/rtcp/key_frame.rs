//! Requests for a key frame, a picture that can be decoded without those before it (RFC 4585 §6.3.1, RFC 5104 §4.3.1).

use rtcp_types::{Fir, PayloadFeedback, Pli};

use super::{ReceiverReport, RtcpPacket, SourceDescription, append, write};
use crate::packet::WriteError;

/// By which message a sender of video is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFrameRequest {
    /// Picture loss indication (RFC 4585 §6.3.1).
    Pli,
    /// Full intra request (RFC 5104 §4.3.1).
    Fir,
}

impl KeyFrameRequest {
    /// Appends a compound packet of the source `ours` to `out` that asks the source `theirs` for a key frame. `sequence`
    /// grows with each request and stays when one is repeated (RFC 5104 §4.3.1.2); only a FIR has it. The report that
    /// must come first says nothing (RFC 4585 §3.1).
    ///
    /// # Errors
    /// A name longer than 255 bytes; nothing is appended then.
    pub fn write(
        self,
        (ours, theirs): (u32, u32),
        cname: &str,
        sequence: u8,
        out: &mut Vec<u8>,
    ) -> Result<(), WriteError> {
        let report = RtcpPacket::ReceiverReport(ReceiverReport { ssrc: ours, reports: Vec::new() });
        let name = RtcpPacket::SourceDescription(SourceDescription { ssrc: ours, cname: cname.to_owned() });
        write(&[report, name], out)?;
        match self {
            // A FIR names its sources in its entries alone (RFC 5104 §4.3.1.2).
            Self::Fir => {
                let entries = Fir::builder().add_ssrc(theirs, sequence);
                append(&PayloadFeedback::builder_owned(entries).sender_ssrc(ours).media_ssrc(0), out)
            }
            Self::Pli => {
                let asking = PayloadFeedback::builder_owned(Pli::builder());
                append(&asking.sender_ssrc(ours).media_ssrc(theirs), out)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(by: KeyFrameRequest) -> Vec<u8> {
        let mut out = Vec::new();
        by.write((0x0102_0304, 0x0a0b_0c0d), "x", 7, &mut out).unwrap();
        out
    }

    #[test]
    fn a_request_stands_behind_an_empty_report_and_a_name() {
        for by in [KeyFrameRequest::Pli, KeyFrameRequest::Fir] {
            let packets = super::super::read(&written(by));
            let [
                RtcpPacket::ReceiverReport(report),
                RtcpPacket::SourceDescription(name),
                RtcpPacket::Other(206),
            ] = &packets[..]
            else {
                panic!("{packets:?}")
            };
            assert_eq!((report.ssrc, report.reports.len()), (0x0102_0304, 0));
            assert_eq!((name.ssrc, name.cname.as_str()), (0x0102_0304, "x"));
        }
    }

    #[test]
    fn a_picture_loss_names_the_source_in_its_header_and_a_full_intra_request_in_its_entry() {
        assert!(written(KeyFrameRequest::Pli).ends_with(&[0x81, 206, 0, 2, 1, 2, 3, 4, 10, 11, 12, 13]));
        assert!(
            written(KeyFrameRequest::Fir)
                .ends_with(&[0x84, 206, 0, 4, 1, 2, 3, 4, 0, 0, 0, 0, 10, 11, 12, 13, 7, 0, 0, 0])
        );
    }
}
