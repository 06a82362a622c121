//! Every key that may be set: its kind, its default, its sentence.

/// A key of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its path, such as `sip.udp`.
    pub path: &'static str,
    /// What its value must be.
    pub kind: Kind,
    /// The default, as it would stand in the file; empty where it depends on the machine or there is none.
    pub default: &'static str,
    /// What it does.
    pub doc: &'static str,
}

/// What a value must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A file or directory.
    Path,
    /// A password, `{ env = "NAME" }` or `{ file = "PATH" }`.
    Secret,
    /// Texts, or one of them, or several with commas between.
    Texts,
    /// `true` or `false`.
    Flag,
    /// A whole number within these bounds.
    Count(u64, u64),
    /// A length of time such as `"60s"`, `"10m"`, `"2h"`; a bare number is seconds.
    Time,
    /// The same, or `"off"`.
    TimeOrOff,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// An address with its port.
    Address,
    /// Addresses with their ports to listen on: one, several, or `"off"`.
    Listen,
    /// Addresses of servers, port 53 where none is named.
    Servers,
    /// An IP address, or `"auto"`.
    IpOrAuto,
    /// Networks such as `"10.0.0.0/8"`.
    Networks,
    /// Ports such as `"20000-20999"`.
    Ports,
    /// Texts, or one of them; a comma in it is part of it.
    List,
    /// A table of one place to go, or a list of tables with trunks.
    Destination,
    /// A table of one thing to do, such as `{ call = "600" }`.
    Action,
    /// A table of such tables, by keys of a phone.
    Actions,
    /// A table of what an account may do.
    Limits,
}

impl Kind {
    /// What would have been right, in words.
    pub fn expected(self) -> String {
        match self {
            Self::Text => "text in quotes".into(),
            Self::Path => "a path in quotes".into(),
            Self::Secret => "a password in quotes, { env = \"NAME\" } or { file = \"PATH\" }".into(),
            Self::Texts => "a list such as [\"one\", \"two\"]".into(),
            Self::Flag => "true or false".into(),
            Self::Count(least, most) => format!("a whole number from {least} to {most}"),
            Self::Time => "a time such as \"60s\", \"10m\" or \"2h\"".into(),
            Self::TimeOrOff => "a time such as \"60s\" or \"10m\", or \"off\"".into(),
            Self::Choice(words) => {
                let quoted: Vec<_> = words.iter().map(|word| format!("{word:?}")).collect();
                quoted.join(" or ")
            }
            Self::Address => "an address with a port, such as \"127.0.0.1:8080\"".into(),
            Self::Listen => {
                "an address with a port, such as \"[::]:5060\", a list of them, or \"off\"".into()
            }
            Self::Servers => "addresses such as [\"192.0.2.53\", \"127.0.0.1:5353\"]".into(),
            Self::IpOrAuto => "an IP address such as \"203.0.113.7\", or \"auto\"".into(),
            Self::Networks => "networks such as [\"10.0.0.0/8\"]".into(),
            Self::Ports => "ports such as \"20000-20999\", at least four".into(),
            Self::List => "text in quotes or a list of such".into(),
            Self::Action => "{ call = \"600\" }, { menu = \"NAME\" }, { voicemail = \"600\" } or the like".into(),
            Self::Actions => "keys and where they lead: 1 = { call = \"600\" }, 2 = { menu = \"NAME\" } …".into(),
            Self::Limits => "{ calls = 2, minutes_per_day = 60, money_per_day = \"5.00\" }, or some of it".into(),
            Self::Destination => {
                "{ trunk = \"NAME\" }, { trunk = [\"ONE\", \"TWO\"] }, a list of { trunk = \"NAME\", weight = 1 }, \
                 { account = \"sip:…\" }, { domain = \"…\" }, { enum = \"e164.arpa\" } or { reject = 603 }"
                    .into()
            }
        }
    }

    /// Whether a bare word on a command line is text even if it looks like a number.
    pub(super) fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::Path | Self::Texts)
    }
}

pub(super) const fn key(path: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key { path, kind, default, doc }
}

impl Key {
    /// The variable of the environment that sets it: `OFFHOOK_SIP_UDP` for `sip.udp`.
    pub fn variable(&self) -> String {
        format!("OFFHOOK_{}", self.path.replace('.', "_").to_uppercase())
    }
}

