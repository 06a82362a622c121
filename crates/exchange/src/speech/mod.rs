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

/// Puts words in a row.
#[derive(Clone, Debug)]
pub(crate) struct Speech {
    language: Language,
    clips: Vec<Clip>,
}

impl Speech {
    pub(crate) fn new(language: Language) -> Self {
        Self { language, clips: Vec::new() }
    }

    /// A phrase, by the name of its prompt.
    pub(crate) fn say(mut self, phrase: &str) -> Self {
        self.push(phrase);
        self
    }

    /// Silence, or a beep, or a file.
    pub(crate) fn clip(mut self, clip: Clip) -> Self {
        self.clips.push(clip);
        self
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
    pub(crate) fn number(mut self, number: u32) -> Self {
        if number > 999_999 {
            return self.digits(&number.to_string());
        }
        match self.language {
            Language::English => en::number(number, &mut self),
            Language::Chinese => zh::number(number, &mut self),
        }
        self
    }

    /// How many of something there are, which follows.
    pub(crate) fn count(mut self, number: u32) -> Self {
        // Two of something is another word there.
        if self.language == Language::Chinese && number == 2 {
            self.push("two-of");
            return self;
        }
        self.number(number)
    }

    /// A phone number and the like, sign by sign; what cannot be said is left out.
    pub(crate) fn digits(mut self, text: &str) -> Self {
        for sign in text.chars() {
            match sign {
                '0'..='9' => self.push(sign.encode_utf8(&mut [0; 4])),
                '*' => self.push("star"),
                '#' => self.push("pound"),
                '+' => self.push("plus"),
                _ => {}
            }
        }
        self
    }

    /// A time of day.
    pub(crate) fn time(mut self, time: Time) -> Self {
        match self.language {
            Language::English => en::time(time, &mut self),
            Language::Chinese => zh::time(time, &mut self),
        }
        self
    }

    /// A day of the year.
    pub(crate) fn date(mut self, date: Date) -> Self {
        match self.language {
            Language::English => en::date(date, &mut self),
            Language::Chinese => zh::date(date, &mut self),
        }
        self
    }

    /// A moment of the past as seen from another: the day, where it is not today, and the time.
    pub(crate) fn moment(self, unix: u64, now: u64, zone: &TimeZone) -> Self {
        let (Some(moment), Some(now)) = (local(unix, zone), local(now, zone)) else { return self };
        let day = if moment.date() == now.date() {
            self.say("today")
        } else if now.date().yesterday().is_ok_and(|yesterday| yesterday == moment.date()) {
            self.say("yesterday")
        } else {
            self.date(moment.date())
        };
        let day = if day.language == Language::English { day.say("at") } else { day };
        day.time(moment.time())
    }

    /// All of it.
    pub(crate) fn clips(self) -> Vec<Clip> {
        self.clips
    }

    fn push(&mut self, name: &str) {
        let folder = match self.language {
            Language::English => "en",
            Language::Chinese => "zh",
        };
        let name = format!("{folder}/{name}");
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

    fn words(speech: Speech) -> String {
        let word = |clip: &Clip| match clip {
            Clip::Prompt(name) => name[3..].to_owned(),
            other => format!("{other:?}"),
        };
        speech.clips.iter().map(word).collect::<Vec<_>>().join(" ")
    }

    fn of(language: Language, say: impl Fn(Speech) -> Speech) -> String {
        words(say(Speech::new(language)))
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
        let known = |speech: Speech| {
            let clips = speech.clips();
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
                known(Speech::new(language).number(number));
            }
            for minute in 0..24 * 60 {
                known(Speech::new(language).time(time((minute / 60) as i8, (minute % 60) as i8, 0, 0)));
            }
            for day in date(2028, 1, 1).series(jiff::ToSpan::days(1)).take(366) {
                known(Speech::new(language).date(day));
            }
        }
    }
}
