//! What a phone has to be told to be a phone of an account, in the words of its maker.

use std::fmt::Write as _;

use clap::{Args, ValueEnum};
use offhook_server::SrtpPolicy;
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use serde_json::{Value, json};

use crate::account::{Flags, Secret, path};
use crate::api::Api;
use crate::exit::{Failure, USAGE};
use crate::print;

/// Flags of `offhook device provision` and `offhook device qr`.
#[derive(Args, Debug)]
pub(crate) struct Wish {
    /// The account
    address: String,
    #[command(flatten)]
    secret: Secret,
    /// Generates a new password, which phones that have the old one need too
    #[arg(long, conflicts_with_all = ["password", "password_file"])]
    new_password: bool,
    /// Where the phone finds the exchange; left out: its external address, or the account's domain
    #[arg(long, value_name = "HOST[:PORT]")]
    server: Option<String>,
    /// How the phone speaks with it
    #[arg(long, value_enum, default_value = "udp")]
    transport: Transport,
    #[command(flatten)]
    common: Flags,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Transport {
    Udp,
    Tcp,
    Tls,
}

/// Whose phone it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Model {
    /// Lines for the file `accounts` of baresip
    Baresip,
    /// Linphone: remote provisioning (XML)
    Linphone,
    /// Yealink desk phones (cfg)
    Yealink,
    /// Grandstream desk phones and ATAs (XML)
    Grandstream,
    /// Snom desk phones (XML)
    Snom,
    /// Cisco and Linksys SPA phones and ATAs (XML)
    Spa,
}

/// All that a phone needs to know.
struct Setup {
    user: String,
    domain: String,
    name: String,
    password: String,
    host: String,
    port: u16,
    transport: Transport,
    srtp: Srtp,
    voicemail: Option<String>,
}

/// Whether sound is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Srtp {
    Never,
    IfItCan,
    Always,
}

impl Wish {
    /// Prints the file for a phone.
    pub(crate) fn provision(self, model: Model) -> Result<(), Failure> {
        let json = self.common.json;
        let (setup, text) = self.told(|setup| setup.told(model))?;
        match json {
            true => print::line(&with(&setup, json!({ "text": text })).to_string()),
            false => print::line(text.trim_end()),
        }
        Ok(())
    }

    /// Prints a code for a phone's camera.
    pub(crate) fn qr(self) -> Result<(), Failure> {
        let json = self.common.json;
        let (setup, text) = self.told(|setup| Ok(setup.wave()))?;
        if json {
            print::line(&with(&setup, json!({ "text": text })).to_string());
            return Ok(());
        }
        let code =
            QrCode::new(&text).map_err(|error| Failure::other(format!("no code can hold it: {error}")))?;
        // Terminals are dark more often than not.
        let code = code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build();
        print::line(&code);
        Ok(())
    }

    /// What a phone is told.
    fn told(self, tell: impl Fn(&Setup) -> Result<String, Failure>) -> Result<(Setup, String), Failure> {
        let api = Api::open(&self.common.place)?;
        let new_password = self.new_password;
        let mut setup = self.setup(&api)?;
        // Before the password is changed for nothing.
        let mut text = tell(&setup)?;
        if new_password {
            let path = path(&format!("sip:{}@{}", setup.user, setup.domain));
            let changed = api.ask("PATCH", &path, Some(&json!({ "password": Value::Null })))?;
            changed["password"].as_str().unwrap_or_default().clone_into(&mut setup.password);
            text = tell(&setup)?;
        }
        Ok((setup, text))
    }

    /// Without the password if there is to be a new one.
    fn setup(self, api: &Api) -> Result<Setup, Failure> {
        let settings = self.common.place.settings()?;
        let account = api.ask("GET", &path(&self.address), None)?;
        let address = account["address"].as_str().unwrap_or(&self.address);
        let (user, domain) = address.trim_start_matches("sip:").split_once('@').ok_or_else(|| {
            Failure::new(USAGE, format!("{address} has no user at a domain, which phones register for"))
        })?;
        let transport = self.transport.word();
        let listens = settings.listeners.iter().find(|one| one.transport.uri_name() == transport);
        let listens = listens.ok_or_else(|| {
            Failure::new(
                USAGE,
                format!("the exchange does not listen for {transport}: see the key sip.{transport}"),
            )
        })?;
        let server = match (self.server, settings.external_address) {
            (Some(server), _) => server,
            (None, Some(ip)) => ip.to_string(),
            (None, None) => domain.to_owned(),
        };
        let (host, port) = parted(&server)?;
        let password = match self.secret.read()? {
            Some(password) => password,
            None if self.new_password => String::new(),
            None => {
                return Err(Failure::new(
                    USAGE,
                    "passwords are kept in a form that cannot be read: give the account's with --password-file, or have a new \
                     one made with --new-password",
                ));
            }
        };
        let setup = Setup {
            name: account["name"].as_str().unwrap_or(user).to_owned(),
            user: user.to_owned(),
            domain: domain.to_owned(),
            password,
            host,
            port: port.unwrap_or(listens.address.port()),
            transport: self.transport,
            srtp: match settings.srtp {
                SrtpPolicy::Require => Srtp::Always,
                // Keys that anybody on the way can read protect nothing.
                SrtpPolicy::Prefer if self.transport == Transport::Tls => Srtp::IfItCan,
                SrtpPolicy::Prefer | SrtpPolicy::Off => Srtp::Never,
            },
            voicemail: settings.services.voicemail.number.clone(),
        };
        let all = [&setup.user, &setup.domain, &setup.name, &setup.password, &setup.host];
        match all.iter().any(|text| text.chars().any(char::is_control)) {
            true => Err(Failure::new(USAGE, "no phone can be told control characters")),
            false => Ok(setup),
        }
    }
}

