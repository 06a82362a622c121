//! The common flags as meant: checked, with defaults, and with the account of a running demo.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use offhook_media::codec::CODECS;
use offhook_sip::{HostPort, SipUri, Uri};
use offhook_sip_stack::Transport;
use offhook_ua::{Credentials, SrtpKeys, SrtpPolicy};

use crate::ice::IceWish;
use crate::run_file::RunFile;
use crate::trust::Trust;
use crate::{Failure, Flags, Language};

/// Everything a line needs to know before it opens.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) account: Option<Account>,
    /// Where every request goes first; none: to its target.
    pub(crate) server: Option<HostPort>,
    pub(crate) transport: Transport,
    /// Whom to believe, where that transport is one under TLS.
    pub(crate) trust: Trust,
    /// Which address of ours; port 0: any.
    pub(crate) local: Option<SocketAddr>,
    pub(crate) codecs: Vec<String>,
    pub(crate) srtp: SrtpPolicy,
    pub(crate) srtp_keys: SrtpKeys,
    /// None: no ICE.
    pub(crate) ice: Option<IceWish>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) observed: Observed,
    pub(crate) timeout: Option<Duration>,
    pub(crate) json: bool,
    pub(crate) language: Language,
}

/// Who we are.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) address: SipUri,
    pub(crate) credentials: Option<Credentials>,
}

/// What is shown or kept of the messages.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observed {
    pub(crate) trace: bool,
    pub(crate) ladder: bool,
    pub(crate) pcap: Option<PathBuf>,
}

/// When the account of a running demo stands in for missing flags.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Demo<'a> {
    /// Whenever there is one.
    Welcome,
    /// To reach a target that names no other host.
    For(&'a str),
    /// Not if an address of ours is given: that phone wants to be called directly.
    UnlessLocal,
}

impl Settings {
    /// Checks the flags.
    pub(crate) fn new(flags: &Flags, demo: Demo<'_>) -> Result<Self, Failure> {
        let transport = transport(&flags.transport)?;
        let local = flags.local.as_deref().map(local).transpose()?;
        let mut settings = Self {
            account: None,
            server: flags.server.as_deref().map(server).transpose()?,
            transport,
            trust: Trust { ca: flags.tls_ca.clone(), insecure: flags.insecure },
            local,
            codecs: codecs(&flags.codec)?,
            srtp: srtp(&flags.srtp)?,
            srtp_keys: srtp_keys(flags.srtp_keys.as_deref())?,
            ice: IceWish::of(flags)?,
            headers: flags.header.iter().map(|text| header(text)).collect::<Result<_, _>>()?,
            observed: Observed { trace: flags.trace, ladder: flags.ladder, pcap: flags.pcap.clone() },
            timeout: flags.timeout,
            json: flags.json,
            language: flags.language(),
        };
        if let Some(address) = &flags.account {
            settings.account = Some(account(address, password(flags)?)?);
        }
        if settings.account.is_none() && settings.server.is_none() {
            settings.borrow_demo(demo)?;
        }
        if let (None, Some(account)) = (&settings.server, &settings.account) {
            let (host, port) = (account.address.host().clone(), account.address.port());
            settings.server = Some(HostPort { host, port });
        }
        Ok(settings)
    }

    /// The domain that a bare number or name belongs to.
    pub(crate) fn domain(&self) -> Option<SipUri> {
        let account = self.account.as_ref().map(|account| SipUri::new(None, account.address.host().clone()));
        account.or_else(|| Some(self.server_uri()?.without_params()))
    }

    /// The server as a URI, with its transport.
    pub(crate) fn server_uri(&self) -> Option<SipUri> {
        let server = self.server.as_ref()?;
        let uri =
            SipUri::new(None, server.host.clone()).with_param("transport", Some(self.transport.uri_name()));
        Some(server.port.map_or(uri.clone(), |port| uri.with_port(port)))
    }

    fn borrow_demo(&mut self, demo: Demo<'_>) -> Result<(), Failure> {
        let Some(file) = RunFile::of_demo() else { return Ok(()) };
        let wanted = match demo {
            Demo::Welcome => true,
            Demo::UnlessLocal => self.local.is_none(),
            Demo::For(target) => belongs_to(target, &file),
        };
        if wanted {
            let name = self.transport;
            let place = file.server(name).ok_or_else(|| {
                Failure::usage(format!("--transport {name}: the demo on this machine does not speak it"))
            })?;
            self.server = Some(server(place)?);
            self.account = Some(account(&file.account, Some(file.password))?);
        }
        Ok(())
    }
}

