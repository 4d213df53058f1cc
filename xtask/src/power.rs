//! Power cuts and wear: what the card goes through.

use crate::run::{TaskError, tool, wait};
use std::process::Command;

/// Cuts the power so many times, at random moments of everything that changes the disk.
pub(crate) fn cuts(count: u64, seed: Option<u64>) -> Result<(), TaskError> {
    // Testing one package builds no program of another.
    tool("cargo", &["build", "--locked"])?;
    let mut command = Command::new("cargo");
    command.args(["test", "-p", "edgeseal", "--locked", "--test", "power_cut"]);
    command.args(["random", "--", "--nocapture"]);
    command
        .env("EDGESEAL_CUTS", count.to_string())
        .env("CI", "1");
    match seed {
        Some(seed) => command.env("EDGESEAL_SEED", seed.to_string()),
        None => command.env_remove("EDGESEAL_SEED"),
    };
    wait(command)
}

/// Octets that an idle agent writes in so many minutes, and fsyncs of one that works.
pub(crate) fn wear(minutes: f64, programs: &str) -> Result<(), TaskError> {
    let minutes = minutes.to_string();
    let words = [
        "tests/soak/wear.py",
        "--minutes",
        &minutes,
        "--programs",
        programs,
    ];
    tool("python3", &words)
}

/// Traffic with a fault every few minutes.
pub(crate) fn soak(minutes: f64, programs: &str) -> Result<(), TaskError> {
    let minutes = minutes.to_string();
    let words = [
        "tests/soak/soak.py",
        "--minutes",
        &minutes,
        "--programs",
        programs,
    ];
    tool("python3", &words)
}