/// The same with what is the same for all phones, but for the password.
fn with(setup: &Setup, mut told: Value) -> Value {
    told["address"] = json!(format!("sip:{}@{}", setup.user, setup.domain));
    told["server"] = json!(setup.server());
    told["transport"] = json!(setup.transport.word());
    told
}

/// Host and port.
fn parted(server: &str) -> Result<(String, Option<u16>), Failure> {
    let wrong =
        || Failure::new(USAGE, format!("--server {server}: write HOST or HOST:PORT, IPv6 in brackets"));
    let is_bare_v6 = server.parse::<std::net::Ipv6Addr>().is_ok();
    let bracket = if server.starts_with('[') { Some(server.find(']').ok_or_else(wrong)?) } else { None };
    let is_before_port = |at: &usize| !is_bare_v6 && bracket.is_none_or(|end| *at > end);
    let (host, port) = match server.rfind(':').filter(is_before_port) {
        Some(at) => (&server[..at], Some(server[at + 1..].parse().map_err(|_| wrong())?)),
        None => (server, None),
    };
    let is_word = |one: char| one.is_ascii_alphanumeric() || ".-_".contains(one);
    let is_v6 = is_bare_v6 || bracket.is_some();
    if host.is_empty() || !host.chars().all(|one| is_word(one) || is_v6 && "[:]".contains(one)) {
        return Err(wrong());
    }
    Ok((if is_bare_v6 { format!("[{host}]") } else { host.to_owned() }, port))
}

impl Transport {
    const fn word(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }
}

