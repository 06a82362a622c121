//! Parsing, printing and editing agree with each other, and no bytes do harm.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use bytes::Bytes;
use offhook_sip::{Message, Method, Name, Request, RequestBuilder, fuzz};
use proptest::prelude::*;
use std::path::Path;

/// A message as a list of lines: what editing must come to.
#[derive(Clone, Debug)]
struct Model {
    uri: String,
    fields: Vec<(Name, String)>,
    body: String,
}

#[derive(Clone, Debug)]
enum Op {
    SetUri(String),
    PushVia(String),
    PopVia,
    PushRecordRoute(String),
    PushRoute(String),
    PopRoute,
    SetMaxForwards(u8),
    Set(Name, String),
    Add(Name, String),
    Remove(Name),
    SetBody(String),
}

impl Model {
    fn print(&self) -> String {
        let lines: String = self.fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!("INVITE {} SIP/2.0\r\n{lines}\r\n{}", self.uri, self.body)
    }

    fn build(&self) -> Request {
        let uri = self.uri.parse().unwrap();
        let builder = RequestBuilder::new(Method::Invite, &uri);
        let kept =
            self.fields.iter().filter(|(name, _)| !matches!(name, Name::ContentType | Name::ContentLength));
        let builder = kept.fold(builder, |builder, (name, value)| builder.header(*name, value));
        match self.fields.iter().find(|(name, _)| *name == Name::ContentType) {
            Some((_, content_type)) => builder.body(content_type, self.body.as_bytes()).finish(),
            None => builder.body("", self.body.as_bytes()).finish(),
        }
    }

    fn first(&self, name: Name) -> Option<usize> {
        self.fields.iter().position(|(known, _)| *known == name)
    }

    fn last(&self, name: Name) -> Option<usize> {
        self.fields.iter().rposition(|(known, _)| *known == name)
    }

    fn push(&mut self, name: Name, value: &str, at: Option<usize>) {
        let behind_vias = self.last(Name::Via).map_or(0, |last| last + 1);
        self.fields.insert(self.first(name).or(at).unwrap_or(behind_vias), (name, value.to_owned()));
    }

    fn pop(&mut self, name: Name) {
        let Some(first) = self.first(name) else { return };
        match self.fields[first].1.split_once(", ") {
            Some((_, rest)) => self.fields[first].1 = rest.to_owned(),
            None => drop(self.fields.remove(first)),
        }
    }

    fn set(&mut self, name: Name, value: &str) {
        match self.first(name) {
            Some(first) => {
                self.fields[first].1 = value.to_owned();
                let mut index = 0;
                self.fields.retain(|(known, _)| {
                    index += 1;
                    *known != name || index == first + 1
                });
            }
            None => self.fields.push((name, value.to_owned())),
        }
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::SetUri(uri) => self.uri = uri.clone(),
            Op::PushVia(via) => self.push(Name::Via, via, Some(0)),
            Op::PopVia => self.pop(Name::Via),
            Op::PushRecordRoute(route) => self.push(Name::RecordRoute, route, None),
            Op::PushRoute(route) => self.push(Name::Route, route, None),
            Op::PopRoute => self.pop(Name::Route),
            Op::SetMaxForwards(hops) => self.set(Name::MaxForwards, &hops.to_string()),
            Op::Set(name, value) => self.set(*name, value),
            Op::Add(name, value) => {
                let at = self.last(*name).map_or(self.fields.len(), |last| last + 1);
                self.fields.insert(at, (*name, value.clone()));
            }
            Op::Remove(name) => self.fields.retain(|(known, _)| known != name),
            Op::SetBody(body) => {
                self.set(Name::ContentType, "text/plain");
                self.set(Name::ContentLength, &body.len().to_string());
                self.body = body.clone();
            }
        }
    }
}

