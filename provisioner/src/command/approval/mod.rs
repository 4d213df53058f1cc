//! `edgeseal approval`: roles that no person gives alone.

mod accept;
mod file;
mod give;
mod list;
mod sign;
mod words;

pub(crate) use words::{note, told};

use super::Context;
use crate::error::Result;
use crate::render::Report;
use clap::Subcommand;

/// The verbs below `approval`.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Take approvals that were signed elsewhere into the registry
    Accept(accept::Args),
    /// Approve what waits, with one registrar key
    Give(give::Args),
    /// Show what waits for approvals, and whose are there
    List(list::Args),
    /// Sign approvals in a file, where another registrar key is
    Sign(sign::Args),
}

/// Runs one of them.
///
/// # Errors
/// As the verb says.
pub(crate) fn run(verb: Verb, context: &Context) -> Result<Report> {
    match verb {
        Verb::Accept(args) => accept::run(&args, context),
        Verb::Give(args) => give::run(&args, context),
        Verb::List(args) => list::run(&args, context),
        Verb::Sign(args) => sign::run(&args, context),
    }
}
