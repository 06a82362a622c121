//! Other settings for a shard that runs.

use super::Core;
use crate::config::Config;
use crate::context::Context;
use crate::route::Lines;

impl Core {
    /// Takes over settings from now on. Calls that are under way keep what they began with. What makes up the shard itself stays:
    /// its number among others, its names, its addresses, its certificate and its keys.
    pub(super) fn configure(&mut self, new: &Config, cx: &mut Context<'_>) {
        self.take_over(&Lines { plan: new.plan.clone(), trunks: new.trunks.clone() }, cx);
        let Config {
            shards,
            domains,
            realm,
            listeners,
            external_address,
            local_networks,
            media_certificate,
            media_timeout,
            authentication,
            // With places for those that calls under way still have.
            trunks,
            max_transactions,
            nonce_lifetime,
            key,
            ..
        } = self.config.clone();
        self.config = Config {
            shards,
            domains,
            realm,
            listeners,
            external_address,
            local_networks,
            media_certificate,
            media_timeout,
            authentication,
            trunks,
            max_transactions,
            nonce_lifetime,
            key,
            ..new.clone()
        };
        self.proxy.active.configure(&self.config);
        self.services.configure(&self.config.services);
    }
}
