//! The rules, the surest ones first.

use super::facts::{Answer, By, End, Facts, Leg};
use super::story::seconds;

/// A rule: when it holds, with the words for `{0}`, `{1}` …, and what it says then.
pub(super) struct Rule {
    pub(super) name: &'static str,
    pub(super) holds: fn(&Facts) -> Option<Vec<String>>,
    pub(super) english: &'static str,
    pub(super) advice: &'static str,
    pub(super) chinese: &'static str,
    pub(super) advice_chinese: &'static str,
}

type Words = (&'static str, &'static str);

const fn rule(
    name: &'static str,
    holds: fn(&Facts) -> Option<Vec<String>>,
    (english, advice): Words,
    (chinese, advice_chinese): Words,
) -> Rule {
    Rule { name, holds, english, advice, chinese, advice_chinese }
}

/// Why a call ended as it did: the first one that holds.
pub(super) const RULES: &[Rule] = &[
    rule(
        "ended-by-operator",
        |facts| facts.has_note("by the operator").then(Vec::new),
        ("An operator ended the call.", ""),
        ("通话被管理员结束。", ""),
    ),
    rule(
        "wrong-password",
        |facts| {
            (facts.answer.is_none() && facts.proofs_refused > 0 && facts.legs.is_empty())
                .then(|| vec![facts.caller.name.clone()])
        },
        (
            "{0} gave a wrong name or password: its INVITE with credentials was refused again.",
            "Compare the name and password in the phone with the account; `offhook account set ADDRESS --new-password` makes a new one.",
        ),
        (
            "{0} 的用户名或密码错误：带凭证的 INVITE 再次被拒。",
            "核对话机中的用户名和密码；可用 `offhook account set ADDRESS --new-password` 生成新密码。",
        ),
    ),
    rule(
        "no-credentials",
        |facts| {
            (facts.answer.is_none() && facts.challenges > 0 && facts.proofs == 0 && facts.legs.is_empty())
                .then(|| vec![facts.caller.name.clone()])
        },
        (
            "The exchange asked {0} to prove who it is, and the phone did not come back with a password.",
            "Set name and password in the phone. A program that is to call without an account needs security.allow_from or security.strangers.",
        ),
        (
            "交换机要求 {0} 验证身份，但话机没有带密码重试。",
            "请在话机中设置用户名和密码；无账户来电需设置 security.allow_from 或 security.strangers。",
        ),
    ),
    rule(
        "foreign-from",
        |facts| refused(facts, &[403], "From is not an address of this account"),
        (
            "{0} proved to be one account, but its From names another.",
            "Set the phone's user name (From) to its own account or number.",
        ),
        ("{0} 的身份与 From 中的账户不一致。", "请把话机的 From（用户名）设为其自己的账户或号码。"),
    ),
    rule(
        "stranger",
        |facts| refused(facts, &[403], "Nothing is relayed for strangers"),
        ("{0} has no account here, and calls of strangers go to accounts only.", ""),
        ("{0} 在此没有账户；陌生来电只能呼叫本地账户。", ""),
    ),
    rule(
        "call-limit",
        |facts| refused(facts, &[403], "as many calls as it may have"),
        (
            "The account of {0} has as many calls at a time as it may have.",
            "End another call, or raise security.max_calls_per_account.",
        ),
        ("{0} 的账户已达到同时通话数上限。", "结束其他通话，或提高 security.max_calls_per_account。"),
    ),
    rule(
        "international",
        |facts| refused(facts, &[403], "abroad"),
        (
            "{1} is a number abroad, and calls abroad are not allowed: {2}.",
            "Allow them with security.allow_international, or by a route of its own; `offhook route test {1}` shows the decision.",
        ),
        (
            "{1} 是国外号码，而国际呼叫未被允许：{2}。",
            "用 security.allow_international 或专门的路由允许；`offhook route test {1}` 可查看判定。",
        ),
    ),
    rule(
        "other-domains",
        |facts| refused(facts, &[403], "Other domains are not reached"),
        (
            "{1} is in another domain, and calls to other domains are not allowed.",
            "Set sip.other_domains = \"allow\".",
        ),
        ("{1} 属于其他域，而呼叫其他域未被允许。", "设置 sip.other_domains = \"allow\"。"),
    ),
    rule(
        "dns",
        |facts| refused(facts, &[404, 480, 500, 503], "cannot be reached: "),
        (
            "The other domain was not found: {2}.",
            "Check the name, and the DNS servers (dns.servers) with `offhook doctor`.",
        ),
        ("找不到对方域：{2}。", "请检查域名和 DNS 服务器（dns.servers），并运行 `offhook doctor`。"),
    ),
    rule(
        "no-port",
        |facts| refused(facts, &[503], "No media port is free"),
        ("All media ports are in use.", "Set media.ports to a wider range."),
        ("媒体端口已用尽。", "请扩大 media.ports 的范围。"),
    ),
    rule(
        "overload",
        |facts| refused(facts, &[503], "").filter(|_| facts.legs.is_empty()),
        (
            "The exchange was too busy or about to stop, and took no new calls: {2}.",
            "Try again in a few seconds; `offhook status` shows how it is.",
        ),
        ("交换机过载或正在停止，未接受新呼叫：{2}。", "请稍后再试；`offhook status` 可查看状态。"),
    ),
    rule(
        "not-registered",
        |facts| refused(facts, &[480], "registered"),
        (
            "Nobody was called: no phone of {1} is registered.",
            "Check that the phone is on and registers: `offhook device list` shows who does.",
        ),
        (
            "没有呼叫任何话机：{1} 没有已注册的话机。",
            "请确认话机已开机并注册；`offhook device list` 可查看已注册的话机。",
        ),
    ),
    rule(
        "no-secure-way",
        |facts| refused(facts, &[480, 416], "TLS"),
        (
            "A sips address was called, and it cannot be reached by TLS on every hop: {2}.",
            "Register the phone over TLS, or call a sip address.",
        ),
        ("呼叫了 sips 地址，但无法逐跳使用 TLS 到达：{2}。", "让话机通过 TLS 注册，或改呼 sip 地址。"),
    ),
    rule(
        "no-number",
        |facts| refused(facts, &[404, 484, 604], "").filter(|_| facts.legs.is_empty()),
        (
            "{1} is no number and no account here, and no route leads there: {2}.",
            "`offhook number list` and `offhook account list` show what there is; `offhook route test {1}` shows each rule that was tried.",
        ),
        (
            "{1} 在此既不是号码也不是账户，也没有路由通向它：{2}。",
            "`offhook number list`、`offhook account list` 可查看现有号码；`offhook route test {1}` 显示尝试过的每条规则。",
        ),
    ),
    rule(
        "refused-by-exchange",
        |facts| {
            facts
                .answer
                .as_ref()
                .filter(|answer| answer.code >= 300 && facts.legs.is_empty())
                .map(|answer| about(facts, answer))
        },
        ("The exchange refused the call: {3} {2}.", ""),
        ("交换机拒绝了呼叫：{3} {2}。", ""),
    ),
    rule(
        "cancelled",
        cancelled,
        ("{0} gave up after {1}, before anybody answered; it rang at: {2}.", ""),
        ("{0} 在 {1} 后、无人接听前放弃了呼叫；曾振铃：{2}。", ""),
    ),
    rule(
        "busy",
        |facts| facts.leg_with(&[486, 600]).map(of_leg),
        ("{0} is busy ({2} {3}).", ""),
        ("{0} 忙（{2} {3}）。", ""),
    ),
    rule(
        "declined",
        |facts| facts.leg_with(&[603, 607, 403]).map(of_leg),
        (
            "{0} declined the call ({2} {3}).",
            "If nobody pressed anything, look for do-not-disturb or a block list in that phone.",
        ),
        ("{0} 拒接了呼叫（{2} {3}）。", "若无人按键，请检查该话机的免打扰或黑名单。"),
    ),
    rule(
        "no-codec",
        no_codec,
        (
            "The phones have no codec in common, or the sound was refused: {0} offered {1}; {2} answered: {3}.",
            "Switch on a codec that both have, or let the exchange translate: media.codecs, and media.anchor not \"never\".",
        ),
        (
            "双方没有共同的编解码，或媒体被拒：{0} 提供 {1}；{2} 应答：{3}。",
            "请在双方启用共同的编解码，或由交换机转码：设置 media.codecs，且 media.anchor 不为 \"never\"。",
        ),
    ),
    rule(
        "flow-lost",
        |facts| {
            refused(facts, &[480, 408, 503, 500], "cannot be reached").filter(|_| !facts.legs.is_empty()).map(
                |mut words| {
                    words.push(
                        facts
                            .legs
                            .iter()
                            .map(|leg| leg.party.address.as_str())
                            .collect::<Vec<_>>()
                            .join(", "),
                    );
                    words
                },
            )
        },
        (
            "The way to {1} is gone: {2} ({4}).",
            "The connection over which the phone registered was lost, or its address refuses us. It comes back when the phone registers again.",
        ),
        (
            "通往 {1} 的路径已断：{2}（{4}）。",
            "话机注册所用的连接已断，或其地址拒收。话机重新注册后即可恢复。",
        ),
    ),
    rule(
        "silent-phone",
        |facts| {
            let leg = facts.legs.iter().find(|leg| !leg.responded && !facts.is_answered())?;
            facts.answer.as_ref()?;
            Some(vec![leg.party.name.clone(), leg.party.address.clone(), leg.times_sent.to_string()])
        },
        (
            "{0} at {1} did not answer at all: the INVITE was sent {2} times and nothing came back.",
            "The phone is off or has another address since it registered, or a firewall or NAT between drops what we send. A shorter registration or a keep-alive in the phone holds the way open; TCP or TLS do it too.",
        ),
        (
            "位于 {1} 的 {0} 毫无回应：INVITE 发送了 {2} 次，没有任何应答。",
            "话机已关机或注册后更换了地址，或中间的防火墙/NAT 丢弃了报文。缩短注册周期、启用保活，或改用 TCP/TLS。",
        ),
    ),
    rule(
        "rang-out",
        rang_out,
        ("It rang {1} at {0}, and nobody answered.", ""),
        ("{0} 振铃 {1}，无人接听。", ""),
    ),
    rule(
        "away",
        |facts| facts.leg_with(&[480, 408]).map(of_leg),
        ("{0} says that it cannot be reached now ({2} {3}).", "Do-not-disturb in that phone says so, too."),
        ("{0} 表示暂时无法接听（{2} {3}）。", "该话机开启免打扰时也会如此。"),
    ),
    rule(
        "leg-failed",
        |facts| {
            facts
                .legs
                .iter()
                .filter(|_| !facts.is_answered())
                .find_map(|leg| Some((leg, leg.answer.as_ref().filter(|answer| answer.code >= 300)?)))
                .map(of_leg)
        },
        (
            "{0} at {1} refused the call: {2} {3}.",
            "If that is a trunk or another exchange, its operator knows what this answer means for the number.",
        ),
        ("位于 {1} 的 {0} 拒绝了呼叫：{2} {3}。", "若为中继或其他交换机，请向其运营方查询该应答的含义。"),
    ),
    rule(
        "failed",
        |facts| facts.answer.as_ref().filter(|answer| answer.code >= 300).map(|answer| about(facts, answer)),
        ("The call was not answered: {3} {2}.", ""),
        ("呼叫未接通：{3} {2}。", ""),
    ),
    rule(
        "no-media",
        |facts| ended_because(facts, "Media stopped"),
        (
            "The exchange ended the call because no sound came any more from one of the phones.",
            "A phone lost its network, or a firewall or NAT lets its sound not through: open media.ports (UDP) towards the exchange, and check sip.external_address and sip.local_networks.",
        ),
        (
            "其中一部话机不再发来声音，交换机结束了通话。",
            "话机断网，或防火墙/NAT 阻挡其声音：请放行到交换机的 media.ports（UDP），并检查 sip.external_address 和 sip.local_networks。",
        ),
    ),
    rule(
        "held-too-long",
        |facts| ended_because(facts, "On hold too long"),
        (
            "The exchange ended the call because it was on hold for too long.",
            "media.hold_timeout says for how long it may be.",
        ),
        ("通话保持时间过长，交换机将其结束。", "media.hold_timeout 规定最长保持时间。"),
    ),
    rule(
        "not-secured",
        |facts| ended_because(facts, "secure").or_else(|| ended_because(facts, "encrypt")),
        (
            "The exchange ended the call because its sound could not be encrypted: {0}.",
            "Compare the SRTP settings of the phones with media.srtp.",
        ),
        ("声音无法加密，交换机结束了通话：{0}。", "请核对话机的 SRTP 设置与 media.srtp。"),
    ),
    rule(
        "no-ack",
        |facts| {
            (facts.is_answered() && facts.acknowledged.is_none() && facts.answers_sent > 2).then(|| {
                vec![facts.caller.name.clone(), facts.answers_sent.to_string(), facts.caller.address.clone()]
            })
        },
        (
            "{0} did not confirm the answer: the 200 was sent {1} times and no ACK came, so the call ends after 32 s.",
            "What we send does not reach {2}, or its ACK goes elsewhere: look for a NAT or firewall that changes SIP (switch off \"SIP ALG\"), and check the address in Contact.",
        ),
        (
            "{0} 未确认接听：200 发送了 {1} 次，没有收到 ACK，因此通话在 32 秒后结束。",
            "我们发出的报文到不了 {2}，或其 ACK 去了别处：请查找改写 SIP 的 NAT/防火墙（关闭“SIP ALG”），并检查 Contact 地址。",
        ),
    ),
    rule(
        "ended-by-exchange",
        |facts| {
            facts
                .end
                .as_ref()
                .filter(|end| end.by == By::Exchange)
                .map(|end| vec![end.reason.clone().unwrap_or_else(|| "–".to_owned())])
        },
        ("The exchange ended the call; its reason: {0}.", ""),
        ("交换机结束了通话；原因：{0}。", ""),
    ),
    rule("normal", normal, ("The call ended normally: {0} hung up.", ""), ("通话正常结束：{0} 挂断。", "")),
    rule(
        "lasts",
        |facts| facts.is_answered().then(Vec::new),
        ("The call was answered, and no BYE has come: it lasts, or a phone was gone without saying so.", ""),
        ("通话已接听，尚无 BYE：仍在通话，或某部话机未挂断即离线。", ""),
    ),
    rule(
        "being-set-up",
        |facts| facts.caller.remote.map(|_| Vec::new()),
        ("The call is being set up; nobody has answered yet.", ""),
        ("呼叫正在建立，尚无人接听。", ""),
    ),
    rule(
        "no-beginning",
        |_| Some(Vec::new()),
        (
            "The beginning of this call is not kept any more.",
            "Set trace.memory higher to keep more messages.",
        ),
        ("该呼叫的开头部分已不再保留。", "调高 trace.memory 可保留更多报文。"),
    ),
];

