//! Rules: which role needs how many approvals. What makes a rule stricter, or its role narrower, holds at once; what weakens the
//! rule or widens the role waits for as many approvals as the rule asks for.

use super::note::live_keys;
use super::{Approvals, Proposal, Rule};
use crate::error::{CommandError, Result};
use crate::registry::Registry;
use edgeseal_trust::document::Root;
use edgeseal_trust::id::{DeviceId, RoleName};
use edgeseal_trust::registry::{DeviceState, Role};

/// What became of a wish for a rule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum RuleChange {
    /// There is a rule now; these devices have the role already, and remain.
    Set(Vec<DeviceId>),
    /// It holds at once. Devices that have the role remain.
    Stricter,
    /// It waits for the approvals that the rule asks for.
    Waits,
    /// It is as it was.
    Unchanged,
}

impl Registry {
    /// Wishes `count` approvals for a role, which is defined. 0 ends the rule.
    pub(crate) fn set_rule(&mut self, name: &RoleName, count: u32) -> RuleChange {
        let Some(role) = self.roles.get(name).cloned() else {
            return RuleChange::Unchanged;
        };
        let change = match self.approvals.rules.get_mut(name) {
            None if count == 0 => RuleChange::Unchanged,
            None => {
                let exempt = self.exempt(name);
                let rule = Rule {
                    approvals: count,
                    role,
                    proposal: None,
                };
                self.approvals.rules.insert(name.clone(), rule);
                self.note_role(name);
                RuleChange::Set(exempt)
            }
            Some(rule) if count < rule.approvals => {
                let is_wished = rule.proposal.as_ref();
                if is_wished.is_some_and(|proposal| proposal.approvals == count) {
                    return RuleChange::Waits;
                }
                self.approvals.propose(&role, count);
                RuleChange::Waits
            }
            Some(rule) => {
                let is_same = count == rule.approvals && rule.proposal.is_none();
                rule.approvals = count;
                self.approvals.propose(&role, count);
                match is_same {
                    true => RuleChange::Unchanged,
                    false => RuleChange::Stricter,
                }
            }
        };
        self.changed.roles |= change != RuleChange::Unchanged;
        change
    }

    /// Refuses a root that names fewer registrar keys than the one before and than a rule asks for: no device could come to the
    /// role any more, and the rule could not even be ended.
    ///
    /// # Errors
    /// `approvals-impossible`.
    pub(crate) fn judge_registrars(&self, before: &Root, after: &Root) -> Result<()> {
        let keys = |root: &Root| u32::try_from(root.registrar.keys().len()).unwrap_or(u32::MAX);
        let (had, keys) = (keys(before), keys(after));
        if keys >= had {
            return Ok(());
        }
        let mut rules = self.approvals.rules.iter();
        let Some((name, rule)) = rules.find(|(_, rule)| rule.approvals > keys) else {
            return Ok(());
        };
        let needed = rule.approvals;
        let reason = format!(
            "the role {name} asks for {needed} approvals, and this root would name {keys} registrar keys"
        );
        Err(CommandError::no("approvals-impossible", reason).hint(format!(
            "let another key come in the same step (edgeseal registrar rotate --replace KID, or --add-registrar FILE), \
             or lower the rule before, while {needed} can still approve it: edgeseal role approvals {name} {keys}"
        )))
    }

    /// The devices that have the role, and keep it under a rule that is about to be made.
    fn exempt(&mut self, name: &RoleName) -> Vec<DeviceId> {
        let mut exempt = Vec::new();
        for device in self.devices.values() {
            let is_member = matches!(device.state, DeviceState::Active | DeviceState::Suspended);
            let is_held = self
                .approvals
                .missing(device)
                .is_some_and(|held| held.whole);
            if is_member && !is_held && device.roles.contains(name) && !live_keys(device).is_empty()
            {
                self.approvals.exempt(device, name);
                exempt.push(device.id.clone());
            }
        }
        self.approvals.devices_changed = true; // the file is there from now on
        exempt
    }

    /// Brings what waits in line with the rules: for devices with the role.
    fn note_role(&mut self, name: &RoleName) {
        let devices = self.devices.values();
        for device in devices.filter(|device| device.roles.contains(name)) {
            self.approvals.note(None, device);
        }
    }
}

impl Approvals {
    /// Takes a role as it is wished: what it loses, it loses at once.
    pub(in crate::registry) fn note_role(&mut self, role: &Role) {
        let Some(rule) = self.rules.get(&role.name) else {
            return;
        };
        let wished = rule.proposal.as_ref().map(|wish| wish.approvals);
        let count = wished.unwrap_or(rule.approvals);
        self.propose(role, count);
    }

    /// Makes what weakens the rule or widens the role a proposal; what it was before is none any more.
    fn propose(&mut self, role: &Role, count: u32) {
        let number = self.next.saturating_add(1);
        let Some(rule) = self.rules.get_mut(&role.name) else {
            return;
        };
        rule.role = narrowed(&rule.role, role);
        let is_more = *role != rule.role || count < rule.approvals;
        rule.proposal = is_more.then_some(Proposal {
            number,
            approvals: count,
            document: None,
        });
        if is_more {
            self.next = number;
        }
    }

    fn exempt(&mut self, device: &crate::registry::DeviceRecord, name: &RoleName) {
        let fresh = || super::Row {
            device: device.id.clone(),
            keys: live_keys(device),
            exempt: Vec::new(),
            given: Vec::new(),
            waits: None,
        };
        let mut row = self.row(device).cloned().unwrap_or_else(fresh);
        row.exempt.retain(|role| role != name);
        row.exempt.push(name.clone());
        row.exempt.sort();
        self.devices.insert(device.id.clone(), row);
    }
}

/// What `force` and `wished` both allow, in the order of `wished`.
pub(super) fn narrowed(force: &Role, wished: &Role) -> Role {
    let grants = wished.grants.iter();
    let grants = grants.filter(|grant| force.grants.contains(grant));
    let ages = [force.manifest_age_seconds, wished.manifest_age_seconds];
    Role {
        name: wished.name.clone(),
        grants: grants.cloned().collect(),
        manifest_age_seconds: ages.into_iter().flatten().min(),
    }
}
