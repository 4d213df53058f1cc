//! Approvals in words: what is approved, how far it is, and what is to be done next.

use crate::command::role::describe_grant;
use crate::error::Result;
use crate::registry::{Matter, Progress, Registry};
use crate::render::{Style, escaped, notice};
use edgeseal_trust::document::Root;
use edgeseal_trust::enrollment::{Approval, ApprovalSubject};
use edgeseal_trust::id::{DeviceId, RoleName};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// What is said of a device that waits for approvals.
pub(crate) struct Told {
    /// For people, about "it": what waits, and the command that is next.
    pub(crate) text: String,
    /// The same for programs.
    pub(crate) json: Value,
    /// The device is no member before.
    pub(crate) whole: bool,
}

/// What is said of a device that waits for approvals; nothing where it waits for none.
///
/// # Errors
/// No such device.
pub(crate) fn told(registry: &Registry, root: &Root, id: &DeviceId) -> Result<Option<Told>> {
    let device = registry.device(id)?;
    let Some(missing) = registry.missing_approvals(device) else {
        return Ok(None);
    };
    let roles: Vec<String> = missing.roles.iter().map(ToString::to_string).collect();
    let progress = registry.approval(&Matter::Device(id.clone()), root);
    let (count, json) = match &progress {
        Ok(progress) => (progress.count(), row(progress)),
        // It came into the registry by hand: nobody has seen it yet.
        Err(_) => ("no approvals".to_owned(), json!({ "device": id })),
    };
    let until = match missing.whole {
        true => "until then it is published as pending",
        false => "until then it goes on without",
    };
    let text = format!(
        "it waits for approvals of the role {}: {count}; {until}.\nNext: edgeseal approval give {id} --keys DIR",
        roles.join(" ")
    );
    Ok(Some(Told {
        text,
        json,
        whole: missing.whole,
    }))
}

/// Says of each of these roles that needs approvals that a device which joins with it waits for them.
pub(crate) fn note(registry: &Registry, roles: &[RoleName], style: Style) {
    for role in roles {
        if let Some(rule) = registry.rule(role) {
            let count = rule.approvals;
            let line = format!(
                "note: the role {role} takes {count} approvals for each device that joins with it: edgeseal approval"
            );
            notice(style, &line);
        }
    }
}

/// What an approval says, in one line; a role with its grants below.
pub(super) fn describe(approval: &Approval) -> String {
    let place = format!(
        "{}, number {}, root version {}",
        approval.domain, approval.number, approval.root_version
    );
    match &approval.subject {
        ApprovalSubject::Device { device, kid, roles } => {
            let roles: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
            format!(
                "{device} gets the role {} with the key {kid} ({place})",
                roles.join(" ")
            )
        }
        ApprovalSubject::Role { role, approvals } => {
            let count = match approvals {
                0 => "devices get it without approvals from then on".to_owned(),
                count => format!("{count} approvals for each device"),
            };
            let mut text = format!("the role {}: {count} ({place})", role.name);
            for grant in &role.grants {
                let _ = write!(text, "\n    {}", escaped(&describe_grant(grant)));
            }
            text
        }
    }
}

/// What a person is about to sign, all of it: what they were not shown, they have not approved. Rules come before devices.
pub(super) fn question<'a>(approvals: impl Iterator<Item = &'a Approval>) -> String {
    let (rules, devices): (Vec<&Approval>, Vec<&Approval>) =
        approvals.partition(|approval| matches!(approval.subject, ApprovalSubject::Role { .. }));
    let lines: Vec<String> = rules.into_iter().chain(devices).map(describe).collect();
    lines.join("\n")
}

/// Up to so many lines, and how many there are besides.
pub(super) fn shown(lines: &[String]) -> String {
    let mut text: Vec<String> = lines.iter().take(SHOWN).cloned().collect();
    let more = lines.len().saturating_sub(SHOWN);
    if more > 0 {
        text.push(format!("and {more} more"));
    }
    text.join("\n")
}

/// An approval for programs.
pub(super) fn row(progress: &Progress) -> Value {
    let mut row = json!({
        "number": progress.approval.number,
        "root_version": progress.approval.root_version,
        "needed": progress.approval.needed,
        "signed_by": progress.signed,
        "complete": progress.is_complete(),
    });
    if let Some(row) = row.as_object_mut() {
        match &progress.approval.subject {
            ApprovalSubject::Device { device, kid, roles } => {
                row.insert("device".into(), json!(device));
                row.insert("kid".into(), json!(kid));
                row.insert("roles".into(), json!(roles));
            }
            ApprovalSubject::Role { role, approvals } => {
                row.insert("role".into(), json!(role));
                row.insert("approvals".into(), json!(approvals));
            }
        }
    }
    row
}

/// Those of `matters` that wait, with how far they are.
///
/// # Errors
/// One of them does not wait.
pub(super) fn progress_of(
    registry: &Registry,
    matters: &[Matter],
    root: &Root,
) -> Result<Vec<Progress>> {
    let matters = matters.iter();
    matters
        .map(|matter| registry.approval(matter, root))
        .collect()
}

const SHOWN: usize = 40;
