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
        Job::Package { target } => package::both(target::find(&target)?),
        Job::Pages { check: true } => pages::check(),
        Job::Pages { check: false } => pages::write(),
        Job::Release { targets } => release::make(&target::all(&targets)?),
        Job::Reproducible => reproducible::compare(),
        Job::Sbom => sbom::write(),
        Job::Targets => target::list(),
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
    /// Make the packages for all targets, the bills of materials and SHA256SUMS, in target/packages
    Release {
        /// Some of `cargo xtask targets` instead of all
        targets: Vec<String>,
    },
    /// Build from two directories and compare the programs octet by octet
    Reproducible,
    /// Write the software bill of materials (CycloneDX) of both programs into target/packages
    Sbom,
    /// List the targets, and what they lack on this machine
    Targets,
}
