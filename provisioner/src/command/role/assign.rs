//! `edgeseal role assign` and `unassign`.

use crate::command::Context;
use crate::error::Result;
use crate::registry::Access;
use crate::render::Report;
use edgeseal_trust::id::{DeviceId, RoleName};
use serde_json::json;

/// What they are given.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  edgeseal role assign sensor shed-1 shed-2\n  \
    edgeseal role unassign sensor shed-2"
)]
pub(crate) struct Args {
    /// Name of the role
    #[arg(value_parser = RoleName::parse)]
    name: RoleName,
    /// Ids of devices
    #[arg(value_name = "DEVICE", required = true, value_parser = DeviceId::parse)]
    devices: Vec<DeviceId>,
}

/// Which of the two.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Change {
    /// Give.
    Assign,
    /// Take away.
    Unassign,
}

/// Gives a role to devices or takes it away; all of them or none.
///
/// # Errors
/// No such role or device.
pub(crate) fn run(args: &Args, context: &Context, change: Change) -> Result<Report> {
    let mut registry = context.open(Access::Edit)?;
    registry.role(&args.name)?;
    let mut count: usize = 0;
    for id in &args.devices {
        let mut device = registry.device(id)?.clone();
        let before = device.roles.len();
        device.roles.retain(|role| *role != args.name);
        if change == Change::Assign {
            device.roles.push(args.name.clone());
            device.roles.sort();
        }
        if device.roles.len() != before {
            registry.put_device(device)?;
            count = count.saturating_add(1);
        }
    }
    registry.save()?;
    let waiting: Vec<&DeviceId> = match change {
        Change::Unassign => Vec::new(),
        Change::Assign => args
            .devices
            .iter()
            .filter(|id| {
                let device = registry.devices().get(*id);
                let missing = device.and_then(|device| registry.missing_approvals(device));
                missing.is_some_and(|missing| missing.roles.contains(&args.name))
            })
            .collect(),
    };
    let verb = match change {
        Change::Assign => "assigned to",
        Change::Unassign => "taken from",
    };
    let mut text = format!(
        "role {} {verb} {count} of {} devices; the others needed no change",
        args.name,
        args.devices.len()
    );
    if let Some(first) = waiting.first() {
        text.push_str(&format!(
            "\n{} of them wait for approvals, and are published without the role until then.\n\
             Next: edgeseal approval give {first} --keys DIR",
            waiting.len()
        ));
    }
    Ok(Report::new(
        text,
        json!({ "role": args.name, "changed": count, "waiting_for_approvals": waiting }),
    ))
}
