//! `edgeseal group`: devices that are addressed together.

mod add;
mod list;
mod member;
mod remove;

use super::Context;
use crate::error::Result;
use crate::render::Report;
use clap::Subcommand;

/// The verbs below `group`.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Make a group
    Add(add::Args),
    /// Put devices into a group
    Join(member::Args),
    /// Take devices out of a group
    Leave(member::Args),
    /// Show the groups
    #[command(after_help = "Example:\n  edgeseal group list")]
    List,
    /// Remove a group that has no members
    Remove(remove::Args),
}

/// Runs one of them.
///
/// # Errors
/// As the verb says.
pub(crate) fn run(verb: Verb, context: &Context) -> Result<Report> {
    match verb {
        Verb::Add(args) => add::run(args, context),
        Verb::Join(args) => member::run(&args, context, member::Change::Join),
        Verb::Leave(args) => member::run(&args, context, member::Change::Leave),
        Verb::List => list::run(context),
        Verb::Remove(args) => remove::run(&args, context),
    }
}