/// The keys that stand outside `[[account]]`, `[[trunk]]` and `[[route]]`, in the order of the sample.
pub const KEYS: &[Key] = &[
    key(
        "domains",
        Kind::Texts,
        "",
        "Names and addresses served here; the first is the realm of new passwords",
    ),
    key("data_dir", Kind::Path, "", "Where everything is kept"),
    key("pid_file", Kind::Path, "", "Where the process writes its number"),
    key("language", Kind::Choice(&["en", "zh"]), "\"en\"", "What the exchange speaks on the phone"),
    key("sip.udp", Kind::Listen, "\"[::]:5060\"", "Where SIP over UDP is spoken"),
    key("sip.tcp", Kind::Listen, "\"[::]:5060\"", "Where SIP over TCP is spoken"),
    key("sip.tls", Kind::Listen, "\"[::]:5061\"", "Where SIP over TLS is spoken"),
    key(
        "sip.certificate",
        Kind::Path,
        "",
        "The certificate to show, with its chain, in PEM; default: one of our own",
    ),
    key("sip.key", Kind::Path, "", "Its key, in PEM"),
    key("sip.client_ca", Kind::Path, "", "Whoever comes by TLS must have a certificate of one of these"),
    key(
        "sip.peer_ca",
        Kind::Path,
        "",
        "Authorities of other domains' certificates, beside those that the system trusts",
    ),
    key(
        "sip.other_domains",
        Kind::Choice(&["allow", "refuse"]),
        "\"allow\"",
        "Whether accounts may call other domains",
    ),
    key(
        "sip.external_address",
        Kind::IpOrAuto,
        "\"auto\"",
        "The address that phones outside the local networks are told",
    ),
    key(
        "sip.local_networks",
        Kind::Networks,
        "[\"10.0.0.0/8\", \"192.168.0.0/16\", \"172.16.0.0/12\", \"fc00::/7\"]",
        "Networks whose phones reach us by the address that we see",
    ),
    key(
        "sip.threads",
        Kind::Count(1, 64),
        "",
        "Threads of signalling, each with its share of calls and media ports; default: one for two processors",
    ),
    key("sip.timer_c", Kind::Time, "\"185s\"", "How long a phone may ring; more than three minutes"),
    key("sip.registration.min_expires", Kind::Time, "\"60s\"", "Shorter registrations are refused with 423"),
    key("sip.registration.default_expires", Kind::Time, "\"1h\"", "What a phone gets that asks for nothing"),
    key("sip.registration.max_expires", Kind::Time, "\"2h\"", "Longer registrations are shortened"),
    key("sip.registration.max_contacts", Kind::Count(1, 100), "10", "Phones that an account may have"),
    key(
        "numbers.country",
        Kind::Text,
        "",
        "The country whose way of dialling is meant, such as \"DE\"; default: none",
    ),
    key(
        "numbers.area_code",
        Kind::Text,
        "",
        "Put before numbers that are dialled without one; default: none",
    ),
    key(
        "numbers.emergency",
        Kind::Texts,
        "",
        "Numbers that are never blocked or limited; default: those of the country, else 112 and 911",
    ),
    key(
        "numbers.time_zone",
        Kind::Text,
        "",
        "Of the times in routes, such as \"Europe/Berlin\"; default: the machine's",
    ),
    key("numbers.quota", Kind::Count(0, 10_000), "3", "Numbers that an account may get by applying for them"),
    key(
        "numbers.approval",
        Kind::Choice(&["operator", "automatic"]),
        "\"operator\"",
        "Who decides about applications for numbers; automatic: the first free number is given at once",
    ),
    key(
        "rates.file",
        Kind::Path,
        "",
        "What calls by trunks cost: a CSV file (prefix,per_minute,connection,increments,currency)",
    ),
    key(
        "stir.verify",
        Kind::Choice(&["off", "note", "require"]),
        "\"off\"",
        "What is done about the signatures of calls from outside: nothing; they are checked and noted; without a good one there is no call",
    ),
    key("stir.roots", Kind::Path, "", "The authorities whose signers are believed, in PEM; verify needs it"),
    key(
        "stir.verstat",
        Kind::Flag,
        "false",
        "Whether phones are told of the outcome, by verstat in P-Asserted-Identity",
    ),
    key(
        "stir.allow_hosts",
        Kind::Networks,
        "[]",
        "Private networks from which certificates may be fetched all the same",
    ),
    key("dns.servers", Kind::Servers, "", "DNS servers; default: those of the system"),
    key("dns.timeout", Kind::Time, "\"4s\"", "How long they may take to answer a question"),
    key(
        "web.http",
        Kind::Listen,
        "\"127.0.0.1:8080\"",
        "Where the API is served over HTTP, and SIP over WebSocket",
    ),
    key(
        "web.listen",
        Kind::Listen,
        "\"[::]:8443\"",
        "Where the API is served over HTTPS, and SIP over WebSocket to browsers",
    ),
    key(
        "web.tls",
        Kind::Choice(&["auto", "files", "off"]),
        "\"auto\"",
        "Where certificates come from: files if they are named, else our own; files only; no HTTPS",
    ),
    key("web.certificate", Kind::Path, "", "The certificate to show there; default: that of sip"),
    key("web.key", Kind::Path, "", "Its key"),
    key("media.ports", Kind::Ports, "\"20000-20999\"", "Ports for relayed media"),
    key(
        "media.anchor",
        Kind::Choice(&["auto", "always", "never"]),
        "\"auto\"",
        "Whether media goes through the exchange",
    ),
    key(
        "media.codecs",
        Kind::Texts,
        "[\"opus\", \"g722\", \"pcma\", \"pcmu\"]",
        "Codecs between which sound is translated when two phones share none",
    ),
    key(
        "media.srtp",
        Kind::Choice(&["off", "prefer", "require"]),
        "\"prefer\"",
        "Whether media is encrypted, on each side of a call in its own way",
    ),
    key("media.timeout", Kind::Time, "\"60s\"", "A call through us without media for this long is ended"),
    key("media.hold_timeout", Kind::Time, "\"2h\"", "The same for a call on hold"),
    key(
        "turn.listen",
        Kind::Listen,
        "\"[::]:3478\"",
        "Where TURN and STUN are spoken, over UDP and TCP; if it is not set and the port is taken: nowhere",
    ),
    key(
        "turn.tls",
        Kind::Listen,
        "\"[::]:5349\"",
        "Where they are spoken over TLS, with the certificate of SIP; if it is not set: where turn.listen has port 3478",
    ),
    key("turn.ports", Kind::Ports, "\"21000-21999\"", "Ports of relayed addresses"),
    key(
        "turn.allow_peers",
        Kind::Networks,
        "[]",
        "Private networks that clients of TURN may reach all the same",
    ),
    key("turn.max_allocations", Kind::Count(1, 60_000), "1000", "Relayed addresses in all"),
    key(
        "turn.max_allocations_per_account",
        Kind::Count(1, 60_000),
        "10",
        "Relayed addresses that an account may have at a time",
    ),
    key(
        "turn.bytes_per_second",
        Kind::Count(1_000, 1_000_000_000),
        "250000",
        "What a relayed address carries each way",
    ),
    key(
        "messages.keep",
        Kind::TimeOrOff,
        "\"7d\"",
        "How long text messages are kept for somebody who has no phone that takes them; \"off\": not at all",
    ),
    key(
        "messages.history",
        Kind::TimeOrOff,
        "\"30d\"",
        "How long text messages that were delivered or have expired are shown; \"off\": none is noted",
    ),
    key(
        "messages.max_per_account",
        Kind::Count(1, 100_000),
        "1000",
        "Text messages that may wait for one account",
    ),
    key(
        "messages.per_minute",
        Kind::Count(1, 100_000),
        "60",
        "Text messages that one account may send in a minute",
    ),
    key(
        "mail.server",
        Kind::Text,
        "",
        "The server that takes mails about voice messages; default: there are none",
    ),
    key("mail.port", Kind::Count(1, 65_535), "", "Its port; default: 587, with \"tls\" 465, with \"off\" 25"),
    key(
        "mail.tls",
        Kind::Choice(&["starttls", "tls", "off"]),
        "\"starttls\"",
        "How the way there is encrypted: after the first words, from the first octet, or not",
    ),
    key("mail.user", Kind::Text, "", "The user name there; default: none is asked for"),
    key("mail.password", Kind::Secret, "", "The password there"),
    key("mail.from", Kind::Text, "", "Who the mails are from"),
    key(
        "mail.ca",
        Kind::Path,
        "",
        "Authorities that may have signed the server's certificate, in PEM, beside those that the system trusts",
    ),
    key("mail.attach", Kind::Flag, "true", "Whether the recording goes with the mail"),
    key("mail.give_up", Kind::Time, "\"5d\"", "A mail that could not be sent for this long is given up"),
    key(
        "presence.watch",
        Kind::Choice(&["accounts", "nobody"]),
        "\"accounts\"",
        "Who may watch the presence and the calls of an account, besides the account itself",
    ),
    key(
        "presence.unsolicited_mwi",
        Kind::Flag,
        "true",
        "Whether phones that did not ask are told of waiting voice messages",
    ),
    key(
        "services.echo.number",
        Kind::Text,
        "\"*43\"",
        "What accounts dial to hear themselves; \"off\": there is no echo test",
    ),
    key(
        "services.clock.number",
        Kind::Text,
        "\"*60\"",
        "What accounts dial to hear the date and the time; \"off\": there is no speaking clock",
    ),
    key(
        "services.codes.always",
        Kind::Text,
        "\"*21\"",
        "What accounts dial, and * and a number, to send all their calls there; # in place of its * ends that; or \"off\"",
    ),
    key("services.codes.busy", Kind::Text, "\"*67\"", "The same for calls to someone busy"),
    key("services.codes.no_answer", Kind::Text, "\"*61\"", "The same for calls that nobody answers"),
    key("services.codes.unreachable", Kind::Text, "\"*62\"", "The same for calls to someone without a phone"),
    key(
        "services.codes.do_not_disturb",
        Kind::Text,
        "\"*26\"",
        "What accounts dial so that no phone of theirs rings; # in place of its * ends that; or \"off\"",
    ),
    key(
        "services.queue.log_in",
        Kind::Text,
        "\"*45\"",
        "What agents dial to log in to their queues and out, with * and a number for one of them; or \"off\"",
    ),
    key("services.queue.pause", Kind::Text, "\"*46\"", "The same to begin a pause and to end it"),
    key(
        "services.wake_up.code",
        Kind::Text,
        "\"*55\"",
        "What accounts dial, with * and a time such as 0730, to be called then; # in place of its * ends that; or \"off\"",
    ),
    key(
        "services.call_back.code",
        Kind::Text,
        "\"*37\"",
        "What accounts dial, alone or with a number, to be called when somebody is free; # in place of its * ends that; or \"off\"",
    ),
    key("services.call_back.time", Kind::Time, "\"1h\"", "For how long one waits for that"),
    key(
        "services.conference.rooms",
        Kind::Text,
        "\"3000-3009\"",
        "The numbers of conference rooms, one or first and last; \"off\": there are none",
    ),
    key(
        "services.conference.pin",
        Kind::Secret,
        "",
        "What has to be entered to come into a room; default: nothing",
    ),
    key(
        "services.conference.moderator_pin",
        Kind::Secret,
        "",
        "What those enter who may lock a room; default: all may",
    ),
    key("services.conference.most", Kind::Count(2, 1000), "100", "How many may be in a room"),
    key(
        "services.park.number",
        Kind::Text,
        "\"700\"",
        "What a call is transferred to that is to be parked; \"off\": no call is",
    ),
    key(
        "services.park.slots",
        Kind::Text,
        "\"701-720\"",
        "What is dialled to fetch a parked call, first and last",
    ),
    key(
        "services.park.time",
        Kind::Time,
        "\"2m\"",
        "After so long a parked call rings back at who parked it",
    ),
    key(
        "services.pickup.number",
        Kind::Text,
        "\"*8\"",
        "What is dialled to take a call that rings in one's pickup group, alone or before a number; \"off\": none is",
    ),
    key(
        "services.fetch.number",
        Kind::Text,
        "\"*71\"",
        "What is dialled to take the call that one has at another of one's phones; \"off\": nothing",
    ),
    key(
        "services.transfer.code",
        Kind::Text,
        "\"*2\"",
        "What is pressed in a call before a number and # to transfer the other party; \"off\": nothing",
    ),
    key(
        "services.consult.code",
        Kind::Text,
        "\"*6\"",
        "What is pressed in a call before a number and # to talk there before the other party is transferred; \"off\": nothing",
    ),
    key(
        "services.add.code",
        Kind::Text,
        "\"*4\"",
        "What is pressed in a call before a number and # to have a third party come to it; \"off\": nothing",
    ),
    key(
        "services.in_call_codes.all_calls",
        Kind::Flag,
        "false",
        "Whether the codes that are pressed in a call are heard in every call of an account, which then has legs of the exchange",
    ),
    key(
        "services.intercom.number",
        Kind::Text,
        "\"*80\"",
        "What is dialled before a number whose phones are to answer by themselves, by accounts that may; \"off\": nothing",
    ),
    key(
        "services.supervise.listen",
        Kind::Text,
        "\"*901\"",
        "What is dialled before a number to listen to its call, by accounts that may; \"off\": nothing",
    ),
    key(
        "services.supervise.whisper",
        Kind::Text,
        "\"*902\"",
        "The same to be heard by the one at that number only; \"off\": nothing",
    ),
    key("services.supervise.barge", Kind::Text, "\"*903\"", "The same to be heard by both; \"off\": nothing"),
    key(
        "services.recording.toggle",
        Kind::Text,
        "\"*1\"",
        "What an account that records on demand presses in a call to begin and end that; \"off\": nothing",
    ),
    key(
        "services.recording.pause",
        Kind::Text,
        "\"*3\"",
        "What is pressed to record silence for a while, and both sides again; \"off\": nothing",
    ),
    key(
        "services.recording.announce",
        Kind::Choice(&["beep", "spoken", "silent"]),
        "\"beep\"",
        "What both sides hear when a recording begins, pauses or ends",
    ),
    key("services.recording.longest", Kind::Time, "\"4h\"", "The longest recording"),
    key(
        "services.recording.keep_days",
        Kind::Count(0, 36_500),
        "0",
        "After how many days the recording of a call is deleted; 0: never",
    ),
    key(
        "services.voicemail.number",
        Kind::Text,
        "\"*97\"",
        "What accounts dial to hear their messages, and before a number to leave one there; \"off\": there is no voicemail",
    ),
    key(
        "services.voicemail.for_all",
        Kind::Flag,
        "false",
        "Whether it takes the calls that any account does not answer; else those that accounts forward to it",
    ),
    key("services.voicemail.longest", Kind::Time, "\"3m\"", "The longest message"),
    key("services.voicemail.most", Kind::Count(1, 10_000), "100", "How many messages a mailbox holds"),
    key(
        "services.voicemail.keep_days",
        Kind::Count(0, 36_500),
        "0",
        "After how many days a message is deleted, heard or not; 0: never",
    ),
    key(
        "trace.memory",
        Kind::Text,
        "\"4 MiB\"",
        "Memory for the messages that passed lately, for ladders and explanations; \"off\": they are not kept",
    ),
    key("store.url", Kind::Text, "\"sqlite:offhook.db\"", "The database, in the data directory"),
    key(
        "security.authentication",
        Kind::Choice(&["required", "off"]),
        "\"required\"",
        "Whether phones must prove who they are",
    ),
    key(
        "security.strangers",
        Kind::Choice(&["refuse", "allow"]),
        "\"refuse\"",
        "Whether someone without an account may call an account",
    ),
    key(
        "security.allow_from",
        Kind::Texts,
        "[]",
        "Networks, and domains by their servers, from which someone without an account may call an account",
    ),
    key(
        "security.strangers_per_minute",
        Kind::Count(1, 1_000_000),
        "30",
        "What one address without an account may begin in a minute",
    ),
    key(
        "security.ban.failures",
        Kind::Count(1, 1_000_000),
        "8",
        "Wrong passwords that ban an address; local ones are never",
    ),
    key("security.ban.window", Kind::Time, "\"10m\"", "Within which they are counted"),
    key("security.ban.duration", Kind::Time, "\"1h\"", "How long a ban lasts"),
    key(
        "security.max_calls_per_account",
        Kind::Count(1, 10_000),
        "4",
        "Calls that an account may have at a time",
    ),
    key(
        "security.limits.minutes_per_day",
        Kind::Count(0, 1_000_000),
        "",
        "Minutes that an account may call by trunks on a day, if it has no limit of its own; default: no limit",
    ),
    key(
        "security.limits.money_per_day",
        Kind::Text,
        "",
        "Money, such as \"5.00\", that an account may spend by trunks on a day; it needs rates.file; default: no limit",
    ),
    key(
        "security.allow_international",
        Kind::Flag,
        "false",
        "Whether numbers abroad may be called by routes",
    ),
];

