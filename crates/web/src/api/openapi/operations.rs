//! The operations, one a line: a test compares them with the routes.

use super::{Answer, Body};

/// One operation.
pub(super) struct Operation {
    pub(super) method: &'static str,
    /// Under `/api/v1`.
    pub(super) path: &'static str,
    pub(super) summary: &'static str,
    pub(super) body: Body,
    pub(super) query: &'static [(&'static str, &'static str)],
    pub(super) answer: Answer,
}

const fn op(
    method: &'static str,
    path: &'static str,
    body: Body,
    answer: Answer,
    summary: &'static str,
) -> Operation {
    Operation { method, path, summary, body, query: &[], answer }
}

impl Operation {
    const fn asked(self, query: &'static [(&'static str, &'static str)]) -> Self {
        Self { query, ..self }
    }
}

use Answer::{List, Nothing, Object, Of};
use Body::{Csv, Json, None as No, Sound};

const LANGUAGE: &[(&str, &str)] = &[("language", "en or zh")];

#[rustfmt::skip]
pub(super) const OPERATIONS: &[Operation] = &[
    op("get", "/status", No, Object, "How the exchange is, and what an operator should look at"),
    op("get", "/accounts", No, List("accounts"), "All accounts"),
    op("post", "/accounts", Json("NewAccount"), Object, "Makes an account; the answer holds its password if that was generated"),
    op("post", "/accounts/import", Csv, List("accounts"), "Makes the accounts of a table with the head address,password,name,number,email,language; all or none"),
    op("get", "/accounts/export", No, Of("text/csv"), "All accounts as a table"),
    op("get", "/accounts/{address}", No, Object, "An account"),
    op("patch", "/accounts/{address}", Json("AccountPatch"), Object, "Changes an account"),
    op("delete", "/accounts/{address}", No, Nothing, "Removes an account"),
    op("get", "/accounts/{address}/answering", No, Object, "How an account wants its calls answered"),
    op("patch", "/accounts/{address}/answering", Json("AnsweringPatch"), Object, "Changes that"),
    op("get", "/accounts/{address}/rights", No, Object, "What an account may do beside calling"),
    op("patch", "/accounts/{address}/rights", Json("RightsPatch"), Object, "Changes that"),
    op("get", "/accounts/{address}/limits", No, Object, "What an account may spend"),
    op("patch", "/accounts/{address}/limits", Json("LimitsPatch"), Object, "Changes that"),
    op("get", "/accounts/{address}/spending", No, Object, "What an account has spent today"),
    op("get", "/spending", No, Object, "What all accounts have spent today"),
    op("get", "/accounts/{address}/voicemail", No, Object, "The messages in a mailbox"),
    op("put", "/accounts/{address}/voicemail/greeting", Sound, Object, "Sets the greeting of a mailbox: WAV or Opus"),
    op("delete", "/accounts/{address}/voicemail/greeting", No, Nothing, "Removes the greeting of a mailbox"),
    op("get", "/accounts/{address}/voicemail/{id}", No, Of("audio/wav"), "A message as it was spoken"),
    op("delete", "/accounts/{address}/voicemail/{id}", No, Nothing, "Removes a message"),
    op("post", "/accounts/{address}/voicemail/{id}/forward", Json("Forwarding"), Nothing, "Leaves a message in the mailbox of another account too, named by address or number"),
    op("get", "/bans", No, List("bans"), "Addresses that are not listened to"),
    op("post", "/bans", Json("NewBan"), Object, "Bans an address"),
    op("get", "/bans/{address}", No, Object, "Why an address is banned, and for how long"),
    op("delete", "/bans/{address}", No, Object, "Ends a ban"),
    op("get", "/numbers", No, List("numbers"), "All numbers"),
    op("post", "/numbers", Json("NewNumber"), Object, "Adds a number, and assigns it where an account is named"),
    op("post", "/numbers/ranges", Json("NumberRange"), List("numbers"), "Adds the numbers from one to another to the pool"),
    op("get", "/numbers/requests", No, List("requests"), "Applications for numbers").asked(&[("all", "true: those that are decided too")]),
    op("post", "/numbers/requests", Json("NewNumberRequest"), Object, "Applies for a number"),
    op("post", "/numbers/requests/{id}/approve", No, Object, "Approves an application"),
    op("post", "/numbers/requests/{id}/reject", Json("Rejection"), Object, "Rejects an application"),
    op("get", "/numbers/{number}/history", No, Object, "Whose a number was"),
    op("patch", "/numbers/{number}", Json("NumberPatch"), Object, "Assigns or frees a number"),
    op("delete", "/numbers/{number}", No, Nothing, "Removes a number"),
    op("get", "/groups", No, List("groups"), "The groups, and how their members are"),
    op("get", "/queues", No, List("queues"), "The queues: who waits, and what has become of calls"),
    op("get", "/queues/{number}", No, Object, "A queue with its agents"),
    op("get", "/cameras", No, List("cameras"), "The cameras, and how they are"),
    op("post", "/cameras/{name}/ring", No, Object, "Makes a camera call those whom its button calls"),
    op("get", "/devices", No, List("devices"), "Contacts that are registered now"),
    op("delete", "/devices/{account}", No, Object, "Forgets all contacts of an account, until its phones register again"),
    op("get", "/messages", No, List("messages"), "Text messages to and from an account").asked(&[("account", "its address"), ("limit", "at most so many")]),
    op("get", "/conferences", No, List("rooms"), "Conference rooms in which somebody is"),
    op("get", "/conferences/{room}", No, Object, "A conference room"),
    op("patch", "/conferences/{room}", Json("RoomPatch"), Object, "Locks, mutes or records a room"),
    op("delete", "/conferences/{room}/{guest}", No, Object, "Ends the call of somebody in a room"),
    op("patch", "/conferences/{room}/{guest}", Json("RoomPatch"), Object, "Mutes somebody in a room"),
    op("get", "/recordings", No, List("recordings"), "Recordings of calls, the newest first").asked(&[("most", "at most so many")]),
    op("get", "/recordings/{id}", No, Of("audio/wav"), "A recording: the caller left, the one who was called right"),
    op("delete", "/recordings/{id}", No, Nothing, "Removes a recording"),
    op("get", "/calls", No, List("calls"), "Calls of which the exchange holds state now"),
    op("delete", "/calls/{id}", No, Object, "Ends a call, by its Call-ID"),
    op("get", "/calls/ladder", No, Object, "The messages of the last call"),
    op("get", "/calls/explain", No, Object, "What became of the last call and why").asked(LANGUAGE),
    op("get", "/calls/{id}/explain", No, Object, "What became of a call and why").asked(LANGUAGE),
    op("get", "/calls/{id}/ladder", No, Object, "The messages of a call"),
    op("get", "/trace", No, Of("application/x-ndjson"), "Messages as they pass, an object a line, without end").asked(&[("filter", "a part of what is to be shown")]),
    op("get", "/certificates", No, List("certificates"), "The certificates that are shown"),
    op("post", "/certificates/renew", No, List("certificates"), "Makes new certificates, where they are our own"),
    op("post", "/config/reload", No, Object, "Reads the files again that may change while the exchange runs"),
    op("get", "/trunks", No, List("trunks"), "The trunks, and how they are"),
    op("post", "/trunks", Json("Line"), Object, "Adds a trunk"),
    op("get", "/trunks/settings", No, List("trunks"), "The trunks as they are set"),
    op("get", "/trunks/{name}", No, Object, "A trunk"),
    op("patch", "/trunks/{name}", Json("LinePatch"), Object, "Changes a trunk"),
    op("delete", "/trunks/{name}", No, Object, "Removes a trunk"),
    op("post", "/trunks/{name}/call", Json("TrunkCall"), Object, "Calls a number by a trunk, to see whether that works"),
    op("post", "/trunks/{name}/check", No, Object, "Looks after a trunk at once"),
    op("get", "/routes", No, List("routes"), "The routes, in order"),
    op("post", "/routes", Json("Line"), Object, "Adds a route"),
    op("patch", "/routes/{name}", Json("LinePatch"), Object, "Changes a route"),
    op("delete", "/routes/{name}", No, Object, "Removes a route"),
    op("get", "/turn/credentials", No, Object, "Credentials for the TURN server").asked(&[("account", "for whom")]),
];
