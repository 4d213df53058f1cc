//! `edgeseal role withdraw`.

use crate::command::Context;
use crate::error::{CommandError, Result};
use crate::registry::Access;
use crate::render::Report;
use edgeseal_trust::id::RoleName;
use serde_json::json;

/// What it is given.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  edgeseal role list\n  edgeseal role withdraw sensor 2")]
pub(crate) struct Args {
    /// Name of the role
    #[arg(value_parser = RoleName::parse)]
    name: RoleName,
    /// Number of the grant, as `role list` shows it
    number: usize,
}

/// Takes a grant out of a role.
///
/// # Errors
/// No such role or grant.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Report> {
    let mut registry = context.open(Access::Edit)?;
    let mut role = registry.role(&args.name)?.clone();
    let index = args.number.checked_sub(1);
    let Some(index) = index.filter(|index| *index < role.grants.len()) else {
        let reason = format!("{} has no grant number {}", args.name, args.number);
        return Err(CommandError::no("grant-unknown", reason).hint("edgeseal role list"));
    };
    let grant = role.grants.remove(index);
    registry.put_role(role)?;
    registry.save()?;
    let text = format!(
        "withdrawn from {}: {}\nDevices learn of it with the next publish.",
        args.name,
        super::list::describe(&grant)
    );
    Ok(Report::new(
        text,
        json!({ "role": args.name, "grant": grant }),
    ))
}
