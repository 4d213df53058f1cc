//! `edgeseal group remove`.

use crate::command::Context;
use crate::error::{CommandError, Result};
use crate::registry::Access;
use crate::render::Report;
use edgeseal_trust::grant::AudiencePattern;
use edgeseal_trust::id::GroupName;
use serde_json::json;

/// What it is given.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  edgeseal group remove pumps")]
pub(crate) struct Args {
    /// Name of the group
    #[arg(value_parser = GroupName::parse)]
    name: GroupName,
}

/// Removes a group.
///
/// # Errors
/// No such group, devices are in it, or a grant names it.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Report> {
    let mut registry = context.open(Access::Edit)?;
    let name = &args.name;
    registry.judge_group(name)?;
    let devices = registry.devices().values();
    let count = devices
        .filter(|device| device.groups.contains(name))
        .count();
    if count > 0 {
        let reason = format!("{count} devices are in the group {name}");
        return Err(CommandError::no("group-in-use", reason)
            .hint(format!("edgeseal group leave {name} DEVICE...")));
    }
    let pattern = AudiencePattern::Group(name.clone());
    let names_it = |audiences: &[AudiencePattern]| audiences.contains(&pattern);
    let role = registry.roles().values().find(|role| {
        let mut grants = role.grants.iter();
        grants.any(|grant| names_it(&grant.audiences))
    });
    if let Some(role) = role {
        let reason = format!("a grant of the role {} names the group {name}", role.name);
        return Err(CommandError::no("group-in-use", reason)
            .hint(format!("edgeseal role withdraw {} NUMBER", role.name)));
    }
    registry.remove_group(name);
    registry.save()?;
    Ok(Report::new(
        format!("group {name} removed"),
        json!({ "group": name }),
    ))
}
