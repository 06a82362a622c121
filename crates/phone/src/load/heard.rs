//! Reads the few parts of a received message that a load generator needs, in one pass.
//!
//! Not the parser of `offhook-sip`: what measures the exchange must neither share its mistakes nor get faster with it.

/// A message, as slices of the datagram.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Heard<'a> {
    /// The status of a response; 0: a request.
    pub(super) status: u16,
    /// Of a request.
    pub(super) method: &'a [u8],
    pub(super) vias: Fields<'a>,
    pub(super) record_routes: Fields<'a>,
    pub(super) challenges: Fields<'a>,
    /// Whether the challenges are a proxy's.
    pub(super) proxy: bool,
    pub(super) from: &'a [u8],
    pub(super) to: &'a [u8],
    pub(super) call_id: &'a [u8],
    pub(super) contact: &'a [u8],
    /// The whole of CSeq, and its two parts.
    pub(super) cseq: &'a [u8],
    pub(super) cseq_number: u32,
    pub(super) cseq_method: &'a [u8],
    pub(super) body: &'a [u8],
}

/// The values of a field that may stand several times.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fields<'a> {
    values: [&'a [u8]; 8],
    count: usize,
}

impl<'a> Fields<'a> {
    fn push(&mut self, value: &'a [u8]) {
        if let Some(slot) = self.values.get_mut(self.count) {
            *slot = value;
            self.count += 1;
        }
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &'a [u8]> {
        self.values.into_iter().take(self.count)
    }
}

impl<'a> Heard<'a> {
    /// `None` if it is no SIP message, or lacks one of the fields that every message has.
    pub(super) fn read(datagram: &'a [u8]) -> Option<Self> {
        let (line, mut rest) = cut_line(datagram)?;
        let mut heard = Self::default();
        match line.strip_prefix(b"SIP/2.0 ") {
            Some(status) => heard.status = number(status)?.try_into().ok()?,
            None => heard.method = line.split(|byte| *byte == b' ').next()?,
        }
        loop {
            let (line, after) = cut_line(rest)?;
            rest = after;
            if line.is_empty() {
                break;
            }
            let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
            heard.field(line[..colon].trim_ascii_end(), line[colon + 1..].trim_ascii());
        }
        heard.body = rest;
        let complete = heard.vias.count > 0
            && [heard.from, heard.to, heard.call_id, heard.cseq_method].iter().all(|part| !part.is_empty());
        complete.then_some(heard)
    }

    fn field(&mut self, name: &'a [u8], value: &'a [u8]) {
        let is = |full: &str, short: &str| {
            name.eq_ignore_ascii_case(full.as_bytes()) || name.eq_ignore_ascii_case(short.as_bytes())
        };
        match name.first().map(u8::to_ascii_lowercase) {
            Some(b'v') if is("Via", "v") => self.vias.push(value),
            Some(b'r') if is("Record-Route", "") => self.record_routes.push(value),
            Some(b'f') if is("From", "f") => self.from = value,
            Some(b't') if is("To", "t") => self.to = value,
            Some(b'm' | b'c') if is("Contact", "m") => self.contact = value,
            Some(b'i' | b'c') if is("Call-ID", "i") => self.call_id = value,
            Some(b'c') if is("CSeq", "") => {
                self.cseq = value;
                self.cseq_number = number(value).unwrap_or_default();
                let space = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
                self.cseq_method = value[space..].trim_ascii();
            }
            Some(b'w') if is("WWW-Authenticate", "") => self.challenges.push(value),
            Some(b'p') if is("Proxy-Authenticate", "") => {
                self.challenges.push(value);
                self.proxy = true;
            }
            _ => {}
        }
    }

    /// The number and the run in a Call-ID of ours: `KIND NUMBER-RUN@load`.
    pub(super) fn unit(&self, run: u32) -> Option<(u8, usize)> {
        let (kind, rest) = self.call_id.split_first()?;
        let text = std::str::from_utf8(rest).ok()?;
        let (unit, rest) = text.split_once('-')?;
        let of = u32::from_str_radix(rest.split('@').next()?, 16).ok()?;
        (of == run).then(|| Some((*kind, unit.parse().ok()?)))?
    }

