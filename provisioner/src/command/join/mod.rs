//! `edgeseal join`.

mod create;
mod list;
mod press;
mod revoke;

pub(crate) use press::{Card, Press, Terms};

use super::Context;
use crate::error::Result;
use crate::render::Report;
use clap::Subcommand;

/// The verbs below `join`.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Make join files: one a card, each enrolls one device
    Create(Box<create::Args>),
    /// Show the join tokens: unused, used by whom, refused how often
    List(list::Args),
    /// Take back a join token that was not used
    Revoke(revoke::Args),
}

/// Runs one of them.
///
/// # Errors
/// As the verb says.
pub(crate) fn run(verb: Verb, context: &Context) -> Result<Report> {
    match verb {
        Verb::Create(args) => create::run(&args, context),
        Verb::List(args) => list::run(&args, context),
        Verb::Revoke(args) => revoke::run(&args, context),
    }
}