/// What else there is to say: all that hold.
pub(super) const REMARKS: &[Rule] = &[
    rule(
        "bye-unanswered",
        |facts| facts.end.as_ref().filter(|end| !end.confirmed).map(|_| Vec::new()),
        ("The BYE was not answered: the other side may believe that the call lasts.", ""),
        ("BYE 没有得到应答：对方可能以为通话仍在继续。", ""),
    ),
    rule(
        "silent-caller",
        |facts| silent(facts, &["from the caller", "from either"]).then(|| vec![facts.caller.name.clone()]),
        SILENT,
        SILENT_CHINESE,
    ),
    rule(
        "silent-callee",
        |facts| {
            silent(facts, &["from the one who was called", "from either"])
                .then(|| vec![facts.winner().map(|leg| leg.party.name.clone()).unwrap_or_default()])
        },
        SILENT,
        SILENT_CHINESE,
    ),
    rule("lossy-caller", |facts| lossy(facts, "caller", &facts.caller.name), LOSSY, LOSSY_CHINESE),
    rule(
        "lossy-callee",
        |facts| lossy(facts, "one who was called", &facts.winner()?.party.name),
        LOSSY,
        LOSSY_CHINESE,
    ),
    rule(
        "repeated",
        |facts| (facts.repeated > 2).then(|| vec![facts.repeated.to_string()]),
        ("{0} messages came more than once: the network loses messages, or our answers do not arrive.", ""),
        ("有 {0} 个报文重复到达：网络丢包，或我们的应答没有送达。", ""),
    ),
    rule(
        "private-address",
        private_address,
        (
            "The sound of {0} was announced at {1}, an address of its own network, although its messages come from {2}: the other phone cannot send there.",
            "Let the exchange relay the sound (media.anchor = \"auto\" or \"always\"), or set up STUN in the phone.",
        ),
        (
            "{0} 声明的声音地址 {1} 是其内网地址，而其报文来自 {2}：对方话机无法发往该地址。",
            "由交换机中继声音（media.anchor = \"auto\" 或 \"always\"），或在话机中设置 STUN。",
        ),
    ),
    rule(
        "direct-sound",
        |facts| facts.has_note("directly between the phones").then(Vec::new),
        ("The sound went directly between the phones, so the exchange knows nothing about its quality.", ""),
        ("声音在话机之间直接传输，交换机不了解其质量。", ""),
    ),
];

