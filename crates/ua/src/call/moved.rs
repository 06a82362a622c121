//! A call whose phone is in another network than before: it goes on from there.

use offhook_media::session;

use super::{Call, Changing, Waiting};
use crate::env::{Env, moved};

impl Call {
    /// Our addresses are others.
    pub(crate) fn moved(&mut self, env: &mut Env<'_, '_>) {
        let settings =
            self.invite.as_ref().and_then(|invite| invite.flow()).and_then(|flow| env.settings(&flow));
        if let (Some(invite), Some(settings)) = (&mut self.invite, &settings) {
            let config = env.config;
            invite.moved(settings, |flow| moved(config, flow), &mut env.stack);
        }
        if self.ended {
            return;
        }
        if self.placing.is_some() && self.invite.is_some() && !self.answered {
            // The answer will be to what was offered, so all of that stays until it comes.
            self.moved_early = true;
            return;
        }
        self.move_sound(env);
    }

    /// Our sound has another address, of which the peer hears if the call is answered.
    pub(super) fn move_sound(&mut self, env: &mut Env<'_, '_>) {
        let (now, mut out) = (env.now(), session::Outbox::default());
        self.sound.moved(env.config, now, env.stack.cx.rng, &mut out);
        self.flush(out, env);
        if self.answered {
            self.waiting = Some(Waiting::Move);
        }
        self.go_on(env);
    }

    /// Offers the peer the session at our new address.
    pub(super) fn tell_moved(&mut self, env: &mut Env<'_, '_>) {
        match (self.changing, &mut self.invite) {
            (Changing::No, Some(invite)) => invite.change(self.sound.offer(), &mut env.stack),
            // What is on its way says the former one.
            (Changing::Yes | Changing::Outdated, _) => self.changing = Changing::Outdated,
            (Changing::No, None) => {}
        }
    }
}
