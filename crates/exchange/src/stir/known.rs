//! The certificates that are known, for a while.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use offhook_sip_stack::FetchFailure;

use super::certificate::Certificate;
use super::verify::Claim;
use super::{Authorities, Fault, Verdict};

/// Certificates by their addresses, and what was wrong with those that could not be used.
#[derive(Default)]
pub(crate) struct Known(HashMap<String, (Result<Certificate, Fault>, Instant)>);

impl Known {
    /// What comes of a claim.
    ///
    /// # Errors
    /// The address from which a certificate has to be fetched first.
    pub(crate) fn judge(&self, claim: &Claim, now: Instant, unix: u64) -> Result<Verdict, String> {
        for one in [claim].into_iter().chain(&claim.sent_on) {
            let known = self.0.get(&one.address).filter(|(_, until)| now < *until);
            let (known, _) = known.ok_or_else(|| one.address.clone())?;
            let held = known.as_ref().map_err(|fault| *fault).and_then(|known| one.holds(known, unix));
            if let Err(fault) = held {
                return Ok(Verdict::Failed(fault));
            }
        }
        Ok(claim.passed())
    }

    /// Takes what was fetched from an address.
    pub(crate) fn learn(
        &mut self,
        address: String,
        fetched: Result<&[u8], FetchFailure>,
        authorities: &Authorities,
        (now, unix): (Instant, u64),
    ) {
        let known =
            fetched.map_err(Fault::Unavailable).and_then(|bytes| Certificate::read(bytes, authorities, unix));
        if self.0.len() >= MOST {
            self.0.retain(|_, (_, until)| now < *until);
        }
        // Whoever has many certificates made for us to fetch shall not drive out those of others for long.
        if self.0.len() >= MOST
            && let Some(first) =
                self.0.iter().min_by_key(|(_, (_, until))| *until).map(|(one, _)| one.clone())
        {
            self.0.remove(&first);
        }
        let time = if known.is_ok() { BELIEVED } else { DOUBTED };
        self.0.insert(address, (known, now + time));
    }
}

const MOST: usize = 512;
/// How long a certificate is used without being fetched again …
const BELIEVED: Duration = Duration::from_secs(3_600);
/// … and one that cannot be used is not asked for.
const DOUBTED: Duration = Duration::from_secs(30);