/// The keys of `[[account]]`.
pub(super) const ACCOUNT: &[Key] = &[
    key("address", Kind::Text, "", "sip:alice@example.com"),
    key("number", Kind::Text, "", "Its number, such as 1001 or +8613800000000"),
    key("name", Kind::Text, "", "The name shown to those it calls"),
    key("password", Kind::Secret, "", "Left out: generated, shown once"),
    key("password_file", Kind::Path, "", "A file that holds the password"),
    key("email", Kind::Text, "", "Where its owner is reached"),
    key("language", Kind::Choice(&["en", "zh"]), "", "How it is spoken and written to; left out: as all are"),
    key("country", Kind::Text, "", "The country as whose people it dials, if not that of [numbers]"),
    key("area_code", Kind::Text, "", "Its area code, if not that of [numbers]"),
    key("limits", Kind::Limits, "", "What it may do, where that is not as [security] says"),
];

/// The keys of `[[trunk]]`.
pub(super) const TRUNK: &[Key] = &[
    key("name", Kind::Text, "", "Its name"),
    key("server", Kind::Text, "", "The provider's server: a domain or an address, perhaps with a port"),
    key("username", Kind::Text, "", "The user name there"),
    key("password", Kind::Secret, "", "The password there"),
    key("auth_username", Kind::Text, "", "The user name in credentials, if it is another"),
    key(
        "realm",
        Kind::Text,
        "",
        "The only realm whose challenges are answered; default: the first that the provider names",
    ),
    key("registrar", Kind::Text, "", "The domain at which to register, if it is not that of server"),
    key("proxy", Kind::Text, "", "Where everything is sent, if not to server"),
    key(
        "transport",
        Kind::Choice(&["udp", "tcp", "tls"]),
        "",
        "How everything is sent; default: as the DNS says",
    ),
    key("register", Kind::Flag, "true", "Whether to register, so that calls come in"),
    key("expires", Kind::Time, "\"10m\"", "How long a registration shall hold; it is refreshed before"),
    key("numbers", Kind::Texts, "", "Numbers whose calls come in here"),
    key(
        "from",
        Kind::Choice(&["number", "username"]),
        "\"number\"",
        "What stands in From: the caller's number, as far as it is one of numbers, or the user name",
    ),
    key(
        "format",
        Kind::Choice(&["plus", "e164", "national", "as-dialled"]),
        "\"plus\"",
        "How numbers are written: +49301234567, 49301234567, 0301234567, or as the caller dialled",
    ),
    key("strip", Kind::Count(1, 20), "", "How many signs are taken off in front of what is called then"),
    key("prefix", Kind::Text, "", "What comes in front of it then"),
    key("max_calls", Kind::Count(1, 100_000), "", "Calls at a time; default: no limit"),
    key(
        "max_calls_per_second",
        Kind::Count(1, 10_000),
        "",
        "Calls that may begin within a second; default: no limit",
    ),
    key(
        "health",
        Kind::TimeOrOff,
        "",
        "How often the server is asked whether it is there; default: \"30s\" with a password, else \"off\"",
    ),
    key(
        "record",
        Kind::Choice(&["never", "on-demand", "always"]),
        "\"never\"",
        "When its calls are recorded, beside what the accounts in them want",
    ),
    key("auth", Kind::Choice(&["register", "address", "tls"]), "", "How each side proves who it is"),
    key(
        "tls_name",
        Kind::Text,
        "",
        "With auth = \"tls\", the domain that its certificate has to be for; default: that of server",
    ),
    key("networks", Kind::Networks, "", "Where its calls come from, beside the addresses of the server"),
    key(
        "srtp",
        Kind::Choice(&["off", "prefer", "require"]),
        "",
        "Whether the media of its calls is encrypted; default: as [media] says",
    ),
    key(
        "codecs",
        Kind::Texts,
        "",
        "The only formats of sound of its calls, out of opus, g722, pcma, pcmu and g729; left out: any",
    ),
    key(
        "sign_key",
        Kind::Path,
        "",
        "The private key on P-256, in PEM, with which its calls are signed (STIR/SHAKEN)",
    ),
    key("sign_certificate", Kind::Text, "", "Where others fetch the certificate of that key: https://…"),
    key(
        "verify",
        Kind::Choice(&["off", "note", "require"]),
        "",
        "What is done about the signatures of calls that come by it; default: as [stir] says",
    ),
];

