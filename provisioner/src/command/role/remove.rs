//! `edgeseal role remove`.

use crate::command::Context;
use crate::error::{CommandError, Result};
use crate::registry::Access;
use crate::render::Report;
use edgeseal_trust::id::RoleName;
use serde_json::json;

/// What it is given.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  edgeseal role remove sensor")]
pub(crate) struct Args {
    /// Name of the role
    #[arg(value_parser = RoleName::parse)]
    name: RoleName,
}

/// Removes a role.
///
/// # Errors
/// No such role, or devices have it.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Report> {
    let mut registry = context.open(Access::Edit)?;
    let name = &args.name;
    registry.role(name)?;
    if registry.rule(name).is_some() {
        let reason = format!("the role {name} needs approvals: its rule is ended first");
        return Err(CommandError::no("role-guarded", reason)
            .hint(format!("edgeseal role approvals {name} 0")));
    }
    let devices = registry.devices().values();
    let count = devices.filter(|device| device.roles.contains(name)).count();
    if count > 0 {
        let reason = format!("{count} devices have the role {name}");
        return Err(CommandError::no("role-in-use", reason).hint(format!(
            "edgeseal device list --role {name}, then edgeseal role unassign {name} DEVICE..."
        )));
    }
    registry.remove_role(name);
    registry.save()?;
    Ok(Report::new(
        format!("role {name} removed"),
        json!({ "role": name }),
    ))
}
