//! The music for those who wait: the files of a folder, one after the other.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::SystemTime;

use crate::recordings::{names, read};

/// The folder of music.
pub(crate) struct Music {
    place: PathBuf,
    /// How many pieces were asked for.
    asked: usize,
    /// Pieces that somebody hears now, as they were at that time: all hear the same copy.
    played: HashMap<String, (SystemTime, Weak<[i16]>)>,
}

impl Music {
    /// The music in a folder, which need not be there.
    pub(crate) fn new(place: PathBuf) -> Self {
        Self { place, asked: 0, played: HashMap::new() }
    }

    /// The next piece.
    ///
    /// # Errors
    /// When there is none; what cannot be played is passed over, and the log says so.
    pub(crate) fn next(&mut self) -> Result<Arc<[i16]>, String> {
        self.played.retain(|_, (_, sound)| sound.strong_count() > 0);
        let pieces: Vec<_> = names(&self.place).into_iter().filter(|name| !name.starts_with('.')).collect();
        for _ in 0..pieces.len() {
            let name = &pieces[self.asked % pieces.len()];
            self.asked = self.asked.wrapping_add(1);
            match self.piece(name) {
                Ok(sound) => return Ok(sound),
                Err(error) => tracing::warn!(file = %name, %error, "a piece of music cannot be played"),
            }
        }
        Err("there is no music".into())
    }

    fn piece(&mut self, name: &str) -> Result<Arc<[i16]>, String> {
        let path = self.place.join(name);
        let about = fs::metadata(&path).map_err(|error| error.to_string())?;
        if about.len() > MOST_BYTES {
            return Err(format!("it is larger than {} MB", MOST_BYTES >> 20));
        }
        let changed = about.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        if let Some((_, sound)) = self.played.get(name).filter(|(at, _)| *at == changed)
            && let Some(sound) = sound.upgrade()
        {
            return Ok(sound);
        }
        let sound = read(&path)?;
        self.played.insert(name.to_owned(), (changed, Arc::downgrade(&sound)));
        Ok(sound)
    }
}

/// More is a radio play.
const MOST_BYTES: u64 = 128 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_take_turns_all_hear_one_copy_and_what_is_no_sound_is_passed_over() {
        let place = std::env::temp_dir().join(format!("offhook-music-{}", std::process::id()));
        let _ = fs::remove_dir_all(&place);
        let mut music = Music::new(place.clone());
        assert!(music.next().is_err(), "there is no folder");
        fs::create_dir_all(&place).unwrap();
        for (name, length) in [("a.wav", 8000), ("b.wav", 16_000)] {
            let file = fs::File::create(place.join(name)).unwrap();
            let mut recorder = offhook_media::recorder::Recorder::new(file, 8000).unwrap();
            recorder.write(&vec![900; length]).unwrap();
            recorder.finish().unwrap();
        }
        fs::write(place.join("c.txt"), "no sound").unwrap();
        let lengths: Vec<_> = (0..4).map(|_| music.next().unwrap().len() / 15_000).collect();
        assert_eq!(lengths, [1, 2, 1, 2]);
        let one = music.piece("a.wav").unwrap();
        assert!(Arc::ptr_eq(&one, &music.piece("a.wav").unwrap()));
        let _ = fs::remove_dir_all(&place);
    }
}
