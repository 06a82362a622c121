//! What is told of those who were called for a bridged call and are not, or no longer, in it.

use offhook_sip::Status;

use super::Env;
use super::call::{Call, With};
use super::ring::Branch;
use crate::event::{CalledLeg, Event};

impl Branch {
    fn called(&self, (status, reason): (Status, &str), env: &Env<'_, '_>) -> CalledLeg {
        let line = self.target.line.as_ref();
        CalledLeg {
            to: self.target.uri.clone(),
            at: Some(self.leg.party.flow.remote),
            trunk: line.and_then(|line| Some(env.config.trunks.get(line.trunk)?.name.clone())),
            call_id: Some(self.leg.invite.call_id().to_owned()),
            began: env.cx.epoch.unix(self.began),
            code: status.code(),
            reason: reason.to_owned(),
            ..CalledLeg::default()
        }
    }

    /// It answers now, for a call that is but a leg.
    pub(super) fn answered(&self, codec: Option<String>, env: &Env<'_, '_>) -> CalledLeg {
        let answered = Some(env.cx.epoch.unix(env.cx.now));
        CalledLeg { answered, codec, ..self.called((Status::OK, Status::OK.reason()), env) }
    }

    /// Tells that it is over, and has not answered.
    pub(super) fn tell_ended(&self, call_id: &str, end: (Status, &str), env: &mut Env<'_, '_>) {
        let leg = Box::new(self.called(end, env));
        env.cx.event(Event::LegEnded { call: call_id.to_owned(), leg });
    }
}

impl Call {
    /// Tells of those who have not answered when the call is over, and of the one who has if the call is but a leg.
    pub(super) fn tell_called(&mut self, env: &mut Env<'_, '_>) {
        if let With::Phones(ring) = &self.with {
            let winner = ring.winner;
            let others =
                ring.branches.iter().enumerate().filter(|(at, one)| Some(*at) != winner && !one.done);
            for (_, branch) in others {
                let gone = (Status::REQUEST_TERMINATED, Status::REQUEST_TERMINATED.reason());
                branch.tell_ended(&self.about.call_id, gone, env);
            }
        }
        if let Some(leg) = self.about.called.take() {
            env.cx.event(Event::LegEnded { call: self.about.call_id.clone(), leg });
        }
    }
}