/// Whether the exchange of the demo is the one to ask for a target: it names no host, or that exchange's.
fn belongs_to(target: &str, file: &RunFile) -> bool {
    let uri = match target.parse::<Uri>() {
        Ok(Uri::Sip(uri)) => uri,
        Ok(Uri::Tel(_)) => return true,
        Ok(Uri::Other(_)) | Err(_) => return !target.contains('@'),
    };
    let domain = file.account.parse::<SipUri>().is_ok_and(|account| account.host() == uri.host());
    let server = HostPort::parse(&file.sip).is_some_and(|server| {
        server.host == *uri.host() && server.port.unwrap_or(5060) == uri.port().unwrap_or(5060)
    });
    uri.user().is_some() && (server || (domain && uri.port().is_none()))
}

fn account(address: &str, password: Option<String>) -> Result<Account, Failure> {
    let wrong = || Failure::usage(format!("--account `{address}`: write it like sip:alice@example.com"));
    let written = if address.contains(':') { address.to_owned() } else { format!("sip:{address}") };
    let address: SipUri = written.parse().map_err(|_| wrong())?;
    if address.secure() {
        return Err(Failure::usage("--account: write sip: and --transport tls instead of sips:"));
    }
    let username = address.user_unescaped().ok_or_else(wrong)?.into_owned();
    let credentials = password.map(|password| Credentials { username, password });
    Ok(Account { address, credentials })
}

fn password(flags: &Flags) -> Result<Option<String>, Failure> {
    let Some(place) = &flags.password_file else { return Ok(flags.password.clone()) };
    read_password(place).map(Some)
}

