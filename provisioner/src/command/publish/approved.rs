//! What was signed before is signed, or published, again only as far as the rules of approval give it today.

use super::changes::shard;
use crate::error::{CommandError, Result};
use crate::registry::Registry;
use edgeseal_trust::document::{Document, Manifest};
use edgeseal_trust::registry::DeviceState;

/// Judges a manifest whose roles and shards were laid out by an earlier run. What is in force already is not judged again.
///
/// # Errors
/// `approvals-missing`: a device has a role that several persons give and have not, or no longer, given it; or such a role
/// may do more than they have approved. A shard or an approval cannot be read.
pub(super) fn judge_approved(registry: &Registry, manifest: &Manifest) -> Result<()> {
    let last = registry.manifest()?;
    let is_in_force = last.as_ref().map(Document::content).is_some_and(|last| {
        last.root_version == manifest.root_version
            && last.roles == manifest.roles
            && last.shards == manifest.shards
    });
    if is_in_force {
        return Ok(());
    }
    let wider = manifest.roles.iter();
    let wider = wider.filter(|role| registry.is_beyond_rule(role));
    let wider: Vec<String> = wider.map(|role| role.name.to_string()).collect();
    if !wider.is_empty() {
        let what = format!(
            "{} may do more there than was approved",
            bounded("the role", &wider)
        );
        return Err(refused(manifest, &what));
    }
    if !registry.has_rules() {
        return Ok(());
    }
    let held = registry.held_back()?;
    let mut unapproved = Vec::new();
    for digest in &manifest.shards {
        let entries = shard(registry, *digest)?.into_devices().into_iter();
        let active = entries.filter(|entry| entry.state == DeviceState::Active);
        let lacking = active.filter(|entry| registry.lacks_approval(entry, &held));
        unapproved.extend(lacking.map(|entry| entry.id.to_string()));
    }
    if unapproved.is_empty() {
        return Ok(());
    }
    unapproved.sort();
    let what = format!(
        "{} would have a role that several persons give, and have not given, or not any more",
        bounded("the device", &unapproved)
    );
    Err(refused(manifest, &what))
}

fn bounded(noun: &str, names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(SHOWN).map(String::as_str).collect();
    let more = names.len().saturating_sub(SHOWN);
    let more = match more {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let plural = if names.len() > 1 { "s" } else { "" };
    format!("{noun}{plural} {}{more}", shown.join(", "))
}

fn refused(manifest: &Manifest, what: &str) -> CommandError {
    let reason = format!("the content of sequence {}: {what}", manifest.sequence);
    CommandError::no("approvals-missing", reason)
        .hint("publish the registry instead: edgeseal publish --keys DIR; what it holds back: edgeseal approval list")
}

const SHOWN: usize = 10;
