//! The keys of objects that take calls for several people, and of their hours.

use offhook_exchange::services::Strategy;

use super::key::{Key, Kind, key};

/// The keys of `[[schedule]]`.
pub(super) const SCHEDULE: &[Key] = &[
    key("name", Kind::Text, "", "Its name"),
    key("time_zone", Kind::Text, "", "In which its times are meant; default: that of [numbers]"),
    key("open", Kind::List, "", "Times such as \"Mon-Fri 08:30-17:00\"; left out: around the clock"),
    key(
        "closed",
        Kind::List,
        "",
        "Days off, such as \"2026-12-24\" or \"2026-12-24..2026-12-26\"; without the year those of every year",
    ),
];

/// The keys of `[[group]]`.
pub(super) const GROUP: &[Key] = &[
    key("number", Kind::Text, "", "What is dialled for it"),
    key("name", Kind::Text, "", "What its members are shown before the caller's name; default: its number"),
    key("members", Kind::Texts, "", "Accounts, by number, user or address"),
    key("strategy", Kind::Choice(Strategy::WORDS), "\"all\"", "Whether all ring at once, or in which order"),
    key("rings_for", Kind::Time, "\"20s\"", "For how long all of them ring, or each"),
    key("then", Kind::Text, "", "Where a call goes that nobody takes: a number, a name, or a URI"),
    key("skip_busy", Kind::Flag, "true", "Whether members that are in a call are left out"),
    key(
        "follow_forwards",
        Kind::Flag,
        "false",
        "Whether a member whose calls all go on to another account rings there",
    ),
    key("when", Kind::Text, "", "The schedule at whose times it takes calls; default: always"),
    key("otherwise", Kind::Text, "", "Where calls go at other times"),
];
