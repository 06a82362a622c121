//! What a mail about a voice message says.

use std::time::{Duration, UNIX_EPOCH};

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use lettre::message::header::ContentType;
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};
use lettre::{Address, Message};
use offhook_exchange::mailbox;
use offhook_exchange::speech::Language;

/// Everything that a mail is made of.
pub(super) struct Letter<'a> {
    pub(super) from: &'a Mailbox,
    /// The e-mail address of the owner of the mailbox, and its name.
    pub(super) to: (&'a str, Option<&'a str>),
    pub(super) message: &'a mailbox::Message,
    /// By which the mail is known.
    pub(super) id: &'a str,
    /// How long the message is.
    pub(super) seconds: f64,
    pub(super) sound: Sound,
    pub(super) language: Language,
    pub(super) zone: &'a TimeZone,
    /// What is dialled to hear messages.
    pub(super) number: Option<&'a str>,
}

/// Whether the recording goes along.
pub(super) enum Sound {
    /// As a WAV file.
    Attached(Vec<u8>),
    /// It is so large that mail servers refuse it.
    TooLarge,
    /// It is not wanted.
    Left,
}

impl Letter<'_> {
    /// The mail, ready to be sent.
    ///
    /// # Errors
    /// When the address of the owner is no e-mail address.
    pub(super) fn write(self) -> Result<Message, String> {
        let (email, name) = self.to;
        let address: Address = email.parse().map_err(|error| format!("{email:?}: {error}"))?;
        let to = Mailbox::new(name.map(one_line).filter(|name| !name.is_empty()), address);
        let (subject, text) = (self.subject(), self.text());
        let sent = UNIX_EPOCH + Duration::from_secs(self.message.at);
        let builder = Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(subject)
            .date(sent)
            .message_id(Some(format!("<{}@{}>", self.id, self.from.email.domain())));
        let file = self.file_name();
        let message = match self.sound {
            Sound::Attached(sound) => {
                let kind = ContentType::parse("audio/wav").map_err(|error| error.to_string())?;
                let sound = Attachment::new(file).body(sound, kind);
                builder.multipart(MultiPart::mixed().singlepart(SinglePart::plain(text)).singlepart(sound))
            }
            Sound::TooLarge | Sound::Left => builder.singlepart(SinglePart::plain(text)),
        };
        message.map_err(|error| error.to_string())
    }

    fn subject(&self) -> String {
        let (caller, length) = (self.caller(), self.length());
        match self.language {
            Language::English => format!("Voice message from {caller} ({length})"),
            Language::Chinese => format!("{caller}的语音留言（{length}）"),
        }
    }

    fn text(&self) -> String {
        let (caller, length, at) = (self.caller(), self.length(), self.moment());
        let zone = self.zone.iana_name().unwrap_or("UTC");
        let mut text = match self.language {
            Language::English => format!("From:    {caller}\nAt:      {at} ({zone})\nLength:  {length}\n"),
            Language::Chinese => format!("来电：{caller}\n时间：{at}（{zone}）\n时长：{length}\n"),
        };
        match (self.language, &self.sound) {
            (Language::English, Sound::TooLarge) => {
                text.push_str("\nThe recording is too large for a mail.\n")
            }
            (Language::Chinese, Sound::TooLarge) => text.push_str("\n录音过大，无法随邮件发送。\n"),
            (_, Sound::Attached(_) | Sound::Left) => {}
        }
        if let Some(number) = self.number {
            text.push_str(&match self.language {
                Language::English => format!("\nTo hear your messages by phone, dial {number}.\n"),
                Language::Chinese => format!("\n拨打 {number} 可以用电话收听留言。\n"),
            });
        }
        text
    }

    fn caller(&self) -> &str {
        match (self.message.caller(), self.language) {
            ("", Language::English) => "an unknown caller",
            ("", Language::Chinese) => "未知来电者",
            (caller, _) => caller,
        }
    }

    fn length(&self) -> String {
        let seconds = self.seconds.round() as u64;
        format!("{}:{:02}", seconds / 60, seconds % 60)
    }

    /// When it was left, as people write that.
    fn moment(&self) -> String {
        match (self.language, self.at()) {
            (_, None) => String::new(),
            (Language::English, Some(at)) => at.strftime("%A, %-d %B %Y, %H:%M").to_string(),
            (Language::Chinese, Some(at)) => {
                let day = usize::from(at.weekday().to_monday_zero_offset().unsigned_abs());
                format!("{}（星期{}）{}", at.strftime("%Y年%-m月%-d日"), DAYS[day], at.strftime("%H:%M"))
            }
        }
    }

    fn at(&self) -> Option<Zoned> {
        let at = i64::try_from(self.message.at).ok().and_then(|at| Timestamp::from_second(at).ok())?;
        Some(at.to_zoned(self.zone.clone()))
    }

    fn file_name(&self) -> String {
        let caller = self.message.caller();
        let caller = if caller.is_empty() { "unknown" } else { caller };
        let at = self.at().map(|at| at.strftime("%Y%m%d-%H%M%S").to_string()).unwrap_or_default();
        format!("message-{at}-{caller}.wav")
    }
}