fn read_password(place: &Path) -> Result<String, Failure> {
    let text = fs::read_to_string(place)
        .map_err(|error| Failure::usage(format!("--password-file {}: {error}", place.display())))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn server(text: &str) -> Result<HostPort, Failure> {
    let bare = text.strip_prefix("sip:").unwrap_or(text);
    let unbracketed = bare.parse::<IpAddr>().ok().map(|ip| HostPort { host: ip.into(), port: None });
    unbracketed.or_else(|| HostPort::parse(bare)).ok_or_else(|| {
        Failure::usage(format!("--server `{text}`: write it like pbx.example.com or 192.0.2.1:5060"))
    })
}

fn transport(name: &str) -> Result<Transport, Failure> {
    match name.to_ascii_lowercase().as_str() {
        "udp" => Ok(Transport::Udp),
        "tcp" => Ok(Transport::Tcp),
        "tls" => Ok(Transport::Tls),
        "ws" => Ok(Transport::Ws),
        "wss" => Ok(Transport::Wss),
        _ => Err(Failure::usage(format!("--transport `{name}`: udp, tcp, tls, ws or wss"))),
    }
}

fn srtp(when: &str) -> Result<SrtpPolicy, Failure> {
    match when.to_ascii_lowercase().as_str() {
        "off" => Ok(SrtpPolicy::Off),
        "prefer" => Ok(SrtpPolicy::Prefer),
        "require" => Ok(SrtpPolicy::Require),
        _ => Err(Failure::usage(format!("--srtp `{when}`: off, prefer or require"))),
    }
}

fn srtp_keys(from: Option<&str>) -> Result<SrtpKeys, Failure> {
    match from.map(str::to_ascii_lowercase).as_deref() {
        None | Some("sdes") => Ok(SrtpKeys::Sdes),
        Some("dtls") => Ok(SrtpKeys::Dtls),
        Some(other) => Err(Failure::usage(format!("--srtp-keys `{other}`: sdes or dtls"))),
    }
}

fn local(text: &str) -> Result<SocketAddr, Failure> {
    let address = text.parse().ok().or_else(|| Some(SocketAddr::new(text.parse().ok()?, 0)));
    address.ok_or_else(|| {
        Failure::usage(format!("--local `{text}`: write it like 192.0.2.7:5070 or [::1]:5070"))
    })
}

fn codecs(names: &[String]) -> Result<Vec<String>, Failure> {
    if names.is_empty() {
        return Ok(CODECS.iter().map(|format| format.name.to_owned()).collect());
    }
    let known = |name: &String| {
        let format = CODECS.iter().find(|format| format.name.eq_ignore_ascii_case(name.trim()));
        format.map(|format| format.name.to_owned()).ok_or_else(|| {
            let all: Vec<_> = CODECS.iter().map(|format| format.name.to_ascii_lowercase()).collect();
            Failure::usage(format!(
                "--codec `{name}` is not spoken here; this version knows {}",
                all.join(", ")
            ))
        })
    };
    names.iter().map(known).collect()
}

fn header(text: &str) -> Result<(String, String), Failure> {
    let wrong = || Failure::usage(format!("--header `{text}`: write it like 'X-Test: value'"));
    let (name, value) = text.split_once(':').ok_or_else(wrong)?;
    let (name, value) = (name.trim(), value.trim());
    let token = |c: char| c.is_ascii_alphanumeric() || "-.!%*_+`'~".contains(c);
    if name.is_empty() || !name.chars().all(token) || value.chars().any(char::is_control) {
        return Err(wrong());
    }
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags() -> Flags {
        Flags { transport: "udp".into(), srtp: "off".into(), ..Flags::default() }
    }

    fn refused(change: impl FnOnce(&mut Flags)) -> String {
        let mut flags = flags();
        change(&mut flags);
        let failure = Settings::new(&flags, Demo::For("sip:x@192.0.2.1")).unwrap_err();
        assert_eq!(failure.exit.code(), 2);
        failure.text
    }

    #[test]
    fn a_codec_that_is_not_spoken_is_a_clear_error() {
        assert!(refused(|flags| flags.codec = vec!["gsm".into()]).contains("opus, g722, pcma, pcmu"));
    }

    #[test]
    fn nonsense_is_a_usage_error_that_names_the_flag() {
        assert!(refused(|flags| flags.transport = "carrier pigeon".into()).starts_with("--transport"));
        assert!(refused(|flags| flags.local = Some("here".into())).starts_with("--local"));
        assert!(refused(|flags| flags.srtp = "perhaps".into()).starts_with("--srtp"));
        assert!(refused(|flags| flags.srtp_keys = Some("zrtp".into())).starts_with("--srtp-keys"));
        assert!(refused(|flags| flags.header = vec!["no colon".into()]).starts_with("--header"));
        assert!(refused(|flags| flags.header = vec!["A: b\r\nEvil: c".into()]).starts_with("--header"));
        assert!(refused(|flags| flags.account = Some("alice".into())).starts_with("--account"));
        assert!(refused(|flags| flags.server = Some("a b".into())).starts_with("--server"));
    }

    #[test]
    fn the_server_of_an_account_is_its_host_unless_told_otherwise() {
        let mut flags = Flags { account: Some("alice@example.com".into()), ..flags() };
        let settings = Settings::new(&flags, Demo::Welcome).unwrap();
        assert_eq!(settings.server_uri().unwrap().as_str(), "sip:example.com;transport=udp");
        flags.server = Some("192.0.2.1:5070".into());
        flags.transport = "tcp".into();
        let settings = Settings::new(&flags, Demo::Welcome).unwrap();
        assert_eq!(settings.server_uri().unwrap().as_str(), "sip:192.0.2.1:5070;transport=tcp");
        assert_eq!(settings.domain().unwrap().as_str(), "sip:example.com");
        flags.server = Some("::1".into());
        let settings = Settings::new(&flags, Demo::Welcome).unwrap();
        assert_eq!(settings.server_uri().unwrap().as_str(), "sip:[::1];transport=tcp");
        flags.transport = "WSS".into();
        let settings = Settings::new(&flags, Demo::Welcome).unwrap();
        assert_eq!(settings.server_uri().unwrap().as_str(), "sip:[::1];transport=wss");
    }

    #[test]
    fn the_demo_is_asked_only_for_its_own_targets() {
        let file = RunFile {
            sip: "127.0.0.1:5060".into(),
            tls: None,
            wss: None,
            url: None,
            account: "sip:alice@pbx.example".into(),
            password: String::new(),
        };
        for target in ["1002", "*43", "bob", "tel:+4930", "sip:bob@pbx.example", "sip:bob@127.0.0.1"] {
            assert!(belongs_to(target, &file), "{target}");
        }
        for target in
            ["sip:x@127.0.0.2:5070", "sip:127.0.0.1:5060", "sip:bob@other.example", "bob@other.example"]
        {
            assert!(!belongs_to(target, &file), "{target}");
        }
    }
}
