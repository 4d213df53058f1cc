//! `edgeseal role add`.

use crate::command::{Context, duration};
use crate::error::{CommandError, Result};
use crate::registry::Access;
use crate::render::Report;
use edgeseal_trust::id::RoleName;
use edgeseal_trust::registry::Role;
use serde_json::json;

/// What it is given.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  edgeseal role add sensor\n  edgeseal role add valve --manifest-age 7d"
)]
pub(crate) struct Args {
    /// Name of the role
    #[arg(value_parser = RoleName::parse)]
    name: RoleName,
    /// How old a manifest may be to judge devices of this role
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    manifest_age: Option<u64>,
}

/// Makes a role.
///
/// # Errors
/// It is there already.
pub(crate) fn run(args: Args, context: &Context) -> Result<Report> {
    let mut registry = context.open(Access::Edit)?;
    let name = args.name;
    if registry.roles().contains_key(&name) {
        let reason = format!("the role {name} is there already");
        return Err(CommandError::no("role-exists", reason).hint("edgeseal role list"));
    }
    registry.put_role(Role {
        name: name.clone(),
        grants: Vec::new(),
        manifest_age_seconds: args.manifest_age,
    })?;
    registry.save()?;
    let text = format!(
        "role {name} added; it grants nothing yet: edgeseal role grant {name} --publish FILTER --audience A"
    );
    Ok(Report::new(text, json!({ "role": name })))
}
