//! What a release consists of: packages, bills of materials, checksums.

use super::build::target_directory;
use super::run::{TaskError, io, say};
use super::target::Target;
use super::{package, sbom};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// Packages for the targets, the bills of materials, and `SHA256SUMS` over what was made.
pub(crate) fn make(targets: &[&Target]) -> Result<(), TaskError> {
    let mut files = sbom::write()?;
    for target in targets {
        files.extend(package::both(target)?);
    }
    let mut sums = String::new();
    for path in &files {
        let octets = std::fs::read(path).map_err(io(&path.display().to_string()))?;
        let sum = HEXLOWER.encode(&Sha256::digest(octets));
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        writeln!(sums, "{sum}  {name}").ok();
    }
    let path = target_directory().join("packages/SHA256SUMS");
    std::fs::write(&path, &sums).map_err(io(&path.display().to_string()))?;
    say(sums.trim_end())
}
