//! Redundant sound (RFC 2198): a packet that also carries what was said before it, for whoever lost that.

/// One of the payloads in a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block<'a> {
    /// Its payload type.
    pub payload_type: u8,
    /// By how much its timestamp is less than the packet's, in units of that; 0 for the packet's own.
    pub earlier: u32,
    /// What would be the payload of a packet of its own.
    pub payload: &'a [u8],
}

/// The payloads in that of a packet, in its order: the packet's own is the last. `None` if it is malformed, or has more
/// than eight, which nobody sends.
#[must_use]
pub fn read(payload: &[u8]) -> Option<impl Iterator<Item = Block<'_>>> {
    let mut heads = [(0, 0, 0); MOST];
    let (mut count, mut at) = (0, 0);
    loop {
        let first = *payload.get(at)?;
        let payload_type = first & 0x7f;
        let head = heads.get_mut(count)?;
        count += 1;
        if first & MORE == 0 {
            at += 1;
            *head = (payload_type, 0, 0);
            break;
        }
        let [_, a, b, c] = *payload.get(at..at + HEAD)? else { return None };
        let earlier = u32::from(a) << 6 | u32::from(b) >> 2;
        *head = (payload_type, earlier, usize::from(b & 3) << 8 | usize::from(c));
        at += HEAD;
    }
    let mut rest = payload.get(at..)?;
    let before: usize = heads.iter().map(|(.., length)| length).sum();
    heads[count - 1].2 = rest.len().checked_sub(before)?;
    Some(heads.into_iter().take(count).filter_map(move |(payload_type, earlier, length)| {
        let (own, others) = rest.split_at_checked(length)?;
        rest = others;
        Some(Block { payload_type, earlier, payload: own })
    }))
}

/// Appends the payload of a packet that has `own` and, where the format has room for it, what was sent `before`.
pub fn write(before: Option<Block<'_>>, (payload_type, own): (u8, &[u8]), out: &mut Vec<u8>) {
    let fits = |block: &Block<'_>| block.earlier <= MAX_EARLIER && block.payload.len() <= MAX_LENGTH;
    let before = before.filter(fits);
    if let Some(block) = &before {
        let length = block.payload.len() as u32;
        let head = u32::from(MORE | block.payload_type) << 24 | block.earlier << 10 | length;
        out.extend_from_slice(&head.to_be_bytes());
    }
    out.push(payload_type & 0x7f);
    out.extend_from_slice(before.map_or(&[], |block| block.payload));
    out.extend_from_slice(own);
}

/// Another head follows.
const MORE: u8 = 0x80;
/// Octets of the head of a payload that is not the last.
const HEAD: usize = 4;
const MOST: usize = 8;
/// What 14 bits hold.
const MAX_EARLIER: u32 = (1 << 14) - 1;
/// What ten bits hold, in octets.
const MAX_LENGTH: usize = (1 << 10) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(payload: &[u8]) -> Option<Vec<Block<'_>>> {
        read(payload).map(Iterator::collect)
    }

    #[test]
    fn what_was_said_before_comes_with_what_is_said() {
        let before = Block { payload_type: 0, earlier: 160, payload: &[1, 2, 3] };
        let mut out = Vec::new();
        write(Some(before), (0, &[4, 5]), &mut out);
        // RFC 2198 §3: F, block PT, 14 bits of timestamp offset, 10 bits of length; then F = 0 and the last PT.
        assert_eq!(out, [0x80, 0x02, 0x80, 0x03, 0, 1, 2, 3, 4, 5]);
        let own = Block { payload_type: 0, earlier: 0, payload: &[4, 5] };
        assert_eq!(blocks(&out), Some(vec![before, own]));
    }

    #[test]
    fn what_has_no_room_is_left_out() {
        for (earlier, length) in [(1 << 14, 1), (960, 1024)] {
            let (long, mut out) = (vec![7; length], Vec::new());
            write(Some(Block { payload_type: 96, earlier, payload: &long }), (96, b"own"), &mut out);
            assert_eq!(out, b"\x60own");
        }
        let (long, mut out) = (vec![7; 1023], Vec::new());
        let most = Block { payload_type: 127, earlier: (1 << 14) - 1, payload: &long };
        write(Some(most), (96, b""), &mut out);
        assert_eq!(blocks(&out).unwrap()[0], most);
    }

    #[test]
    fn nonsense_is_none() {
        assert_eq!(blocks(&[]), None);
        assert_eq!(blocks(&[0x80]), None, "half a head");
        assert_eq!(blocks(&[0x80, 0, 0, 0]), None, "no last one");
        assert_eq!(blocks(&[0x80, 0, 0, 5, 0, 1, 2]), None, "longer than there is");
        assert_eq!(blocks(&[0x80; 64]), None, "no end");
        assert_eq!(blocks(&[9]), Some(vec![Block { payload_type: 9, earlier: 0, payload: &[] }]));
    }
}
