//! Forwarding without re-printing: a list of splices over the received bytes.

use crate::header::params::{ParamSpan, Spans};
use crate::header::via;
use crate::line::FieldSpan;
use crate::print::{Draft, append_lines, write_request_line};
use crate::{Headers, Name, Request, Response, lex};
use std::fmt::Display;
use std::net::IpAddr;
use std::ops::Range;

/// A request or response being changed. Operations apply in order to the message as left by the ones before;
/// what none of them touches stays byte for byte (but lines that ended in LF alone are mended). CR and LF in
/// given values become spaces.
#[derive(Clone, Debug)]
pub struct Edit<M> {
    of: M,
    uri: Option<Vec<u8>>,
    slots: Vec<Slot>,
    draft: Draft,
    body: Option<Vec<u8>>,
}

/// One line of the message to be: of the received bytes, or of the draft.
#[derive(Clone, Copy, Debug)]
struct Slot {
    field: FieldSpan,
    received: bool,
}

impl Edit<Request> {
    /// Replaces the Request-URI.
    pub fn set_uri(&mut self, uri: impl Display) -> &mut Self {
        let mut text = Vec::new();
        lex::append(&mut text, uri);
        self.uri = Some(text);
        self
    }

    /// The changed request.
    pub fn finish(&self) -> Request {
        Request { headers: self.headers(&self.of, Some(&self.of.method)), method: self.of.method.clone() }
    }
}

impl Edit<Response> {
    /// The changed response.
    pub fn finish(&self) -> Response {
        Response { headers: self.headers(&self.of, None), status: self.of.status }
    }
}

impl<M: std::ops::Deref<Target = Headers>> Edit<M> {
    pub(crate) fn new(of: M) -> Edit<M> {
        let mut slots = Vec::with_capacity(of.fields.len() + 4);
        slots.extend(of.fields.iter().map(|field| Slot { field: *field, received: true }));
        Edit { of, uri: None, slots, draft: Draft::roomy(), body: None }
    }

    /// Puts a Via on top, in a line of its own.
    pub fn push_via(&mut self, via: impl Display) -> &mut Self {
        self.push_on_top(Name::Via, None, via)
    }

    /// Sets `received` and `rport` of the topmost Via, adding or replacing them (RFC 3261 §18.2.1, RFC 3581
    /// §4).
    pub fn amend_top_via(&mut self, received: Option<IpAddr>, rport: Option<u16>) -> &mut Self {
        let Some(index) = self.slots.iter().position(|slot| slot.field.name == Name::Via) else {
            return self;
        };
        let slot = self.slots[index];
        let value = slot.field.value(self.bytes_of(slot));
        let Some(top) = lex::Values::new(value).next() else { return self };
        let top_value = &value[top.clone()];
        let Ok(head) = via::scan_head(top_value) else { return self };
        // Where a parameter is put, and what stands before it.
        let place = |name: &str| {
            let is_it = |span: &ParamSpan| top_value[span.name.clone()].eq_ignore_ascii_case(name.as_bytes());
            let same = Spans::new(top_value, head.params()).flatten().find(is_it);
            same.map_or((top_value.len()..top_value.len(), ";"), |span| (span.name.start..span.end, ""))
        };
        let ip = received.as_ref().map(|ip| (place("received"), "received", ip as &dyn Display));
        let port = rport.as_ref().map(|port| (place("rport"), "rport", port as &dyn Display));
        let starts =
            |param: &Option<((Range<usize>, _), _, _)>| param.as_ref().map(|((place, _), ..)| place.start);
        let params = if starts(&port) < starts(&ip) { [port, ip] } else { [ip, port] };
        let (base, start) = (slot.field.value as usize + top.start, self.draft.text.len());
        let mut from = slot.field.start as usize;
        for ((place, semicolon), name, to) in params.into_iter().flatten() {
            self.append_piece(slot, from..base + place.start);
            lex::append(&mut self.draft.text, format_args!("{semicolon}{name}={to}"));
            from = base + place.end;
        }
        self.append_piece(slot, from..slot.field.end as usize);
        self.drafted(index, start);
        self
    }

    /// Removes the topmost Via value, also the first of several in one line.
    pub fn pop_via(&mut self) -> &mut Self {
        self.pop(Name::Via)
    }

