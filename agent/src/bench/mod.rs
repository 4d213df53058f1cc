//! `bench`: what signing and verifying cost on this machine, with the raw operation of the curve
//! measured beside it in the same run.
//!
//! Both sides of a ratio alternate within each round, so that a change of the processor's pace
//! meets both, and each round is at another depth of the stack, because where it lies in memory makes
//! the curve up to a fifth slower; medians of rounds are shown. Microseconds move from machine to
//! machine; ratios do not.

mod caller;
mod measure;
mod socket;
mod work;

use crate::cli::{Complaint, print_json, print_line};
use crate::exit::Exit;
use clap::Args;
use edgeseal_trust::replay::{Bounds, Past, ReplayMemory};
use edgeseal_trust::time::UnixTime;
use serde::Serialize;

#[derive(Args, Debug)]
pub(crate) struct BenchArgs {
    /// Rounds; the median of them is shown
    #[arg(long, default_value_t = 31, value_parser = clap::value_parser!(u32).range(3..=10_000))]
    rounds: u32,
    /// Operations in each round
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    operations: u32,
}

/// One line of the table.
#[derive(Debug, Serialize)]
struct Row {
    work: &'static str,
    microseconds: f64,
    raw: &'static str,
    raw_microseconds: f64,
    ratio: f64,
    above_raw_microseconds: f64,
}

#[derive(Debug, Serialize)]
struct Report {
    version: &'static str,
    architecture: &'static str,
    rounds: u32,
    operations: u32,
    rows: Vec<Row>,
}

/// As much as a device keeps that hears few others.
fn memory() -> ReplayMemory {
    let bounds = Bounds {
        consumers: 16,
        windows: 64,
        statements: 64,
    };
    ReplayMemory::new(bounds, Past::Known, UnixTime::default())
}

pub(crate) fn run(args: &BenchArgs, json: bool) -> Result<Exit, Complaint> {
    let mut rows = work::rows(args.rounds, args.operations)?;
    rows.extend(socket::rows(args.rounds, args.operations)?);
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        architecture: std::env::consts::ARCH,
        rounds: args.rounds,
        operations: args.operations,
        rows,
    };
    if json {
        print_json(&report)?;
        return Ok(Exit::Ok);
    }
    print_line(&format!(
        "{:<38} {:>10} {:>10} {:>7}   against",
        "medians", "us", "raw us", "ratio"
    ))?;
    for row in &report.rows {
        print_line(&format!(
            "{:<38} {:>10.2} {:>10.2} {:>7.3}   {}",
            row.work, row.microseconds, row.raw_microseconds, row.ratio, row.raw
        ))?;
    }
    Ok(Exit::Ok)
}
