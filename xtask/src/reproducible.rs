//! The same source gives the same program, wherever it lies.

use super::build::PROGRAMS;
use super::run::{TaskError, io, root, say, wait};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use std::path::Path;
use std::process::Command;

/// Builds the committed source from two directories of different depth and compares the programs.
pub(crate) fn compare() -> Result<(), TaskError> {
    let place = tempfile::tempdir().map_err(io("cannot make a directory"))?;
    let directories = [
        place.path().join("here"),
        place.path().join("elsewhere/and/deeper"),
    ];
    let mut sums = Vec::new();
    for directory in &directories {
        std::fs::create_dir_all(directory).map_err(io("cannot make a directory"))?;
        export(directory)?;
        build(directory)?;
        sums.push(digests(directory)?);
    }
    for (program, pair) in PROGRAMS.iter().zip(pairs(&sums)) {
        let (first, second) = pair;
        say(&format!("{first}  {program}"))?;
        if first != second {
            return Err(TaskError::Wrong(format!(
                "{program} differs: {second} in the second"
            )));
        }
    }
    say("both builds are the same, octet by octet")
}

fn pairs(sums: &[Vec<String>]) -> Vec<(String, String)> {
    let of = |index: usize| sums.get(index).cloned().unwrap_or_default();
    of(0).into_iter().zip(of(1)).collect()
}

fn export(directory: &Path) -> Result<(), TaskError> {
    let mut git = Command::new("sh");
    git.args(["-c", "git archive HEAD | tar -x -C \"$1\"", "sh"])
        .arg(directory);
    wait(git)
}

fn build(directory: &Path) -> Result<(), TaskError> {
    let home = std::env::var("CARGO_HOME")
        .or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cargo")))
        .unwrap_or_default();
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "--locked", "--manifest-path"]);
    cargo.arg(directory.join("Cargo.toml"));
    cargo.env("CARGO_TARGET_DIR", directory.join("target"));
    let here = directory.display();
    cargo.env(
        "RUSTFLAGS",
        format!("--remap-path-prefix={here}=/edgeseal --remap-path-prefix={home}=/cargo"),
    );
    cargo.env("SOURCE_DATE_EPOCH", "0");
    cargo.current_dir(root());
    wait(cargo)
}

fn digests(directory: &Path) -> Result<Vec<String>, TaskError> {
    let each = PROGRAMS.iter().map(|program| {
        let path = directory.join("target/release").join(program);
        let octets = std::fs::read(&path).map_err(io(&path.display().to_string()))?;
        Ok(HEXLOWER.encode(&Sha256::digest(octets)))
    });
    each.collect()
}
