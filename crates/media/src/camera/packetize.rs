//! Pictures in RTP packets: H.264 (RFC 6184, packetization-mode 1) and H.265 (RFC 7798 §4.4), one NAL unit a packet or in
//! fragments.

/// How pictures are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// H.264 (RFC 6184).
    H264,
    /// H.265 (RFC 7798).
    H265,
}

/// Cuts a picture into the payloads of packets of at most `most` bytes each, in order; the last one's packet has the marker. What
/// is no NAL unit is left out; `units` are as in [`Feed::Picture`](super::Feed).
pub fn packetize(coding: Coding, units: &[u8], most: usize, out: &mut Vec<Vec<u8>>) {
    let mut rest = units;
    while let Some((unit, after)) = next(rest) {
        rest = after;
        let head = coding.head();
        // An empty unit says nothing, and one that is no unit of a picture could be taken for a fragment.
        if unit.len() <= head || !coding.is_unit(unit) {
            continue;
        }
        if unit.len() <= most {
            out.push(unit.to_vec());
        } else if most > head + 1 {
            fragment(coding, unit, most, out);
        }
    }
}

fn next(units: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = units.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_be_bytes(*length) as usize)
}

/// FU-A (RFC 6184 §5.8), FU (RFC 7798 §4.4.3): the unit's header becomes part of each fragment's.
fn fragment(coding: Coding, unit: &[u8], most: usize, out: &mut Vec<Vec<u8>>) {
    let (header, body) = unit.split_at(coding.head());
    let chunks = body.chunks(most - header.len() - 1);
    let last = chunks.len() - 1;
    for (number, chunk) in chunks.enumerate() {
        let place = u8::from(number == 0) << 7 | u8::from(number == last) << 6;
        let mut payload = Vec::with_capacity(header.len() + 1 + chunk.len());
        match coding {
            Coding::H264 => payload.extend([header[0] & 0xe0 | FU_A, place | header[0] & 0x1f]),
            Coding::H265 => {
                let unit_type = header[0] >> 1 & 0x3f;
                payload.extend([header[0] & 0x81 | FU << 1, header[1], place | unit_type]);
            }
        }
        payload.extend_from_slice(chunk);
        out.push(payload);
    }
}

impl Coding {
    /// Its name in SDP.
    pub const fn name(self) -> &'static str {
        match self {
            Self::H264 => "H264",
            Self::H265 => "H265",
        }
    }

    /// Bytes of the header of a unit.
    const fn head(self) -> usize {
        match self {
            Self::H264 => 1,
            Self::H265 => 2,
        }
    }

    /// Whether its type is one of those that may stand in a packet alone: not of the kinds that only RTP has.
    fn is_unit(self, unit: &[u8]) -> bool {
        match self {
            Self::H264 => (1..24).contains(&(unit[0] & 0x1f)),
            Self::H265 => unit[0] >> 1 & 0x3f < 48,
        }
    }
}

const FU_A: u8 = 28;
const FU: u8 = 49;

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(units: &[&[u8]]) -> Vec<u8> {
        let framed = |unit: &&[u8]| [&(unit.len() as u32).to_be_bytes()[..], unit].concat();
        units.iter().flat_map(framed).collect()
    }

    fn packets(coding: Coding, units: &[&[u8]], most: usize) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        packetize(coding, &framed(units), most, &mut out);
        out
    }

    #[test]
    fn units_that_fit_go_as_they_are_and_others_in_fragments_that_make_them_again() {
        let long: Vec<u8> = [0x65].into_iter().chain((0..2500).map(|n| n as u8)).collect();
        let packets = packets(Coding::H264, &[&[0x67, 1, 2], &[0x68, 3], &long], 1000);
        assert_eq!(packets[..2], [vec![0x67, 1, 2], vec![0x68, 3]]);
        assert_eq!(
            packets[2..].iter().map(|one| (one[0], one[1])).collect::<Vec<_>>(),
            [(0x7c, 0x85), (0x7c, 0x05), (0x7c, 0x45)]
        );
        let body: Vec<u8> = packets[2..].iter().flat_map(|one| &one[2..]).copied().collect();
        assert_eq!(body, long[1..]);
        assert!(packets.iter().all(|one| one.len() <= 1000));
    }

    #[test]
    fn h265_keeps_the_layer_and_the_temporal_id_in_each_fragment() {
        let long: Vec<u8> = [0x26, 0x01].into_iter().chain(std::iter::repeat_n(9, 20)).collect();
        let packets = packets(Coding::H265, &[&[0x40, 0x01, 7], &long], 13);
        assert_eq!(packets[0], [0x40, 0x01, 7]);
        assert_eq!(packets[1][..3], [0x62, 0x01, 0x93]);
        assert_eq!(packets[2][..3], [0x62, 0x01, 0x53]);
        assert_eq!(packets.len(), 3);
    }

    #[test]
    fn what_is_no_unit_is_left_out() {
        assert!(packets(Coding::H264, &[&[], &[0x65], &[0x7c, 0x85, 1], &[0, 1, 2]], 1000).is_empty());
        let (mut out, mut cut) = (Vec::new(), framed(&[&[0x41, 1, 2], &[0x41, 3]]));
        cut.pop();
        packetize(Coding::H264, &cut, 1000, &mut out);
        assert_eq!(out, [[0x41, 1, 2]], "the second is not all there");
    }
}