/// The keys of `[[page]]`.
pub(super) const PAGE: &[Key] = &[
    key("number", Kind::Text, "", "What accounts dial that may make phones answer by themselves"),
    key("members", Kind::Texts, "", "Numbers and names of the accounts whose phones let it be heard"),
];

/// The keys of `[[route]]`.
pub(super) const ROUTE: &[Key] = &[
    key("name", Kind::Text, "", "Its name"),
    key(
        "match",
        Kind::Texts,
        "",
        "Patterns of the numbers it is for, such as \"+49*\" or \"1XX\"; left out: all",
    ),
    key("caller", Kind::Texts, "", "Accounts or domains whose calls it is for; left out: all"),
    key("domain", Kind::Texts, "", "Domains in which the number was dialled; left out: all"),
    key("from", Kind::Texts, "", "Trunks by which the call came; left out: any way"),
    key("when", Kind::List, "", "Times such as \"Mon-Fri 08:00-18:00\"; left out: always"),
    key("strip", Kind::Count(1, 20), "", "How many signs are taken off in front, + being one"),
    key("prepend", Kind::Text, "", "What comes in front then"),
    key(
        "to",
        Kind::Destination,
        "",
        "Where calls go: { trunk | account | domain | enum = \"…\" }, { trunk = [\"first\", \"second\"] }, a list of \
         { trunk = \"…\", priority = 1, weight = 1 }, or { reject = 603, reason = \"…\" }",
    ),
];

