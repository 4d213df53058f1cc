//! Files of approvals: one signed document a line, without order.

use crate::error::{CommandError, Result};
use crate::input;
use crate::registry::{APPROVALS_OCTETS, replace_file};
use edgeseal_trust::document::Document;
use edgeseal_trust::enrollment::Approval;
use std::path::Path;

/// The approvals of a file, with the octets of each.
///
/// # Errors
/// It cannot be read, or a line is none.
pub(super) fn read(path: &Path) -> Result<Vec<(Vec<u8>, Approval)>> {
    let octets =
        input::read(path, APPROVALS_OCTETS).map_err(|why| CommandError::io("read", path, &why))?;
    let mut approvals = Vec::new();
    for (number, line) in (1_usize..).zip(octets.split(|octet| *octet == b'\n')) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        let document = Document::<Approval>::load(line).map_err(|why| {
            let reason = format!("{}:{number}: no approval: {why}", path.display());
            CommandError::no(why.code(), reason).hint(
                "name the file that edgeseal approval give --to wrote, or the last who signed it",
            )
        })?;
        approvals.push((line.to_vec(), document.content().clone()));
    }
    if approvals.is_empty() {
        let reason = format!("{} holds no approval", path.display());
        return Err(CommandError::no("approvals-none", reason)
            .hint("edgeseal approval give ID --keys DIR --to FILE writes them"));
    }
    Ok(approvals)
}

/// Writes the file; one that is there is replaced only where it is a file of approvals.
///
/// # Errors
/// Another file is there, or the system refuses.
pub(super) fn write<'a>(path: &Path, documents: impl Iterator<Item = &'a [u8]>) -> Result<()> {
    judge_target(path)?;
    let mut octets = Vec::new();
    for document in documents {
        octets.extend_from_slice(document);
        octets.push(b'\n');
    }
    if octets.len() > APPROVALS_OCTETS {
        let reason = format!("more than {APPROVALS_OCTETS} octets of approvals");
        return Err(CommandError::no("too-many", reason)
            .hint("give them in several files: edgeseal approval give ID --to FILE"));
    }
    replace_file(path, &octets)
}

/// Refuses to replace anything but a file of approvals.
///
/// # Errors
/// The file is something else.
pub(super) fn judge_target(path: &Path) -> Result<()> {
    if path.symlink_metadata().is_ok() && read(path).is_err() {
        let reason = format!("{} is there, and is no file of approvals", path.display());
        return Err(CommandError::no("file-exists", reason)
            .hint("choose another file with --to; nothing is overwritten"));
    }
    Ok(())
}
