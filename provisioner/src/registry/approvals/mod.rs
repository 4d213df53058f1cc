//! Roles that no person gives alone: a rule per role in `roles.json`, and in `approvals.jsonl` what registrar keys have signed, one
//! device a line, sorted by id.
//!
//! A device that comes to such a role by any way is not laid out with it before enough distinct registrar keys of the root have
//! approved it: [`HeldBack`] says so to everything that lays out the fleet. An approval is bound to domain, device, key, roles and
//! a number that is used once.

mod decide;
mod held;
mod note;
mod rule;

pub(crate) use decide::{Matter, Progress};
pub(crate) use held::{Ground, HeldBack};
pub(crate) use rule::RuleChange;

use super::{Registry, load, unwritable};
use crate::error::{CommandError, Result};
use edgeseal_trust::document::Document;
use edgeseal_trust::enrollment::Approval;
use edgeseal_trust::id::{DeviceId, RoleName};
use edgeseal_trust::key::KeyId;
use edgeseal_trust::registry::Role;
use edgeseal_trust::time::UnixTime;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// All that is known of approvals.
#[derive(Default)]
pub(super) struct Approvals {
    /// The highest number that a decision has had.
    next: u64,
    rules: BTreeMap<RoleName, Rule>,
    devices: BTreeMap<DeviceId, Row>,
    pub(super) devices_changed: bool,
}

/// A role that is given by several persons.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    /// How many registrar keys approve each device.
    pub(crate) approvals: u32,
    /// The role as it is published: what `roles` says besides waits for approvals.
    pub(crate) role: Role,
    /// A change that widens the role or weakens the rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) proposal: Option<Proposal>,
}

/// A change of a rule that waits. The role that it is about is in `roles`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Proposal {
    number: u64,
    /// How many registrar keys approve from then on.
    pub(crate) approvals: u32,
    /// The approval, once somebody has signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    document: Option<String>,
}

/// The part of `roles.json` that is about approvals.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RulesText {
    next: u64,
    rules: Vec<Rule>,
}

/// A device that has, or had, a role that several persons give.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct Row {
    device: DeviceId,
    /// The key that was approved, and those that followed it by rotation: the old key signed for the new one.
    keys: Vec<KeyId>,
    /// Roles that it had when their rules were set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    exempt: Vec<RoleName>,
    /// What was approved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    given: Vec<Given>,
    /// What waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    waits: Option<Waits>,
}

/// An approval with all its signatures.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct Given {
    /// The roles for which it still stands.
    roles: Vec<RoleName>,
    kid: KeyId,
    at: UnixTime,
    document: String,
}

/// Roles that wait for approvals.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct Waits {
    number: u64,
    kid: KeyId,
    roles: Vec<RoleName>,
    /// The device is not a member before; otherwise it goes on without these roles.
    whole: bool,
    /// The approval, once somebody has signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    document: Option<String>,
}

impl Approvals {
    /// Reads the lines of devices, and takes the rules as `roles.json` has them.
    pub(super) fn load(dir: &Path, rules: Option<RulesText>) -> Result<Self> {
        let Some(text) = rules else {
            return Ok(Self::default());
        };
        let mut approvals = Self {
            next: text.next,
            ..Self::default()
        };
        for rule in text.rules {
            approvals.rules.insert(rule.role.name.clone(), rule);
        }
        let path = dir.join(FILE);
        if !approvals.rules.is_empty() && !path.exists() {
            let what = "missing, and roles.json has rules of approval: every device with such a role would be cut off";
            return Err(load::corrupt(&path, None, what));
        }
        load::each_line(&path, OCTETS, |row: Row| {
            let id = row.device.clone();
            match approvals.devices.insert(id.clone(), row) {
                None => Ok(()),
                Some(_) => Err(format!("{id} occurs twice")),
            }
        })?;
        // A crash between the two files, or a merge, leaves roles.json behind: no number is used twice.
        let used = approvals.used_numbers().max().unwrap_or(0);
        approvals.next = approvals.next.max(used);
        Ok(approvals)
    }

