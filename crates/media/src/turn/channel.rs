//! ChannelData: payload behind four bytes instead of a message (RFC 8656 §12).

/// The channel and payload of a ChannelData message; padding behind it does not count.
pub(crate) fn parse(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let [a, b, c, d, ..] = *bytes else { return None };
    let length = usize::from(u16::from_be_bytes([c, d]));
    let payload = bytes.get(HEADER..HEADER + length)?;
    Some((u16::from_be_bytes([a, b]), payload)).filter(|(number, _)| is_number(*number))
}

/// Payload for a channel, padded where it goes into a stream (§12.5).
pub(super) fn write(number: u16, payload: &[u8], padded: bool) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + payload.len() + 3);
    bytes.extend_from_slice(&number.to_be_bytes());
    bytes.extend_from_slice(&(payload.len() as u16).to_be_bytes());
    bytes.extend_from_slice(payload);
    if padded {
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes
}

/// Payload for a channel, in a datagram.
pub(crate) fn write_datagram(number: u16, payload: &[u8]) -> Vec<u8> {
    write(number, payload, false)
}

/// Whether a channel may have this number: those of RFC 8656 §12 end at 0x4FFF, but clients of RFC 5766 §11 take more.
pub(super) const fn is_number(number: u16) -> bool {
    matches!(number, 0x4000..=0x7fff)
}

/// Whether ChannelData begins with this byte.
pub(super) const fn begins(first: u8) -> bool {
    matches!(first, 0x40..=0x7f)
}

/// Number and length.
pub(super) const HEADER: usize = 4;
