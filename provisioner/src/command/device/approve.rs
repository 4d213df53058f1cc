//! `edgeseal device approve`.

use super::request::compare;
use super::waiting::{self, Choice};
use crate::clock;
use crate::command::{Context, duration};
use crate::confirm;
use crate::enrollment::{DEFAULT_OVERLAP_SECONDS, Decision, Desk};
use crate::error::{CommandError, Result};
use crate::registry::{Access, DeviceRecord, Registry, state_word};
use crate::render::{Report, big_words};
use edgeseal_trust::id::{DeviceId, GroupName, RoleName};
use edgeseal_trust::registry::DeviceState;
use edgeseal_trust::words::Words;
use serde_json::{Value, json};

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
    /// Role that the device gets, besides those that the registry says already
    #[arg(long = "role", value_name = "ROLE", value_parser = RoleName::parse)]
    roles: Vec<RoleName>,
    /// Group that the device gets, besides those that the registry says already
    #[arg(long = "group", value_name = "GROUP", value_parser = GroupName::parse)]
    groups: Vec<GroupName>,
    /// For a new key of a device: how long the old one stays beside it
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value_t = DEFAULT_OVERLAP_SECONDS)]
    overlap: u64,
}

/// Believes a device, or its new key, once the words of its request were compared. Twice is the same as once.
///
/// # Errors
/// No such request, the words differ, or the device is suspended or revoked.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Report> {
    let mut desk = Desk::open(context.open(Access::Edit)?, args.overlap)?;
    let id = &args.id;
    let waits = !desk.waiting_for(id).is_empty();
    match desk.registry().devices().get(id) {
        Some(device) if device.state == DeviceState::Pending && !device.keys.is_empty() => {
            let device = device.clone();
            args.approve_added(&mut desk, device)
        }
        Some(device) if !waits && !device.is_expected() => {
            if device.state == DeviceState::Active {
                let registry = desk.registry();
                if registry.missing_approvals(device).is_some() {
                    return super::settled(registry, id, "nothing was changed", Value::Null);
                }
                let text = format!("{id} is active already; nothing was changed");
                let json = json!({ "device": id, "state": device.state });
                return Ok(Report::new(text, json));
            }
            let state = state_word(device.state);
            let reason = format!("{id} is {state}: only a pending device can be approved");
            Err(CommandError::no("device-not-pending", reason)
                .hint(format!("edgeseal device show {id}")))
        }
        None if !waits => Err(unknown(id)),
        _ => args.approve_waiting(&mut desk),
    }
}

impl Args {
    /// A device that was added from a file of its request.
    fn approve_added(&self, desk: &mut Desk, mut device: DeviceRecord) -> Result<Report> {
        let id = &self.id;
        let words = device.request_words.take().unwrap_or_default();
        match &self.words {
            Some(shown) => compare(shown, &kept(&words, id)?)?,
            None if self.yes => {}
            None => self.ask(&words)?,
        }
        device.state = DeviceState::Active;
        self.dress(&mut device);
        desk.registry_mut().put_device(device)?;
        desk.commit()?;
        let registry = desk.registry();
        super::settled(registry, id, &self.done(registry)?, Value::Null)
    }

    /// A request that came over the broker, or by `registrar accept`.
    fn approve_waiting(&self, desk: &mut Desk) -> Result<Report> {
        let id = &self.id;
        let choice = Choice::of(self.words.as_deref())?;
        let kid = waiting::find(desk, id, &choice)?;
        if self.words.is_none() && !self.yes {
            let words = desk.pending().get(kid).map(|request| request.words.clone());
            self.ask(&words.unwrap_or_default())?;
        }
        let dress = |device: &mut DeviceRecord| self.dress(device);
        let decision = desk.approve(kid, id, &dress, clock::now())?;
        desk.commit()?;
        let registry = desk.registry();
        let done = match decision {
            Decision::Rotated => format!("{id} has the new key {kid}"),
            _ => self.done(registry)?,
        };
        let json = json!({ "kid": kid, "decision": decision.word() });
        super::settled(registry, id, &done, json)
    }

    fn done(&self, registry: &Registry) -> Result<String> {
        let device = registry.device(&self.id)?;
        Ok(match registry.missing_approvals(device) {
            None => format!("{} is {}", self.id, state_word(device.state)),
            Some(_) => format!("the request of {} is approved", self.id),
        })
    }

    fn ask(&self, words: &str) -> Result<()> {
        let id = &self.id;
        confirm::ask(&format!(
            "{}\n\nDoes {id} show these words?",
            big_words(words)
        ))
    }

    fn dress(&self, device: &mut DeviceRecord) {
        device.roles.extend(self.roles.iter().cloned());
        device.groups.extend(self.groups.iter().cloned());
        device.tidy();
    }
}

fn kept(words: &str, id: &DeviceId) -> Result<Words> {
    Words::parse(words).map_err(|why| {
        let reason = format!("the registry has no words of {id}'s request: {why}");
        CommandError::configuration("registry-corrupt", reason)
            .hint(format!("edgeseal device add {id} --request FILE --replace"))
    })
}

fn unknown(id: &DeviceId) -> CommandError {
    CommandError::no(
        "device-unknown",
        format!("no device {id} in the registry, and no request for it waits"),
    )
    .hint("edgeseal device pending")
}
