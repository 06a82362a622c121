use std::collections::BTreeSet;

use super::*;

/// The routes of the API as its source names them: `get /status`.
fn routed() -> BTreeSet<String> {
    let source = include_str!("../mod.rs");
    let mut found = BTreeSet::new();
    for route in source.split(".route(").skip(1) {
        let path = route.split('"').nth(1).unwrap();
        let handlers = route.split('"').nth(2).unwrap().split(".route(").next().unwrap();
        for method in ["get", "post", "put", "patch", "delete"] {
            let is_said = |before: char| !before.is_alphanumeric() && before != '_';
            let called = format!("{method}(");
            let said = handlers.match_indices(&called).any(|(at, _)| handlers[..at].ends_with(is_said));
            if said {
                found.insert(format!("{method} {path}"));
            }
        }
    }
    found
}

#[test]
fn each_route_is_described_and_nothing_else_is() {
    let described = OPERATIONS.iter().map(|one| format!("{} {}", one.method, one.path));
    assert_eq!(described.collect::<BTreeSet<_>>(), routed());
    assert!(OPERATIONS.len() > 60, "{} operations", OPERATIONS.len());
}

#[test]
fn every_name_is_there_once_and_every_schema_that_is_named_is_there() {
    let document = document();
    let names: BTreeSet<String> = OPERATIONS.iter().map(name).collect();
    assert_eq!(names.len(), OPERATIONS.len());
    for operation in OPERATIONS {
        if let Body::Json(schema) = operation.body {
            assert!(document["components"]["schemas"][schema].is_object(), "{schema}");
        }
        assert!(!operation.summary.is_empty());
    }
    assert_eq!(document["openapi"], "3.1.0");
}
