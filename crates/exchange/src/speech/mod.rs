//! Numbers, times and dates as they are spoken: which prompts, in which order.

mod en;
mod zh;

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use offhook_media::voice::Clip;

/// A language that the exchange speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Chinese, as it is spoken in Mandarin.
    Chinese,
}

impl Language {
    /// As configuration, commands and the API have it (ISO 639-1).
    pub const fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh",
        }
    }

    /// The one with this code.
    pub fn parse(code: &str) -> Option<Self> {
        [Self::English, Self::Chinese].into_iter().find(|one| one.code() == code)
    }
}

/// What is to be said, before it is known in which language.
#[derive(Clone, Debug, Default)]
pub(crate) struct Speech(Vec<Word>);

#[derive(Clone, Debug)]
enum Word {
    Phrase(String),
    Clip(Clip),
    Number(u32),
    Count(u32),
    Time(Time),
    Date(Date),
    /// How people speak of a day that is not long ago, and the time.
    Moment {
        moment: Zoned,
        now: Zoned,
    },
}

impl Speech {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A phrase, by the name of its prompt.
    pub(crate) fn say(self, phrase: &str) -> Self {
        self.and(Word::Phrase(phrase.to_owned()))
    }

    /// Silence, or a beep, or a file.
    pub(crate) fn clip(self, clip: Clip) -> Self {
        self.and(Word::Clip(clip))
    }

    /// Nothing for so many milliseconds.
    pub(crate) fn pause(self, ms: u32) -> Self {
        self.clip(Clip::Silence(ms))
    }

    /// What a recording begins after.
    pub(crate) fn beep(self) -> Self {
        self.clip(Clip::Tone { hz: 1000, ms: 400 })
    }

    /// A number from 0 to 999,999; a larger one digit by digit.
    pub(crate) fn number(self, number: u32) -> Self {
        if number > 999_999 {
            return self.digits(&number.to_string());
        }
        self.and(Word::Number(number))
    }

    /// How many of something there are, which follows.
    pub(crate) fn count(self, number: u32) -> Self {
        self.and(Word::Count(number))
    }

    /// A phone number and the like, sign by sign; what cannot be said is left out.
    pub(crate) fn digits(self, text: &str) -> Self {
        text.chars().fold(self, |speech, sign| match sign {
            '0'..='9' => speech.say(sign.encode_utf8(&mut [0; 4])),
            '*' => speech.say("star"),
            '#' => speech.say("pound"),
            '+' => speech.say("plus"),
            _ => speech,
        })
    }

    /// A time of day.
    pub(crate) fn time(self, time: Time) -> Self {
        self.and(Word::Time(time))
    }

    /// A day of the year.
    pub(crate) fn date(self, date: Date) -> Self {
        self.and(Word::Date(date))
    }

    /// A moment of the past as seen from another: the day, where it is not today, and the time.
    pub(crate) fn moment(self, unix: u64, now: u64, zone: &TimeZone) -> Self {
        let (Some(moment), Some(now)) = (local(unix, zone), local(now, zone)) else { return self };
        self.and(Word::Moment { moment, now })
    }

    /// All of it, as a language says it.
    pub(crate) fn spoken(self, language: Language) -> Vec<Clip> {
        let mut spoken = Spoken { language, clips: Vec::with_capacity(self.0.len()) };
        self.0.into_iter().for_each(|word| spoken.word(word));
        spoken.clips
    }

    fn and(mut self, word: Word) -> Self {
        self.0.push(word);
        self
    }
}

/// Prompts in a row.
struct Spoken {
    language: Language,
    clips: Vec<Clip>,
}

impl Spoken {
    fn word(&mut self, word: Word) {
        match (word, self.language) {
            (Word::Phrase(phrase), _) => self.push(&phrase),
            (Word::Clip(clip), _) => self.clips.push(clip),
            // Two of something is another word there.
            (Word::Count(2), Language::Chinese) => self.push("two-of"),
            (Word::Number(number) | Word::Count(number), Language::English) => en::number(number, self),
            (Word::Number(number) | Word::Count(number), Language::Chinese) => zh::number(number, self),
            (Word::Time(time), Language::English) => en::time(time, self),
            (Word::Time(time), Language::Chinese) => zh::time(time, self),
            (Word::Date(date), Language::English) => en::date(date, self),
            (Word::Date(date), Language::Chinese) => zh::date(date, self),
            (Word::Moment { moment, now }, language) => {
                if moment.date() == now.date() {
                    self.push("today");
                } else if now.date().yesterday().is_ok_and(|yesterday| yesterday == moment.date()) {
                    self.push("yesterday");
                } else {
                    self.word(Word::Date(moment.date()));
                }
                if language == Language::English {
                    self.push("at");
                }
                self.word(Word::Time(moment.time()));
            }
        }
    }

    fn push(&mut self, name: &str) {
        let name = format!("{}/{name}", self.language.code());
        debug_assert!(offhook_media::prompts::is_known(&name), "no prompt {name}");
        self.clips.push(Clip::Prompt(name));
    }

    fn push_number(&mut self, number: u32) {
        self.push(&number.to_string());
    }
}

/// What a caller hears while somebody is being called for it: a minute of it.
pub(crate) fn ringing() -> Vec<Clip> {
    [Clip::Tone { hz: 425, ms: 1_000 }, Clip::Silence(4_000)].into_iter().cycle().take(24).collect()
}