    /// The URI in Contact, which later requests of the dialog go to.
    pub(super) fn remote_target(&self) -> &'a [u8] {
        uri_of(self.contact)
    }

    pub(super) fn has_to_tag(&self) -> bool {
        memchr::memmem::find(self.to, b";tag=").is_some()
    }
}

/// The URI of a name-addr or addr-spec.
pub(super) fn uri_of(value: &[u8]) -> &[u8] {
    match value.iter().position(|byte| *byte == b'<') {
        Some(open) => value[open + 1..].split(|byte| *byte == b'>').next().unwrap_or_default(),
        None => value.split(|byte| *byte == b';').next().unwrap_or_default(),
    }
}

/// Appends the route set of a caller as Route fields: the Record-Route values from the last to the first (RFC 3261
/// §12.1.2).
pub(super) fn write_routes(record_routes: &Fields<'_>, out: &mut Vec<u8>) {
    for value in record_routes.iter().rev() {
        for route in values(value).into_iter().rev() {
            out.extend_from_slice(b"Route: ");
            out.extend_from_slice(route);
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// Splits at the commas outside of `<>`.
fn values(field: &[u8]) -> Vec<&[u8]> {
    let (mut found, mut begin, mut inside) = (Vec::new(), 0, false);
    for (at, byte) in field.iter().enumerate() {
        match byte {
            b'<' => inside = true,
            b'>' => inside = false,
            b',' if !inside => {
                found.push(field[begin..at].trim_ascii());
                begin = at + 1;
            }
            _ => {}
        }
    }
    found.push(field[begin..].trim_ascii());
    found
}

/// The leading decimal number.
pub(super) fn number(text: &[u8]) -> Option<u32> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&text[..digits]).ok()?.parse().ok()
}

/// A line without its end, and what follows.
fn cut_line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(b'\n', text)?;
    let line = &text[..end];
    Some((line.strip_suffix(b"\r").unwrap_or(line), &text[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RINGING: &[u8] = b"SIP/2.0 180 Ringing\r\nv: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n\
        Record-Route: <sip:a;lr>, <sip:b;x=1,2;lr>\r\nRecord-Route: <sip:c;lr>\r\n\
        f: <sip:u@h>;tag=1\r\nTo: <sip:b@h>;tag=2\r\ni: c7-1f@load\r\nCSeq: 12 INVITE\r\n\
        Contact: \"B\" <sip:b@192.0.2.2>;q=1\r\n\r\nbody";

    #[test]
    fn the_parts_of_a_response_are_found_in_either_form() {
        let heard = Heard::read(RINGING).unwrap();
        assert_eq!((heard.status, heard.cseq_number, heard.cseq_method), (180, 12, &b"INVITE"[..]));
        assert_eq!((heard.remote_target(), heard.body), (&b"sip:b@192.0.2.2"[..], &b"body"[..]));
        assert_eq!((heard.unit(0x1f), heard.unit(0x1e)), (Some((b'c', 7)), None));
        assert!(heard.has_to_tag());
    }

    #[test]
    fn the_route_set_is_the_record_routes_backwards() {
        let mut routes = Vec::new();
        write_routes(&Heard::read(RINGING).unwrap().record_routes, &mut routes);
        let expected = "Route: <sip:c;lr>\r\nRoute: <sip:b;x=1,2;lr>\r\nRoute: <sip:a;lr>\r\n";
        assert_eq!(String::from_utf8(routes).unwrap(), expected);
    }

    #[test]
    fn no_cut_of_a_message_is_taken_for_one() {
        let head = RINGING.len() - b"body".len();
        assert!((0..head).all(|cut| Heard::read(&RINGING[..cut]).is_none()));
    }
}
