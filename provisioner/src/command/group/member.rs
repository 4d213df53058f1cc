//! `edgeseal group join` and `leave`.

use crate::command::Context;
use crate::error::Result;
use crate::registry::Access;
use crate::render::Report;
use edgeseal_trust::id::{DeviceId, GroupName};
use serde_json::json;

/// What they are given.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  edgeseal group join pumps pump-1 pump-2\n  \
    edgeseal group leave pumps pump-2"
)]
pub(crate) struct Args {
    /// Name of the group
    #[arg(value_parser = GroupName::parse)]
    name: GroupName,
    /// Ids of devices
    #[arg(value_name = "DEVICE", required = true, value_parser = DeviceId::parse)]
    devices: Vec<DeviceId>,
}

/// Which of the two.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Change {
    /// Put in.
    Join,
    /// Take out.
    Leave,
}

/// Puts devices into a group or takes them out; all of them or none.
///
/// # Errors
/// No such group or device.
pub(crate) fn run(args: &Args, context: &Context, change: Change) -> Result<Report> {
    let mut registry = context.open(Access::Edit)?;
    registry.judge_group(&args.name)?;
    let mut count: usize = 0;
    for id in &args.devices {
        let mut device = registry.device(id)?.clone();
        let before = device.groups.len();
        device.groups.retain(|group| *group != args.name);
        if change == Change::Join {
            device.groups.push(args.name.clone());
            device.groups.sort();
        }
        if device.groups.len() != before {
            registry.put_device(device)?;
            count = count.saturating_add(1);
        }
    }
    registry.save()?;
    let verb = match change {
        Change::Join => "joined by",
        Change::Leave => "left by",
    };
    let text = format!(
        "group {} {verb} {count} of {} devices; the others needed no change",
        args.name,
        args.devices.len()
    );
    Ok(Report::new(
        text,
        json!({ "group": args.name, "changed": count }),
    ))
}