/// The local time of a moment in Unix seconds.
pub(crate) fn local(unix: u64, zone: &TimeZone) -> Option<Zoned> {
    Some(Timestamp::from_second(i64::try_from(unix).ok()?).ok()?.to_zoned(zone.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::{date, time};

    fn words(clips: &[Clip]) -> String {
        let word = |clip: &Clip| match clip {
            Clip::Prompt(name) => name[3..].to_owned(),
            other => format!("{other:?}"),
        };
        clips.iter().map(word).collect::<Vec<_>>().join(" ")
    }

    fn of(language: Language, say: impl Fn(Speech) -> Speech) -> String {
        words(&say(Speech::new()).spoken(language))
    }

    #[test]
    fn numbers_are_spoken_as_people_do() {
        for (number, en, zh) in [
            (0, "0", "0"),
            (2, "2", "2"),
            (10, "10", "10"),
            (12, "12", "10 2"),
            (20, "20", "2 10"),
            (21, "20 1", "2 10 1"),
            (100, "1 hundred", "1 hundred"),
            (105, "1 hundred 5", "1 hundred 0 5"),
            (110, "1 hundred 10", "1 hundred 1 10"),
            (119, "1 hundred 19", "1 hundred 1 10 9"),
            (222, "2 hundred 20 2", "2 hundred 2 10 2"),
            (1001, "1 thousand 1", "1 thousand 0 1"),
            (1010, "1 thousand 10", "1 thousand 0 1 10"),
            (2200, "2 thousand 2 hundred", "two-of thousand 2 hundred"),
            (10_000, "10 thousand", "1 ten-thousand"),
            (10_050, "10 thousand 50", "1 ten-thousand 0 5 10"),
            (100_000, "1 hundred thousand", "10 ten-thousand"),
            (120_034, "1 hundred 20 thousand 30 4", "10 2 ten-thousand 0 3 10 4"),
            (205_600, "2 hundred 5 thousand 6 hundred", "2 10 ten-thousand 5 thousand 6 hundred"),
            (
                999_999,
                "9 hundred 90 9 thousand 9 hundred 90 9",
                "9 10 9 ten-thousand 9 thousand 9 hundred 9 10 9",
            ),
            (1_000_000, "1 0 0 0 0 0 0", "1 0 0 0 0 0 0"),
        ] {
            let said =
                [Language::English, Language::Chinese].map(|one| of(one, |speech| speech.number(number)));
            assert_eq!(said, [en, zh], "{number}");
        }
        assert_eq!(of(Language::Chinese, |speech| speech.count(2)), "two-of");
        assert_eq!(of(Language::English, |speech| speech.digits("+49*(0)#x")), "plus 4 9 star 0 pound");
    }

    #[test]
    fn times_and_dates_are_spoken_as_people_do() {
        for (hour, minute, en, zh) in [
            (0, 0, "12 oclock a-m", "small-hours 0 oclock sharp"),
            (1, 5, "1 oh 5 a-m", "small-hours 1 oclock 0 5 minute"),
            (9, 30, "9 30 a-m", "morning 9 oclock 3 10 minute"),
            (12, 0, "12 oclock p-m", "noon 10 2 oclock sharp"),
            (14, 10, "2 10 p-m", "afternoon two-of oclock 10 minute"),
            (23, 59, "11 50 9 p-m", "evening 10 1 oclock 5 10 9 minute"),
        ] {
            let said = [Language::English, Language::Chinese]
                .map(|one| of(one, |speech| speech.time(time(hour, minute, 7, 0))));
            assert_eq!(said, [en, zh], "{hour}:{minute}");
        }
        let said = [Language::English, Language::Chinese]
            .map(|one| of(one, |speech| speech.date(date(2026, 11, 28))));
        assert_eq!(said, ["day-6 month-11 20 nth-8", "10 1 month 2 10 8 day day-6"]);
        let said =
            [Language::English, Language::Chinese].map(|one| of(one, |speech| speech.date(date(2026, 2, 1))));
        assert_eq!(said, ["day-7 month-2 nth-1", "2 month 1 day day-7"]);
        assert_eq!(of(Language::English, |speech| speech.date(date(2026, 3, 30))), "day-1 month-3 nth-30");
    }

    #[test]
    fn moments_are_told_by_day_and_time() {
        let (now, day) = (1_800_000_000, 86_400); // 15 January 2027, 08:00 UTC
        let said = |unix| of(Language::English, |speech| speech.moment(unix, now, &TimeZone::UTC));
        assert_eq!(said(now), "today at 8 oclock a-m");
        assert_eq!(said(now - day), "yesterday at 8 oclock a-m");
        assert_eq!(said(now - 2 * day), "day-3 month-1 nth-13 at 8 oclock a-m");
        let said = of(Language::Chinese, |speech| speech.moment(now - day, now, &TimeZone::UTC));
        assert_eq!(said, "yesterday morning 8 oclock sharp");
    }

    #[test]
    fn whatever_is_spoken_has_a_prompt() {
        let known = |speech: Speech, language: Language| {
            let clips = speech.spoken(language);
            assert!(!clips.is_empty());
            for clip in clips {
                assert!(
                    matches!(&clip, Clip::Prompt(name) if offhook_media::prompts::is_known(name)),
                    "{clip:?}"
                );
            }
        };
        for language in [Language::English, Language::Chinese] {
            for number in (0..1100).chain((1100..1_000_000).step_by(997)) {
                known(Speech::new().number(number), language);
            }
            for minute in 0..24 * 60 {
                let time = time((minute / 60) as i8, (minute % 60) as i8, 0, 0);
                known(Speech::new().time(time), language);
            }
            for day in date(2028, 1, 1).series(jiff::ToSpan::days(1)).take(366) {
                known(Speech::new().date(day), language);
            }
        }
    }
}