/// The words about an answer to the caller: who called, what was dialled, the reason, the code.
fn about(facts: &Facts, answer: &Answer) -> Vec<String> {
    vec![facts.caller.name.clone(), facts.dialled.clone(), answer.reason.clone(), answer.code.to_string()]
}

fn refused(facts: &Facts, codes: &[u16], words: &str) -> Option<Vec<String>> {
    facts.refused_here(codes, words).map(|answer| about(facts, answer))
}

/// The words about the answer of somebody who was called: name, address, code, reason.
fn of_leg((leg, answer): (&Leg, &Answer)) -> Vec<String> {
    let party = &leg.party;
    vec![party.name.clone(), party.address.clone(), answer.code.to_string(), answer.reason.clone()]
}

fn cancelled(facts: &Facts) -> Option<Vec<String>> {
    let at = facts.cancelled.filter(|_| !facts.is_answered())?;
    let rang: Vec<&str> =
        facts.legs.iter().filter(|leg| leg.ringing.is_some()).map(|leg| leg.party.name.as_str()).collect();
    let rang = if rang.is_empty() { "–".to_owned() } else { rang.join(", ") };
    Some(vec![facts.caller.name.clone(), seconds(at, facts.began), rang])
}

fn no_codec(facts: &Facts) -> Option<Vec<String>> {
    let (leg, answer) = match facts.leg_with(&[488, 606, 415]) {
        Some((leg, answer)) => (leg.party.name.as_str(), answer),
        None => ("exchange", facts.refused_here(&[488, 606, 415], "")?),
    };
    let list = |codecs: &[String]| if codecs.is_empty() { "–".to_owned() } else { codecs.join(", ") };
    let offered = facts.offered.as_ref().map_or_else(|| "–".to_owned(), |sound| sound.to_string());
    let told = facts.answer.as_ref().and_then(|told| told.warning.clone());
    let knows = match (&answer.sound, told.or_else(|| answer.warning.clone())) {
        (Some(sound), _) => list(&sound.codecs),
        (None, Some(warning)) => warning,
        (None, None) => format!("{} {}", answer.code, answer.reason),
    };
    Some(vec![facts.caller.name.clone(), offered, leg.to_owned(), knows])
}

