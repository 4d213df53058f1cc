//! What the operator decides about requests that wait.

use super::desk::{judge_serial, taken};
use super::{Decision, Desk, Refusal};
use crate::error::{CommandError, Result};
use crate::registry::{DeviceRecord, PendingRequest};
use edgeseal_trust::document::DocumentType;
use edgeseal_trust::enrollment::{EnrollmentRequest, kind_of};
use edgeseal_trust::id::DeviceId;
use edgeseal_trust::key::KeyId;
use edgeseal_trust::registry::DeviceState;
use edgeseal_trust::time::UnixTime;

impl Desk {
    /// The requests that wait to become, or to renew, the device `id`: those that name it, and those that name none.
    pub(crate) fn waiting_for(&self, id: &DeviceId) -> Vec<&PendingRequest> {
        let for_it = |request: &&PendingRequest| request.device.as_ref().is_none_or(|it| it == id);
        self.pending.iter().filter(for_it).collect()
    }

    /// Approves the request of `kid` as the device `id`; `dress` gives an enrolled device its roles and groups.
    ///
    /// # Errors
    /// No such request, or it does not fit what the registry says by now.
    pub(crate) fn approve(
        &mut self,
        kid: KeyId,
        id: &DeviceId,
        dress: &dyn Fn(&mut DeviceRecord),
        now: UnixTime,
    ) -> Result<Decision> {
        let waiting = self.pending.get(kid).ok_or_else(|| not_waiting(kid))?;
        let octets = waiting.request.clone().into_bytes();
        let decision = if kind_of(&octets).map_err(Refusal::from)? == DocumentType::Rotation {
            self.approve_rotation(&octets, id, now)?
        } else {
            let request = EnrollmentRequest::verify(&octets).map_err(Refusal::from)?;
            let mut device = self.believed(&request, id)?;
            dress(&mut device);
            device.tidy();
            self.registry.put_device(device)?;
            Decision::Enrolled
        };
        self.pending.remove(kid);
        Ok(decision)
    }

    /// Rejects the request of `kid`.
    ///
    /// # Errors
    /// No such request.
    pub(crate) fn reject(&mut self, kid: KeyId, reason: &str, now: UnixTime) -> Result<()> {
        match self.pending.reject(kid, reason, now) {
            true => Ok(()),
            false => Err(not_waiting(kid)),
        }
    }

    fn believed(
        &self,
        request: &EnrollmentRequest,
        id: &DeviceId,
    ) -> std::result::Result<DeviceRecord, Refusal> {
        let kid = request.key.id();
        let mut device = match self.registry.devices().get(id) {
            None => DeviceRecord::new(id.clone(), request.key.clone(), DeviceState::Active),
            Some(present) => {
                let is_its_own = present.state == DeviceState::Pending
                    && present.keys.iter().all(|key| key.key.id() == kid);
                if !is_its_own {
                    return Err(taken(id));
                }
                judge_serial(present.serial.as_deref(), &request.draft.serial)?;
                present.approved(request.key.clone())
            }
        };
        if request.draft.serial.is_some() {
            device.serial.clone_from(&request.draft.serial);
        }
        Ok(device)
    }
}

fn not_waiting(kid: KeyId) -> CommandError {
    CommandError::no(
        "request-unknown",
        format!("no request of the key {kid} waits"),
    )
    .hint("edgeseal device pending")
}
