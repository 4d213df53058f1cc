//! A device's key is replaced by the next one: asked for by the device with both keys, approved unattended where nothing is odd.
//!
//! The old key stays in use beside the new one for the overlap, so that no message is refused by a peer that learns of it late.
//! The first manifest made after that retires it.

use super::desk::judge_topic;
use super::{Decision, Desk, Judged, Refusal};
use crate::error::Result as CommandResult;
use crate::registry::{DeviceRecord, KeyRecord, Registry};
use edgeseal_trust::enrollment::{KeyOwner, RotationRequest};
use edgeseal_trust::id::DeviceId;
use edgeseal_trust::key::KeyId;
use edgeseal_trust::limits;
use edgeseal_trust::registry::{DeviceState, KeyState};
use edgeseal_trust::time::UnixTime;

impl Desk {
    /// Judges a rotation request, and rotates where the device is active and no rotation is open.
    pub(super) fn rotate(
        &mut self,
        octets: &[u8],
        addressed: Option<KeyId>,
        now: UnixTime,
        judged: &mut Judged,
    ) -> Result<Decision, Refusal> {
        let request = self.read_rotation(octets)?;
        let kid = request.key.id();
        self.note(judged, kid, &request.words, request.digest);
        judged.device = Some(request.draft.device.clone());
        judge_topic(addressed, kid)?;
        if let Some(decision) = self.settled_rotation(&request)? {
            return Ok(decision);
        }
        let device = self.judge_rotation(&request)?;
        if let Some(reason) = self.pending.rejection(request.digest) {
            let reason = reason.to_owned();
            return Ok(Decision::Rejected { reason });
        }
        let is_open = |key: &KeyRecord| key.state == KeyState::Retiring;
        if device.state == DeviceState::Suspended {
            return self.wait(octets, judged, None, "device-suspended", now);
        }
        if device.keys.iter().any(is_open) {
            return self.wait(octets, judged, None, "rotation-open", now);
        }
        self.replace(device, &request, now)?;
        Ok(Decision::Rotated)
    }

    /// Rotates although the device is suspended, or another rotation is open: the operator says so. A key that is still being
    /// replaced is retired.
    pub(super) fn approve_rotation(
        &mut self,
        octets: &[u8],
        id: &DeviceId,
        now: UnixTime,
    ) -> Result<Decision, Refusal> {
        let request = self.read_rotation(octets)?;
        if request.draft.device != *id {
            let reason = format!("the request is of {}, not of {id}", request.draft.device);
            return Err(Refusal::new("device", reason));
        }
        if let Some(decision) = self.settled_rotation(&request)? {
            return Ok(decision);
        }
        let mut device = self.judge_rotation(&request)?;
        for key in &mut device.keys {
            if key.key.id() != request.old {
                key.retire(now);
            }
        }
        self.replace(device, &request, now)?;
        Ok(Decision::Rotated)
    }

    fn read_rotation(&self, octets: &[u8]) -> Result<RotationRequest, Refusal> {
        let owner_of = |kid: KeyId| {
            let owner = self.registry.owner(kid)?;
            let key = owner.keys.iter().find(|key| key.key.id() == kid)?;
            Some(KeyOwner {
                device: owner.id.clone(),
                key: key.key.clone(),
            })
        };
        RotationRequest::verify(octets, self.registry.domain(), owner_of)
            .map_err(|why| Refusal::new(why.code(), why.to_string()))
    }

    /// The decision where the new key is in the registry already.
    fn settled_rotation(&self, request: &RotationRequest) -> Result<Option<Decision>, Refusal> {
        let kid = request.key.id();
        let Some(owner) = self.registry.owner(kid) else {
            return Ok(None);
        };
        if owner.id != request.draft.device {
            let reason = format!("the key {kid} belongs to {} already", owner.id);
            return Err(Refusal::new("key-in-use", reason));
        }
        let key = owner.keys.iter().find(|key| key.key.id() == kid);
        match key.map(|key| key.state) {
            Some(KeyState::Active) if owner.state != DeviceState::Revoked => {
                Ok(Some(Decision::Again))
            }
            _ => Err(Refusal::new(
                "request-replayed",
                format!(
                    "{kid} is an old key of {}: an old request is replayed",
                    owner.id
                ),
            )),
        }
    }

