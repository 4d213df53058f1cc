//! `edgeseal device revoke`.

use crate::command::Context;
use crate::command::publish::AtOnce;
use crate::confirm;
use crate::error::Result;
use crate::registry::{Access, state_word};
use crate::render::Report;
use edgeseal_trust::id::DeviceId;
use edgeseal_trust::registry::DeviceState;
use serde_json::json;

/// What it is given.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  edgeseal device revoke shed-1 --reason stolen --keys ~/farm-keys --yes"
)]
pub(crate) struct Args {
    /// Id of the device
    #[arg(value_parser = DeviceId::parse)]
    id: DeviceId,
    /// Why, for those who look at it later
    #[arg(long)]
    reason: Option<String>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    at_once: AtOnce,
}

/// Cuts a device off for good, once somebody confirms it, and publishes that. Twice is the same as once.
///
/// # Errors
/// No such device, nobody confirms it, or it is not published: it stands in the registry then.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Report> {
    let mut registry = context.open(Access::Edit)?;
    let mut device = registry.device(&args.id)?.clone();
    let id = &args.id;
    if device.state == DeviceState::Revoked {
        let done = format!("{id} is revoked already; nothing was changed");
        let json = json!({ "device": id, "state": device.state, "changed": false });
        let plan = args.at_once.plan(&registry)?;
        return plan.carry_out(&mut registry, context, &done, json);
    }
    if !args.yes {
        let state = state_word(device.state);
        confirm::ask(&format!(
            "Revoke {id} ({state}) for good? It cannot be resumed."
        ))?;
    }
    let plan = args.at_once.plan(&registry)?;
    device.state = DeviceState::Revoked;
    device.request_words = None;
    if args.reason.is_some() {
        device.reason.clone_from(&args.reason);
    }
    registry.put_device(device)?;
    registry.save()?;
    let json = json!({ "device": id, "state": DeviceState::Revoked, "changed": true });
    plan.carry_out(&mut registry, context, &format!("{id} is revoked"), json)
}