fn rang_out(facts: &Facts) -> Option<Vec<String>> {
    let answer = facts.refused_here(&[408, 480, 487], "")?;
    let leg =
        facts.legs.iter().find(|leg| leg.ringing.is_some() && (leg.cancelled || leg.answer.is_none()))?;
    Some(vec![leg.party.name.clone(), seconds(answer.at, leg.ringing?)])
}

fn ended_because(facts: &Facts, words: &str) -> Option<Vec<String>> {
    let reason = facts.end.as_ref()?.reason.clone()?;
    (facts.end.as_ref()?.by == By::Exchange && reason.contains(words)).then(|| vec![reason])
}

fn normal(facts: &Facts) -> Option<Vec<String>> {
    match &facts.end.as_ref().filter(|_| facts.is_answered())? {
        End { by: By::Caller, .. } => Some(vec![facts.caller.name.clone()]),
        End { by: By::Callee(party), .. } => Some(vec![party.name.clone()]),
        End { by: By::Exchange, .. } => None,
    }
}

const SILENT: Words = (
    "No sound came from {0} to the exchange.",
    "Its microphone is off, or a firewall or NAT drops its sound: let UDP to media.ports through. If {0} is behind a NAT, check sip.external_address.",
);
const SILENT_CHINESE: Words = (
    "交换机没有收到来自 {0} 的声音。",
    "其麦克风关闭，或防火墙/NAT 丢弃其声音：请放行到 media.ports 的 UDP；若 {0} 在 NAT 之后，请检查 sip.external_address。",
);

