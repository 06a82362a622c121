use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn addresses() -> impl Strategy<Value = SocketAddr> {
    prop_oneof![
        (any::<[u8; 4]>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip.into(), port)),
        (any::<[u8; 16]>(), any::<u16>(), any::<u32>()).prop_map(|(ip, port, scope)| SocketAddrV6::new(
            ip.into(),
            port,
            0,
            scope
        )
        .into()),
    ]
}

fn flows() -> impl Strategy<Value = Flow> {
    let transports = [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss];
    (0..transports.len(), addresses(), addresses()).prop_map(move |(transport, local, remote)| Flow {
        transport: transports[transport],
        local,
        remote,
        connection: None,
    })
}

prop_compose! {
    fn bindings()(
        contact in ".{0,20}", q in any::<u16>(), expires_at in any::<u64>(), flow in flows(),
        behind_nat in any::<bool>(), path in vec(".{0,9}", 0..3), call_id in ".{0,9}", cseq in any::<u32>(),
        instance in any::<Option<String>>(), reg_id in any::<Option<u32>>(), user_agent in ".{0,9}",
    ) -> Binding {
        Binding {
            media: None,
            contact, q, expires_at, flow, behind_nat, path, call_id, cseq, instance, reg_id, user_agent,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Entry {
    shard: u8,
    sequence: u64,
    account: AddressOfRecord,
    bindings: Bindings,
}

prop_compose! {
    fn entries()(
        shard in any::<u8>(), sequence in any::<u64>(), user in "[^@]{0,9}", all in vec(bindings(), 0..3),
    ) -> Entry {
        Entry { shard, sequence, account: AddressOfRecord::new(&user, "example.com"), bindings: Bindings(all) }
    }
}

fn write(out: &mut Vec<u8>, entry: &Entry) {
    encode(out, entry.shard, entry.sequence, &entry.account, &entry.bindings);
}

/// The records that lie one behind the other, up to the first that is none.
fn records(mut bytes: &[u8]) -> Vec<Record<'_>> {
    let next = || {
        let (record, rest) = bytes.split_at_checked(length_of(bytes)?)?;
        bytes = rest;
        Record::read(record)
    };
    std::iter::from_fn(next).collect()
}

proptest! {
    #[test]
    fn what_was_encoded_is_decoded(entries in vec(entries(), 0..4)) {
        let mut bytes = Vec::new();
        entries.iter().for_each(|entry| write(&mut bytes, entry));
        let records = records(&bytes);
        prop_assert_eq!(records.len(), entries.len());
        for (record, entry) in records.iter().zip(entries) {
            prop_assert_eq!(record.sequence, entry.sequence);
            prop_assert_eq!(record.until, entry.bindings.0.iter().map(|one| one.expires_at).max().unwrap_or(0));
            prop_assert_eq!(record.account, entry.account.as_str());
            prop_assert_eq!(record.bindings(), Some(entry.bindings));
        }
    }

    #[test]
    fn what_was_cut_off_is_told_from_what_is_damaged(entry in entries(), at in any::<prop::sample::Index>()) {
        let mut bytes = Vec::new();
        write(&mut bytes, &entry);
        prop_assert!(is_cut_off(&bytes[..at.index(bytes.len())]));
        prop_assert!(!is_cut_off(&bytes));
        // The end is there, so it is the length that is wrong.
        bytes[1] ^= 64;
        prop_assert!(!is_cut_off(&bytes));
    }

    #[test]
    fn any_bytes_are_decoded_without_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = (Record::read(&bytes), length_of(&bytes), is_cut_off(&bytes));
        let _ = Cursor(&bytes).record().map(|record| record.bindings());
    }

    #[test]
    fn a_changed_payload_with_a_right_checksum_does_not_panic(
        entry in entries(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut bytes = Vec::new();
        write(&mut bytes, &entry);
        let payload = &mut bytes[HEAD..];
        payload[at.index(payload.len())] = byte;
        // What is passed over is what would be read.
        let record = Cursor(payload).record();
        prop_assert!(record.is_none_or(|record| record.bindings().is_some()));
    }

    #[test]
    fn a_changed_byte_is_noticed(entry in entries(), at in any::<prop::sample::Index>(), bit in 0..8_u32) {
        let mut bytes = Vec::new();
        write(&mut bytes, &entry);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(Record::read(&bytes).is_none());
    }
}

#[test]
fn zeroes_after_a_power_cut_are_no_record() {
    assert!(Record::read(&[0; 64]).is_none());
    assert_eq!(length_of(&[0; 64]), None);
}
