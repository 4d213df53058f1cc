//! What a release consists of: packages, bills of materials, checksums.

use super::build::target_directory;
use super::run::{TaskError, io, say};
use super::target::Target;
use super::{package, sbom};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// Packages for the targets, the bills of materials, and `SHA256SUMS` over every file of this version.
pub(crate) fn make(targets: &[&Target]) -> Result<(), TaskError> {
    for target in targets {
        package::both(target)?;
    }
    sbom::write()?;
    let directory = target_directory().join("packages");
    let said = || io(&directory.display().to_string());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&directory).map_err(said())? {
        let name = entry
            .map_err(said())?
            .file_name()
            .to_string_lossy()
            .into_owned();
        if name.contains(env!("CARGO_PKG_VERSION")) {
            names.push(name);
        }
    }
    names.sort_unstable();
    let mut sums = String::new();
    for name in &names {
        let octets = std::fs::read(directory.join(name)).map_err(io(name))?;
        let sum = HEXLOWER.encode(&Sha256::digest(octets));
        writeln!(sums, "{sum}  {name}").ok();
    }
    std::fs::write(directory.join("SHA256SUMS"), &sums).map_err(said())?;
    say(sums.trim_end())
}
