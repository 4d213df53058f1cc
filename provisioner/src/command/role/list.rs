//! `edgeseal role list`.

use crate::command::{Context, duration};
use crate::error::Result;
use crate::registry::{Access, Rule};
use crate::render::Report;
use edgeseal_trust::grant::Grant;
use serde_json::json;
use std::fmt::Write as _;

/// Shows the roles and their grants, numbered for `role withdraw`.
///
/// # Errors
/// The registry cannot be read.
pub(crate) fn run(context: &Context) -> Result<Report> {
    let registry = context.open(Access::Read)?;
    let mut text = String::new();
    for role in registry.roles().values() {
        let has_it = |roles: &[_]| roles.contains(&role.name);
        let devices = registry.devices().values();
        let count = devices.filter(|device| has_it(&device.roles)).count();
        let _ = write!(text, "{} ({count} devices)", role.name);
        if let Some(seconds) = role.manifest_age_seconds {
            let _ = write!(text, ", manifest no older than {}", duration::show(seconds));
        }
        let rule = registry.rule(&role.name);
        if let Some(rule) = rule {
            let _ = write!(text, ", {} approvals for each device", rule.approvals);
            if let Some(wish) = &rule.proposal {
                let _ = match wish.approvals == rule.approvals {
                    true => write!(text, " (a change waits)"),
                    false => write!(text, " (a change to {} waits)", wish.approvals),
                };
            }
        }
        text.push('\n');
        for (number, grant) in (1_usize..).zip(&role.grants) {
            let _ = writeln!(
                text,
                "  {number}. {}{}",
                describe(grant),
                waits(rule, grant)
            );
        }
    }
    if text.is_empty() {
        text.push_str("no roles yet: edgeseal role add NAME");
    }
    let roles: Vec<_> = registry.roles().values().collect();
    let rules = roles.iter().filter_map(|role| registry.rule(&role.name));
    let rules: Vec<_> = rules
        .map(|rule| json!({ "role": rule.role.name, "approvals": rule.approvals, "in_force": rule.role }))
        .collect();
    Ok(Report::new(
        text.trim_end(),
        json!({ "roles": roles, "rules": rules }),
    ))
}

fn waits(rule: Option<&Rule>, grant: &Grant) -> &'static str {
    match rule {
        Some(rule) if !rule.role.grants.contains(grant) => " (waits for approvals)",
        _ => "",
    }
}

/// A grant in one line.
pub(crate) fn describe(grant: &Grant) -> String {
    let mut text = format!(
        "publish {} to {}",
        listed(&grant.publish),
        listed(&grant.audiences)
    );
    if !grant.responses.is_empty() {
        let _ = write!(text, ", responses at {}", listed(&grant.responses));
    }
    for (what, seconds) in [
        ("messages", grant.lifetime_seconds),
        ("retained", grant.retained_seconds),
        ("will", grant.will_seconds),
    ] {
        if let Some(seconds) = seconds {
            let _ = write!(text, ", {what} up to {}", duration::show(seconds));
        }
    }
    if grant.vouch {
        text.push_str(", may vouch for others");
    }
    text
}

fn listed<T: ToString>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    items.join(" ")
}