fn edit(request: &Request, ops: &[Op]) -> Request {
    let mut edit = request.edit();
    for op in ops {
        match op {
            Op::SetUri(uri) => edit.set_uri(uri),
            Op::PushVia(via) => edit.push_via(via),
            Op::PopVia => edit.pop_via(),
            Op::PushRecordRoute(route) => edit.push_record_route(route),
            Op::PushRoute(route) => edit.push_route(route),
            Op::PopRoute => edit.pop_route(),
            Op::SetMaxForwards(hops) => edit.set_max_forwards(*hops),
            Op::Set(name, value) => edit.set(*name, value),
            Op::Add(name, value) => edit.add(*name, value),
            Op::Remove(name) => edit.remove(*name),
            Op::SetBody(body) => edit.set_body(Some("text/plain"), body.as_bytes()),
        };
    }
    edit.finish()
}

fn uri() -> impl Strategy<Value = String> {
    "sip:[a-z0-9;&=+$,?/%]{1,12}@[a-z]{1,8}(\\.example)?(:[1-9][0-9]{0,3})?(;lr|;x=[a-z0-9]{1,5}){0,3}"
}

fn via() -> impl Strategy<Value = String> {
    prop::collection::vec(
        "SIP/2\\.0/(UDP|TCP) [a-z]{1,9}(:5060)?;branch=z9hG4bK[a-zA-Z0-9]{1,9}(;rport)?",
        1..3,
    )
    .prop_map(|vias| vias.join(", "))
}

fn route() -> impl Strategy<Value = String> {
    prop::collection::vec("(\"a, \\\\\" b\" )?<sip:[a-z]{1,9};lr>(;x=\"<,>\")?", 1..3)
        .prop_map(|routes| routes.join(", "))
}

/// Names that editing treats like any other.
fn plain_name() -> impl Strategy<Value = Name> {
    prop::sample::select(vec![Name::Subject, Name::UserAgent, Name::Supported, Name::Priority])
}

fn value() -> impl Strategy<Value = String> {
    "[!-~]([ -~]{0,20}[!-~])?"
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        uri().prop_map(Op::SetUri),
        "SIP/2\\.0/UDP [a-z]{1,9};branch=z9hG4bK[a-z]{1,9}".prop_map(Op::PushVia),
        Just(Op::PopVia),
        route_one().prop_map(Op::PushRecordRoute),
        route_one().prop_map(Op::PushRoute),
        Just(Op::PopRoute),
        any::<u8>().prop_map(Op::SetMaxForwards),
        (plain_name(), value()).prop_map(|(name, value)| Op::Set(name, value)),
        (plain_name(), value()).prop_map(|(name, value)| Op::Add(name, value)),
        plain_name().prop_map(Op::Remove),
        "[ -~]{0,40}".prop_map(Op::SetBody),
    ]
}

fn route_one() -> impl Strategy<Value = String> {
    "<sip:[a-z]{1,9};lr>"
}

fn field() -> impl Strategy<Value = (Name, String)> {
    prop_oneof![
        via().prop_map(|value| (Name::Via, value)),
        route_plain().prop_map(|value| (Name::Route, value)),
        route_plain().prop_map(|value| (Name::RecordRoute, value)),
        (plain_name(), value()),
    ]
}

/// Without commas inside the values, so that the model can split them.
fn route_plain() -> impl Strategy<Value = String> {
    prop::collection::vec(route_one(), 1..3).prop_map(|routes| routes.join(", "))
}

prop_compose! {
    fn model()(
        uri in uri(),
        top in via(),
        tag in "[a-z0-9]{1,8}",
        call_id in "[!-~]{1,20}",
        number in any::<u32>(),
        rest in prop::collection::vec(field(), 0..12),
        body in "[ -~\r\n]{0,60}",
    ) -> Model {
        let mut fields = vec![
            (Name::Via, top),
            (Name::From, format!("\"A\" <sip:a@h>;tag={tag}")),
            (Name::To, "<sip:b@h>".to_owned()),
            (Name::CallId, call_id),
            (Name::CSeq, format!("{number} INVITE")),
        ];
        fields.extend(rest);
        fields.push((Name::ContentType, "text/plain".to_owned()));
        fields.push((Name::ContentLength, body.len().to_string()));
        Model { uri, fields, body }
    }
}

