//! `--wait`: until every agent says that it has applied what was published.

use crate::command::duration;
use crate::distribution::{self, Arrived};
use crate::error::{CommandError, Exit, Result};
use crate::mqtt::Endpoint;
use crate::registry::Registry;
use crate::render::Style;
use std::time::Duration;

/// The option.
#[derive(clap::Args)]
pub(crate) struct Waiting {
    /// Wait until every agent says that it has applied it, so long at most; 60s unless said otherwise
    #[arg(
        id = "wait",
        long = "wait",
        value_name = "DURATION",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "60s",
        value_parser = duration::parse
    )]
    pub(super) seconds: Option<u64>,
}

/// Waits so many seconds at most, and gives the number of agents that have applied it; `stands` begins the error.
///
/// # Errors
/// `not-everywhere`, with those that have not; the connection.
pub(super) fn everywhere(
    registry: &Registry,
    endpoint: &Endpoint,
    seconds: u64,
    stands: &str,
    style: Style,
) -> Result<usize> {
    let patience = Duration::from_secs(seconds);
    let arrived = distribution::wait(registry, endpoint, patience, style)?;
    if arrived.missing.is_empty() {
        return Ok(arrived.applied);
    }
    let manifest = registry.manifest()?.ok_or_else(super::never_published)?;
    let sequence = manifest.content().sequence;
    Err(not_everywhere(&arrived, seconds, stands, sequence))
}

/// What is said when all of them have.
pub(super) fn applied_text(applied: usize) -> String {
    format!("\nAll {applied} agents have applied it.")
}

fn not_everywhere(arrived: &Arrived, seconds: u64, stands: &str, sequence: u64) -> CommandError {
    let missing = arrived.missing.iter().take(SHOWN);
    let mut missing: Vec<String> = missing.map(ToString::to_string).collect();
    if arrived.missing.len() > SHOWN {
        missing.push("...".to_owned());
    }
    let all = arrived.applied.saturating_add(arrived.missing.len());
    let reason = format!(
        "{stands}published as sequence {sequence}; after {} {} of {all} agents say that they have applied it; not yet: {}",
        duration::show(seconds),
        arrived.applied,
        missing.join(", ")
    );
    CommandError::new(Exit::TemporaryFailure, "not-everywhere", reason).hint(
        "those that are switched off learn of it when they are back: edgeseal fleet status --watch",
    )
}

const SHOWN: usize = 10;