    /// The device, where its old key may ask for another one.
    fn judge_rotation(&self, request: &RotationRequest) -> Result<DeviceRecord, Refusal> {
        let id = &request.draft.device;
        let owner = self.registry.owner(request.old);
        let Some(device) = owner.filter(|owner| owner.id == *id) else {
            let reason = format!("the key {} is not one of {id}", request.old);
            return Err(Refusal::new("device", reason));
        };
        let code = match device.state {
            DeviceState::Active | DeviceState::Suspended => None,
            DeviceState::Pending => Some("device-pending"),
            DeviceState::Revoked => Some("device-revoked"),
        };
        if let Some(code) = code {
            let state = crate::registry::state_word(device.state);
            return Err(Refusal::new(code, format!("{id} is {state}")));
        }
        let mut keys = device.keys.iter();
        let old = keys.find(|key| key.key.id() == request.old);
        match old.map(|key| key.state) {
            Some(KeyState::Active | KeyState::Retiring) => Ok(device.clone()),
            _ => Err(Refusal::new(
                "request-replayed",
                format!(
                    "{} is an old key of {id}: an old request is replayed",
                    request.old
                ),
            )),
        }
    }

    fn replace(
        &mut self,
        mut device: DeviceRecord,
        request: &RotationRequest,
        now: UnixTime,
    ) -> Result<(), Refusal> {
        for key in &mut device.keys {
            if key.key.id() == request.old {
                key.state = KeyState::Retiring;
                key.retires_at = Some(now.plus(self.overlap_seconds));
            }
        }
        device.keys.push(KeyRecord::new(request.key.clone()));
        device.forget_oldest_keys();
        self.registry
            .follow_key(&device.id, request.old, request.key.id());
        self.registry.put_device(device)?;
        self.pending.remove(request.key.id());
        Ok(())
    }
}

impl KeyRecord {
    fn retire(&mut self, now: UnixTime) {
        if matches!(self.state, KeyState::Active | KeyState::Retiring) {
            self.state = KeyState::Retired;
            self.retired_at = Some(now);
            self.retires_at = None;
        }
    }

    fn is_due(&self, now: UnixTime) -> bool {
        self.state == KeyState::Retiring && self.retires_at.is_some_and(|at| at <= now)
    }
}

impl DeviceRecord {
    /// A document holds so many keys of a device; those that were retired first go first.
    fn forget_oldest_keys(&mut self) {
        while self.keys.len() > limits::DEVICE_KEYS {
            let retired = self.keys.iter().enumerate();
            let retired = retired.filter(|(_, key)| key.state == KeyState::Retired);
            let Some((oldest, _)) = retired.min_by_key(|(_, key)| key.retired_at) else {
                return;
            };
            self.keys.remove(oldest);
        }
    }
}

/// Retires in memory every key whose overlap has ended at `now`, and gives the devices: before each manifest.
///
/// # Errors
/// The registry does not take a device back.
pub(crate) fn retire_due(registry: &mut Registry, now: UnixTime) -> CommandResult<Vec<DeviceId>> {
    let due = registry.devices().values();
    let due: Vec<DeviceRecord> = due
        .filter(|device| device.keys.iter().any(|key| key.is_due(now)))
        .cloned()
        .collect();
    let mut ids = Vec::with_capacity(due.len());
    for mut device in due {
        for key in device.keys.iter_mut().filter(|key| key.is_due(now)) {
            key.retire(now);
        }
        ids.push(device.id.clone());
        registry.put_device(device)?;
    }
    Ok(ids)
}

/// When the next overlap ends.
pub(crate) fn next_due(registry: &Registry) -> Option<UnixTime> {
    let keys = registry.devices().values().flat_map(|device| &device.keys);
    let retiring = keys.filter(|key| key.state == KeyState::Retiring);
    retiring.filter_map(|key| key.retires_at).min()
}

/// How long a key stays beside its successor, in seconds: twice the delay after which agents use a new key.
pub(crate) const DEFAULT_OVERLAP_SECONDS: u64 = 2 * 3600;
