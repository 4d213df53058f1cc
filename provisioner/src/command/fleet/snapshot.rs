//! The registry as far as statuses are judged by it. The registry itself is let go at once: whoever
//! looks on for hours must keep nobody from working.

use crate::error::Result;
use crate::registry::Registry;
use edgeseal_trust::document::Document;
use edgeseal_trust::id::{DeviceId, TrustDomain};
use edgeseal_trust::key::KeyId;
use edgeseal_trust::registry::{DeviceState, PeerKey};
use std::collections::{BTreeMap, HashMap};

/// Devices with their keys, and what was published last.
pub(super) struct Snapshot {
    /// The trust domain.
    pub(super) domain: TrustDomain,
    /// Root version and sequence of the last publish.
    pub(super) published: Option<(u64, u64)>,
    /// The state of each device.
    pub(super) devices: BTreeMap<DeviceId, DeviceState>,
    keys: HashMap<KeyId, PeerKey>,
}

impl Snapshot {
    /// Takes it.
    ///
    /// # Errors
    /// The last publish cannot be read, or an approval does not verify.
    pub(super) fn of(registry: &Registry) -> Result<Self> {
        let last = registry.manifest()?;
        let last = last.as_ref().map(Document::content);
        let held = registry.held_back()?;
        let mut keys = HashMap::new();
        for device in registry.devices().values() {
            for key in held.entry(device).peer_keys() {
                keys.insert(key.key.id(), key);
            }
        }
        let devices = registry.devices().values();
        Ok(Self {
            domain: registry.domain().clone(),
            published: last.map(|last| (last.root_version, last.sequence)),
            devices: devices
                .map(|device| (device.id.clone(), held.state(device)))
                .collect(),
            keys,
        })
    }

    /// A key of a device.
    pub(super) fn key(&self, kid: KeyId) -> Option<&PeerKey> {
        self.keys.get(&kid)
    }
}
