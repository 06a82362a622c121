//! Other settings for an exchange that runs: all of the files that can be taken over is, or nothing if there is a mistake.

use std::sync::Arc;

use offhook_exchange::command::Command;
use offhook_exchange::config::Config;
use offhook_exchange::directory::Delta;
use offhook_store::{Store, StoreError};
use offhook_web::{NewPassword, Problem, Reloaded};

use crate::certificates::Shown;
use crate::lines::{LineDesk, usable};
use crate::settings::Reread;
use crate::shards::Shards;
use crate::{Settings, clock};

/// What is needed to take over other settings.
pub(crate) struct Reloading {
    pub(crate) store: Store,
    pub(crate) shards: Shards,
    /// Has the settings in force.
    pub(crate) lines: Arc<LineDesk>,
    pub(crate) shown: Shown,
    /// As the shards began.
    pub(crate) config: Config,
}

impl Reloading {
    /// Reads everything again, looks whether it can be used, and only then takes it over.
    pub(crate) async fn reload(&self) -> Result<Reloaded, Problem> {
        let _changing = self.lines.changing.lock().await;
        let before = self.lines.settings();
        let Reread { settings, taken, left } =
            before.reread().map_err(|all| Problem::bad(all.to_string()))?;
        settings.check_certificates().map_err(|error| Problem::bad(error.to_string()))?;
        let (lines, odd) = usable(&self.store, &settings).await.map_err(of_store)?;
        self.shown
            .know(&lines.trunks)
            .and_then(|()| self.shown.reload())
            .map_err(|error| Problem::bad(error.to_string()))?;
        let accounts = self.declare(&settings).await?;
        let Config { realm, listeners, key, .. } = self.config.clone();
        let config =
            Config { plan: lines.plan, trunks: lines.trunks, ..settings.exchange(realm, listeners, key) };
        self.tell(Command::Configure(Arc::new(config))).await?;
        let is_new = |warning: &String| !before.warnings.contains(warning);
        let warnings = settings.warnings.iter().filter(|one| is_new(one)).cloned().chain(odd).collect();
        self.lines.renew(settings);
        let again = ["certificates", "rates"].into_iter();
        Ok(Reloaded {
            reloaded: again.chain(taken).map(str::to_owned).collect(),
            needs_restart: left.into_iter().map(str::to_owned).collect(),
            warnings,
            accounts,
        })
    }

    /// Makes the declared accounts what they are in the files; returns those with a new password.
    async fn declare(&self, settings: &Settings) -> Result<Vec<NewPassword>, Problem> {
        let declared =
            settings.accounts.iter().map(|account| account.for_realm(&self.config.realm)).collect();
        let changed =
            self.store.declare_accounts(declared, clock::unix().as_secs()).await.map_err(of_store)?;
        let limits: Vec<_> =
            settings.accounts.iter().map(|account| (account.address.clone(), account.limits)).collect();
        self.store.declare_limits(limits.clone()).await.map_err(of_store)?;
        let mut accounts = Vec::new();
        for one in changed {
            if let Some(password) = one.generated {
                let address = one.account.address.to_string();
                accounts.push(NewPassword { address, password: password.reveal().to_owned() });
            }
            for delta in one.deltas {
                self.tell(Command::Apply(Box::new(delta))).await?;
            }
        }
        for (address, limits) in limits {
            self.tell(Command::Apply(Box::new(Delta::Limits(address, limits)))).await?;
        }
        Ok(accounts)
    }

    async fn tell(&self, command: Command) -> Result<(), Problem> {
        let told = self.shards.ask(command).await;
        told.map(|_| ())
            .ok_or_else(|| Problem::failed("the exchange does not answer: it is stopping, or busy"))
    }
}

fn of_store(error: StoreError) -> Problem {
    Problem::failed(error.to_string())
}
