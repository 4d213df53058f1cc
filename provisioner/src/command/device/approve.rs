//! `edgeseal device approve`.

use super::request::compare;
use crate::command::Context;
use crate::confirm;
use crate::error::{CommandError, Result};
use crate::registry::{Access, state_word};
use crate::render::{Report, big_words};
use edgeseal_trust::id::DeviceId;
use edgeseal_trust::registry::DeviceState;
use edgeseal_trust::words::Words;
use serde_json::json;

/// What it is given.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  edgeseal device approve shed-1 --words \"abandon ability able about above absent absorb abstract\""
)]
pub(crate) struct Args {
    /// Id of the device
    #[arg(value_parser = DeviceId::parse)]
    id: DeviceId,
    /// The eight words that the device shows; without them you are asked whether they match
    #[arg(long)]
    words: Option<String>,
    /// Do not ask; the words were compared before
    #[arg(long, conflicts_with = "words")]
    yes: bool,
}

/// Makes a pending device active once its words were compared. Twice is the same as once.
///
/// # Errors
/// No such device, it is suspended or revoked, or the words differ.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Report> {
    let mut registry = context.open(Access::Edit)?;
    let mut device = registry.device(&args.id)?.clone();
    let id = &args.id;
    let json = json!({ "device": id, "state": DeviceState::Active });
    match device.state {
        DeviceState::Pending => {}
        DeviceState::Active => {
            let text = format!("{id} is active already; nothing was changed");
            return Ok(Report::new(text, json));
        }
        DeviceState::Revoked | DeviceState::Suspended => {
            let state = state_word(device.state);
            let reason = format!("{id} is {state}: only a pending device can be approved");
            return Err(CommandError::no("device-not-pending", reason)
                .hint(format!("edgeseal device show {id}")));
        }
    }
    let words = device.request_words.take().unwrap_or_default();
    match &args.words {
        Some(shown) => compare(shown, &kept(&words, id)?)?,
        None if args.yes => {}
        None => confirm::ask(&format!(
            "{}\n\nDoes {id} show these words?",
            big_words(&words)
        ))?,
    }
    device.state = DeviceState::Active;
    registry.put_device(device)?;
    registry.save()?;
    let text = format!("{id} is active. {}", super::NEXT_PUBLISH);
    Ok(Report::new(text, json))
}

fn kept(words: &str, id: &DeviceId) -> Result<Words> {
    Words::parse(words).map_err(|why| {
        let reason = format!("the registry has no words of {id}'s request: {why}");
        CommandError::configuration("registry-corrupt", reason)
            .hint(format!("edgeseal device add {id} --request FILE --replace"))
    })
}
