//! `edgeseal domain`.

mod init;

use super::Context;
use crate::error::Result;
use crate::render::Report;
use clap::Subcommand;

/// The verbs below `domain`.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Make a trust domain: root and registrar keys, registry, first root
    Init(init::Args),
}

/// Runs one of them.
///
/// # Errors
/// As the verb says.
pub(crate) fn run(verb: Verb, context: &Context) -> Result<Report> {
    match verb {
        Verb::Init(args) => init::run(&args, context),
    }
}
