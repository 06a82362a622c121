//! What a SIP message means, in a few plain words.

use offhook_sip::{Message, Method, Name, Request, Response};

use super::Language;

/// What was known before the message came.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    /// The very same bytes were seen before.
    pub(super) repeated: bool,
    /// The request that this answers had credentials of the kind that this asks for.
    pub(super) had_credentials: bool,
    /// The same was asked before, in this call.
    pub(super) asked_before: bool,
    /// The request that this answers took a registration back.
    pub(super) was_removal: bool,
    /// The call was answered before.
    pub(super) established: bool,
}

/// A few words about a message; none where its own words say all.
pub(super) fn explain(message: &Message, known: Known, language: Language) -> Option<&'static str> {
    if known.repeated {
        return Some(language.pick("sent again: no answer yet", "重发：尚无应答"));
    }
    let (english, chinese) = match message {
        Message::Request(request) => of_request(request, known)?,
        Message::Response(response) => of_response(response, known)?,
    };
    Some(language.pick(english, chinese))
}

type Words = (&'static str, &'static str);

fn of_request(request: &Request, known: Known) -> Option<Words> {
    let inside = request.to_tag().is_some();
    let credentials = request.has(Name::Authorization) || request.has(Name::ProxyAuthorization);
    let retried = credentials && known.asked_before;
    Some(match request.method() {
        Method::Invite if inside => {
            ("changes the call: hold, address or codec", "更改通话：保持、地址或编解码")
        }
        Method::Invite if retried => ("the same with proof of who we are", "附上身份证明再次呼叫"),
        Method::Invite => ("please talk to me", "请求通话"),
        Method::Register if is_removal(request) => ("do not send me calls any more", "不再接收来电"),
        Method::Register if retried => ("the same with proof of who we are", "附上身份证明再次注册"),
        Method::Register => ("calls for me go to this phone", "我的来电请转到这部话机"),
        Method::Ack => ("got the answer", "已收到应答"),
        Method::Bye => ("hangs up", "挂断"),
        Method::Cancel => ("stops calling", "取消呼叫"),
        Method::Options => ("are you there, and what can you do?", "在吗？支持哪些功能？"),
        Method::Message => ("a text", "短信"),
        Method::Refer => ("please call someone else instead", "请改为呼叫他人（转接）"),
        Method::Subscribe => ("tell me when it changes", "有变化请通知我"),
        Method::Notify => ("it is like this now", "当前状态通知"),
        Method::Prack => ("got the provisional answer", "已收到临时应答"),
        Method::Update => ("changes the call before or during it", "更新通话参数"),
        Method::Info => ("a note within the call", "通话内信息"),
        Method::Publish => ("my state", "发布我的状态"),
        Method::Other(_) => return None,
    })
}

/// Whether a request takes a registration back (RFC 3261 §10.2.2).
pub(super) fn is_removal(request: &Request) -> bool {
    let register = *request.method() == Method::Register;
    let zero = request.expires() == Some(0)
        || request.raw(Name::Contact).is_some_and(|contact| {
            let text = String::from_utf8_lossy(contact);
            text.trim() == "*" || text.ends_with("expires=0")
        });
    register && zero
}

fn of_response(response: &Response, known: Known) -> Option<Words> {
    let method = response.cseq().ok().map(|cseq| cseq.method);
    let code = response.status().code();
    Some(match (code, method) {
        (200..=299, Some(Method::Invite)) if known.established => ("agreed", "同意"),
        (200..=299, Some(Method::Register)) if known.was_removal => ("not registered any more", "已注销"),
        (200..=299, Some(method)) => of_success(&method)?,
        (401 | 407, _) if known.had_credentials && !is_stale(response) => {
            ("name or password is wrong", "用户名或密码错误")
        }
        (401 | 407, _) => ("asks who we are (normal)", "要求验证身份（正常）"),
        _ => return of_code(code),
    })
}

/// Whether only the time of the proof is over (RFC 7616 §3.3).
fn is_stale(response: &Response) -> bool {
    let challenges =
        response.challenges(Name::WwwAuthenticate).chain(response.challenges(Name::ProxyAuthenticate));
    challenges.flatten().any(|challenge| challenge.stale())
}

fn of_success(method: &Method) -> Option<Words> {
    Some(match method {
        Method::Invite => ("answered", "已接听"),
        Method::Register => ("registered", "注册成功"),
        Method::Bye => ("hung up", "已挂断"),
        Method::Cancel => ("will stop", "即将取消"),
        Method::Options => ("is there", "在线"),
        Method::Message => ("text delivered", "短信已送达"),
        Method::Refer => ("will try", "将尝试转接"),
        Method::Subscribe => ("will tell", "将会通知"),
        Method::Ack
        | Method::Notify
        | Method::Prack
        | Method::Update
        | Method::Info
        | Method::Publish
        | Method::Other(_) => return None,
    })
}

/// What a status says, in a few plain words; none where it is not known.
pub fn of_status(code: u16, language: Language) -> Option<&'static str> {
    of_code(code).map(|(english, chinese)| language.pick(english, chinese))
}

fn of_code(code: u16) -> Option<Words> {
    TABLE.iter().find(|(known, _, _)| *known == code).map(|(_, english, chinese)| (*english, *chinese))
}

const TABLE: &[(u16, &str, &str)] = &[
    (100, "is working on it", "正在处理"),
    (180, "it rings", "正在振铃"),
    (181, "the call is sent on", "呼叫正被转移"),
    (182, "waiting in line", "排队等候"),
    (183, "under way, perhaps with sound", "呼叫进行中，可能有声音"),
    (301, "moved for good", "已永久迁移"),
    (302, "try there", "请改呼另一地址"),
    (400, "did not understand", "请求有误"),
    (403, "not allowed", "不被允许"),
    (404, "no such number", "号码不存在"),
    (405, "does not do that", "不支持该方法"),
    (408, "no answer in time", "超时无应答"),
    (415, "cannot read this kind of content", "不支持该内容类型"),
    (420, "lacks an extension we ask for", "不支持所要求的扩展"),
    (422, "wants a longer session time", "要求更长的会话时间"),
    (423, "wants a longer registration", "要求更长的注册时间"),
    (480, "known, but not reachable now", "对方暂时不可用"),
    (481, "knows no such call", "没有这个通话"),
    (482, "the call goes in circles", "呼叫成环"),
    (483, "passed on too often", "转发次数过多"),
    (484, "number is too short", "号码不完整"),
    (486, "busy", "忙"),
    (487, "stopped, as asked", "已按要求取消"),
    (488, "no codec in common, or sound refused", "媒体参数不被接受"),
    (491, "both sides change the call at once", "双方同时更改通话"),
    (500, "the server failed", "服务器内部错误"),
    (501, "the server does not know this", "服务器不支持"),
    (502, "the next server failed", "下一级服务器出错"),
    (503, "the server is overloaded or out of service", "服务器过载或停止服务"),
    (504, "the next server did not answer", "下一级服务器超时"),
    (513, "the message is too large", "消息过大"),
    (600, "busy everywhere", "处处忙"),
    (603, "declined", "对方拒绝"),
    (604, "exists nowhere", "号码不存在"),
    (606, "sound refused", "媒体参数不被接受"),
    (607, "unwanted call", "被拒为骚扰电话"),
];