fn parse(text: &str) -> Request {
    let message = Message::parse(Bytes::copy_from_slice(text.as_bytes()));
    message.unwrap_or_else(|error| panic!("{error:?}: {text}")).as_request().unwrap().clone()
}

fn torture() -> Vec<Bytes> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torture");
    let mut files: Vec<_> = ["rfc4475", "rfc5118", "variants"]
        .into_iter()
        .flat_map(|part| std::fs::read_dir(folder.join(part)).unwrap())
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    files.into_iter().map(|file| std::fs::read(file).unwrap().into()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn parse_print_parse_is_the_identity(model in model()) {
        let text = model.print();
        let parsed = parse(&text);
        prop_assert_eq!(&parsed.bytes()[..], text.as_bytes());
        prop_assert_eq!(parsed.body(), model.body.as_bytes());
        let fields: Vec<_> = parsed.fields().map(|field| (field.name, String::from_utf8(field.value.to_vec()).unwrap())).collect();
        prop_assert_eq!(fields, model.fields.clone());
        let built = model.build();
        prop_assert_eq!(&built, &parsed);
        prop_assert!(built.fields().eq(parsed.fields()));
    }

    #[test]
    fn an_edited_message_equals_the_one_built_from_scratch(model in model(), ops in prop::collection::vec(op(), 0..8)) {
        let edited = edit(&parse(&model.print()), &ops);
        let mut expected = model;
        ops.iter().for_each(|op| expected.apply(op));
        prop_assert_eq!(String::from_utf8(edited.bytes().to_vec()).unwrap(), expected.print());
        if expected.first(Name::Via).is_some() {
            let parsed = parse(&expected.print());
            prop_assert!(edited.fields().eq(parsed.fields()));
            prop_assert_eq!(edited.uri_bytes(), parsed.uri_bytes());
            prop_assert_eq!(edited.body(), parsed.body());
        }
    }

    #[test]
    fn values_split_only_at_their_own_commas(route in route()) {
        let text = format!(
            "OPTIONS sip:h SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nFrom: <sip:h>\r\nTo: <sip:h>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\nRoute: {route}\r\n\r\n"
        );
        let request = parse(&text);
        prop_assert_eq!(request.routes().filter(Result::is_ok).count(), route.matches("<sip:").count());
        prop_assert!(request.routes().all(|route| route.is_ok()));
    }

    #[test]
    fn random_changes_to_torture_messages_do_no_harm(
        which in any::<prop::sample::Index>(),
        other in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0u8..5, any::<u8>()), 1..12),
    ) {
        let messages = torture();
        let mut bytes = which.get(&messages).to_vec();
        for (at, kind, byte) in changes {
            let at = at.index(bytes.len().max(1));
            match kind {
                0 if at < bytes.len() => bytes[at] = byte,
                1 => bytes.insert(at, b"\r\n\t ,;:<>\"\\@=?%[]/\0"[usize::from(byte) % 19]),
                2 if at < bytes.len() => drop(bytes.remove(at)),
                3 => bytes.truncate(at),
                _ => {
                    let from = other.get(&messages);
                    let piece = &from[at.min(from.len())..(at + usize::from(byte)).min(from.len())];
                    bytes.splice(at..at, piece.iter().copied());
                }
            }
        }
        fuzz::parse(&bytes);
        fuzz::frame(&bytes);
        fuzz::uri(&bytes);
    }

    #[test]
    fn uris_take_any_bytes(text in "(sips?|tel):[ -~]{0,30}", bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        fuzz::uri(text.as_bytes());
        fuzz::uri(&bytes);
    }

    #[test]
    fn printed_uris_read_back(text in uri()) {
        fuzz::uri(text.as_bytes());
    }
}
