//! `/api/openapi.json`: all operations of the API as an OpenAPI 3.1 document.

mod operations;
mod schemas;

use axum::Json;
use serde_json::{Map, Value, json};

use operations::{OPERATIONS, Operation};

/// What an operation takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    /// Nothing.
    None,
    /// JSON of this schema.
    Json(&'static str),
    /// A table: accounts, one a line.
    Csv,
    /// A recording.
    Sound,
}

/// What it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// An object.
    Object,
    /// An object with a list of objects under this name.
    List(&'static str),
    /// Nothing: 204.
    Nothing,
    /// Something in another form.
    Of(&'static str),
}

pub(crate) async fn show() -> Json<Value> {
    Json(document())
}

/// The document.
pub(crate) fn document() -> Value {
    let mut paths = Map::new();
    for operation in OPERATIONS {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method] = describe(operation);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Offhook",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What an operator, or a program, may see and ask of the exchange. A PATCH keeps the fields that it does not name.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/api/v1" }],
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "responses": { "Problem": {
                "description": "Why not (RFC 9457)",
                "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
            } },
            "schemas": schemas::all(),
        },
    })
}

fn describe(operation: &Operation) -> Value {
    let mut described = json!({
        "summary": operation.summary,
        "operationId": name(operation),
        "tags": [operation.path.split('/').nth(1).unwrap_or_default()],
        "responses": responses(operation.answer),
    });
    let in_path = operation.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path = in_path
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }));
    let in_query = operation.query.iter().map(|(name, what)| {
        json!({ "name": name, "in": "query", "description": what, "schema": { "type": "string" } })
    });
    let parameters: Vec<Value> = in_path.chain(in_query).collect();
    if !parameters.is_empty() {
        described["parameters"] = json!(parameters);
    }
    let content = match operation.body {
        Body::None => return described,
        Body::Json(schema) => {
            json!({ "application/json": { "schema": { "$ref": format!("#/components/schemas/{schema}") } } })
        }
        Body::Csv => json!({ "text/csv": { "schema": { "type": "string" } } }),
        Body::Sound => json!({ "application/octet-stream": {} }),
    };
    described["requestBody"] = json!({ "required": true, "content": content });
    described
}

fn responses(answer: Answer) -> Value {
    let problem = json!({ "$ref": "#/components/responses/Problem" });
    let content = match answer {
        Answer::Nothing => {
            return json!({ "204": { "description": "It is done" }, "default": problem });
        }
        Answer::Object => json!({ "application/json": { "schema": { "type": "object" } } }),
        Answer::List(name) => json!({ "application/json": { "schema": {
            "type": "object",
            "required": [name],
            "properties": { name: { "type": "array", "items": { "type": "object" } } },
        } } }),
        Answer::Of(kind) => json!({ kind: {} }),
    };
    json!({ "200": { "description": "It is so", "content": content }, "default": problem })
}

/// `get_accounts_address_rights`.
fn name(operation: &Operation) -> String {
    let words = operation.path.split('/').filter(|part| !part.is_empty());
    let words = words.map(|part| part.trim_matches(['{', '}']).replace('-', "_"));
    std::iter::once(operation.method.to_owned()).chain(words).collect::<Vec<_>>().join("_")
}

#[cfg(test)]
mod tests;
