//! What is not published before it is approved.

use super::note::{Missing, is_believed};
use super::rule::narrowed;
use super::{Given, Row};
use crate::error::{CommandError, Result};
use crate::registry::{DeviceRecord, Registry, load};
use edgeseal_trust::document::{DeviceEntry, Document, DocumentType, Root, Unverified, signers};
use edgeseal_trust::enrollment::{Approval, ApprovalSubject};
use edgeseal_trust::id::{DeviceId, RoleName};
use edgeseal_trust::key::KeyId;
use edgeseal_trust::registry::{DeviceState, KeyState, Role};
use edgeseal_trust::time::UnixTime;
use serde::Serialize;
use std::collections::BTreeMap;
use std::num::NonZero;
use std::panic::resume_unwind;
use std::thread::{available_parallelism, scope};

/// The devices that are laid out with less than the registry says of them.
#[derive(Default)]
pub(crate) struct HeldBack {
    devices: BTreeMap<DeviceId, Missing>,
}

/// Why a device has a role that several persons give.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ground {
    /// It was approved.
    Approved {
        /// The roles.
        roles: Vec<RoleName>,
        /// When the last of the approvals came.
        at: UnixTime,
        /// The registrar keys that approved it.
        by: Vec<KeyId>,
    },
    /// It had these roles when their rules were set.
    Before {
        /// The roles.
        roles: Vec<RoleName>,
    },
}

impl HeldBack {
    /// What is published of a device.
    pub(crate) fn entry(&self, device: &DeviceRecord) -> DeviceEntry {
        let mut entry = device.entry();
        if let Some(held) = self.of(&device.id) {
            entry.roles.retain(|role| !held.roles.contains(role));
            entry.state = self.state(device);
        }
        entry
    }

    /// The state of a device as it is published.
    pub(crate) fn state(&self, device: &DeviceRecord) -> DeviceState {
        match self.of(&device.id) {
            Some(held) if held.whole && device.state == DeviceState::Active => DeviceState::Pending,
            _ => device.state,
        }
    }

    /// The devices that are held back.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &DeviceId> {
        self.devices.keys()
    }

    /// How a device is held back.
    pub(crate) fn of(&self, id: &DeviceId) -> Option<&Missing> {
        self.devices.get(id)
    }
}

impl Registry {
    /// Judges the approvals of every device that needs some. Everything that lays out the fleet asks here.
    ///
    /// # Errors
    /// An approval that the registry relies on does not verify: the file was damaged, or changed by hand.
    pub(crate) fn held_back(&self) -> Result<HeldBack> {
        let mut held = HeldBack::default();
        if self.approvals.rules.is_empty() {
            return Ok(held);
        }
        let mut relied = Vec::new();
        for device in self.devices.values() {
            let guarded = self.approvals.guarded(device);
            if guarded.is_empty() {
                continue;
            }
            if let Some(row) = self.approvals.row(device) {
                relied.extend(row.given.iter().map(|given| (row, given)));
            }
            if let Some(missing) = self.approvals.missing(device) {
                held.devices.insert(device.id.clone(), missing);
            }
        }
        self.judge_relied(&relied, &self.roots()?)?;
        Ok(held)
    }

    /// Whether any role is given by several persons.
    pub(crate) fn has_rules(&self) -> bool {
        !self.approvals.rules.is_empty()
    }

    /// Whether a role that was laid out before may do more than several persons have approved.
    pub(crate) fn is_beyond_rule(&self, role: &Role) -> bool {
        let rule = self.rule(&role.name);
        rule.is_some_and(|rule| narrowed(&rule.role, role) != *role)
    }

    /// Whether an entry that was laid out before has a role that several persons give and which the registry, by its key, does
    /// not give today.
    pub(crate) fn lacks_approval(&self, entry: &DeviceEntry, held: &HeldBack) -> bool {
        let mut guarded = entry.roles.iter().filter(|role| self.rule(role).is_some());
        let row = self.approvals.devices.get(&entry.id);
        let device = self.devices.get(&entry.id);
        guarded.any(|role| {
            let is_held = held
                .of(&entry.id)
                .is_some_and(|held| held.roles.contains(role));
            let is_given = device.is_some_and(|device| {
                is_believed(device.state)
                    && device.roles.contains(role)
                    && live(entry).all(|kid| is_kept(device, kid))
            });
            let is_covered = row.is_some_and(|row| {
                row.covers(role) && live(entry).all(|kid| row.keys.contains(&kid))
            });
            is_held || !is_given || !is_covered
        })
    }

