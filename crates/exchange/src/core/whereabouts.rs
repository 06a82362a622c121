//! Where users and their devices are.

use offhook_sip::{Name, Status, Uri};

use super::Core;
use crate::config::Authentication;
use crate::context::Context;
use crate::directory::{AddressOfRecord, Binding, Bindings};
use crate::proxy::{Target, of_bindings};
use crate::refusal::Refusal;
use crate::registrar::gruu::{self, Gruu};

/// Whom a request is for.
pub(super) struct Found {
    /// The account; `None`: a single device of it, or someone without one.
    pub(super) account: Option<AddressOfRecord>,
    /// Its phones, or why there are none.
    pub(super) phones: Result<Vec<Target>, Refusal>,
}

impl Core {
    /// Whom a Request-URI of ours means, and where that is now, the preferred phones first (§16.5).
    pub(super) fn targets(&self, user: &str, uri: &Uri, now: u64) -> Result<Found, Refusal> {
        if self.draining {
            return Err(Refusal::from(Status::SERVICE_UNAVAILABLE).with(Name::RetryAfter, 30));
        }
        let device = uri.as_sip().and_then(|uri| Gruu::read(uri, &self.config.key));
        let account = match (uri, &device) {
            (_, Some(Gruu::Temporary(record, _))) => self.directory.account(record),
            (Uri::Tel(_), _) => self.directory.by_number(user),
            (Uri::Sip(uri), _) => self.directory.find(user, &uri.host().to_string(), &self.config.domains),
            (Uri::Other(_), _) => None,
        };
        let record = match account {
            Some(account) => account.address.clone(),
            None if self.config.authentication == Authentication::Off => match &device {
                Some(Gruu::Temporary(record, _)) => record.clone(),
                Some(Gruu::Public(_)) | None => self.unproven(user),
            },
            None => return Err(Status::NOT_FOUND.into()),
        };
        let bindings = self.directory.bindings(&record);
        let meant =
            |one: &&Binding| one.expires_at > now && device.as_ref().is_none_or(|device| device.names(one));
        let mut targets = of_bindings(&record, bindings.0.iter().filter(meant));
        if is_secure(uri) && !targets.is_empty() {
            // RFC 5630 §5.3: to a phone that says by its Contact that it wants it so, and over TLS only.
            let fits = |one: &Target| one.flow.transport.is_secure() && one.uri.starts_with("sips:");
            for target in &mut targets {
                target.alternatives.retain(fits);
            }
            targets.retain(fits);
            if targets.is_empty() {
                return Err(no_secure_way());
            }
        }
        let phones = match (targets.is_empty(), account) {
            (false, _) => Ok(targets),
            // RFC 5627 §5.3
            (true, _) if device.is_some() => {
                Err(Refusal::new(Status::TEMPORARILY_UNAVAILABLE, "This phone is not registered"))
            }
            (true, Some(_)) => Err(Refusal::new(Status::TEMPORARILY_UNAVAILABLE, "No phone is registered")),
            (true, None) => return Err(Status::NOT_FOUND.into()),
        };
        // Who wants one device wants no other.
        let account = account.filter(|_| device.is_none()).map(|account| account.address.clone());
        Ok(Found { account, phones })
    }

    /// The GRUUs of those bindings that say which device they are of (RFC 5627 §5.1).
    pub(super) fn gruus(
        &self,
        record: &AddressOfRecord,
        bindings: &Bindings,
        cx: &mut Context<'_>,
    ) -> Vec<Option<[String; 2]>> {
        let both = |one: &Binding| {
            let instance = one.instance.as_ref()?;
            let temporary = gruu::temporary(record, one, &self.config.key, cx.rng);
            Some([gruu::public(record, instance), temporary])
        };
        bindings.0.iter().map(both).collect()
    }
}

/// Whether a URI wants TLS on every hop.
pub(super) fn is_secure(uri: &Uri) -> bool {
    uri.as_sip().is_some_and(|uri| uri.secure())
}

/// RFC 5630 §5.3 and §7: 480 with a warning.
pub(super) fn no_secure_way() -> Refusal {
    Refusal::new(Status::TEMPORARILY_UNAVAILABLE, "No phone of this user is reached by TLS")
        .with(Name::Warning, "380 offhook \"SIPS Not Allowed\"")
}
