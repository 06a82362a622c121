//! `[[trunk]]`: lines to other telephone networks.

use std::sync::Arc;
use std::time::Duration;

use offhook_exchange::directory::Record;
use offhook_exchange::route::{
    Dialling, MediaTerms, NumberFormat, Numbering, Trunk, TrunkAccount, TrunkAuth,
};
use offhook_sdp::Codec;
use offhook_sip::{Host, SipUri, Uri};
use offhook_sip_stack::auth::Password;

use super::account::reveal;
use super::plan::{Wrong, mistake, text, texts};
use super::stir::{policy, signer};
use super::{Meaning, codec, srtp_policy};
use crate::config_file::{Object, Value};

impl Meaning<'_> {
    pub(super) fn trunks(&mut self, numbering: &Numbering) -> Vec<Trunk> {
        let mut trunks: Vec<Trunk> = Vec::new();
        for object in self.written.objects.iter().filter(|object| object.list == "trunk") {
            match trunk(object, numbering) {
                Ok(trunk) if trunks.iter().any(|other| other.name == trunk.name) => {
                    self.mistakes.push(mistake(object, "name", format!("{} is declared twice", trunk.name)));
                }
                Ok(trunk) => {
                    for (number, other) in shared(&trunk, &trunks) {
                        let what = format!("{number} is a number of the trunk {other} already");
                        self.mistakes.push(mistake(object, "numbers", what));
                    }
                    trunks.push(trunk);
                }
                // What could not be read has been told of already.
                Err(_) if !object.complete => {}
                Err((key, what)) => self.mistakes.push(mistake(object, key, what)),
            }
        }
        trunks
    }
}

