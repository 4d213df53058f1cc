//! What a person does with this repository beside `cargo build` and `cargo test`: one verb per job.
//!
//! `cargo xtask --help` lists them. Each says what it lacks and how to install it before it starts.

// A task runner is an edge.
#![allow(clippy::disallowed_methods)]

mod build;
mod emulate;
mod measure;
mod package;
mod pages;
mod power;
mod release;
mod reproducible;
mod run;
mod sbom;
mod target;

use clap::{Parser, Subcommand};
use run::TaskError;
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    match work(Cli::parse().job) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            writeln!(std::io::stderr(), "xtask: {why}").ok();
            ExitCode::FAILURE
        }
    }
}

fn work(job: Job) -> Result<(), TaskError> {
    match job {
        Job::Bench => run::tool("cargo", &["bench", "--workspace", "--locked"]),
        Job::Build { target } => build::release(target::find(&target)?).map(|_| ()),
        Job::Emulate { target } => emulate::check(target::find(&target)?),
        Job::Fuzz { seconds } => run::tool("tests/fuzz.sh", &[&seconds.to_string()]),
        Job::Measure { target } => measure::print(target::find(&target)?),
        Job::Package { target } => package::both(target::find(&target)?).map(drop),
        Job::Pages { check: true } => pages::check(),
        Job::Pages { check: false } => pages::write(),
        Job::PowerCuts { count, seed } => power::cuts(count, seed),
        Job::Release { targets } => release::make(&target::all(&targets)?),
        Job::Reproducible => reproducible::compare(),
        Job::Sbom => sbom::write().map(drop),
        Job::Soak {
            hours,
            minutes,
            programs,
        } => power::soak(minutes.unwrap_or(hours * 60.0), &programs),
        Job::Targets => target::list(),
        Job::Wear { minutes, programs } => power::wear(minutes, &programs),
    }
}

/// Builds, packages and measures Edgeseal.
#[derive(Parser)]
#[command(name = "cargo xtask", version)]
struct Cli {
    #[command(subcommand)]
    job: Job,
}

#[derive(Subcommand)]
enum Job {
    /// Run the benchmarks on this machine
    Bench,
    /// Build both programs for a target, and say their size
    Build {
        /// One of `cargo xtask targets`
        target: String,
    },
    /// Build for a target and run it here by qemu: the suite of trust, its vectors, and the agent
    Emulate {
        /// One of `cargo xtask targets`
        target: String,
    },
    /// Fuzz every parser
    Fuzz {
        /// Seconds for each
        #[arg(default_value_t = 60)]
        seconds: u32,
    },
    /// Print the size of the programs for a target, and the instructions of each signed and verified message
    Measure {
        /// One of `cargo xtask targets`
        target: String,
    },
    /// Make the Debian packages of both programs for a target
    Package {
        /// One of `cargo xtask targets`
        target: String,
    },
    /// Write man pages and shell completions into target/pages
    Pages {
        /// Write them elsewhere and compare them with --help of the programs
        #[arg(long)]
        check: bool,
    },
    /// Cut the power at random moments of whatever changes the disk, and start from what is left
    PowerCuts {
        /// How many times
        #[arg(default_value_t = 200)]
        count: u64,
        /// The seed that an earlier run printed [default: another each time]
        #[arg(long)]
        seed: Option<u64>,
    },
    /// Make the packages for all targets, the bills of materials and SHA256SUMS, in target/packages
    Release {
        /// Some of `cargo xtask targets` instead of all
        targets: Vec<String>,
    },
    /// Build from two directories and compare the programs octet by octet
    Reproducible,
    /// Write the software bill of materials (CycloneDX) of both programs into target/packages
    Sbom,
    /// Traffic through real agents with a fault every few minutes: nothing is lost, nothing grows
    Soak {
        /// How long
        #[arg(long, default_value_t = 2.0)]
        hours: f64,
        /// The same in minutes
        #[arg(long, conflicts_with = "hours")]
        minutes: Option<f64>,
        /// Directory with both programs
        #[arg(long, value_name = "DIR", default_value = "target/release")]
        programs: String,
    },
    /// List the targets, and what they lack on this machine
    Targets,
    /// What an agent writes to the card, idle and at work
    Wear {
        /// How long it idles
        #[arg(default_value_t = 10.0)]
        minutes: f64,
        /// Directory with both programs
        #[arg(long, value_name = "DIR", default_value = "target/release")]
        programs: String,
    },
}
