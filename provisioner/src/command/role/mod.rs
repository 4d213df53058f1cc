//! `edgeseal role`: what devices may do.

mod add;
mod approvals;
mod assign;
mod grant;
mod list;
mod remove;
mod withdraw;

pub(crate) use list::describe as describe_grant;

use super::Context;
use crate::error::Result;
use crate::render::Report;
use clap::Subcommand;

/// The verbs below `role`.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Make a role; it grants nothing yet
    Add(add::Args),
    /// Say how many persons give this role to a device
    Approvals(approvals::Args),
    /// Give a role to devices
    Assign(assign::Args),
    /// Add a grant to a role: topics, audiences, and for how long
    Grant(Box<grant::Args>),
    /// Show the roles and their grants
    #[command(after_help = "Example:\n  edgeseal role list --json")]
    List,
    /// Remove a role that no device has
    Remove(remove::Args),
    /// Take a role away from devices
    Unassign(assign::Args),
    /// Take one grant out of a role
    Withdraw(withdraw::Args),
}

/// Runs one of them.
///
/// # Errors
/// As the verb says.
pub(crate) fn run(verb: Verb, context: &Context) -> Result<Report> {
    match verb {
        Verb::Add(args) => add::run(args, context),
        Verb::Approvals(args) => approvals::run(&args, context),
        Verb::Assign(args) => assign::run(&args, context, assign::Change::Assign),
        Verb::Grant(args) => grant::run(*args, context),
        Verb::List => list::run(context),
        Verb::Remove(args) => remove::run(&args, context),
        Verb::Unassign(args) => assign::run(&args, context, assign::Change::Unassign),
        Verb::Withdraw(args) => withdraw::run(&args, context),
    }
}
