//! `edgeseal device`: who may speak in the trust domain.

mod add;
mod approve;
mod csv;
mod list;
mod pending;
mod reject;
mod request;
mod resume;
mod revoke;
mod show;
mod suspend;
mod waiting;

use super::{Context, approval};
use crate::error::Result;
use crate::registry::Registry;
use crate::render::Report;
use clap::Subcommand;
use edgeseal_trust::id::DeviceId;
use edgeseal_trust::registry::DeviceState;
use serde_json::{Value, json};

/// The verbs below `device`.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Add a device from its enrollment request, or devices whose public keys you have
    Add(add::Args),
    /// Believe a device that asked to be enrolled
    Approve(approve::Args),
    /// Show the devices, one a line
    List(list::Args),
    /// Show the requests that wait for you, and what was refused
    Pending(pending::Args),
    /// Turn down a request that waits
    Reject(reject::Args),
    /// Believe a suspended device again, from now on
    Resume(resume::Args),
    /// Cut a device off for good
    Revoke(revoke::Args),
    /// Show one device
    Show(show::Args),
    /// Cut a device off until it is resumed
    Suspend(suspend::Args),
}

/// Runs one of them.
///
/// # Errors
/// As the verb says.
pub(crate) fn run(verb: Verb, context: &Context) -> Result<Report> {
    match verb {
        Verb::Add(args) => add::run(&args, context),
        Verb::Approve(args) => approve::run(&args, context),
        Verb::List(args) => list::run(&args, context),
        Verb::Pending(args) => pending::run(&args, context),
        Verb::Reject(args) => reject::run(&args, context),
        Verb::Resume(args) => resume::run(&args, context),
        Verb::Revoke(args) => revoke::run(&args, context),
        Verb::Show(args) => show::run(&args, context),
        Verb::Suspend(args) => suspend::run(&args, context),
    }
}

/// What is to be said of a device that the registry calls active: `done` is what the verb did. A device that waits for approvals is
/// no member yet, and its state is pending.
///
/// # Errors
/// The registry cannot be read.
fn settled(registry: &Registry, id: &DeviceId, done: &str, also: Value) -> Result<Report> {
    let device = registry.device(id)?;
    let mut json = json!({ "device": id, "state": device.state });
    let mut text = format!("{done}. {NEXT_PUBLISH}");
    let told = approval::told(registry, registry.root()?.content(), id)?;
    if let Some(object) = json.as_object_mut() {
        if let Value::Object(also) = also {
            object.extend(also);
        }
        if let Some(told) = told {
            text = format!("{done}; {}", told.text);
            if told.whole {
                object.insert("state".to_owned(), json!(DeviceState::Pending));
            }
            object.insert("approvals".to_owned(), told.json);
        }
    }
    Ok(Report::new(text, json))
}

/// What every device learns only from the next manifest.
const NEXT_PUBLISH: &str = "The other devices learn of it with the next publish.";