impl Setup {
    fn server(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    fn told(&self, model: Model) -> Result<String, Failure> {
        match model {
            Model::Baresip => self.baresip(),
            Model::Linphone => Ok(self.linphone()),
            Model::Yealink => Ok(self.yealink()),
            Model::Grandstream => Ok(self.grandstream()),
            Model::Snom => Ok(self.snom()),
            Model::Spa => self.spa(),
        }
    }

    /// A line of its file `accounts`, whose parameters have no way to escape anything.
    fn baresip(&self) -> Result<String, Failure> {
        let Self { user, domain, name, password, .. } = self;
        if password.contains([';', '"', '<', '>']) || name.contains('"') {
            return Err(Failure::new(
                USAGE,
                "baresip cannot be told a password with ; \" < or >, nor a name with \"",
            ));
        }
        let (server, transport) = (self.server(), self.transport.word());
        let keys = if self.srtp == Srtp::Never { "" } else { ";mediaenc=srtp" };
        Ok(format!(
            "\"{name}\" <sip:{user}@{domain};transport={transport}>;outbound=\"sip:{server};transport={transport}\";auth_user={user};\
             auth_pass={password};regint=600{keys}\n"
        ))
    }

    fn linphone(&self) -> String {
        let Self { user, domain, name, password, .. } = self;
        let (server, transport) = (self.server(), self.transport.word());
        let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
        let identity = format!("\"{quoted}\" <sip:{user}@{domain}>");
        let proxy = format!("<sip:{server};transport={transport}>");
        let keys = if self.srtp == Srtp::Never { "none" } else { "srtp" };
        let mandatory = u8::from(self.srtp == Srtp::Always).to_string();
        let voicemail =
            self.voicemail.as_ref().map(|number| format!("sip:{number}@{domain}")).unwrap_or_default();
        let sections: [(&str, &[(&str, &str)]); 3] = [
            (
                "sip",
                &[
                    ("default_proxy", "0"),
                    ("media_encryption", keys),
                    ("media_encryption_mandatory", &mandatory),
                ],
            ),
            (
                "proxy_0",
                &[
                    ("reg_proxy", &proxy),
                    ("reg_route", &proxy),
                    ("reg_identity", &identity),
                    ("reg_expires", "600"),
                    ("reg_sendregister", "1"),
                    ("voicemail_address", &voicemail),
                ],
            ),
            (
                "auth_info_0",
                &[("username", user), ("passwd", password), ("realm", domain), ("domain", domain)],
            ),
        ];
        let mut text = format!("{XML}<config xmlns=\"http://www.linphone.org/xsds/lpconfig.xsd\">\n");
        for (section, entries) in sections {
            let _ = writeln!(text, "  <section name=\"{section}\">");
            for (key, value) in entries.iter().filter(|(_, value)| !value.is_empty()) {
                let _ =
                    writeln!(text, "    <entry name=\"{key}\" overwrite=\"true\">{}</entry>", escaped(value));
            }
            text.push_str("  </section>\n");
        }
        text + "</config>\n"
    }

    fn yealink(&self) -> String {
        let Self { user, domain, name, password, host, port, .. } = self;
        let transport = match self.transport {
            Transport::Udp => 0,
            Transport::Tcp => 1,
            Transport::Tls => 2,
        };
        let keys = self.srtp.level();
        let mut text = format!(
            "#!version:1.0.0.1\naccount.1.enable = 1\naccount.1.label = {name}\naccount.1.display_name = {name}\n\
             account.1.user_name = {user}\naccount.1.auth_name = {user}\naccount.1.password = {password}\n\
             account.1.sip_server.1.address = {domain}\naccount.1.sip_server.1.port = {port}\n\
             account.1.sip_server.1.transport_type = {transport}\naccount.1.sip_server.1.expires = 600\n\
             account.1.outbound_proxy_enable = 1\naccount.1.outbound_proxy.1.address = {host}\n\
             account.1.outbound_proxy.1.port = {port}\naccount.1.srtp_encryption = {keys}\n\
             account.1.subscribe_mwi = 1\n"
        );
        if let Some(number) = &self.voicemail {
            let _ = writeln!(text, "voice_mail.number.1 = {number}");
        }
        text
    }

    fn grandstream(&self) -> String {
        let transport = match self.transport {
            Transport::Udp => "0",
            Transport::Tcp => "1",
            Transport::Tls => "2",
        };
        let (server, keys) = (self.server(), self.srtp.level().to_string());
        let values = [
            ("P271", "1"),
            ("P270", &self.name),
            ("P47", &self.domain),
            ("P48", &server),
            ("P35", &self.user),
            ("P36", &self.user),
            ("P34", &self.password),
            ("P3", &self.name),
            ("P130", transport),
            ("P32", "10"),
            ("P183", &keys),
            ("P33", self.voicemail.as_deref().unwrap_or_default()),
        ];
        let mut text = format!("{XML}<gs_provision version=\"1\">\n  <config version=\"1\">\n");
        elements(&mut text, "    ", "", &values);
        text + "  </config>\n</gs_provision>\n"
    }

    fn snom(&self) -> String {
        let outbound = format!("sip:{};transport={}", self.server(), self.transport.word());
        let savp = match self.srtp {
            Srtp::Never => "off",
            Srtp::IfItCan => "optional",
            Srtp::Always => "mandatory",
        };
        let values = [
            ("user_active", "on"),
            ("user_realname", self.name.as_str()),
            ("user_name", &self.user),
            ("user_pname", &self.user),
            ("user_pass", &self.password),
            ("user_host", &self.domain),
            ("user_outbound", &outbound),
            ("user_expiry", "600"),
            ("user_srtp", if self.srtp == Srtp::Never { "off" } else { "on" }),
            ("user_savp", savp),
            ("user_mailbox", self.voicemail.as_deref().unwrap_or_default()),
        ];
        let mut text = format!("{XML}<settings>\n  <phone-settings>\n");
        elements(&mut text, "    ", " idx=\"1\" perm=\"\"", &values);
        text + "  </phone-settings>\n</settings>\n"
    }

    /// Their SRTP is one of their own.
    fn spa(&self) -> Result<String, Failure> {
        if self.srtp == Srtp::Always {
            return Err(Failure::new(
                USAGE,
                "SPA phones know no SRTP that others know, and media.srtp is \"require\"",
            ));
        }
        let (server, transport) = (self.server(), self.transport.word().to_uppercase());
        let values = [
            ("Line_Enable_1_", "Yes"),
            ("Proxy_1_", self.domain.as_str()),
            ("Outbound_Proxy_1_", &server),
            ("Use_Outbound_Proxy_1_", "Yes"),
            ("Register_1_", "Yes"),
            ("Register_Expires_1_", "600"),
            ("Display_Name_1_", &self.name),
            ("User_ID_1_", &self.user),
            ("Auth_ID_1_", &self.user),
            ("Use_Auth_ID_1_", "Yes"),
            ("Password_1_", &self.password),
            ("SIP_Transport_1_", &transport),
            ("Voice_Mail_Number", self.voicemail.as_deref().unwrap_or_default()),
        ];
        let mut text = format!("{XML}<flat-profile>\n");
        elements(&mut text, "  ", "", &values);
        Ok(text + "</flat-profile>\n")
    }

    /// What the camera of Grandstream Wave reads.
    fn wave(&self) -> String {
        let server = self.server();
        let values = [
            ("RegisterServer", self.domain.as_str()),
            ("OutboundServer", &server),
            ("SecOutboundServer", ""),
            ("UserID", &self.user),
            ("AuthID", &self.user),
            ("AuthPass", &self.password),
            ("AccountName", &self.name),
            ("DisplayName", &self.name),
            ("Voicemail", self.voicemail.as_deref().unwrap_or_default()),
        ];
        let mut text =
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><AccountConfig version=\"1\"><Account>".to_owned();
        for (name, value) in values {
            let _ = write!(text, "<{name}>{}</{name}>", escaped(value));
        }
        text + "</Account></AccountConfig>"
    }
}

impl Srtp {
    /// As Yealink and Grandstream count.
    const fn level(self) -> u8 {
        match self {
            Self::Never => 0,
            Self::IfItCan => 1,
            Self::Always => 2,
        }
    }
}

/// An element for each that is not empty.
fn elements(text: &mut String, indent: &str, attributes: &str, values: &[(&str, &str)]) {
    for (name, value) in values.iter().filter(|(_, value)| !value.is_empty()) {
        let _ = writeln!(text, "{indent}<{name}{attributes}>{}</{name}>", escaped(value));
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const XML: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

#[cfg(test)]
mod tests {
    use super::*;

    fn setup() -> Setup {
        Setup {
            user: "alice".into(),
            domain: "example.com".into(),
            name: "Alice <3 & Bob".into(),
            password: "p<4&".into(),
            host: "192.0.2.1".into(),
            port: 5061,
            transport: Transport::Tls,
            srtp: Srtp::IfItCan,
            voicemail: Some("*97".into()),
        }
    }

    #[test]
    fn what_the_format_has_signs_for_is_escaped_and_what_it_has_none_for_is_refused() {
        for model in [Model::Linphone, Model::Grandstream, Model::Snom, Model::Spa] {
            let text = setup().told(model).unwrap();
            assert!(
                text.contains("p&lt;4&amp;") && text.contains("Alice &lt;3 &amp; Bob"),
                "{model:?}: {text}"
            );
            assert!(text.starts_with(XML) && text.contains("192.0.2.1:5061"), "{model:?}: {text}");
        }
        assert!(setup().told(Model::Baresip).is_err());
        let text = Setup { password: "p4".into(), ..setup() }.told(Model::Baresip).unwrap();
        assert!(
            text.contains(
                "<sip:alice@example.com;transport=tls>;outbound=\"sip:192.0.2.1:5061;transport=tls\""
            )
        );
        let text = setup().told(Model::Yealink).unwrap();
        assert!(
            text.contains("account.1.sip_server.1.transport_type = 2\n")
                && text.contains("password = p<4&\n")
        );
    }

    #[test]
    fn sound_that_must_be_encrypted_is_not_promised_where_it_cannot_be() {
        let must = Setup { srtp: Srtp::Always, ..setup() };
        assert!(must.told(Model::Spa).is_err());
        assert!(must.told(Model::Snom).unwrap().contains(">mandatory</user_savp>"));
        let never = Setup { srtp: Srtp::Never, voicemail: None, ..setup() };
        let text = never.told(Model::Grandstream).unwrap();
        assert!(text.contains("<P183>0</P183>") && !text.contains("P33"), "{text}");
    }

    #[test]
    fn a_server_has_a_port_or_the_exchanges_own() {
        let parts = |text| parted(text).ok();
        assert_eq!(parts("pbx.example.com"), Some(("pbx.example.com".into(), None)));
        assert_eq!(parts("192.0.2.1:5070"), Some(("192.0.2.1".into(), Some(5070))));
        assert_eq!(parts("[2001:db8::1]:5070"), Some(("[2001:db8::1]".into(), Some(5070))));
        assert_eq!(parts("2001:db8::1"), Some(("[2001:db8::1]".into(), None)));
        for wrong in ["", ":5070", "host:port", "a:b:5070", "a b", "[2001:db8::1", "h\";x"] {
            assert_eq!(parts(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_code_holds_the_whole_account() {
        let text = setup().wave();
        assert!(text.contains("<AuthPass>p&lt;4&amp;</AuthPass><AccountName>Alice"), "{text}");
        assert!(QrCode::new(&text).is_ok());
    }
}