    /// Puts a Record-Route on top of the others; behind the Vias if there are none.
    pub fn push_record_route(&mut self, route: impl Display) -> &mut Self {
        self.push_on_top(Name::RecordRoute, Some(Name::Via), route)
    }

    /// Puts a Route on top of the others; behind the Vias if there are none.
    pub fn push_route(&mut self, route: impl Display) -> &mut Self {
        self.push_on_top(Name::Route, Some(Name::Via), route)
    }

    /// Removes the topmost Route value, also the first of several in one line.
    pub fn pop_route(&mut self) -> &mut Self {
        self.pop(Name::Route)
    }

    /// Sets Max-Forwards.
    pub fn set_max_forwards(&mut self, hops: u8) -> &mut Self {
        self.set(Name::MaxForwards, hops)
    }

    /// Puts one field in place of all fields of this name: where the first stood, or at the end.
    /// `Name::Other` and Content-Length are ignored: see `set_other` and `set_body`.
    pub fn set(&mut self, name: Name, value: impl Display) -> &mut Self {
        if matches!(name, Name::Other | Name::ContentLength) {
            return self;
        }
        self.replace(name, value)
    }

    /// [`Edit::set`] for any name.
    pub fn set_other(&mut self, name: &str, value: impl Display) -> &mut Self {
        self.remove_other(name).add_other(name, value)
    }

    /// Adds a field after the last of its name, or at the end.
    pub fn add(&mut self, name: Name, value: impl Display) -> &mut Self {
        if matches!(name, Name::Other | Name::ContentLength) {
            return self;
        }
        let field = self.draft.push_line(name, name.as_str(), value);
        let last = self.slots.iter().rposition(|slot| slot.field.name == name);
        self.slots.insert(last.map_or(self.slots.len(), |last| last + 1), Slot { field, received: false });
        self
    }

    /// Adds a field with any name at the end; a name that is not a token is ignored.
    pub fn add_other(&mut self, name: &str, value: impl Display) -> &mut Self {
        let known = Name::parse(name.as_bytes());
        if known != Name::ContentLength && lex::is_token(name.as_bytes()) {
            let field = self.draft.push_line(known, name, value);
            self.slots.push(Slot { field, received: false });
        }
        self
    }

    /// Removes all fields of this name (for `Name::Other`: of every unknown name).
    pub fn remove(&mut self, name: Name) -> &mut Self {
        self.slots.retain(|slot| slot.field.name != name);
        self
    }

    /// Removes all fields of this name, known or not; case does not count.
    pub fn remove_other(&mut self, name: &str) -> &mut Self {
        match Name::parse(name.as_bytes()) {
            Name::Other => {
                let (received, drafted) = (&self.of.bytes, &self.draft.text);
                self.slots.retain(|slot| {
                    let bytes = if slot.received { received } else { &drafted[..] };
                    slot.field.name != Name::Other
                        || !slot.field.name_text(bytes).eq_ignore_ascii_case(name.as_bytes())
                });
                self
            }
            known => self.remove(known),
        }
    }

    /// Replaces the body and sets Content-Length. `content_type` replaces Content-Type; `None` leaves it, or
    /// removes it if the body is empty.
    pub fn set_body(&mut self, content_type: Option<&str>, body: &[u8]) -> &mut Self {
        match content_type {
            Some(content_type) => self.set(Name::ContentType, content_type),
            None if body.is_empty() => self.remove(Name::ContentType),
            None => self,
        };
        self.body = Some(body.to_vec());
        self.replace(Name::ContentLength, body.len())
    }

    /// Adds Content-Length if there is none: a stream needs it (RFC 3261 §18.3).
    pub fn ensure_content_length(&mut self) -> &mut Self {
        if self.slots.iter().any(|slot| slot.field.name == Name::ContentLength) {
            return self;
        }
        let length = self.body.as_ref().map_or(self.of.body().len(), Vec::len);
        self.replace(Name::ContentLength, length)
    }

    fn replace(&mut self, name: Name, value: impl Display) -> &mut Self {
        let field = self.draft.push_line(name, name.as_str(), value);
        let slot = Slot { field, received: false };
        match self.slots.iter().position(|slot| slot.field.name == name) {
            Some(first) => {
                self.slots[first] = slot;
                let mut index = 0;
                self.slots.retain(|slot| {
                    index += 1;
                    slot.field.name != name || index == first + 1
                });
            }
            None => self.slots.push(slot),
        }
        self
    }