    /// The numbers of all decisions that are known.
    fn used_numbers(&self) -> impl Iterator<Item = u64> {
        let proposals = self
            .rules
            .values()
            .filter_map(|rule| rule.proposal.as_ref());
        let waits = self.devices.values().filter_map(|row| row.waits.as_ref());
        let given = self.devices.values().flat_map(|row| &row.given);
        let given = given.filter_map(|given| {
            let document = Document::<Approval>::load(given.document.as_bytes()).ok()?;
            Some(document.content().number)
        });
        let waits = waits.map(|waits| waits.number);
        let proposals = proposals.map(|proposal| proposal.number);
        given.chain(waits).chain(proposals)
    }

    /// What `roles.json` keeps of it.
    pub(super) fn rules_text(&self) -> Option<RulesText> {
        let is_unused = self.next == 0 && self.rules.is_empty();
        (!is_unused).then(|| RulesText {
            next: self.next,
            rules: self.rules.values().cloned().collect(),
        })
    }

    /// What `approvals.jsonl` says.
    ///
    /// # Errors
    /// More than is read again.
    pub(super) fn lines(&self) -> Result<Vec<u8>> {
        self.lines_within(OCTETS)
    }

    fn lines_within(&self, limit: usize) -> Result<Vec<u8>> {
        let mut lines = String::new();
        for row in self.devices.values() {
            let line = serde_json::to_string(row).map_err(|why| unwritable(&why))?;
            let _ = writeln!(lines, "{line}"); // a String takes everything
        }
        if lines.len() > limit {
            let (devices, octets) = (self.devices.len(), lines.len());
            let reason = format!(
                "the approvals of {devices} devices take {octets} octets, and {FILE} holds at most {limit}"
            );
            return Err(CommandError::no("too-many", reason).hint(
                "nothing was changed; end the rule of a role that everybody has: edgeseal role approvals ROLE 0",
            ));
        }
        Ok(lines.into_bytes())
    }

    fn number(&mut self) -> u64 {
        self.next = self.next.saturating_add(1);
        self.next
    }
}

impl Registry {
    /// The rule of a role that several persons give.
    pub(crate) fn rule(&self, role: &RoleName) -> Option<&Rule> {
        self.approvals.rules.get(role)
    }

    /// Leaves out numbers that a newer copy of this registry may have used. Nothing is on disk before [`Registry::save`].
    pub(crate) fn skip_numbers(&mut self) {
        if self.approvals.rules_text().is_some() {
            self.approvals.next = self.approvals.next.saturating_add(SKIPPED);
            self.changed.roles = true;
        }
    }

    /// The roles as they are published: of one that several persons give, what they have approved.
    pub(crate) fn published_roles(&self) -> impl Iterator<Item = &Role> {
        let in_force = |role| self.rule(role).map(|rule| &rule.role);
        let roles = self.roles.iter();
        roles.map(move |(name, role)| in_force(name).unwrap_or(role))
    }
}

impl Row {
    fn covers(&self, role: &RoleName) -> bool {
        let is_given = || self.given.iter().any(|given| given.roles.contains(role));
        self.exempt.contains(role) || is_given()
    }
}

/// The lines of devices.
pub(super) const FILE: &str = "approvals.jsonl";
/// Of the lines of devices, and of a file of approvals that is carried. A device that two persons have approved takes some 1,100
/// octets, and 2,000 where domain, id and role have names of 64 characters; each signature more 240, each key that followed
/// by rotation 46. So 100,000 such devices take 110 MB to 200 MB, and fit.
pub(crate) const OCTETS: usize = 256 << 20;
/// More decisions than anybody takes between two backups.
const SKIPPED: u64 = 1 << 32;

#[cfg(test)]
mod tests;
