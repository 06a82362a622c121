//! Packets made fit for the wire.

use super::sources::Sources;
use super::transform::{Counter, GALOIS_TAG, Galois, Protocol, Transform};
use super::{ENCRYPTED, MasterKey, RTCP_HEADER, SrtpError, Suite, rtp_header_len, rtp_numbers, word};
use std::fmt;

/// What we protect with one key. Sequence numbers are those of the packets themselves, which may be somebody else's:
/// a repeated one is refused, as two packets under one number would betray each other's content (RFC 3711 §9.1).
pub struct Outbound {
    rtp: Transform,
    rtcp: Transform,
    sources: Sources,
    /// Of the next RTCP packet of whatever source: 31 bits.
    rtcp_index: u32,
}

impl Outbound {
    /// With a key that has not protected anything yet; `None` when it does not fit the suite.
    #[must_use]
    pub fn new(suite: Suite, key: &MasterKey) -> Option<Outbound> {
        Some(Outbound {
            rtp: Transform::derive(suite, key, Protocol::Rtp)?,
            rtcp: Transform::derive(suite, key, Protocol::Rtcp)?,
            sources: Sources::default(),
            rtcp_index: 0,
        })
    }

    /// Protects the RTP packet that fills the first `length` bytes of `buffer`, and says how long it has become: by
    /// [`Suite::rtp_tag_len`].
    ///
    /// # Errors
    /// No RTP packet, no room for the tag, a number that was used before, or a worn-out key.
    pub fn protect_rtp(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, SrtpError> {
        let packet = buffer.get(..length).ok_or(SrtpError::NoRoom)?;
        let header = rtp_header_len(packet)?;
        let (ssrc, sequence) = rtp_numbers(packet)?;
        let index = self.sources.index(ssrc, sequence)?;
        self.sources.check(ssrc, index)?;
        let whole = buffer.get_mut(..length + self.rtp.tag_len()).ok_or(SrtpError::NoRoom)?;
        let (packet, tag) = whole.split_at_mut(length);
        match &self.rtp {
            Transform::Counter(counter) => {
                counter.crypt(ssrc, index, &mut packet[header..])?;
                counter.sign(packet, Some((index >> 16) as u32), tag);
            }
            Transform::Galois(galois) => {
                let (clear, text) = packet.split_at_mut(header);
                galois.seal(ssrc, index, clear, text, tag)?;
            }
        }
        self.sources.pass(ssrc, index);
        Ok(whole.len())
    }

    /// Protects the RTCP packet that fills the first `length` bytes of `buffer`, and says how long it has become: by
    /// [`Suite::rtcp_tag_len`] and 4.
    ///
    /// # Errors
    /// No RTCP packet, no room for tag and index, or a worn-out key.
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, SrtpError> {
        let packet = buffer.get(..length).ok_or(SrtpError::NoRoom)?;
        let ssrc = word(packet, 4)?;
        if self.rtcp_index >= ENCRYPTED {
            return Err(SrtpError::Exhausted);
        }
        let whole = buffer.get_mut(..length + self.rtcp.tag_len() + 4).ok_or(SrtpError::NoRoom)?;
        match &self.rtcp {
            Transform::Counter(counter) => counter_rtcp(counter, ssrc, self.rtcp_index, whole, length)?,
            Transform::Galois(galois) => galois_rtcp(galois, ssrc, self.rtcp_index, whole, length)?,
        }
        self.rtcp_index += 1;
        Ok(whole.len())
    }

    #[cfg(test)]
    pub(super) fn rtcp_index_for_test(&mut self, index: u32) {
        self.rtcp_index = index;
    }

    /// How many sources of RTP are known: at most [`super::SOURCES`].
    #[must_use]
    pub fn sources(&self) -> usize {
        self.sources.len()
    }
}

/// Packet, index, tag (RFC 3711 §3.4).
fn counter_rtcp(
    counter: &Counter,
    ssrc: u32,
    index: u32,
    whole: &mut [u8],
    length: usize,
) -> Result<(), SrtpError> {
    counter.crypt(ssrc, index.into(), &mut whole[RTCP_HEADER..length])?;
    whole[length..length + 4].copy_from_slice(&(ENCRYPTED | index).to_be_bytes());
    let (authenticated, tag) = whole.split_at_mut(length + 4);
    counter.sign(authenticated, None, tag);
    Ok(())
}

/// Packet, tag, index; the index is authenticated behind the header (RFC 7714 §9.2).
fn galois_rtcp(
    galois: &Galois,
    ssrc: u32,
    index: u32,
    whole: &mut [u8],
    length: usize,
) -> Result<(), SrtpError> {
    let last = (ENCRYPTED | index).to_be_bytes();
    let mut clear = [0; RTCP_HEADER + 4];
    clear[..RTCP_HEADER].copy_from_slice(&whole[..RTCP_HEADER]);
    clear[RTCP_HEADER..].copy_from_slice(&last);
    let (packet, rest) = whole.split_at_mut(length);
    let (tag, trailer) = rest.split_at_mut(GALOIS_TAG);
    galois.seal(ssrc, index.into(), &clear, &mut packet[RTCP_HEADER..], tag)?;
    trailer.copy_from_slice(&last);
    Ok(())
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound").field("sources", &self.sources.len()).finish_non_exhaustive()
    }
}