fn trunk(object: &Object, numbering: &Numbering) -> Result<Trunk, Wrong> {
    let name = text(object, "name").ok_or(("name", "this [[trunk]] has no name".to_owned()))?;
    let server = text(object, "server").ok_or(("server", "this [[trunk]] has no server".to_owned()))?;
    let server = host("server", &server)?;
    let auth = auth(object, &server)?;
    let has_password = matches!(auth, TrunkAuth::Password(_));
    let has_name = matches!(auth, TrunkAuth::Tls(_));
    let networks = match object.values.get("networks").map(|entry| &entry.value) {
        Some(Value::Networks(networks)) => networks.clone(),
        _ => Vec::new(),
    };
    let numbers = texts(object, "numbers")
        .iter()
        .map(|one| match numbering.normalize(one) {
            Ok(number) => Ok(number.to_string()),
            Err(error) => Err(("numbers", format!("{one:?} is no number: {error}"))),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let health = match object.values.get("health").map(|entry| &entry.value) {
        Some(Value::Time(time)) => Some(*time).filter(|time| !time.is_zero()),
        _ => has_password.then_some(HEALTH),
    };
    let transport = text(object, "transport").or_else(|| has_name.then(|| "tls".to_owned()));
    let proxy = match (text(object, "proxy"), transport) {
        (None, None) => None,
        (proxy, transport) => {
            let hop = proxy.map_or_else(|| Ok(server.clone()), |proxy| host("proxy", &proxy))?;
            Some(transport.map_or(hop.clone(), |transport| hop.with_param("transport", Some(&transport))))
        }
    };
    let limit = |key| count(object, key).map(|count| u32::try_from(count).unwrap_or(u32::MAX));
    Ok(Trunk {
        name,
        server,
        proxy,
        auth,
        numbers,
        networks,
        dialling: dialling(object)?,
        max_calls: limit("max_calls"),
        max_calls_per_second: limit("max_calls_per_second"),
        health,
        media: media(object)?,
        signer: signer(object)?,
        verify: text(object, "verify").map(|word| policy(&word)),
        record: text(object, "record").and_then(|word| Record::parse(&word)).unwrap_or_default(),
        retired: false,
    })
}

fn auth(object: &Object, server: &SipUri) -> Result<TrunkAuth, Wrong> {
    let auth = text(object, "auth").filter(|auth| auth != "register");
    if object.values.contains_key("tls_name") && auth.as_deref() != Some("tls") {
        return Err(("tls_name", "this name is looked at only with auth = \"tls\"".into()));
    }
    match (auth, text(object, "username")) {
        (Some(auth), Some(_)) => Err(("username", format!("with auth = \"{auth}\" nobody has a user name"))),
        (Some(auth), None) => match OF_ACCOUNT.iter().find(|key| object.values.contains_key(*key)) {
            Some(key) => Err((key, format!("with auth = \"{auth}\" nobody registers"))),
            None if auth == "tls" => Ok(TrunkAuth::Tls(tls_name(object, server)?)),
            None => Ok(TrunkAuth::Address),
        },
        (None, Some(username)) => Ok(TrunkAuth::Password(Box::new(account(object, username, server)?))),
        (None, None) => Err((
            "auth",
            "a trunk has a username and a password, or auth = \"address\", or auth = \"tls\"".into(),
        )),
    }
}

/// The domain that its certificate has to be for.
fn tls_name(object: &Object, server: &SipUri) -> Result<String, Wrong> {
    if object.values.contains_key("networks") {
        let what = "with auth = \"tls\" it is known by its certificate, wherever it calls from";
        return Err(("networks", what.into()));
    }
    if text(object, "transport").is_some_and(|transport| transport != "tls") {
        return Err(("transport", "with auth = \"tls\" everything goes by TLS".into()));
    }
    match text(object, "tls_name") {
        Some(name) => match Host::parse(&name) {
            Some(Host::Name(name)) => Ok(plain(&name)),
            _ => Err(("tls_name", format!("{name:?} is no domain such as \"carrier.example\""))),
        },
        None => match server.host() {
            Host::Name(name) => Ok(plain(name)),
            _ => Err((
                "auth",
                "the server is an address: set tls_name to the domain of its certificate".into(),
            )),
        },
    }
}

/// As certificates are compared.
fn plain(domain: &str) -> String {
    domain.trim_end_matches('.').to_ascii_lowercase()
}

fn account(object: &Object, username: String, server: &SipUri) -> Result<TrunkAccount, Wrong> {
    let password = match object.values.get("password").map(|entry| &entry.value) {
        Some(Value::Secret(secret)) => reveal(secret, &object.place).map_err(|what| ("password", what))?,
        _ => return Err(("username", "this user name needs its password".into())),
    };
    let registers =
        !matches!(object.values.get("register").map(|entry| &entry.value), Some(Value::Flag(false)));
    let expires = match object.values.get("expires").map(|entry| &entry.value) {
        Some(Value::Time(time)) if (60..=86_400).contains(&time.as_secs()) => *time,
        Some(_) => return Err(("expires", "a registration holds from 60s to 1d".into())),
        None => EXPIRES,
    };
    let registrar = match text(object, "registrar") {
        Some(registrar) => host("registrar", &registrar)?,
        None => server.clone(),
    };
    Ok(TrunkAccount {
        username,
        auth_username: text(object, "auth_username"),
        password: Password::new(password),
        realm: text(object, "realm"),
        registrar,
        expires: registers.then(|| u32::try_from(expires.as_secs()).unwrap_or(u32::MAX)),
        from_username: text(object, "from").as_deref() == Some("username"),
    })
}

/// What its media has to be, if that is not as everywhere.
fn media(object: &Object) -> Result<Option<Arc<MediaTerms>>, Wrong> {
    let srtp = text(object, "srtp").map(|word| srtp_policy(&word));
    let known = |name: &String| {
        // That one is passed on only: nobody here translates it.
        let g729 = (name == "g729").then(|| Codec::new(18, "G729", 8000));
        let what = || format!("{name:?} is none of opus, g722, pcma, pcmu and g729");
        codec(name).or(g729).ok_or_else(|| ("codecs", what()))
    };
    let codecs = texts(object, "codecs").iter().map(known).collect::<Result<Vec<_>, _>>()?;
    if object.values.contains_key("codecs") && codecs.is_empty() {
        return Err((
            "codecs",
            "without a codec no call has sound; leave the key out for all of them".into(),
        ));
    }
    let is_usual = srtp.is_none() && codecs.is_empty();
    Ok((!is_usual).then(|| Arc::new(MediaTerms { srtp, codecs })))
}

fn dialling(object: &Object) -> Result<Dialling, Wrong> {
    let prefix = text(object, "prefix").unwrap_or_default();
    if !prefix.chars().all(|letter| letter.is_ascii_digit() || "+*#".contains(letter)) {
        return Err(("prefix", "what comes in front is digits, +, * and #".into()));
    }
    let format = match text(object, "format").as_deref() {
        Some("e164") => NumberFormat::E164,
        Some("national") => NumberFormat::National,
        Some("as-dialled") => NumberFormat::AsDialled,
        _ => NumberFormat::Plus,
    };
    Ok(Dialling { format, strip: count(object, "strip").unwrap_or(0) as usize, prefix })
}

/// The URI of a host, which stands for itself.
fn host(key: &'static str, written: &str) -> Result<SipUri, Wrong> {
    let spelt = match written.starts_with("sip:") || written.starts_with("sips:") {
        true => written.to_owned(),
        false => format!("sip:{written}"),
    };
    match spelt.parse() {
        Ok(Uri::Sip(uri)) => Ok(uri),
        _ => {
            let what =
                format!("{written:?} is no host such as \"sip.provider.example\" or \"192.0.2.9:5060\"");
            Err((key, what))
        }
    }
}

/// Numbers that another trunk has too, and its name.
fn shared<'a>(trunk: &'a Trunk, others: &'a [Trunk]) -> impl Iterator<Item = (&'a str, &'a str)> {
    let of = |number: &'a String| {
        let other = others.iter().find(|other| other.numbers.contains(number))?;
        Some((number.as_str(), other.name.as_str()))
    };
    trunk.numbers.iter().filter_map(of)
}

fn count(object: &Object, key: &str) -> Option<u64> {
    match object.values.get(key).map(|entry| &entry.value) {
        Some(Value::Count(count)) => Some(*count),
        _ => None,
    }
}

/// Keys that only mean something with a user name.
const OF_ACCOUNT: [&str; 7] =
    ["password", "auth_username", "realm", "registrar", "register", "expires", "from"];
const HEALTH: Duration = Duration::from_secs(30);
const EXPIRES: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests;
