//! `offhook status`: how the server is, in words.

use clap::Args;
use offhook_phone::Language;
use serde_json::Value;

use crate::account::Flags;
use crate::api::Api;
use crate::exit::Failure;
use crate::print;

/// Flags of the command.
#[derive(Args, Debug)]
pub(crate) struct Status {
    #[command(flatten)]
    common: Flags,
}

impl Status {
    pub(crate) fn run(self, language: Language) -> Result<(), Failure> {
        let answer = Api::of_running(&self.common.place)?.ask("GET", "/api/v1/status", None)?;
        if self.common.json {
            print::line(&answer.to_string());
            return Ok(());
        }
        for text in words(&answer, language) {
            print::line(&text);
        }
        Ok(())
    }
}

fn words(status: &Value, language: Language) -> Vec<String> {
    let word = |key: &str| print::word(&status[key]);
    let list = |key: &str| {
        let all = status[key].as_array().map(Vec::as_slice).unwrap_or_default();
        all.iter().map(print::word).collect::<Vec<_>>()
    };
    let (version, since, process) = (word("version"), word("started_at"), word("pid"));
    let (sip, domains, data) = (list("listeners").join(", "), list("domains").join(", "), word("data_dir"));
    let (accounts, devices) = (word("accounts"), word("devices"));
    let (ringing, anchored, free) = (word("calls_ringing"), word("calls_anchored"), word("free_port_pairs"));
    let subscriptions = word("subscriptions");
    let mut lines = language.pick(
        vec![
            format!("offhook {version} runs since {since} (process {process})"),
            format!("  SIP      {sip}"),
            format!("  Domains  {domains}"),
            format!("  Data     {data}"),
            format!("  Accounts {accounts}, devices registered {devices}"),
            format!(
                "  Calls    {ringing} being set up, {anchored} with media through us; {free} port pairs free"
            ),
            format!(
                "  Watching {subscriptions} subscriptions (presence, lamps, registrations, message waiting)"
            ),
        ],
        vec![
            format!("offhook {version} 自 {since} 起运行（进程 {process}）"),
            format!("  SIP   {sip}"),
            format!("  域名  {domains}"),
            format!("  数据  {data}"),
            format!("  账号  {accounts} 个，已注册话机 {devices} 部"),
            format!("  通话  正在建立 {ringing} 路，媒体经本机 {anchored} 路；空闲端口 {free} 对"),
            format!("  订阅  {subscriptions} 个（状态、指示灯、注册、留言）"),
        ],
    );
    let troubles = list("troubles");
    if troubles.is_empty() {
        lines.push(language.pick("All is well.", "一切正常。").into());
    }
    let trouble = language.pick("Trouble: ", "问题：");
    lines.extend(troubles.iter().map(|one| format!("{trouble}{one}")));
    lines
}
