//! Statuses as they come from the broker: the newest of each device of the registry that verifies.

use super::snapshot::Snapshot;
use edgeseal_trust::carrier::CarrierTopic;
use edgeseal_trust::id::DeviceId;
use edgeseal_trust::registry::DeviceState;
use edgeseal_trust::status::VerifiedStatus;
use std::collections::BTreeMap;

/// What was heard. It grows with the registry, never with what a broker sends.
#[derive(Default)]
pub(super) struct Heard {
    /// The newest status of each device.
    pub(super) statuses: BTreeMap<DeviceId, VerifiedStatus>,
    /// Of active devices: the code of the last status that did not verify, until one does.
    pub(super) refused: BTreeMap<DeviceId, &'static str>,
    /// Statuses on topics of no active device.
    pub(super) strangers: u64,
}

impl Heard {
    /// Takes a message; whether anything changed by it.
    pub(super) fn take(&mut self, topic: &str, payload: &[u8], snapshot: &Snapshot) -> bool {
        let Some(CarrierTopic::Status(device)) = CarrierTopic::parse(topic, &snapshot.domain)
        else {
            return false;
        };
        if snapshot.devices.get(&device) != Some(&DeviceState::Active) {
            // A device that is gone leaves its last status behind; nobody else may write there.
            self.strangers = self
                .strangers
                .saturating_add(u64::from(!payload.is_empty()));
            return false;
        }
        if payload.is_empty() {
            return false; // whoever cleared it: what was heard stays
        }
        let key_of = |kid| snapshot.key(kid).cloned();
        let status = VerifiedStatus::verify(payload, &device, key_of, &snapshot.domain);
        match (status, self.statuses.get(&device)) {
            (Err(why), _) => self.refused.insert(device, why.code()) != Some(why.code()),
            (Ok(status), Some(known)) if !status.is_newer_than(known) => false,
            (Ok(status), _) => {
                self.refused.remove(&device);
                self.statuses.insert(device, status);
                true
            }
        }
    }
}
