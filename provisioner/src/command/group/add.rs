//! `edgeseal group add`.

use crate::command::Context;
use crate::error::Result;
use crate::registry::Access;
use crate::render::Report;
use edgeseal_trust::id::GroupName;
use serde_json::json;

/// What it is given.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  edgeseal group add pumps")]
pub(crate) struct Args {
    /// Name of the group
    #[arg(value_parser = GroupName::parse)]
    name: GroupName,
}

/// Makes a group. Making it twice is the same as once.
///
/// # Errors
/// More groups than a manifest may have.
pub(crate) fn run(args: Args, context: &Context) -> Result<Report> {
    let mut registry = context.open(Access::Edit)?;
    let added = registry.add_group(args.name.clone())?;
    registry.save()?;
    let done = if added { "added" } else { "is there already" };
    Ok(Report::new(
        format!("group {} {done}", args.name),
        json!({ "group": args.name, "added": added }),
    ))
}
