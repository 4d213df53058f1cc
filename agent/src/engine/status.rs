//! What this device can say of itself.

use super::{Counts, Engine, receiver};
use crate::wire::{ErrorBody, staleness};
use edgeseal_trust::clock::Now;
use edgeseal_trust::id::{DeviceId, GroupName, RoleName, TrustDomain};
use edgeseal_trust::key::KeyId;
use edgeseal_trust::registry::Staleness;
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::token::Failure;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// `GET /v1/status`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Status {
    /// This device's key, where it has one.
    pub kid: Option<KeyId>,
    /// Its name in the registry, where its key is there.
    pub device: Option<DeviceId>,
    /// Its roles.
    pub roles: Vec<RoleName>,
    /// Its groups.
    pub groups: Vec<GroupName>,
    /// The boot epoch in which it signs.
    pub epoch: Option<u64>,
    /// Its clock, in seconds since 1970.
    pub time: UnixTime,
    /// What that clock is worth.
    pub clock: Cow<'static, str>,
    /// The trust data in force.
    pub trust: Option<TrustStatus>,
    /// Why it would not sign now; null where it would.
    pub signing: SigningStatus,
    /// Why it would not judge now; null where it would.
    pub verifying: SigningStatus,
    /// What was done since the start.
    pub counts: StatusCounts,
}

/// Nothing where all is well, else why it is not.
pub type SigningStatus = Option<ErrorBody>;

/// The trust data in force.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct TrustStatus {
    /// The trust domain.
    pub domain: TrustDomain,
    /// Version of the newest root.
    pub root_version: u64,
    /// When it expires.
    pub root_exp: UnixTime,
    /// Sequence of the manifest.
    pub sequence: u64,
    /// When the manifest was issued.
    pub iat: UnixTime,
    /// When it expires.
    pub exp: UnixTime,
    /// `fresh`, `stale` within the grace period, `past-grace`.
    pub staleness: Cow<'static, str>,
    /// Seconds since the expiry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expired_seconds: Option<u64>,
}

/// [`Counts`] as JSON.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct StatusCounts {
    /// Tokens signed.
    pub signed: u64,
    /// Messages verified.
    pub verified: u64,
    /// Messages rejected, by code.
    pub rejected: BTreeMap<String, u64>,
    /// Requests to sign that were refused, by code.
    pub refused: BTreeMap<String, u64>,
    /// Failures, by code.
    pub failed: BTreeMap<String, u64>,
}

impl Engine {
    /// What this device can say of itself at `now`.
    #[must_use]
    pub fn status(&self, now: &Now) -> Status {
        let own = self
            .in_force
            .as_ref()
            .and_then(|in_force| in_force.own.as_ref());
        let device = own.map(|own| &own.device);
        Status {
            kid: self.kid(),
            device: device.map(|device| device.id.clone()),
            roles: device.map_or_else(Vec::new, |device| device.roles.to_vec()),
            groups: device.map_or_else(Vec::new, |device| device.groups.to_vec()),
            epoch: self.epoch(),
            time: now.time,
            clock: Cow::Borrowed(now.clock.as_str()),
            trust: self.trust_status(now),
            signing: self.expect_signing(now).err().map(|why| (&why).into()),
            verifying: self.expect_judging(now).err().map(|why| (&why).into()),
            counts: (&self.counts).into(),
        }
    }

    /// Whether this device could judge now.
    ///
    /// # Errors
    /// The [`Failure`] that every verification would return.
    pub fn expect_judging(&self, now: &Now) -> Result<(), Failure> {
        let in_force = self.in_force.as_ref().ok_or(Failure::NoManifest)?;
        let staleness = in_force
            .view
            .staleness(now.time, self.settings.grace_seconds);
        if let Staleness::PastGrace { expired_seconds } = staleness {
            return Err(Failure::TrustStale { expired_seconds });
        }
        receiver(&self.settings, in_force).expect_clock(now)
    }

    fn trust_status(&self, now: &Now) -> Option<TrustStatus> {
        let view = self.view()?;
        let (staleness, expired_seconds) =
            staleness(view.staleness(now.time, self.settings.grace_seconds));
        Some(TrustStatus {
            domain: view.domain.clone(),
            root_version: view.root_version,
            root_exp: view.root_expires_at,
            sequence: view.sequence,
            iat: view.issued_at,
            exp: view.expires_at,
            staleness: Cow::Borrowed(staleness),
            expired_seconds,
        })
    }
}

impl From<&Counts> for StatusCounts {
    fn from(counts: &Counts) -> Self {
        let owned = |table: &BTreeMap<&'static str, u64>| {
            let pairs = table
                .iter()
                .map(|(code, count)| ((*code).to_owned(), *count));
            pairs.collect()
        };
        Self {
            signed: counts.signed,
            verified: counts.verified,
            rejected: owned(&counts.rejected),
            refused: owned(&counts.refused),
            failed: owned(&counts.failed),
        }
    }
}
