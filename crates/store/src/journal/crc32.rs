//! CRC-32 as in Ethernet and gzip (RFC 1952 §8).

/// The checksum of these octets.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    let (eights, rest) = bytes.as_chunks::<8>();
    let crc = eights.iter().fold(u32::MAX, |crc, eight| {
        // Eight octets at once: the tables know how far each is from the end.
        let octets = (u64::from_le_bytes(*eight) ^ u64::from(crc)).to_le_bytes();
        octets.iter().zip(TABLES.iter().rev()).fold(0, |sum, (octet, table)| sum ^ table[usize::from(*octet)])
    });
    !rest.iter().fold(crc, |crc, octet| (crc >> 8) ^ TABLES[0][usize::from(crc as u8 ^ octet)])
}

/// What an octet adds to the checksum if so many octets follow it in a group.
const TABLES: [[u32; 256]; 8] = {
    let mut tables = [[0; 256]; 8];
    let mut index = 0;
    while index < 256 {
        let mut crc = index as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
            bit += 1;
        }
        tables[0][index] = crc;
        index += 1;
    }
    let mut follow = 1;
    while follow < 8 {
        let mut index = 0;
        while index < 256 {
            let crc = tables[follow - 1][index];
            tables[follow][index] = (crc >> 8) ^ tables[0][(crc & 0xFF) as usize];
            index += 1;
        }
        follow += 1;
    }
    tables
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_check_value_of_the_polynomial_is_met() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc32(b""), 0);
    }

    proptest! {
        #[test]
        fn eight_octets_at_once_give_what_one_after_the_other_gives(bytes: Vec<u8>) {
            let step = |crc: u32, octet: &u8| (crc >> 8) ^ TABLES[0][usize::from(crc as u8 ^ octet)];
            prop_assert_eq!(crc32(&bytes), !bytes.iter().fold(u32::MAX, step));
        }
    }
}
