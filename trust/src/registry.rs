//! What the registry says of devices: their state, keys, roles and groups; and the table of roles.

use crate::grant::Grant;
use crate::id::{DeviceId, GroupName, RoleName, TrustDomain};
use crate::key::VerifyingKey;
use crate::time::UnixTime;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// State of a device. The registry is an allow-list: only `Active` devices are believed.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceState {
    /// Approved: its tokens are judged.
    Active,
    /// Known, not approved yet.
    Pending,
    /// Cut off for good.
    Revoked,
    /// Cut off until resumed.
    Suspended,
}

/// State of one key of a device.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// In use.
    Active,
    /// No new messages; retained statements made before the retirement still verify.
    Retired,
    /// Being replaced: still in use while its successor is.
    Retiring,
    /// Nothing it signed verifies.
    Revoked,
}

/// A device as far as a verdict needs it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Device {
    /// Its id.
    pub id: DeviceId,
    /// Its state.
    pub state: DeviceState,
    /// Its roles: what it may do.
    pub roles: Box<[RoleName]>,
    /// Its groups: what it is addressed by.
    pub groups: Box<[GroupName]>,
}

/// A key in the registry, parsed, with the device that owns it.
#[derive(Clone, Debug)]
pub struct PeerKey {
    /// The public key.
    pub key: VerifyingKey,
    /// The key's state.
    pub state: KeyState,
    /// Tokens issued before this moment are refused.
    pub not_before: UnixTime,
    /// When the key was retired, for `Retired`.
    pub retired_at: Option<UnixTime>,
    /// The owner.
    pub device: Arc<Device>,
}

/// A role: what the devices that have it may do.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// Its name.
    pub name: RoleName,
    /// Its grants; one of them must allow all that a message does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<Grant>,
    /// How old, in seconds since its `iat`, a manifest may be to judge devices of this role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest_age_seconds: Option<u64>,
}

/// The trust data in force, except for the keys: made by evaluating documents, immutable.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrustView {
    /// The trust domain.
    pub domain: TrustDomain,
    /// Version of the newest root that was applied.
    pub root_version: u64,
    /// When the newest root expires.
    pub root_expires_at: UnixTime,
    /// Sequence of the manifest in force.
    pub sequence: u64,
    /// When the manifest was issued.
    pub issued_at: UnixTime,
    /// When the manifest expires.
    pub expires_at: UnixTime,
    /// The roles by name.
    pub roles: BTreeMap<RoleName, Arc<Role>>,
}

/// How old the trust data is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Staleness {
    /// Neither manifest nor root has expired.
    Fresh,
    /// Expired, and the grace period has ended: a failure to judge.
    PastGrace {
        /// Seconds since the expiry.
        expired_seconds: u64,
    },
    /// Expired, within the grace period.
    Stale {
        /// Seconds since the expiry.
        expired_seconds: u64,
    },
}

impl TrustView {
    /// How stale this trust data is at `now`, with a grace period in seconds.
    pub fn staleness(&self, now: UnixTime, grace_seconds: u64) -> Staleness {
        let expires_at = self.expires_at.min(self.root_expires_at);
        if now < expires_at {
            return Staleness::Fresh;
        }
        let expired_seconds = now.since(expires_at);
        if expired_seconds < grace_seconds {
            Staleness::Stale { expired_seconds }
        } else {
            Staleness::PastGrace { expired_seconds }
        }
    }

    /// The roles of a device that this trust data defines.
    pub fn roles_of<'a>(&'a self, device: &'a Device) -> impl Iterator<Item = &'a Role> {
        let defined = |name| self.roles.get(name).map(Arc::as_ref);
        device.roles.iter().filter_map(defined)
    }
}

#[cfg(test)]
mod tests {
    use super::{Staleness, TrustView};
    use crate::id::TrustDomain;
    use crate::time::UnixTime;
    use std::collections::BTreeMap;

    #[test]
    fn the_earlier_expiry_counts() {
        let at = UnixTime::from_seconds;
        for (manifest, root) in [(100, 200), (200, 100)] {
            let view = TrustView {
                domain: TrustDomain::parse("farm").unwrap(),
                root_version: 1,
                root_expires_at: at(root),
                sequence: 1,
                issued_at: at(0),
                expires_at: at(manifest),
                roles: BTreeMap::new(),
            };
            let expired = |expired_seconds| Staleness::Stale { expired_seconds };
            assert_eq!(view.staleness(at(99), 50), Staleness::Fresh);
            assert_eq!(view.staleness(at(100), 50), expired(0));
            assert_eq!(view.staleness(at(149), 50), expired(49));
            let past = Staleness::PastGrace {
                expired_seconds: 50,
            };
            assert_eq!(view.staleness(at(150), 50), past);
        }
    }
}
