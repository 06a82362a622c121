//! What services that call back have to know: who is free again, and who has called somebody in vain.

use offhook_sip::{Method, Name, Request};

use super::Core;
use crate::context::Context;
use crate::io::ShardMessage;
use crate::refusal::Refusal;
use crate::services::CallBackNews;

impl Core {
    /// A call of an account goes no further.
    pub(super) fn refused_in_vain(&mut self, request: &Request, refusal: &Refusal) {
        if !refusal.proven || *request.method() != Method::Invite {
            return;
        }
        let text = |name| request.raw(name).unwrap_or_default();
        let from = String::from_utf8_lossy(text(Name::From));
        let caller = self.directory.named_by(&from, &self.config.domains).map(|one| &one.address);
        self.proxy.active.members.called_in_vain(caller, text(Name::To), refusal.status);
    }

    /// Tells of what this input has brought.
    pub(crate) fn follow_call_backs(&mut self, cx: &mut Context<'_>) {
        let members = &mut self.proxy.active.members;
        if members.over.is_empty() && members.missed.is_empty() {
            return;
        }
        let (over, missed) = (std::mem::take(&mut members.over), std::mem::take(&mut members.missed));
        let named = |text: &str| {
            let found = self.directory.named_by(text, &self.config.domains);
            found.map(|account| account.address.clone())
        };
        let mut news = Vec::new();
        for account in over.iter().flatten().filter_map(|party| named(party)) {
            if self.proxy.active.members.is_followed(&account) {
                news.push(CallBackNews::Freed(account));
            }
        }
        let others = missed.into_iter().filter_map(|(caller, to)| Some((caller, named(&to)?)));
        let others = others.filter(|(caller, callee)| caller != callee);
        news.extend(others.map(|(caller, callee)| CallBackNews::Missed(caller, callee)));
        for one in news {
            cx.tell_others(self.config.shards, &ShardMessage::CallBack(one.clone()));
            self.call_back_news(&one, cx);
        }
    }

    /// A shard tells so.
    pub(crate) fn call_back_news(&mut self, news: &CallBackNews, cx: &mut Context<'_>) {
        let (bridged, mut env, services) = self.bridged(cx);
        services.news(bridged, &mut env, news);
    }
}
