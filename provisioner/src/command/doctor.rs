//! `edgeseal doctor`.

use super::{Context, Reach, Signing};
use crate::doctor;
use crate::error::{CommandError, Result};
use crate::render::{Report, escaped};
use edgeseal_doctor::{State, look};
use std::path::PathBuf;

/// What it is given.
#[derive(clap::Args)]
#[command(
    after_help = "It changes nothing, and never asks for a passphrase: where one is needed it comes from --passphrase-file.\n\
    Exit status 1: something is broken.\n\n\
    Examples:\n  edgeseal doctor --keys ~/farm-keys\n  edgeseal doctor --json\n  edgeseal doctor --bundle report.json"
)]
pub(crate) struct Args {
    #[command(flatten)]
    signing: Signing,
    #[command(flatten)]
    reach: Reach,
    /// Write a report for support to a new file: no key, password, token or payload is in it
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
}

/// Looks at registry, keys, broker and machine, and says what is wrong and what repairs it.
///
/// # Errors
/// The system gives no event queue, or the bundle cannot be written.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Report> {
    let facts = doctor::gather(&context.registry, &args.signing, &args.reach)?;
    let report = doctor::examine(&facts);
    if let Some(path) = &args.bundle {
        let written = look::write_new(path, &doctor::bundle(&report, &facts));
        written.map_err(|why| CommandError::io("write", path, &why))?;
    }
    let lines: Vec<String> = report.lines().iter().map(|line| escaped(line)).collect();
    let mut told = Report::new(
        lines.join("\n"),
        serde_json::to_value(&report).unwrap_or_default(),
    );
    told.is_no = report.state == State::Broken;
    Ok(told)
}
