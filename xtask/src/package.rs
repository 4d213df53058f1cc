//! Debian packages, by cargo-deb.

use super::build::{self, PROGRAMS, size};
use super::pages;
use super::run::{TaskError, io, on_path, say, wait};
use super::target::Target;
use std::path::PathBuf;
use std::process::Command;

/// Makes the packages of both programs, and says where they are.
pub(crate) fn both(target: &Target) -> Result<Vec<PathBuf>, TaskError> {
    if on_path("cargo-deb").is_none() {
        let how = "cargo-deb (cargo install --locked cargo-deb)";
        return Err(TaskError::Lacks(how.to_owned()));
    }
    pages::write()?;
    build::release(target)?;
    let directory = build::target_directory().join("packages");
    std::fs::create_dir_all(&directory).map_err(io(&directory.display().to_string()))?;
    let mut made = Vec::new();
    for program in PROGRAMS {
        let name = format!(
            "{program}_{}_{}.deb",
            env!("CARGO_PKG_VERSION"),
            target.label
        );
        let path = directory.join(name);
        let mut command = Command::new("cargo-deb");
        command.args(["--no-build", "--no-strip", "--locked", "--package", program]);
        command
            .args(["--target", target.triple, "--output"])
            .arg(&path);
        if target.is_static() {
            command.args(["--variant", "static"]);
        }
        wait(command)?;
        say(&format!("{} octets  {}", size(&path)?, path.display()))?;
        made.push(path);
    }
    Ok(made)
}
