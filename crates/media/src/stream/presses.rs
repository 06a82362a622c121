//! Keys that signalling brought, on their way into the sound that goes to a side as telephone events (RFC 4733). The
//! packets of a key take the place of packets of sound, so the stream keeps its numbers.

use crate::command::{EventFormat, Press, SideName};
use offhook_rtp::telephone_event::EventSender;
use offhook_rtp::{Header, Packet, PacketBuilder};
use std::collections::VecDeque;

/// What goes to one side.
#[derive(Debug, Default)]
pub(super) struct Presses {
    waiting: VecDeque<(EventFormat, Press)>,
    under_way: Option<(u8, EventSender)>,
    /// Packets of sound that have to pass before the next key.
    rest: u8,
}

impl Presses {
    /// A key more; whether there was room for it.
    pub(super) fn push(&mut self, format: EventFormat, press: Press) -> bool {
        let has_room = self.waiting.len() < MOST;
        if has_room {
            self.waiting.push_back((format, press));
        }
        has_room
    }

    fn is_over(&self) -> bool {
        self.waiting.is_empty() && self.under_way.is_none() && self.rest == 0
    }

    /// What goes instead of a packet of sound, if a key has its turn.
    fn instead_of(&mut self, sound: &[u8]) -> Option<Vec<u8>> {
        let sound = Packet::parse(sound).ok()?.header();
        if self.under_way.is_none() {
            if self.rest > 0 {
                self.rest -= 1;
                return None;
            }
            // A key that the phone sends as events itself has its time.
            let (format, press) =
                self.waiting.pop_front_if(|(own, _)| own.payload_type != sound.payload_type)?;
            let (at, clock) = (sound.timestamp, format.clock_rate);
            let sender = EventSender::new(press.event, at, press.duration_ms.into(), STEP_MS, clock);
            self.under_way = Some((format.payload_type, sender));
        }
        let (payload_type, sender) = self.under_way.as_mut()?;
        let packet = sender.next()?;
        let (payload_type, is_done) = (*payload_type, sender.is_done());
        if is_done {
            (self.under_way, self.rest) = (None, REST);
        }
        let header = Header { payload_type, marker: packet.marker, timestamp: packet.timestamp, ..sound };
        let mut made = Vec::new();
        PacketBuilder::new(header, &packet.payload).append_to(&mut made).ok()?;
        Some(made)
    }
}

/// What goes to a side instead of a packet of sound; `None`: the packet. What is left when all keys are sent goes.
pub(super) fn instead_of(
    presses: &mut Option<Box<[Presses; 2]>>,
    to: SideName,
    sound: &[u8],
) -> Option<Vec<u8>> {
    let both = presses.as_mut()?;
    let made = both[to.index()].instead_of(sound);
    if both.iter().all(Presses::is_over) {
        *presses = None;
    }
    made
}

/// Keys that wait at most: who signals faster than keys can be told apart is no one's finger.
const MOST: usize = 64;
/// Of sound in nearly every phone's packets.
const STEP_MS: u32 = 20;
/// With the two last packets of an event, a pause of 80 ms between two keys: some receivers want 50 (RFC 4733 §2.5.2.1).
const REST: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use offhook_rtp::telephone_event::{EventReceiver, Heard};

    fn sound(sequence: u16, payload_type: u8) -> Vec<u8> {
        let timestamp = u32::from(sequence) * 160;
        let header = Header { sequence, timestamp, payload_type, ssrc: 9, ..Header::default() };
        let mut bytes = Vec::new();
        PacketBuilder::new(header, &[0xd5; 160]).append_to(&mut bytes).unwrap();
        bytes
    }

    fn press(presses: &mut Option<Box<[Presses; 2]>>, event: u8, clock_rate: u32) -> bool {
        let both = presses.get_or_insert_default();
        both[1].push(EventFormat { payload_type: 101, clock_rate }, Press { event, duration_ms: 160 })
    }

    /// The keys that side B hears when so many packets of sound go to it.
    fn heard(presses: &mut Option<Box<[Presses; 2]>>, clock_rate: u32, packets: u16) -> Vec<Heard> {
        let (mut receiver, mut heard) = (EventReceiver::new(clock_rate), Vec::new());
        for sequence in 0..packets {
            let bytes = sound(sequence, 0);
            let made = instead_of(presses, SideName::B, &bytes);
            let made = made.unwrap_or(bytes);
            let packet = Packet::parse(&made).unwrap();
            assert_eq!((packet.sequence(), packet.ssrc()), (sequence, 9), "the numbers go on");
            match packet.payload_type() {
                101 => receiver.receive(packet.timestamp(), packet.payload(), &mut heard),
                _ => receiver.audio(packet.timestamp(), &mut heard),
            }
        }
        heard
    }

    #[test]
    fn keys_take_the_place_of_sound_one_after_the_other_in_the_clock_of_the_receiver() {
        for clock_rate in [8_000, 48_000] {
            let mut presses = None;
            for event in [5, 5, 11] {
                assert!(press(&mut presses, event, clock_rate));
            }
            let once = |event| [Heard::Started { event }, Heard::Ended { event, duration_ms: 160 }];
            assert_eq!(heard(&mut presses, clock_rate, 50), [once(5), once(5), once(11)].concat());
            assert!(presses.is_none(), "nothing is left");
        }
    }

    #[test]
    fn the_sound_of_the_other_direction_and_events_of_the_phone_itself_stay() {
        let mut presses = None;
        assert!(press(&mut presses, 1, 8_000));
        assert_eq!(instead_of(&mut presses, SideName::A, &sound(1, 0)), None);
        assert_eq!(instead_of(&mut presses, SideName::B, &sound(1, 101)), None);
        assert_eq!(instead_of(&mut presses, SideName::B, b"no RTP"), None);
        assert!(instead_of(&mut presses, SideName::B, &sound(2, 0)).is_some());
    }

    #[test]
    fn keys_without_end_are_not_kept() {
        let mut presses = None;
        assert_eq!((0..1000).filter(|_| press(&mut presses, 1, 8_000)).count(), MOST);
    }
}
