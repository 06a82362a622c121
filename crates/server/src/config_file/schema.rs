//! The keys as a JSON Schema, for editors that complete and check TOML.

use serde_json::{Map, Value, json};

use super::key::{KEYS, Key, Kind, OBJECTS};

/// The schema of `offhook.toml` (JSON Schema 2020-12).
pub fn schema() -> Value {
    let mut root = table();
    for key in KEYS {
        let mut place = &mut root;
        let mut parts = key.path.split('.').peekable();
        while let Some(part) = parts.next() {
            let properties = &mut place["properties"];
            if parts.peek().is_none() {
                properties[part] = describe(key);
                break;
            }
            if properties.get(part).is_none() {
                properties[part] = table();
            }
            place = &mut properties[part];
        }
    }
    for (list, keys, inert) in OBJECTS {
        let mut item = table();
        item["properties"] =
            Value::Object(keys.iter().map(|key| (key.path.to_owned(), describe(key))).collect());
        let mut described = json!({ "type": "array", "items": item });
        if let Some(inert) = inert {
            described["description"] = json!(inert);
        }
        root["properties"][*list] = described;
    }
    root["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    root["title"] = json!("offhook.toml");
    root
}

fn table() -> Value {
    json!({ "type": "object", "properties": Map::new(), "additionalProperties": false })
}

fn describe(key: &Key) -> Value {
    let mut described = of_kind(key.kind);
    described["description"] = json!(key.doc);
    let default = toml::from_str::<toml::Table>(&format!("value = {}", key.default)).ok();
    if let Some(default) = default.and_then(|mut table| table.remove("value")) {
        described["default"] = json!(default);
    }
    described
}

fn of_kind(kind: Kind) -> Value {
    let texts = json!({ "type": "array", "items": { "type": "string" } });
    match kind {
        Kind::Text | Kind::Path | Kind::Address | Kind::IpOrAuto | Kind::Ports => json!({ "type": "string" }),
        Kind::Choice(words) => json!({ "enum": words }),
        Kind::Secret => json!({ "type": ["string", "object"] }),
        Kind::Texts | Kind::List | Kind::Listen | Kind::Servers | Kind::Networks => {
            json!({ "anyOf": [{ "type": "string" }, texts] })
        }
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Count(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Kind::Time | Kind::TimeOrOff => json!({ "type": ["string", "integer"] }),
        Kind::Action | Kind::Actions => json!({ "type": "object" }),
        Kind::Destination => json!({ "type": ["object", "array"] }),
        Kind::Limits => {
            let count = json!({ "type": "integer", "minimum": 0 });
            let properties =
                json!({ "calls": count, "minutes_per_day": count, "money_per_day": { "type": "string" } });
            json!({ "type": "object", "properties": properties, "additionalProperties": false })
        }
    }
}