    fn push_on_top(&mut self, name: Name, behind: Option<Name>, value: impl Display) -> &mut Self {
        let field = self.draft.push_line(name, name.as_str(), value);
        let index = self.slots.iter().position(|slot| slot.field.name == name).unwrap_or_else(|| {
            let last = self.slots.iter().rposition(|slot| Some(slot.field.name) == behind);
            last.map_or(0, |last| last + 1)
        });
        self.slots.insert(index, Slot { field, received: false });
        self
    }

    fn pop(&mut self, name: Name) -> &mut Self {
        let Some(index) = self.slots.iter().position(|slot| slot.field.name == name) else { return self };
        let slot = self.slots[index];
        let mut values = lex::Values::new(slot.field.value(self.bytes_of(slot)));
        let value = slot.field.value as usize;
        match (values.next(), values.next()) {
            (Some(_), Some(second)) => {
                let start = self.draft.text.len();
                self.append_piece(slot, slot.field.start as usize..value);
                self.append_piece(slot, value + second.start..slot.field.end as usize);
                self.drafted(index, start);
            }
            _ => {
                self.slots.remove(index);
            }
        }
        self
    }

    /// The line that the draft has from `start` on is in the place of the one at `index`.
    fn drafted(&mut self, index: usize, start: usize) {
        let field = self.draft.line_done(self.slots[index].field.name, start);
        self.slots[index] = Slot { field, received: false };
    }

    fn append_piece(&mut self, slot: Slot, piece: Range<usize>) {
        if slot.received {
            append_lines(&mut self.draft.text, &self.of.bytes[piece], self.of.bare_lf);
        } else {
            self.draft.text.extend_from_within(piece);
        }
    }

    fn bytes_of(&self, slot: Slot) -> &[u8] {
        if slot.received { &self.of.bytes } else { &self.draft.text }
    }

    /// Puts the pieces together. Received lines that follow each other are copied at once.
    fn headers(&self, of: &Headers, method: Option<&crate::Method>) -> Headers {
        let body = self.body.as_deref().unwrap_or(of.body());
        let lines: usize = self.slots.iter().map(|slot| (slot.field.end - slot.field.start) as usize).sum();
        let uri = self.uri.as_ref().map_or(0, Vec::len);
        let mut out = Vec::with_capacity(of.fields_at as usize + uri + lines + 2 + body.len());
        let start = match (&self.uri, method) {
            (Some(uri), Some(method)) => {
                write_request_line(&mut out, method, std::str::from_utf8(uri).unwrap_or_default())
            }
            _ => {
                append_lines(&mut out, &of.bytes[..of.fields_at as usize], of.bare_lf);
                of.start.start as usize..of.start.end as usize
            }
        };
        let fields_at = out.len();
        let fields = if of.bare_lf { self.mended_lines(&mut out) } else { self.copied_lines(&mut out) };
        out.extend_from_slice(b"\r\n");
        let body_at = out.len();
        out.extend_from_slice(body);
        Headers {
            bytes: out.into(),
            fields,
            start: start.start as u32..start.end as u32,
            fields_at: fields_at as u32,
            body: body_at as u32,
            bare_lf: false,
        }
    }

    fn copied_lines(&self, out: &mut Vec<u8>) -> std::sync::Arc<[FieldSpan]> {
        let base = out.len();
        let mut run = Slot { field: FieldSpan::default(), received: true };
        for slot in &self.slots {
            if slot.received == run.received && slot.field.start == run.field.end {
                run.field.end = slot.field.end;
            } else {
                out.extend_from_slice(run.field.line(self.bytes_of(run)));
                run = *slot;
            }
        }
        out.extend_from_slice(run.field.line(self.bytes_of(run)));
        let mut at = base as isize;
        self.slots
            .iter()
            .map(|slot| {
                let moved = slot.field.moved(at - slot.field.start as isize);
                at += (slot.field.end - slot.field.start) as isize;
                moved
            })
            .collect()
    }

    fn mended_lines(&self, out: &mut Vec<u8>) -> std::sync::Arc<[FieldSpan]> {
        let mended = self.slots.iter().map(|slot| {
            let start = out.len();
            append_lines(out, slot.field.line(self.bytes_of(*slot)), slot.received);
            FieldSpan::of_last_line(out, slot.field.name, start)
        });
        mended.collect()
    }
}