/// A name as it may stand in a header: whoever writes line ends into it gets no headers of its own.
fn one_line(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(NAME)
        .collect::<String>()
        .trim()
        .to_owned()
}

/// Signs of a name that are shown.
const NAME: usize = 128;
/// Of the week, from Monday.
const DAYS: [&str; 7] = ["一", "二", "三", "四", "五", "六", "日"];

#[cfg(test)]
mod tests {
    use base64::prelude::*;

    use super::*;

    fn letter(name: &str, language: Language) -> Result<String, String> {
        let from: Mailbox = "Offhook <pbx@example.com>".parse().unwrap();
        let message = mailbox::Message::new(1_800_000_000, 1, "1002\r\nBcc: eve@example.com");
        let letter = Letter {
            from: &from,
            to: ("alice@example.com", Some(name)),
            message: &message,
            id: "0a",
            seconds: 61.6,
            sound: Sound::Attached(vec![7; 1000]),
            language,
            zone: &TimeZone::UTC,
            number: Some("*97"),
        };
        letter.write().map(|message| String::from_utf8(message.formatted()).unwrap())
    }

    #[test]
    fn a_mail_says_who_and_when_and_brings_the_sound() {
        let mail = letter("Alice 王", Language::English).unwrap();
        for part in [
            "Subject: Voice message from 1002BcceveexampleCom".to_lowercase().as_str(),
            "(1:02)",
            "friday, 15 january 2027, 08:00 (utc)",
            "dial *97",
            "content-type: audio/wav",
            "message-20270115-080000-1002",
            "message-id: <0a@example.com>",
            "date: fri, 15 jan 2027 08:00:00 +0000",
        ] {
            assert!(mail.to_lowercase().contains(part), "{part}\n{mail}");
        }
        let mail = letter("Alice", Language::Chinese).unwrap();
        // RFC 2047 §2: an encoded word has at most 75 signs, and nothing else may carry what is not ASCII.
        let (head, text) = mail.split_once("\r\n\r\n").unwrap();
        assert!(
            head.is_ascii()
                && head.split_whitespace().all(|word| !word.starts_with("=?") || word.len() <= 75)
        );
        assert_eq!(encoded(head, "Subject: "), "1002Bcceveexamplecom的语音留言（1:02）");
        let text = text.split("\r\n\r\n").nth(1).unwrap().split("\r\n--").next().unwrap();
        let text =
            BASE64_STANDARD.decode(text.replace("\r\n", "")).map(|text| String::from_utf8(text).unwrap());
        let text = text.expect("the text in base64");
        for part in ["来电：1002", "时间：2027年1月15日（星期五）08:00（UTC）", "时长：1:02", "拨打 *97 可以"]
        {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    /// A field of a header whose value is in encoded words (RFC 2047 §2).
    fn encoded(head: &str, name: &str) -> String {
        let field = head.split(name).nth(1).unwrap().replace("\r\n ", "");
        let words = field.lines().next().unwrap().split("=?utf-8?b?").skip(1);
        let octets =
            words.flat_map(|word| BASE64_STANDARD.decode(word.trim().trim_end_matches("?=")).unwrap());
        String::from_utf8(octets.collect()).unwrap()
    }

    #[test]
    fn no_name_writes_headers() {
        for name in
            ["Eve\r\nBcc: all@example.com", "Eve\nBcc: all@example.com\n\nBody", "\r\n.\r\n", "\u{85}Bcc: x"]
        {
            let mail = letter(name, Language::English).unwrap();
            let (head, _) = mail.split_once("\r\n\r\n").unwrap();
            let names = |head: &str| {
                let lines = head.split("\r\n").filter(|line| !line.starts_with([' ', '\t']));
                lines
                    .map(|line| line.split(':').next().unwrap_or_default().to_lowercase())
                    .collect::<Vec<_>>()
            };
            let expected = names(letter("Eve", Language::English).unwrap().split_once("\r\n\r\n").unwrap().0);
            if name.trim().trim_matches('.').is_empty() {
                assert!(!names(head).contains(&"bcc".to_owned()), "{head}");
            } else {
                assert_eq!(names(head), expected, "{name:?}\n{head}");
            }
            assert!(!head.contains('\n') || head.matches('\n').count() == head.matches("\r\n").count());
        }
    }

    #[test]
    fn an_address_that_is_none_is_said_to_be_none() {
        let from: Mailbox = "pbx@example.com".parse().unwrap();
        let message = mailbox::Message::new(1_800_000_000, 1, "");
        let letter = Letter {
            from: &from,
            to: ("alice@example.com\r\nRCPT TO:<eve@example.com>", None),
            message: &message,
            id: "0a",
            seconds: 1.0,
            sound: Sound::Left,
            language: Language::English,
            zone: &TimeZone::UTC,
            number: None,
        };
        assert!(letter.write().is_err());
    }
}
