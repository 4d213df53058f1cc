//! `.backup.json`: when this copy of the registry was written into a backup last. No backup holds it, and git ignores it.

use super::{Registry, atomic, load, pretty};
use crate::error::Result;
use edgeseal_trust::time::UnixTime;
use serde::{Deserialize, Serialize};

/// The last backup.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BackedUp {
    /// When it was made.
    pub(crate) at: UnixTime,
    /// The root version that it knows.
    pub(crate) root_version: u64,
    /// The sequence that it knows; 0 before the first publish.
    pub(crate) sequence: u64,
}

impl Registry {
    /// The last backup that was made here, if any.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn backed_up(&self) -> Result<Option<BackedUp>> {
        let path = self.dir.join(FILE);
        let Some(octets) = load::read_if_there(&path, FILE_OCTETS)? else {
            return Ok(None);
        };
        let last = serde_json::from_slice(&octets);
        last.map(Some)
            .map_err(|why| load::corrupt(&path, Some(why.line()), &why.to_string()))
    }

    /// Notes that a backup was made.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn keep_backed_up(&self, last: &BackedUp) -> Result<()> {
        atomic::write(&self.dir, FILE, &pretty(last)?)
    }
}

const FILE: &str = ".backup.json";
const FILE_OCTETS: usize = 4 << 10;