/// The keys of `[[menu]]`.
pub(super) const MENU: &[Key] = &[
    key("name", Kind::Text, "", "Its name"),
    key("number", Kind::Texts, "", "What is dialled for it; left out: other menus lead here"),
    key(
        "prompts",
        Kind::Texts,
        "",
        "What is said: files in prompts/ of the data directory, names of prompts of ours, \"digits:1001\", \"number:42\", \
         \"time\", \"date\", \"pause:500\"",
    ),
    key("digits", Kind::Actions, "", "Where keys lead: 1 = { call = \"600\" }"),
    key("timeout", Kind::Time, "\"5s\"", "How long one waits for the first key, after the prompts"),
    key("digit_timeout", Kind::Time, "\"2s\"", "How long for a further key, where one may follow"),
    key("retries", Kind::Count(0, 20), "3", "How often the menu is said again"),
    key("invalid", Kind::Texts, "", "What is said of keys that lead nowhere; default: \"menu-invalid\""),
    key("extensions", Kind::Flag, "false", "Whether the numbers of accounts may be entered"),
    key(
        "when",
        Kind::List,
        "",
        "Times in which it is open, such as \"Mon-Fri 08:00-18:00\", and names of schedules; left out: always",
    ),
    key("closed", Kind::Action, "", "Where callers go at other times"),
    key("otherwise", Kind::Action, "{ hangup = true }", "Where callers go who choose nothing"),
];

/// The lists of objects: name, keys, and why declaring one changes nothing in this version.
pub const OBJECTS: &[(&str, &[Key], Option<&str>)] = &[
    ("account", ACCOUNT, None),
    ("trunk", TRUNK, None),
    ("route", ROUTE, None),
    ("page", PAGE, None),
    ("schedule", super::answering_key::SCHEDULE, None),
    ("group", super::answering_key::GROUP, None),
    ("queue", super::answering_key::QUEUE, None),
    ("menu", MENU, None),
    ("camera", super::answering_key::CAMERA, None),
];
