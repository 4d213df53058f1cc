//! `edgeseal device resume`.

use crate::clock;
use crate::command::Context;
use crate::command::publish::AtOnce;
use crate::error::{CommandError, Result};
use crate::registry::{Access, state_word};
use crate::render::{Report, notice};
use edgeseal_trust::id::DeviceId;
use edgeseal_trust::registry::DeviceState;
use serde_json::json;

/// What it is given.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  edgeseal device resume shed-1")]
pub(crate) struct Args {
    /// Id of the device
    #[arg(value_parser = DeviceId::parse)]
    id: DeviceId,
    #[command(flatten)]
    at_once: AtOnce,
}

/// Believes a suspended device again, and publishes that: what it signed before this moment stays refused.
///
/// # Errors
/// No such device, it is pending or revoked, or it is not published: it stands in the registry then.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Report> {
    let mut registry = context.open(Access::Edit)?;
    let mut device = registry.device(&args.id)?.clone();
    let id = &args.id;
    match device.state {
        DeviceState::Suspended => {}
        DeviceState::Active => {
            let done = format!("{id} is active already; nothing was changed");
            let json = json!({ "device": id, "state": device.state, "changed": false });
            let plan = args.at_once.plan(&registry)?;
            return plan.carry_out(&mut registry, context, &done, json);
        }
        DeviceState::Pending | DeviceState::Revoked => {
            let state = state_word(device.state);
            let reason = format!("{id} is {state}: only a suspended device can be resumed");
            return Err(CommandError::no("device-not-suspended", reason).hint(
                match device.state {
                    DeviceState::Pending => format!("edgeseal device approve {id}"),
                    _ => "a revoked device is cut off for good: enroll it anew, under a new id"
                        .into(),
                },
            ));
        }
    }
    let reading = clock::read();
    if !reading.synchronized {
        let line =
            "note: this clock is not synchronized, and the device is believed from its time on";
        notice(context.style, line);
    }
    let plan = args.at_once.plan(&registry)?;
    device.state = DeviceState::Active;
    device.reason = None;
    for key in &mut device.keys {
        key.not_before = key.not_before.max(reading.time);
    }
    registry.put_device(device)?;
    registry.save()?;
    let waits = registry.missing_approvals(registry.device(id)?);
    let (state, is) = match waits.filter(|missing| missing.whole) {
        None => (DeviceState::Active, "active again"),
        Some(_) => (
            DeviceState::Pending,
            "not suspended any more, and waits for approvals (edgeseal approval list)",
        ),
    };
    let done = format!("{id} is {is}; what it signed before now stays refused");
    let json = json!({ "device": id, "state": state, "not_before": reading.time, "changed": true });
    plan.carry_out(&mut registry, context, &done, json)
}
