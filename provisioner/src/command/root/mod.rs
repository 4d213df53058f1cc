//! `edgeseal root`: the next root, exactly one version higher, signed by the thresholds of both.

mod accept;
mod changes;
mod key;
mod next;
mod prepared;
mod rotate;
mod show;
mod sign;
mod signers;

pub(crate) use accept::{accepted, report, waiting};
pub(crate) use changes::changes;
pub(crate) use next::{Change, next_root};
pub(crate) use prepared::{Completed, PreparedRoot, complete, default_path};
pub(crate) use rotate::{no_root_key, parse_kid};
pub(crate) use signers::{RootSigning, source};

use super::Context;
use crate::error::Result;
use crate::render::Report;
use clap::Subcommand;

/// The verbs below `root`.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Take a root that every needed key has signed into the registry
    Accept(accept::Args),
    /// Make a root key on the machine that keeps it, for a root that others prepare
    Key(key::Args),
    /// Make the next root: other keys, other thresholds, or a later expiry
    Rotate(rotate::Args),
    /// Show the roots: version, words, keys, expiry
    Show(show::Args),
    /// Sign a root that was prepared elsewhere, after it was shown what changes
    Sign(sign::Args),
}

/// Runs one of them.
///
/// # Errors
/// As the verb says.
pub(crate) fn run(verb: Verb, context: &Context) -> Result<Report> {
    match verb {
        Verb::Accept(args) => accept::run(&args, context),
        Verb::Key(args) => key::run(&args, context),
        Verb::Rotate(args) => rotate::run(&args, context),
        Verb::Show(args) => show::run(&args, context),
        Verb::Sign(args) => sign::run(&args),
    }
}
