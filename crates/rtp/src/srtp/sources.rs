//! Which packets of which synchronisation source have passed: rollover counter and replay window.

use super::SrtpError;

/// Sources that one direction of a session remembers.
pub const SOURCES: usize = 64;

/// Packets behind the newest that may still come late (RFC 3711 §3.3.2 asks for 64 at least).
const WINDOW: u64 = 128;

/// The sources of one direction.
#[derive(Debug, Default)]
pub(super) struct Sources {
    known: Vec<Source>,
    /// The place of the one that was heard last: nearly always that of the next packet, too.
    recent: usize,
    /// Counts packets, to tell who has been silent longest.
    clock: u64,
}

/// One source: its newest packet, and which of those before it have passed.
#[derive(Clone, Copy, Debug)]
struct Source {
    ssrc: u32,
    /// Rollover counter and sequence number of RTP (48 bits), or the index of SRTCP.
    newest: u64,
    /// Bit n: the packet n before the newest has passed.
    passed: u128,
    heard: u64,
}

impl Sources {
    /// The index of an RTP packet: its sequence number with the rollover counter that brings it nearest to the
    /// newest (RFC 3711 §3.3.1). A new source begins at 0.
    pub(super) fn index(&mut self, ssrc: u32, sequence: u16) -> Result<u64, SrtpError> {
        let Some(place) = self.place(ssrc) else { return Ok(sequence.into()) };
        let newest = self.known[place].newest;
        let step = i64::from(sequence.wrapping_sub(newest as u16) as i16);
        let index = newest.checked_add_signed(step).ok_or(SrtpError::Replayed)?;
        if index >> 48 == 0 { Ok(index) } else { Err(SrtpError::Exhausted) }
    }

    /// Whether a packet of this index has not passed yet.
    pub(super) fn check(&mut self, ssrc: u32, index: u64) -> Result<(), SrtpError> {
        let Some(place) = self.place(ssrc) else { return Ok(()) };
        let source = &self.known[place];
        let behind = source.newest.saturating_sub(index);
        let passed = behind >= WINDOW || index <= source.newest && source.passed >> behind & 1 == 1;
        if passed { Err(SrtpError::Replayed) } else { Ok(()) }
    }

    /// Notes that a packet passed. A new source takes the place of the one that has been silent longest, if all are
    /// taken: only the holder of the key, or the phone whose media we protect, can bring that about.
    pub(super) fn pass(&mut self, ssrc: u32, index: u64) {
        self.clock += 1;
        let place = self.place(ssrc).unwrap_or_else(|| self.add(ssrc, index));
        self.recent = place;
        let source = &mut self.known[place];
        source.heard = self.clock;
        if index > source.newest {
            let ahead = index - source.newest;
            source.passed = if ahead < WINDOW { source.passed << ahead } else { 0 };
            source.newest = index;
        }
        let behind = source.newest - index;
        if behind < WINDOW {
            source.passed |= 1 << behind;
        }
    }

    /// How many sources are known.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    fn add(&mut self, ssrc: u32, index: u64) -> usize {
        let source = Source { ssrc, newest: index, passed: 0, heard: self.clock };
        if self.known.len() < SOURCES {
            self.known.push(source);
            return self.known.len() - 1;
        }
        let silent = self.known.iter().enumerate().min_by_key(|(_, one)| one.heard);
        let place = silent.map_or(0, |(place, _)| place);
        self.known[place] = source;
        place
    }

    fn place(&self, ssrc: u32) -> Option<usize> {
        if self.known.get(self.recent).is_some_and(|one| one.ssrc == ssrc) {
            return Some(self.recent);
        }
        self.known.iter().position(|one| one.ssrc == ssrc)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds one sequence number as a receiver would.
    fn feed(sources: &mut Sources, sequence: u16) -> Result<u64, SrtpError> {
        let index = sources.index(1, sequence)?;
        sources.check(1, index)?;
        sources.pass(1, index);
        Ok(index)
    }

    #[test]
    fn the_rollover_counter_grows_with_each_wrap_and_late_packets_keep_the_old_one() {
        let mut sources = Sources::default();
        assert_eq!(feed(&mut sources, 65_534), Ok(65_534));
        assert_eq!(feed(&mut sources, 1), Ok(65_537));
        assert_eq!(feed(&mut sources, 65_535), Ok(65_535));
        assert_eq!(feed(&mut sources, 0), Ok(65_536));
        for sequence in (2..=u16::MAX).step_by(1000) {
            feed(&mut sources, sequence).unwrap();
        }
        assert_eq!(feed(&mut sources, 5), Ok(131_077));
    }

    #[test]
    fn a_packet_passes_once_and_not_when_older_than_the_window() {
        let mut sources = Sources::default();
        assert_eq!(feed(&mut sources, 500), Ok(500));
        assert_eq!(feed(&mut sources, 500), Err(SrtpError::Replayed));
        assert_eq!(feed(&mut sources, 373), Ok(373));
        assert_eq!(feed(&mut sources, 373), Err(SrtpError::Replayed));
        assert_eq!(feed(&mut sources, 372), Err(SrtpError::Replayed));
        assert_eq!(feed(&mut sources, 501), Ok(501));
        assert_eq!(feed(&mut sources, 500), Err(SrtpError::Replayed));
        assert_eq!(feed(&mut sources, 5000), Ok(5000));
        assert_eq!(feed(&mut sources, 4999), Ok(4999));
    }

    #[test]
    fn a_packet_from_before_the_beginning_is_too_old() {
        let mut sources = Sources::default();
        assert_eq!(feed(&mut sources, 3), Ok(3));
        assert_eq!(feed(&mut sources, 65_530), Err(SrtpError::Replayed));
    }

    #[test]
    fn the_counter_ends_where_the_key_does() {
        let mut sources = Sources::default();
        sources.pass(1, (1 << 48) - 1);
        assert_eq!(sources.index(1, 0), Err(SrtpError::Exhausted));
    }

    #[test]
    fn the_longest_silent_of_too_many_sources_is_forgotten() {
        let mut sources = Sources::default();
        for ssrc in 0..10_000 {
            sources.pass(ssrc, 7);
            sources.pass(0xffff_ffff, u64::from(ssrc));
        }
        assert_eq!(sources.len(), SOURCES);
        assert_eq!(sources.check(0xffff_ffff, 9_999), Err(SrtpError::Replayed));
        assert_eq!(sources.check(9_999, 7), Err(SrtpError::Replayed));
        assert_eq!(sources.check(1, 7), Ok(()));
    }
}
