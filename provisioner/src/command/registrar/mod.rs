//! `edgeseal registrar`.

mod accept;
mod account;
mod fetch;
mod line;
mod rotate;
mod serve;

pub(crate) use accept::judged_clock;

use super::{Context, Reach};
use crate::error::{CommandError, Result};
use crate::mqtt::Endpoint;
use crate::registry::Registry;
use crate::render::Report;
use clap::Subcommand;

/// The verbs below `registrar`.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Judge requests from files; nothing is signed
    Accept(accept::Args),
    /// Judge the requests that wait at the broker, once; nothing is signed
    Fetch(fetch::Args),
    /// Exchange a registrar key for a new one, by the next root
    Rotate(rotate::Args),
    /// Judge requests as they come, sign manifests and publish them, unattended
    Serve(serve::Args),
}

/// Runs one of them.
///
/// # Errors
/// As the verb says.
pub(crate) fn run(verb: Verb, context: &Context) -> Result<Report> {
    match verb {
        Verb::Accept(args) => accept::run(&args, context),
        Verb::Fetch(args) => fetch::run(&args, context),
        Verb::Rotate(args) => rotate::run(&args, context),
        Verb::Serve(args) => serve::run(&args, context),
    }
}

/// The broker, by the options or by the registry.
///
/// # Errors
/// None is named and none is set.
fn broker_of(reach: &Reach, registry: &Registry) -> Result<Endpoint> {
    reach.endpoint(registry)?.ok_or_else(|| {
        CommandError::usage("no-broker", "no broker is named and none is set")
            .hint("give --broker URL, or set one: edgeseal domain broker URL --ca FILE")
    })
}
