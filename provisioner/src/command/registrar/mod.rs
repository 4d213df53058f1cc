//! `edgeseal registrar`.

mod rotate;

use super::Context;
use crate::error::Result;
use crate::render::Report;
use clap::Subcommand;

/// The verbs below `registrar`.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Exchange a registrar key for a new one, by the next root
    Rotate(rotate::Args),
}

/// Runs one of them.
///
/// # Errors
/// As the verb says.
pub(crate) fn run(verb: Verb, context: &Context) -> Result<Report> {
    match verb {
        Verb::Rotate(args) => rotate::run(&args, context),
    }
}
