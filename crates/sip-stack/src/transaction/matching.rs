//! Which transaction a message belongs to (RFC 3261 §17.1.3, §17.2.3).
//!
//! A key is text: parts that a message cannot confuse, separated by line feeds, which no part can hold. Branch and
//! sent-by compare without case (§7.3.1), methods with it.

use std::fmt::Write as _;

use offhook_sip::{Headers, Method, ParseError, Request, Via};

/// Writes the key of the client transaction of a request or response into `key`. A response whose `sent-by` is not
/// the one we wrote matches nothing, as §18.1.2 asks.
pub(super) fn client_key(key: &mut String, message: &Headers) -> Result<(), ParseError> {
    let method = message.cseq()?.method;
    branch_key(key, &message.via()?, &method);
    Ok(())
}

/// Writes the key of the server transaction of this `method` that a request would belong to. `to_tag` counts only
/// for a request made under RFC 2543. Returns whether it is such a request.
pub(super) fn server_key(
    key: &mut String,
    request: &Request,
    method: &Method,
    to_tag: Option<&str>,
) -> Result<bool, ParseError> {
    let via = request.via()?;
    if via.has_cookie() {
        branch_key(key, &via, method);
        return Ok(false);
    }
    let number = request.cseq()?.number;
    key.clear();
    // Writing to a String cannot fail.
    let _ = write!(
        key,
        "\n{method}\n{}\n{number}\n{}\n{}\n{}\n{}\n{}",
        request.call_id()?,
        request.from_tag().unwrap_or_default(),
        to_tag.unwrap_or_default(),
        String::from_utf8_lossy(request.uri_bytes()),
        via.sent_by,
        via.branch().unwrap_or_default(),
    );
    Ok(true)
}

fn branch_key(key: &mut String, via: &Via, method: &Method) {
    key.clear();
    let _ = write!(key, "{}\n{}\n", via.branch().unwrap_or_default(), via.sent_by);
    key.make_ascii_lowercase();
    key.push_str(method.as_str());
}
