//! `edgeseal fleet`.

mod clones;
mod glance;
mod heard;
mod judge;
mod snapshot;
mod status;
mod table;

pub(crate) use glance::{Glance, Onlooker};

use super::Context;
use crate::error::Result;
use crate::render::Report;
use clap::Subcommand;

/// The verbs below `fleet`.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// What the agents say of themselves: who lags behind, whose clock is off, who is silent
    Status(status::Args),
}

/// Runs one of them.
///
/// # Errors
/// As the verb says.
pub(crate) fn run(verb: Verb, context: &Context) -> Result<Report> {
    match verb {
        Verb::Status(args) => status::run(&args, context),
    }
}
