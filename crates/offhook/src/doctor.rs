//! `offhook doctor`: what is wrong, and how to mend it.

use clap::Args;
use offhook_phone::Language;
use offhook_server::Settings;
use serde_json::{Value, json};

use crate::account::Flags;
use crate::api::Api;
use crate::exit::{Failure, PROBLEMS_FOUND};
use crate::print;

/// Flags of the command.
#[derive(Args, Debug)]
pub(crate) struct Doctor {
    #[command(flatten)]
    common: Flags,
}

/// One thing that was looked at.
struct Finding {
    what: &'static str,
    trouble: Option<String>,
}

impl Doctor {
    pub(crate) fn run(self, language: Language) -> Result<(), Failure> {
        let settings = self.common.place.settings()?;
        let mut findings: Vec<Finding> = settings
            .warnings
            .iter()
            .map(|warning| Finding { what: "configuration", trouble: Some(warning.clone()) })
            .collect();
        if findings.is_empty() {
            findings.push(Finding { what: "configuration", trouble: None });
        }
        match Api::of_running(&self.common.place) {
            Ok(api) => findings.extend(of_server(&api)?),
            Err(_) => findings.extend(of_machine(&settings)),
        }
        if let Some(reached) = offhook_server::Server::check_mail(&settings) {
            findings.push(Finding { what: "mail", trouble: reached.err() });
        }
        let found = findings.iter().filter(|finding| finding.trouble.is_some()).count();
        if self.common.json {
            let all: Vec<Value> =
                findings.iter().map(|one| json!({ "what": one.what, "trouble": one.trouble })).collect();
            print::line(&json!({ "findings": all }).to_string());
        } else {
            for finding in &findings {
                let text = finding.trouble.as_deref().unwrap_or(language.pick("ok", "正常"));
                print::line(&format!("{:<14} {text}", finding.what));
            }
        }
        let sum = language.pick(format!("{found} to look at"), format!("有 {found} 处需要处理"));
        if found == 0 { Ok(()) } else { Err(Failure::new(PROBLEMS_FOUND, sum)) }
    }
}

/// What the running server says of itself.
fn of_server(api: &Api) -> Result<Vec<Finding>, Failure> {
    let status = api.ask("GET", "/api/v1/status", None)?;
    let mut findings = vec![Finding { what: "server", trouble: None }];
    let troubles = status["troubles"].as_array().cloned().unwrap_or_default();
    findings.extend(troubles.iter().map(|one| Finding { what: "server", trouble: Some(print::word(one)) }));
    let no_accounts = status["accounts"] == 0;
    let hint = "there are none: offhook account add sip:NAME@DOMAIN".to_owned();
    findings.push(Finding { what: "accounts", trouble: no_accounts.then_some(hint) });
    let no_ports = status["free_port_pairs"] == 0;
    let hint = "all are in use: set media.ports to a wider range".to_owned();
    findings.push(Finding { what: "media ports", trouble: no_ports.then_some(hint) });
    findings.extend(of_certificates(&api.ask("GET", "/api/v1/certificates", None)?));
    Ok(findings)
}

/// Our own are renewed by themselves, long before their end; files are somebody else's to renew.
fn of_certificates(answer: &Value) -> Vec<Finding> {
    let all = answer["certificates"].as_array().cloned().unwrap_or_default();
    let ending = |one: &&Value| one["days_left"].as_i64().is_some_and(|days| days < SOON);
    let told = |one: &Value| {
        let (file, days) = (print::word(&one["file"]), print::word(&one["days_left"]));
        format!("{file} is good for {days} more days: renew it, then offhook config reload")
    };
    let mut findings: Vec<Finding> = all
        .iter()
        .filter(ending)
        .map(|one| Finding { what: "certificates", trouble: Some(told(one)) })
        .collect();
    if findings.is_empty() && !all.is_empty() {
        findings.push(Finding { what: "certificates", trouble: None });
    }
    findings
}

/// What would keep a server from starting: it is started for a moment, with the web on any port.
fn of_machine(settings: &Settings) -> Vec<Finding> {
    let mut settings = settings.clone();
    settings.http_is_named = false;
    settings.https_is_named = false;
    settings.pid_file = None;
    let trouble = match offhook_server::Server::start(settings) {
        Ok(server) => {
            server.stop();
            Some("does not run, but could: offhook serve".to_owned())
        }
        Err(error) => Some(format!("does not run, and cannot be started: {error}")),
    };
    vec![Finding { what: "server", trouble }]
}

/// Days before its end from which a certificate is spoken of.
const SOON: i64 = 21;
