//! `edgeseal device revoke`.

use crate::command::Context;
use crate::confirm;
use crate::error::Result;
use crate::registry::{Access, state_word};
use crate::render::Report;
use edgeseal_trust::id::DeviceId;
use edgeseal_trust::registry::DeviceState;
use serde_json::json;

/// What it is given.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  edgeseal device revoke shed-1 --reason stolen --yes")]
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
}

/// Cuts a device off for good, once somebody confirms it. Twice is the same as once.
///
/// # Errors
/// No such device, or nobody confirms it.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Report> {
    let mut registry = context.open(Access::Edit)?;
    let mut device = registry.device(&args.id)?.clone();
    let id = &args.id;
    if device.state == DeviceState::Revoked {
        let text = format!("{id} is revoked already; nothing was changed");
        return Ok(Report::new(
            text,
            json!({ "device": id, "state": device.state, "changed": false }),
        ));
    }
    if !args.yes {
        let state = state_word(device.state);
        confirm::ask(&format!(
            "Revoke {id} ({state}) for good? It cannot be resumed."
        ))?;
    }
    device.state = DeviceState::Revoked;
    device.request_words = None;
    if args.reason.is_some() {
        device.reason.clone_from(&args.reason);
    }
    registry.put_device(device)?;
    registry.save()?;
    Ok(Report::new(
        format!("{id} is revoked. {}", super::NEXT_PUBLISH),
        json!({ "device": id, "state": DeviceState::Revoked, "changed": true }),
    ))
}