    /// Whether a device that was published as `entry` would be published with less although nobody took anything from it: whatever
    /// verb takes or gives a role leaves a line, so a line was lost.
    pub(crate) fn is_lost(&self, entry: &DeviceEntry, held: &HeldBack) -> bool {
        let device = self.devices.get(&entry.id);
        let Some((missing, device)) = held.of(&entry.id).zip(device) else {
            return false;
        };
        let was_member = is_believed(entry.state) && live(entry).any(|kid| is_kept(device, kid));
        let waits = self.approvals.row(device);
        let waits = waits.and_then(|row| row.waits.as_ref());
        let is_noted = waits.is_some_and(|waits| waits.roles == missing.roles);
        let mut had = entry.roles.iter();
        let had_one = had.any(|role| missing.roles.contains(role));
        was_member && (missing.whole || (had_one && !is_noted))
    }

    /// Why a device has the roles that several persons give.
    pub(crate) fn grounds(&self, device: &DeviceRecord) -> Vec<Ground> {
        let Some(row) = self.approvals.row(device) else {
            return Vec::new();
        };
        let before = (!row.exempt.is_empty()).then(|| Ground::Before {
            roles: row.exempt.clone(),
        });
        let given = row.given.iter().map(|given| {
            let document = Unverified::parse(given.document.as_bytes(), DocumentType::Approval);
            Ground::Approved {
                roles: given.roles.clone(),
                at: given.at,
                by: document.map_or_else(|_| Vec::new(), |document| document.kids().collect()),
            }
        });
        before.into_iter().chain(given).collect()
    }

    /// Judges approvals on all cores: 100,000 devices that two persons approved are 200,000 signatures, some 10 s of one.
    fn judge_relied(&self, relied: &[(&Row, &Given)], roots: &[Document<Root>]) -> Result<()> {
        let cores = available_parallelism().map_or(1, NonZero::get);
        let share = relied.len().div_ceil(cores).max(LEAST_SHARE);
        let judge = |share: &[(&Row, &Given)]| {
            share.iter().try_for_each(|(row, given)| {
                let judged = self.judge_given(row, given, roots);
                judged.map_err(|what| self.damaged(&row.device, &what))
            })
        };
        let judge = &judge;
        scope(|scope| {
            let shares = relied.chunks(share);
            let helpers: Vec<_> = shares
                .map(|share| scope.spawn(move || judge(share)))
                .collect();
            helpers
                .into_iter()
                .try_for_each(|helper| helper.join().unwrap_or_else(|why| resume_unwind(why)))
        })
    }

    fn judge_given(
        &self,
        row: &Row,
        given: &Given,
        roots: &[Document<Root>],
    ) -> std::result::Result<(), String> {
        let octets = given.document.as_bytes();
        let approval = Document::<Approval>::load(octets).map_err(|why| why.to_string())?;
        let approval = approval.content();
        let ApprovalSubject::Device { device, kid, roles } = &approval.subject else {
            return Err("it approves no device".to_owned());
        };
        let is_bound = approval.domain == self.domain.domain
            && *device == row.device
            && *kid == given.kid
            && row.keys.contains(kid)
            && given.roles.iter().all(|role| roles.contains(role));
        if !is_bound {
            return Err("it is of another domain, device, key or role".to_owned());
        }
        let root = roots.iter().map(Document::content);
        let mut root = root.filter(|root| root.version == approval.root_version);
        let root = root.next().ok_or("it names a root that is not here")?;
        let document = Unverified::parse(octets, DocumentType::Approval);
        let document = document.map_err(|why| why.to_string())?;
        let signed = signers(&document, &root.registrar).map_err(|why| why.to_string())?;
        let signed = u32::try_from(signed.len()).unwrap_or(u32::MAX);
        match signed >= approval.needed {
            true => Ok(()),
            false => Err(format!(
                "{signed} of {} registrar keys have signed it",
                approval.needed
            )),
        }
    }

    fn damaged(&self, id: &DeviceId, what: &str) -> CommandError {
        let path = self.dir.join(super::FILE);
        load::corrupt(&path, None, &format!("the approval of {id}: {what}"))
    }
}

/// The keys of an entry by which the device is believed.
fn live(entry: &DeviceEntry) -> impl Iterator<Item = KeyId> {
    let keys = entry.keys.iter();
    let live = keys.filter(|key| matches!(key.state, KeyState::Active | KeyState::Retiring));
    live.map(|key| key.key.id())
}

/// Whether the device still has the key; it may have been replaced by rotation since.
fn is_kept(device: &DeviceRecord, kid: KeyId) -> bool {
    let mut keys = device.keys.iter();
    keys.any(|key| key.key.id() == kid && key.state != KeyState::Revoked)
}

/// So few are judged faster than a thread is made.
const LEAST_SHARE: usize = 32;
