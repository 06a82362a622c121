//! How lines of some providers are set up, as a starting point. Nobody here has checked them with each provider; what a
//! customer is told by its own comes first.

use serde_json::json;

use crate::exit::{Failure, NOT_FOUND};
use crate::print;

struct Preset {
    name: &'static str,
    country: &'static str,
    server: &'static str,
    /// More lines of the `[[trunk]]`.
    more: &'static [&'static str],
    /// What stands in the provider's own words for the user name.
    username: &'static str,
}

const PRESETS: &[Preset] = &[
    row("callcentric", "US", "callcentric.com", &[], "the 1777… number of the account"),
    row("dus.net", "DE", "proxy.dus.net", &["format = \"e164\""], "the user name of the line"),
    row("dus.net-tls", "DE", "secure.dus.net:5061", &["transport = \"tls\""], "the user name of the line"),
    row("easybell", "DE", "voip.easybell.de", &[], "the SIP user name"),
    row("localphone", "GB", "localphone.com", &["format = \"e164\""], "the SIP ID"),
    row(
        "sipgate",
        "DE",
        "sipgate.de",
        &["from = \"username\"", "format = \"e164\""],
        "the SIP ID, such as 1234567e0",
    ),
    row("sipgate-trunk", "DE", "sipconnect.sipgate.de", &["format = \"e164\""], "the SIP ID of the trunk"),
    row("telekom", "DE", "tel.t-online.de", &["transport = \"tcp\""], "the telephone number with +49"),
    row("telnyx", "US", "sip.telnyx.com", &[], "the user name of the connection"),
    row(
        "twilio",
        "US",
        "NAME.pstn.twilio.com",
        &["register = false"],
        "of the credential list; NAME is yours",
    ),
    row("zadarma", "", "sip.zadarma.com", &["format = \"e164\""], "the SIP login"),
];

const fn row(
    name: &'static str,
    country: &'static str,
    server: &'static str,
    more: &'static [&'static str],
    username: &'static str,
) -> Preset {
    Preset { name, country, server, more, username }
}

pub(super) fn print(provider: Option<&str>, as_json: bool) -> Result<(), Failure> {
    let Some(name) = provider else {
        let text = |text: &str| text.to_owned();
        let rows: Vec<_> = PRESETS
            .iter()
            .map(|one| vec![text(one.name), text(one.country), text(one.server), text(one.username)])
            .collect();
        if as_json {
            let all: Vec<_> = PRESETS
                .iter()
                .map(|one| json!({ "name": one.name, "country": one.country, "server": one.server, "username": one.username, "more": one.more }))
                .collect();
            print::line(&json!({ "presets": all }).to_string());
        } else {
            print::table(&["PROVIDER", "COUNTRY", "SERVER", "USER NAME"], &rows);
            print::line(
                "A starting point that was not checked with the providers; what yours tells you comes first.",
            );
        }
        return Ok(());
    };
    let found = PRESETS.iter().find(|one| one.name.eq_ignore_ascii_case(name));
    let Some(preset) = found else {
        return Err(Failure::new(
            NOT_FOUND,
            format!("nothing is known of {name}: offhook trunk presets lists all"),
        ));
    };
    print::line(&block(preset));
    Ok(())
}

fn block(preset: &Preset) -> String {
    let mut lines = vec![
        format!(
            "# {}: a starting point that was not checked with the provider; what it tells you comes first",
            preset.name
        ),
        "[[trunk]]".to_owned(),
        format!("name = {:?}", preset.name),
        format!("server = {:?}", preset.server),
        format!("username = \"…\"                       # {}", preset.username),
        "password = { env = \"TRUNK_PASSWORD\" }".to_owned(),
        "numbers = []                           # such as \"+49301234567\"".to_owned(),
    ];
    lines.extend(preset.more.iter().map(|line| (*line).to_owned()));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_a_trunk_as_the_configuration_takes_it() {
        for preset in PRESETS {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("offhook.toml");
            let text = block(preset).replace("{ env = \"TRUNK_PASSWORD\" }", "\"secret\"");
            std::fs::write(&file, text).unwrap();
            let sources = offhook_server::config_file::Sources { file: Some(file), ..Default::default() };
            let settings = offhook_server::Settings::read(&sources);
            let settings = settings.unwrap_or_else(|mistakes| panic!("{}: {mistakes}", preset.name));
            assert_eq!(settings.trunks[0].name, preset.name);
        }
    }
}
