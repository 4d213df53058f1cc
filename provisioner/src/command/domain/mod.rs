//! `edgeseal domain`.

mod broker;
mod init;

use super::Context;
use crate::error::Result;
use crate::render::Report;
use clap::Subcommand;

/// The verbs below `domain`.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Set the broker that carries the domain's trust documents, or show it
    Broker(broker::Args),
    /// Make a trust domain: root and registrar keys, registry, first root
    Init(init::Args),
}

/// Runs one of them.
///
/// # Errors
/// As the verb says.
pub(crate) fn run(verb: Verb, context: &Context) -> Result<Report> {
    match verb {
        Verb::Broker(args) => broker::run(&args, context),
        Verb::Init(args) => init::run(&args, context),
    }
}
