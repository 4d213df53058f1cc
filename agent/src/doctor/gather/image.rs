//! A card that is to be copied.

use super::super::{ImageFacts, Seen};
use super::{files, system};
use crate::config::Config;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// Looks at this card. The agent is not asked: with socket activation that would start it.
#[must_use]
pub fn gather_image(config: &Config) -> ImageFacts {
    let state_dir = &config.agent.state_directory;
    ImageFacts {
        own: own(state_dir),
        machine_id: machine_id(Path::new("/")),
        join_files: files::join_files(Path::new("/")),
        agent_runs: is_locked(state_dir),
        enabled: system::is_enabled(),
    }
}

/// Whether a process uses the state directory.
fn is_locked(state_dir: &Path) -> bool {
    let lock = File::open(state_dir.join("lock"));
    lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Everything in the state directory belongs to one device, but for its lock.
fn own(state_dir: &Path) -> Seen<Vec<PathBuf>> {
    let entries = match fs::read_dir(state_dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| error.to_string())?,
    };
    let mut found: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    found.retain(|path| !path.ends_with("lock"));
    found.sort();
    Ok(found)
}

fn machine_id(root: &Path) -> Seen<Option<String>> {
    match fs::read_to_string(root.join("etc/machine-id")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some).map_err(|error| error.to_string()),
    }
}
