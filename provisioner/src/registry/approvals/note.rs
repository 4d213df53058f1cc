//! What a change of a device means for its approvals: found where every change passes, [`Registry::put_device`].

use super::{Approvals, Row, Waits};
use crate::registry::{DeviceRecord, Registry};
use edgeseal_trust::id::{DeviceId, RoleName};
use edgeseal_trust::key::KeyId;
use edgeseal_trust::registry::{DeviceState, KeyState};

/// What a device lacks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Missing {
    /// The roles that it is not laid out with.
    pub(crate) roles: Vec<RoleName>,
    /// It is no member before; otherwise it goes on without these roles.
    pub(crate) whole: bool,
}

impl Registry {
    /// What the device lacks, by the lines of the registry; their signatures are judged where the fleet is laid out.
    pub(crate) fn missing_approvals(&self, device: &DeviceRecord) -> Option<Missing> {
        self.approvals.missing(device)
    }

    /// The device `id` goes on with the key `new`, and `old` has signed for it: what was approved stays approved.
    pub(crate) fn follow_key(&mut self, id: &DeviceId, old: KeyId, new: KeyId) {
        if let Some(row) = self.approvals.devices.get_mut(id)
            && row.keys.contains(&old)
            && !row.keys.contains(&new)
        {
            row.keys.push(new);
            self.approvals.devices_changed = true;
        }
    }
}

impl Approvals {
    /// Notes a device as it will be; `before` is what it was.
    pub(in crate::registry) fn note(
        &mut self,
        before: Option<&DeviceRecord>,
        after: &DeviceRecord,
    ) {
        let has_row = self.devices.contains_key(&after.id);
        let guarded = self.guarded(after);
        if !is_believed(after.state) || (guarded.is_empty() && !has_row) {
            return;
        }
        let live = live_keys(after);
        let Some(newest) = live.last().copied() else {
            return;
        };
        let was_member = before.is_some_and(|before| self.is_member(before, &live));
        let row = self.row(after).cloned();
        let mut row = row.unwrap_or_else(|| Row {
            device: after.id.clone(),
            keys: live,
            exempt: Vec::new(),
            given: Vec::new(),
            waits: None,
        });
        row.exempt.retain(|role| guarded.contains(role));
        for given in &mut row.given {
            given.roles.retain(|role| guarded.contains(role));
        }
        row.given.retain(|given| !given.roles.is_empty());
        let missing: Vec<RoleName> = guarded.into_iter().filter(|r| !row.covers(r)).collect();
        let is_same = |waits: &Waits| waits.roles == missing && row.keys.contains(&waits.kid);
        row.waits = match row.waits.take() {
            _ if missing.is_empty() => None,
            Some(waits) if is_same(&waits) => Some(waits),
            waits => Some(Waits {
                number: self.number(),
                kid: newest,
                roles: missing,
                whole: waits.map_or(!was_member, |waits| waits.whole),
                document: None,
            }),
        };
        row.forget_keys(after);
        if self.devices.get(&after.id) != Some(&row) {
            self.devices.insert(after.id.clone(), row);
            self.devices_changed = true;
        }
    }

    /// What the device lacks. Without a line of its own it lacks everything.
    pub(super) fn missing(&self, device: &DeviceRecord) -> Option<Missing> {
        if self.rules.is_empty() || !is_believed(device.state) || device.keys.is_empty() {
            return None;
        }
        let row = self.row(device);
        let covers = |role: &RoleName| row.is_some_and(|row| row.covers(role));
        let mut roles = self.guarded(device);
        roles.retain(|role| !covers(role));
        let whole = row.is_none_or(|row| row.waits.as_ref().is_some_and(|waits| waits.whole));
        (!roles.is_empty()).then_some(Missing { roles, whole })
    }

    /// The line of a device, where all its keys that are in use belong to it.
    pub(super) fn row(&self, device: &DeviceRecord) -> Option<&Row> {
        let row = self.devices.get(&device.id)?;
        let live = live_keys(device);
        live.iter().all(|kid| row.keys.contains(kid)).then_some(row)
    }

    /// The roles of a device that several persons give, sorted.
    pub(super) fn guarded(&self, device: &DeviceRecord) -> Vec<RoleName> {
        let roles = device.roles.iter();
        let mut roles: Vec<RoleName> = roles
            .filter(|role| self.rules.contains_key(*role))
            .cloned()
            .collect();
        roles.sort();
        roles.dedup();
        roles
    }

    /// Whether it was believed by one of these keys, so that it may go on without a role that it gains.
    fn is_member(&self, before: &DeviceRecord, live: &[KeyId]) -> bool {
        let is_held = self.missing(before).is_some_and(|missing| missing.whole);
        let is_known = live_keys(before).iter().any(|kid| live.contains(kid));
        is_believed(before.state) && is_known && !is_held
    }
}

impl Row {
    /// Keys that neither the device has any more nor an approval names.
    fn forget_keys(&mut self, device: &DeviceRecord) {
        let (given, waits) = (&self.given, &self.waits);
        self.keys.retain(|kid| {
            device.keys.iter().any(|key| key.key.id() == *kid)
                || given.iter().any(|given| given.kid == *kid)
                || waits.as_ref().is_some_and(|waits| waits.kid == *kid)
        });
    }
}

/// The state of a device that is, or may be again, believed.
pub(super) fn is_believed(state: DeviceState) -> bool {
    matches!(state, DeviceState::Active | DeviceState::Suspended)
}

/// The keys that are in use, the newest last.
pub(super) fn live_keys(device: &DeviceRecord) -> Vec<KeyId> {
    let keys = device.keys.iter();
    let live = keys.filter(|key| matches!(key.state, KeyState::Active | KeyState::Retiring));
    live.map(|key| key.key.id()).collect()
}
