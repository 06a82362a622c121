//! What operations take, as JSON Schemas.

use serde_json::{Map, Value, json};

/// All schemas, by name.
pub(super) fn all() -> Value {
    let mut all = Map::new();
    for (name, required, fields) in SCHEMAS {
        let fields: Map<String, Value> =
            fields.iter().map(|(field, kind)| ((*field).to_owned(), kind.schema())).collect();
        let schema = json!({
            "type": "object",
            "properties": fields,
            "required": required,
            "additionalProperties": false,
        });
        all.insert((*name).to_owned(), schema);
    }
    for (name, what) in
        [("Line", "A [[trunk]] or [[route]]"), ("LinePatch", "What changes of it; null takes a key away")]
    {
        let text = format!("{what}, with the keys of the configuration file");
        all.insert(name.to_owned(), json!({ "type": "object", "description": text }));
    }
    all.insert(
        "Problem".to_owned(),
        json!({
            "type": "object",
            "required": ["title", "status"],
            "properties": {
                "type": { "type": "string" },
                "title": { "type": "string" },
                "status": { "type": "integer" },
                "detail": { "type": "string" },
            },
        }),
    );
    Value::Object(all)
}

/// What a field may be.
#[derive(Clone, Copy)]
enum Field {
    Text,
    /// Or `null`.
    TextOrNull,
    Flag,
    Count,
    CountOrNull,
    Texts,
    RingsAlso,
}

impl Field {
    fn schema(self) -> Value {
        match self {
            Self::Text => json!({ "type": "string" }),
            Self::TextOrNull => json!({ "type": ["string", "null"] }),
            Self::Flag => json!({ "type": "boolean" }),
            Self::Count => json!({ "type": "integer", "minimum": 0 }),
            Self::CountOrNull => json!({ "type": ["integer", "null"], "minimum": 0 }),
            Self::Texts => json!({ "type": "array", "items": { "type": "string" } }),
            Self::RingsAlso => json!({ "type": "array", "items": {
                "type": "object",
                "properties": { "to": { "type": "string" }, "after": { "type": "integer", "minimum": 0 } },
                "required": ["to"],
                "additionalProperties": false,
            } }),
        }
    }
}

use Field::{Count, CountOrNull, Flag, RingsAlso, Text, TextOrNull, Texts};

type Schema = (&'static str, &'static [&'static str], &'static [(&'static str, Field)]);

#[rustfmt::skip]
const SCHEMAS: &[Schema] = &[
    ("NewAccount", &["address"], &[
        ("address", Text), ("password", Text), ("name", Text), ("number", Text), ("email", Text), ("language", Text),
    ]),
    ("AccountPatch", &[], &[
        ("name", TextOrNull), ("email", TextOrNull), ("language", TextOrNull), ("password", TextOrNull), ("number", Text),
    ]),
    ("AnsweringPatch", &[], &[
        ("forward_always", TextOrNull), ("forward_busy", TextOrNull), ("forward_no_answer", TextOrNull),
        ("forward_unreachable", TextOrNull), ("ring_seconds", Count), ("do_not_disturb", Flag),
        ("reject_anonymous", Flag), ("blocked", Texts), ("allowed", Texts), ("also", RingsAlso),
        ("schedule", TextOrNull), ("closed", TextOrNull), ("pickup_group", TextOrNull),
    ]),
    ("RightsPatch", &[], &[("record", Text), ("supervises", Texts), ("intercom", Flag)]),
    ("LimitsPatch", &[], &[
        ("calls", CountOrNull), ("minutes_per_day", CountOrNull), ("money_per_day", TextOrNull),
    ]),
    ("NewBan", &["address"], &[("address", Text), ("seconds", Count), ("reason", Text)]),
    ("Forwarding", &["to"], &[("to", Text)]),
    ("NewNumber", &["number"], &[("number", Text), ("account", TextOrNull)]),
    ("NumberRange", &["first", "last"], &[("first", Text), ("last", Text)]),
    ("NewNumberRequest", &["account"], &[("account", Text), ("number", TextOrNull)]),
    ("Rejection", &[], &[("reason", TextOrNull)]),
    ("NumberPatch", &[], &[("account", TextOrNull), ("from_anyone", Flag)]),
    ("RoomPatch", &[], &[("muted", Flag), ("locked", Flag), ("recorded", Flag)]),
    ("TrunkCall", &["number"], &[("number", Text)]),
];
