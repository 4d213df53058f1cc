//! `edgeseal device suspend`.

use crate::command::Context;
use crate::command::publish::AtOnce;
use crate::error::{CommandError, Result};
use crate::registry::Access;
use crate::render::Report;
use edgeseal_trust::id::DeviceId;
use edgeseal_trust::registry::DeviceState;
use serde_json::json;

/// What it is given.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  edgeseal device suspend shed-1 --reason 'battery is being changed'"
)]
pub(crate) struct Args {
    /// Id of the device
    #[arg(value_parser = DeviceId::parse)]
    id: DeviceId,
    /// Why, for those who look at it later
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    at_once: AtOnce,
}

/// Cuts a device off until it is resumed, and publishes that. Twice is the same as once.
///
/// # Errors
/// No such device, it is pending or revoked, or it is not published: it stands in the registry then.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Report> {
    let mut registry = context.open(Access::Edit)?;
    let mut device = registry.device(&args.id)?.clone();
    let id = &args.id;
    let refuse = |code, state: &str| {
        let reason = format!("{id} is {state}: only an active device can be suspended");
        Err(CommandError::no(code, reason).hint(format!("edgeseal device show {id}")))
    };
    match device.state {
        DeviceState::Pending => return refuse("device-pending", "pending"),
        DeviceState::Revoked => return refuse("device-revoked", "revoked"),
        DeviceState::Active | DeviceState::Suspended => {}
    }
    let plan = args.at_once.plan(&registry)?;
    let before = device.clone();
    device.state = DeviceState::Suspended;
    if args.reason.is_some() {
        device.reason.clone_from(&args.reason);
    }
    let changed = device != before;
    if changed {
        registry.put_device(device)?;
        registry.save()?;
    }
    let json = json!({ "device": id, "state": DeviceState::Suspended, "changed": changed });
    plan.carry_out(&mut registry, context, &format!("{id} is suspended"), json)
}
