//! What users say of themselves: PUBLISH (RFC 3903) and the documents in it (PIDF, RFC 3863; RPID, RFC 4480).

use std::collections::HashMap;

use offhook_sip::{Name, Request, Response, Status};
use roxmltree::{Document, ParsingOptions};

use super::package::Package;
use crate::directory::AddressOfRecord;
use crate::refusal::Refusal;

/// What an account's user agents have published.
#[derive(Debug, Default)]
pub(crate) struct Publications(HashMap<AddressOfRecord, Vec<Publication>>);

#[derive(Debug)]
struct Publication {
    /// By which it is found again (RFC 3903 §4.1).
    etag: String,
    /// Unix seconds.
    expires_at: u64,
    said: Said,
}

/// What a document says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// Whether its user can be reached.
    pub(crate) open: Option<bool>,
    pub(crate) note: Option<String>,
    /// Names of RPID activities, `away` for example.
    pub(crate) activities: Vec<String>,
}

impl Publications {
    /// Carries out a PUBLISH of an account; `etag` is for what is now published, `tag` for the answer, which is returned.
    ///
    /// # Errors
    /// A refusal leaves everything as it was.
    pub(crate) fn publish(
        &mut self,
        account: &AddressOfRecord,
        request: &Request,
        (etag, tag): (String, &str),
        now: u64,
    ) -> Result<Response, Refusal> {
        if Package::of(request) != Some(Package::Presence) {
            return Err(Refusal::from(Status::BAD_EVENT).with(Name::AllowEvents, Package::Presence.name()));
        }
        let expires = match request.expires().unwrap_or(DEFAULT_EXPIRES) {
            0 => 0,
            short if short < MIN_EXPIRES => {
                return Err(Refusal::from(Status::INTERVAL_TOO_BRIEF).with(Name::MinExpires, MIN_EXPIRES));
            }
            long => long.min(MAX_EXPIRES),
        };
        let said = read(request)?;
        let all = self.0.entry(account.clone()).or_default();
        all.retain(|one| one.expires_at > now);
        let known = request.raw(Name::SipIfMatch).map(|tag| String::from_utf8_lossy(tag).trim().to_owned());
        let place = known.map(|tag| all.iter().position(|one| one.etag == tag));
        let done = match (place, said) {
            (Some(None), _) => Err(Status::CONDITIONAL_REQUEST_FAILED.into()),
            (Some(Some(at)), _) if expires == 0 => {
                all.remove(at);
                Ok(())
            }
            (Some(Some(at)), said) => {
                let said = said.unwrap_or_else(|| all[at].said.clone());
                all[at] = Publication { etag: etag.clone(), expires_at: now + u64::from(expires), said };
                Ok(())
            }
            (None, None) => {
                Err(Refusal::new(Status::BAD_REQUEST, "PUBLISH without SIP-If-Match needs a body"))
            }
            (None, Some(_)) if expires == 0 => Ok(()),
            (None, Some(_)) if all.len() >= MOST => {
                Err(Refusal::new(Status::SERVICE_UNAVAILABLE, "This account publishes too much"))
            }
            (None, Some(said)) => {
                all.push(Publication { etag: etag.clone(), expires_at: now + u64::from(expires), said });
                Ok(())
            }
        };
        if all.is_empty() {
            self.0.remove(account);
        }
        done.map(|()| {
            let answer = Response::to_request(request, Status::OK).to_tag(tag);
            answer.header(Name::SipETag, &etag).header(Name::Expires, expires).finish()
        })
    }

    /// What an account says at `now` (Unix seconds), all publications as one: it can be reached if any of them says so.
    pub(crate) fn of(&self, account: &AddressOfRecord, now: u64) -> Said {
        let mut all = Said::default();
        let live = self.0.get(account).into_iter().flatten().filter(|one| one.expires_at > now);
        for Publication { said, .. } in live {
            all.open = match (all.open, said.open) {
                (Some(one), Some(other)) => Some(one || other),
                (one, other) => one.or(other),
            };
            all.note = said.note.clone().or(all.note);
            for activity in &said.activities {
                if !all.activities.contains(activity) {
                    all.activities.push(activity.clone());
                }
            }
        }
        all
    }

    /// Forgets what has expired at `now` (Unix seconds); returns whose it was.
    pub(crate) fn forget_expired(&mut self, now: u64) -> Vec<AddressOfRecord> {
        let mut changed = Vec::new();
        self.0.retain(|account, all| {
            let before = all.len();
            all.retain(|one| one.expires_at > now);
            if all.len() < before {
                changed.push(account.clone());
            }
            !all.is_empty()
        });
        changed.sort();
        changed
    }

    pub(crate) fn forget(&mut self, account: &AddressOfRecord) {
        self.0.remove(account);
    }
}

/// The document in a PUBLISH, if there is one.
fn read(request: &Request) -> Result<Option<Said>, Refusal> {
    let body = request.body();
    if body.is_empty() {
        return Ok(None);
    }
    let kind = request.raw(Name::ContentType).unwrap_or_default();
    let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    if !kind.eq_ignore_ascii_case(PIDF.as_bytes()) {
        return Err(Refusal::from(Status::UNSUPPORTED_MEDIA_TYPE).with(Name::Accept, PIDF));
    }
    if body.len() > LONGEST {
        return Err(Status::REQUEST_ENTITY_TOO_LARGE.into());
    }
    let text = std::str::from_utf8(body).map_err(|_| Refusal::new(Status::BAD_REQUEST, "PIDF is UTF-8"))?;
    said(text).map(Some).map_err(|why| Refusal::new(Status::BAD_REQUEST, why))
}

/// What a PIDF document says.
fn said(text: &str) -> Result<Said, String> {
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MOST_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options)
        .map_err(|error| format!("The body is no XML that can be read: {error}"))?;
    let root = document.root_element();
    if root.tag_name().name() != "presence" {
        return Err("The body is no presence document".to_owned());
    }
    let mut said = Said::default();
    for node in root.descendants().filter(|node| node.is_element()) {
        let inside = |name| node.parent().is_some_and(|parent| parent.tag_name().name() == name);
        match node.tag_name().name() {
            "basic" if inside("status") => {
                let open = node.text().is_some_and(|text| text.trim() == "open");
                said.open = Some(said.open.unwrap_or(false) || open);
            }
            "note" if said.note.is_none() => {
                let note: String =
                    node.text().unwrap_or_default().trim().chars().take(LONGEST_NOTE).collect();
                said.note = Some(note).filter(|note| !note.is_empty());
            }
            "note" => {}
            activity if inside("activities") && is_activity(activity) && said.activities.len() < MOST => {
                said.activities.push(activity.to_owned());
            }
            _ => {}
        }
    }
    Ok(said)
}

fn is_activity(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.len() <= 32
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
}

const PIDF: &str = "application/pidf+xml";
const DEFAULT_EXPIRES: u32 = 3600;
const MIN_EXPIRES: u32 = 60;
const MAX_EXPIRES: u32 = 7200;
/// Publications of one account, and activities of one document.
const MOST: usize = 8;
const MOST_NODES: u32 = 500;
/// Octets of a document.
const LONGEST: usize = 16_384;
const LONGEST_NOTE: usize = 200;

#[cfg(test)]
mod tests;
