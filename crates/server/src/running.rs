//! The running exchange as the API sees it.

use std::sync::Arc;

use offhook_camera::{Report, State, States};
use offhook_exchange::command::{Answer, Command};
use offhook_exchange::directory::Directory;
use offhook_exchange::services::Camera;
use offhook_net::Streams;
use offhook_web::trace::{Followed, Found};
use offhook_web::{About, CameraReport, Exchange, Problem, Reloaded, Reply, TurnCredentials};

use crate::mail::Health;
use crate::reload::Reloading;
use crate::shards::Shards;
use crate::telemetry::{Measures, queues_text};
use crate::turn::TurnDesk;
use crate::{clock, trace};

/// Shards, connections and measures of this process.
pub(crate) struct Running {
    pub(crate) shards: Shards,
    pub(crate) streams: Streams,
    pub(crate) measures: Arc<Measures>,
    pub(crate) turn: Option<TurnDesk>,
    pub(crate) mail: Option<Arc<Health>>,
    pub(crate) about: About,
    /// How it takes over other settings.
    pub(crate) reloading: Reloading,
    /// The cameras, and how they are.
    pub(crate) cameras: (Vec<Camera>, States),
}

impl Exchange for Running {
    fn ask(&self, command: Command) -> Reply<'_, Option<Answer>> {
        Box::pin(self.shards.ask(command))
    }

    fn ladder(&self, call: String) -> Reply<'_, Option<Found>> {
        Box::pin(async move {
            let excerpts = self.shards.trace(&[]).await?;
            tokio::task::spawn_blocking(move || trace::ladder(&excerpts, &call)).await.ok()
        })
    }

    fn follow(&self, from: Option<Vec<u64>>) -> Reply<'_, Option<Followed>> {
        Box::pin(async move {
            let Some(from) = from else {
                let excerpts = self.shards.trace(&[u64::MAX; 256]).await?;
                let next = excerpts.iter().map(|excerpt| excerpt.next).collect();
                return Some(Followed { next, ..Followed::default() });
            };
            let excerpts = self.shards.trace(&from).await?;
            tokio::task::spawn_blocking(move || trace::follow(&excerpts)).await.ok()
        })
    }

    fn ready(&self) -> Result<(), String> {
        if self.shards.is_draining() {
            Err("the exchange takes no new calls: it is stopping".into())
        } else {
            Ok(())
        }
    }

    fn measures(&self) -> Reply<'_, String> {
        Box::pin(async move {
            let status = match self.shards.ask(Command::Status).await {
                Some(Answer::Status(status)) => Some(status),
                _ => None,
            };
            let queues = match self.shards.ask(Command::Queues).await {
                Some(Answer::Queues(queues)) => queues,
                _ => Vec::new(),
            };
            let turn = self.turn.as_ref().map(TurnDesk::counts);
            let mail = self.mail.as_ref().map(|mail| mail.counts());
            self.measures.text(status, self.streams.counts(), turn.as_ref(), mail) + &queues_text(&queues)
        })
    }

    fn reload(&self) -> Reply<'_, Result<Reloaded, Problem>> {
        Box::pin(self.reloading.reload())
    }

    fn cameras(&self) -> Vec<CameraReport> {
        let (cameras, states) = &self.cameras;
        let states = states.all();
        let shown = cameras.iter().map(|camera| {
            let report = states.iter().find(|one| one.name == camera.name).cloned();
            let report = report.unwrap_or(Report { name: camera.name.clone(), ..Report::default() });
            let (state, error) = match report.state {
                State::Idle => ("idle", None),
                State::Connecting => ("connecting", None),
                State::Live => ("live", None),
                State::Away(why) => ("away", Some(why)),
            };
            let (name, number, calls) = (report.name, camera.number.clone(), camera.calls.clone());
            CameraReport { name, number, state, error, left_out: report.left_out, calls }
        });
        shown.collect()
    }

    fn about(&self) -> About {
        self.about.clone()
    }

    fn turn_credentials(&self, account: &str) -> Result<TurnCredentials, Problem> {
        let off = || Problem::conflict("this exchange has no TURN server: turn.listen is off");
        Ok(self.turn.as_ref().ok_or_else(off)?.issue(account))
    }
}

/// What is known of the exchange while none runs: the directory as it was stored.
pub(crate) struct AtRest {
    pub(crate) directory: Directory,
}

impl Exchange for AtRest {
    fn ask(&self, command: Command) -> Reply<'_, Option<Answer>> {
        let answer = match command {
            Command::Devices => Some(Answer::Devices(self.directory.devices(clock::unix().as_secs()))),
            Command::Apply(_)
            | Command::Status
            | Command::Calls
            | Command::HangUp(_)
            | Command::Groups
            | Command::Queues
            | Command::Kept { .. }
            | Command::Connect(..)
            | Command::PressButton(_)
            | Command::Conferences
            | Command::Moderate(_)
            | Command::Trunks
            | Command::CheckTrunk(_)
            | Command::Lines(_)
            | Command::Rates(_)
            | Command::Configure(_)
            | Command::Spending(_)
            | Command::TryTrunk(..) => None,
        };
        Box::pin(std::future::ready(answer))
    }

    fn ladder(&self, _call: String) -> Reply<'_, Option<Found>> {
        Box::pin(std::future::ready(None))
    }

    fn follow(&self, _from: Option<Vec<u64>>) -> Reply<'_, Option<Followed>> {
        Box::pin(std::future::ready(None))
    }

    fn ready(&self) -> Result<(), String> {
        Err("no exchange runs".into())
    }

    fn measures(&self) -> Reply<'_, String> {
        Box::pin(std::future::ready(String::new()))
    }

    fn reload(&self) -> Reply<'_, Result<Reloaded, Problem>> {
        Box::pin(std::future::ready(Err(Problem::not_running())))
    }

    fn about(&self) -> About {
        About::default()
    }

    fn turn_credentials(&self, _account: &str) -> Result<TurnCredentials, Problem> {
        Err(Problem::not_running())
    }
}
