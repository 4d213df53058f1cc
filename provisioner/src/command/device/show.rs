//! `edgeseal device show`.

use crate::command::{Context, approval};
use crate::error::Result;
use crate::registry::{Access, Ground, key_state_word, state_word};
use crate::render::{Report, big_words, escaped};
use edgeseal_trust::id::DeviceId;
use serde_json::json;
use std::fmt::Write as _;

/// What it is given.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  edgeseal device show shed-1")]
pub(crate) struct Args {
    /// Id of the device
    #[arg(value_parser = DeviceId::parse)]
    id: DeviceId,
}

/// Shows all that the registry says of a device.
///
/// # Errors
/// No such device, or an approval does not verify.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Report> {
    let registry = context.open(Access::Read)?;
    let device = registry.device(&args.id)?;
    let held = registry.held_back()?;
    let mut text = format!("{}: {}", device.id, state_word(held.state(device)));
    if let Some(reason) = &device.reason {
        let _ = write!(text, " ({})", escaped(reason));
    }
    for key in &device.keys {
        let state = key_state_word(key.state);
        let _ = write!(text, "\n  key {} {state}", key.key.id());
        if key.not_before.seconds() > 0 {
            let _ = write!(text, ", not before {}", key.not_before.date());
        }
        if let Some(at) = key.retired_at {
            let _ = write!(text, ", retired {}", at.date());
        }
    }
    let _ = write!(text, "\n  roles: {}", listed(&device.roles));
    let _ = write!(text, "\n  groups: {}", listed(&device.groups));
    if let Some(serial) = &device.serial {
        let _ = write!(text, "\n  board serial: {}", escaped(serial));
    }
    if let Some(words) = &device.request_words {
        let _ = write!(text, "\n  words of its request:\n{}", big_words(words));
    }
    let grounds = registry.grounds(device);
    for ground in &grounds {
        let _ = match ground {
            Ground::Before { roles } => write!(
                text,
                "\n  role {}: had it before its rule was set",
                listed(roles)
            ),
            Ground::Approved { roles, at, by } => write!(
                text,
                "\n  role {}: approved on {} by {}",
                listed(roles),
                at.date(),
                listed(by)
            ),
        };
    }
    let approvals = match held.of(&device.id) {
        None => None,
        Some(_) => approval::told(&registry, registry.root()?.content(), &device.id)?,
    };
    if let Some(told) = &approvals {
        let _ = write!(text, "\n  {}", told.text);
    }
    Ok(Report::new(
        text,
        json!({
            "device": device,
            "published_state": held.state(device),
            "grounds": grounds,
            "approvals": approvals.map(|told| told.json),
        }),
    ))
}

fn listed<T: ToString>(items: &[T]) -> String {
    if items.is_empty() {
        return "none".to_owned();
    }
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    items.join(" ")
}
