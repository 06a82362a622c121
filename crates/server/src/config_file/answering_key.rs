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

/// The keys of `[[queue]]`.
pub(super) const QUEUE: &[Key] = &[
    key("number", Kind::Text, "", "What is dialled for it"),
    key("name", Kind::Text, "", "What agents are shown before the caller's name; default: its number"),
    key("agents", Kind::Texts, "", "Accounts, by number, user or address"),
    key(
        "log_in",
        Kind::Flag,
        "true",
        "Whether agents log in and out by services.queue.log_in; false: all of them are always there",
    ),
    key(
        "strategy",
        Kind::Choice(Strategy::WORDS),
        "\"longest-idle\"",
        "Which of the agents who are free is called, or all",
    ),
    key("rings_for", Kind::Time, "\"15s\"", "For how long"),
    key("wrap_up", Kind::TimeOrOff, "\"10s\"", "For so long an agent gets no call after the one before"),
    key(
        "pause_after",
        Kind::Count(0, 1_000),
        "3",
        "After so many calls that it has not answered an agent pauses; 0: never",
    ),
    key("max_waiting", Kind::Count(1, 10_000), "50", "How many callers may wait"),
    key("max_wait", Kind::Time, "\"10m\"", "For how long"),
    key("announce", Kind::TimeOrOff, "\"30s\"", "How often a caller is told its place; or \"off\""),
    key("then", Kind::Text, "", "Where calls go that cannot wait: an account, or a number outside"),
    key(
        "say_refusal",
        Kind::Flag,
        "false",
        "Whether a voice says so, before a call is refused that cannot wait and goes nowhere",
    ),
    key("when", Kind::Text, "", "The schedule at whose times it takes calls; default: always"),
    key("otherwise", Kind::Text, "", "Where calls go at other times"),
];

/// The keys of `[[camera]]`.
pub(super) const CAMERA: &[Key] = &[
    key("name", Kind::Text, "", "Its name, which those whom it calls are shown"),
    key("number", Kind::Text, "", "What is dialled for it"),
    key("url", Kind::Text, "", "Where it is: \"rtsp://192.0.2.7/stream1\""),
    key("username", Kind::Text, "", "The user name there"),
    key("password", Kind::Secret, "", "The password there"),
    key("password_file", Kind::Path, "", "A file that holds the password"),
    key(
        "video",
        Kind::Choice(&["h264", "h265", "off"]),
        "\"h264\"",
        "How its pictures are coded; they pass as they are. \"off\": only its sound is wanted",
    ),
    key(
        "calls",
        Kind::Texts,
        "",
        "Whom its button calls: accounts by number, user or address, or the number of a [[group]]",
    ),
    key("rings_for", Kind::Time, "\"30s\"", "For how long they ring"),
];
