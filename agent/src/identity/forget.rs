//! A card that is to be copied keeps nothing that belongs to one device.

use super::IdentityError;
use super::files::failed;
use crate::state_dir::StateDir;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Removes everything from the state directory: key, counters, trust data, what an enrollment left.
/// Files that may hold a secret are overwritten first; flash may keep a copy all the same. The copies
/// make keys of their own at their first start.
///
/// # Errors
/// [`IdentityError::Io`]. The secrets are gone first: done again, it finishes.
pub fn forget(dir: &StateDir) -> Result<Vec<PathBuf>, IdentityError> {
    let (files, directories) = content(dir.path())?;
    for path in &files {
        if let Err(error) = overwrite(path) {
            // A read-only medium or a link: what matters is that the name goes.
            tracing::debug!(path = %path.display(), %error, "not overwritten");
        }
        fs::remove_file(path).map_err(failed("remove", path))?;
    }
    for path in &directories {
        fs::remove_dir_all(path).map_err(failed("remove", path))?;
    }
    let synced = File::open(dir.path()).and_then(|directory| directory.sync_all());
    synced.map_err(failed("write", dir.path()))?;
    Ok(files.into_iter().chain(directories).collect())
}

/// Files, those with the key first, and directories, links counted as files.
fn content(dir: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>), IdentityError> {
    let (mut files, mut directories) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(dir).map_err(failed("read", dir))? {
        let entry = entry.map_err(failed("read", dir))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(failed("look at", &path))?;
        if kind.is_dir() {
            directories.push(path);
        } else if entry.file_name() != LOCK {
            files.push(path);
        }
    }
    files.sort_by_key(|path| {
        (
            path.extension().is_none_or(|end| end != "pem"),
            path.clone(),
        )
    });
    Ok((files, directories))
}

fn overwrite(path: &Path) -> io::Result<()> {
    if !fs::symlink_metadata(path)?.is_file() {
        return Ok(());
    }
    let mut file = OpenOptions::new().write(true).open(path)?;
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    file.write_all(&vec![0; length.min(OVERWRITTEN_OCTETS)])?;
    file.sync_all()
}

const LOCK: &str = "lock";
/// More than any file with a secret has.
const OVERWRITTEN_OCTETS: usize = 1 << 20;
