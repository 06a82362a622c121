//! What the exchange says: short pieces of speech in English and Chinese, made by `scripts/prompts.sh` out of
//! `prompts/en.txt` and `prompts/zh.txt`.

#[rustfmt::skip]
mod list;

use crate::ogg_opus::Reader;
use std::io::Cursor;

/// A prompt, read while it is played.
pub type Prompt = Reader<Cursor<&'static [u8]>>;

/// The prompt of this name, as `en/20`, as sound of `rate` samples a second.
pub fn open(name: &str, rate: u32) -> Option<Prompt> {
    let place = list::PROMPTS.binary_search_by_key(&name, |(known, _)| known).ok()?;
    Reader::new(Cursor::new(list::PROMPTS.get(place)?.1), rate).ok()
}

/// Whether there is a prompt of this name.
pub fn is_known(name: &str) -> bool {
    list::PROMPTS.binary_search_by_key(&name, |(known, _)| known).is_ok()
}

/// The names of all prompts, in order.
pub fn names() -> impl Iterator<Item = &'static str> {
    list::PROMPTS.iter().map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prompt_is_found_and_is_speech_of_a_sensible_length() {
        let mut bytes = 0;
        for (name, file) in list::PROMPTS {
            let (mut prompt, mut sound) = (open(name, 16_000).unwrap(), Vec::new());
            while prompt.read(&mut sound) {}
            let loudest = sound.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or_default();
            assert!((1600..16_000 * 15).contains(&sound.len()), "{name}: {} samples", sound.len());
            assert!(loudest > 3000, "{name} is silent");
            bytes += file.len();
        }
        assert!(bytes < 1_500_000, "{bytes} bytes");
        assert!(!is_known("en/no such prompt") && open("", 16_000).is_none());
    }

    #[test]
    fn both_languages_can_say_the_same() {
        let of = |language: &str| {
            let names = list::PROMPTS.iter().filter_map(|(name, _)| name.strip_prefix(language));
            names.filter(|name| name.len() > 3).collect::<Vec<_>>()
        };
        let phrases = |language: &str| {
            let all = of(language);
            all.into_iter()
                .filter(|name| {
                    [
                        "/voicemail-",
                        "/conference-",
                        "/queue-",
                        "/codes-",
                        "/wake-up-",
                        "/menu-",
                        "/camera-",
                        "/directory-",
                    ]
                    .iter()
                    .any(|one| name.starts_with(one))
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(phrases("en"), phrases("zh"));
    }
}
