//! Packets from the wire, authenticated and opened.

use super::sources::Sources;
use super::transform::{Counter, GALOIS_TAG, Galois, Protocol, Transform};
use super::{ENCRYPTED, MasterKey, RTCP_HEADER, SrtpError, Suite, rtp_header_len, rtp_numbers, word};
use std::fmt;

/// What the other end protects with one key. Only packets that authenticate leave a trace in it.
pub struct Inbound {
    rtp: Transform,
    rtcp: Transform,
    sources: Sources,
    rtcp_sources: Sources,
}

impl Inbound {
    /// From the other end's key; `None` when it does not fit the suite.
    #[must_use]
    pub fn new(suite: Suite, key: &MasterKey) -> Option<Inbound> {
        Some(Inbound {
            rtp: Transform::derive(suite, key, Protocol::Rtp)?,
            rtcp: Transform::derive(suite, key, Protocol::Rtcp)?,
            sources: Sources::default(),
            rtcp_sources: Sources::default(),
        })
    }

    /// Opens an SRTP packet in place and says how long the RTP packet is. A packet that fails may be destroyed.
    ///
    /// # Errors
    /// No RTP packet, a wrong tag, or one that came before.
    pub fn open_rtp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let length = packet.len().checked_sub(self.rtp.tag_len()).ok_or(SrtpError::Malformed)?;
        let header = rtp_header_len(&packet[..length])?;
        let (ssrc, sequence) = rtp_numbers(packet)?;
        let index = self.sources.index(ssrc, sequence)?;
        self.sources.check(ssrc, index)?;
        match &self.rtp {
            Transform::Counter(counter) => {
                let (packet, tag) = packet.split_at_mut(length);
                counter.verify(packet, Some((index >> 16) as u32), tag)?;
                counter.crypt(ssrc, index, &mut packet[header..])?;
            }
            Transform::Galois(galois) => {
                let (clear, text) = packet.split_at_mut(header);
                galois.open(ssrc, index, clear, text)?;
            }
        }
        self.sources.pass(ssrc, index);
        Ok(length)
    }

    /// Opens an SRTCP packet in place and says how long the RTCP packet is. A packet that fails may be destroyed.
    ///
    /// # Errors
    /// No RTCP packet, a wrong tag, or one that came before.
    pub fn open_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let trailer = self.rtcp.tag_len() + 4;
        let length = packet.len().checked_sub(trailer).filter(|length| *length >= RTCP_HEADER);
        let length = length.ok_or(SrtpError::Malformed)?;
        let ssrc = word(packet, 4)?;
        let index_at = match &self.rtcp {
            Transform::Counter(_) => length,
            Transform::Galois(_) => length + GALOIS_TAG,
        };
        let last = word(packet, index_at)?;
        let index = last & !ENCRYPTED;
        self.rtcp_sources.check(ssrc, index.into())?;
        match &self.rtcp {
            Transform::Counter(counter) => counter_rtcp(counter, ssrc, last, packet, length)?,
            Transform::Galois(galois) => galois_rtcp(galois, ssrc, last, packet, length)?,
        }
        self.rtcp_sources.pass(ssrc, index.into());
        Ok(length)
    }

    /// How many sources of RTP are known: at most [`super::SOURCES`].
    #[must_use]
    pub fn sources(&self) -> usize {
        self.sources.len()
    }
}

fn counter_rtcp(
    counter: &Counter,
    ssrc: u32,
    last: u32,
    packet: &mut [u8],
    length: usize,
) -> Result<(), SrtpError> {
    let (authenticated, tag) = packet.split_at_mut(length + 4);
    counter.verify(authenticated, None, tag)?;
    if last & ENCRYPTED != 0 {
        counter.crypt(ssrc, (last & !ENCRYPTED).into(), &mut authenticated[RTCP_HEADER..length])?;
    }
    Ok(())
}

fn galois_rtcp(
    galois: &Galois,
    ssrc: u32,
    last: u32,
    packet: &mut [u8],
    length: usize,
) -> Result<(), SrtpError> {
    // Without encryption the whole packet would be authenticated beside an empty text (RFC 7714 §9.3): nobody sends
    // that, as it has to be negotiated (RFC 4568 §6.3.2), and it is not offered.
    if last & ENCRYPTED == 0 {
        return Err(SrtpError::Unauthentic);
    }
    let mut clear = [0; RTCP_HEADER + 4];
    clear[..RTCP_HEADER].copy_from_slice(&packet[..RTCP_HEADER]);
    clear[RTCP_HEADER..].copy_from_slice(&last.to_be_bytes());
    let text = &mut packet[RTCP_HEADER..length + GALOIS_TAG];
    galois.open(ssrc, (last & !ENCRYPTED).into(), &clear, text)
}

impl fmt::Debug for Inbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbound").field("sources", &self.sources.len()).finish_non_exhaustive()
    }
}
