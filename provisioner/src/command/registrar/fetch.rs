//! `edgeseal registrar fetch`: the requests that wait at the broker, once.

use super::accept::judged_clock;
use super::account::{Account, report};
use super::line::Line;
use crate::command::{Context, Reach, duration};
use crate::distribution;
use crate::enrollment::{DEFAULT_OVERLAP_SECONDS, Desk, Judged};
use crate::error::{CommandError, Result};
use crate::registry::Access;
use crate::render::Report;
use std::time::Duration;

/// What it is given.
#[derive(clap::Args)]
#[command(
    after_help = "What a join token or the devices' own keys prove is done; the rest waits: edgeseal device pending.\n\
    Then: edgeseal publish --keys DIR\n\nExample:\n  edgeseal registrar fetch --broker mqtts://broker.example"
)]
pub(crate) struct Args {
    #[command(flatten)]
    reach: Reach,
    /// How long a key that is replaced stays beside its successor
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value_t = DEFAULT_OVERLAP_SECONDS)]
    overlap: u64,
    /// Judge join tokens although the kernel does not call this clock synchronized
    #[arg(long)]
    unsynchronized_clock: bool,
}

/// Judges what waits at the broker. Who is enrolled is told so by the next publish alone; the others by an answer.
///
/// # Errors
/// The clock, the broker, or the registry.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Report> {
    let now = judged_clock(args.unsynchronized_clock)?;
    let mut desk = Desk::open(context.open(Access::Edit)?, args.overlap)?;
    let endpoint = super::broker_of(&args.reach, desk.registry())?;
    let mut account = Account::default();
    let mut judged: Vec<Judged> = Vec::new();
    distribution::runtime()?.block_on(async {
        let mut line = Line::connect(&endpoint, desk.registry().domain()).await?;
        loop {
            let batch = line.batch(QUIET, &mut account).await?;
            if batch.is_empty() || judged.len() >= MOST {
                break;
            }
            let decided = batch
                .iter()
                .map(|incoming| desk.take(&incoming.octets, Some(incoming.kid), now));
            judged.extend(decided);
        }
        desk.commit()?;
        let waiting = judged
            .iter()
            .filter(|judged| !judged.decision.is_believed());
        line.answer(waiting, now).await?;
        line.close().await;
        Ok::<(), CommandError>(())
    })?;
    Ok(report(&judged, account))
}

/// A broker sends what it keeps at once.
const QUIET: Duration = Duration::from_secs(1);
/// Whoever floods the broker makes this end, not run for ever.
const MOST: usize = 100_000;