/// Whether there is such a remark about a call that was long enough for some sound.
fn silent(facts: &Facts, words: &[&str]) -> bool {
    let lasted =
        facts.end.as_ref().zip(facts.answer.as_ref()).map(|(end, answer)| end.at.saturating_sub(answer.at));
    let told = words.iter().any(|words| facts.has_note(&format!("no sound came {words}")));
    told && lasted.is_some_and(|lasted| lasted >= std::time::Duration::from_secs(1))
}

/// What is remarked on the way of one side's sound.
fn lossy(facts: &Facts, whose: &str, name: &str) -> Option<Vec<String>> {
    let words = format!("sound from the {whose}: ");
    let told = facts.notes.iter().find_map(|note| note.strip_prefix(&words))?;
    Some(vec![name.to_owned(), told.to_owned()])
}

const LOSSY: (&str, &str) = (
    "The sound of {0} came badly: {1}.",
    "Look at the network between that phone and the exchange: Wi-Fi, a full line, or a router that does not prefer voice.",
);
const LOSSY_CHINESE: (&str, &str) = (
    "{0} 的声音到达不良：{1}。",
    "请检查该话机与交换机之间的网络：Wi-Fi、线路拥塞，或路由器未优先处理语音。",
);

/// Direct sound to an address that only its owner's network knows.
fn private_address(facts: &Facts) -> Option<Vec<String>> {
    if !facts.has_note("directly between the phones") {
        return None;
    }
    let announced = |leg: &Leg| leg.answer.as_ref().and_then(|answer| answer.sound.as_ref()?.address);
    let caller = (&facts.caller, facts.offered.as_ref().and_then(|sound| sound.address));
    let callee = facts.winner().map(|leg| (&leg.party, announced(leg)))?;
    // Behind one router they reach each other.
    if callee.0.remote?.ip() == facts.caller.remote?.ip() {
        return None;
    }
    [caller, callee].into_iter().find_map(|(party, address)| {
        let (sound, signals) = (address?.ip(), party.remote?.ip());
        let hidden = is_private(sound) && !is_private(signals);
        hidden.then(|| vec![party.name.clone(), sound.to_string(), signals.to_string()])
    })
}

fn is_private(ip: std::net::IpAddr) -> bool {
    match ip {
        std::net::IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        std::net::IpAddr::V6(ip) => ip.is_unique_local() || ip.is_loopback() || ip.is_unicast_link_local(),
    }
}
