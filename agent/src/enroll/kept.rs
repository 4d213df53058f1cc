//! What enrollment and rotation keep in the state directory, so that they go on after a power cut:
//! `request.json` and `rotation.json`, each whole or not at all.

use crate::durable_file::{self, Disk};
use edgeseal_trust::document::Digest;
use edgeseal_trust::key::KeyId;
use edgeseal_trust::time::UnixTime;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// An enrollment request that waits for approval: the same octets every time it is published.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeptRequest {
    format: u32,
    /// The key that it asks for.
    pub(crate) kid: KeyId,
    /// The document.
    pub(crate) request: String,
    /// It was given to a broker, or is about to be.
    pub(crate) sent: bool,
    /// The join files that it was made of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) join_files: Vec<KeptJoinFile>,
}

/// A join file to be shredded once this device is enrolled.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeptJoinFile {
    /// Where it lay.
    pub(crate) path: PathBuf,
    /// SHA-256 of its octets: no other file is touched.
    pub(crate) sha256: Digest,
}

/// A rotation that is open, or of which something is left to be removed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeptRotation {
    format: u32,
    /// The new key.
    pub(crate) new: KeyId,
    /// The document.
    pub(crate) request: String,
    /// It was given to a broker, or is about to be.
    pub(crate) sent: bool,
    /// When the new key was first seen in a manifest, by a synchronized clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) seen_at: Option<UnixTime>,
    /// The new key is to be used as soon as it is in the manifest.
    #[serde(default)]
    pub(crate) at_once: bool,
}

/// One of the two files.
pub(crate) trait Kept: DeserializeOwned + Serialize {
    /// Its name in the state directory.
    const NAME: &'static str;

    /// Whether this program knows its format.
    fn is_known(&self) -> bool;

    /// Reads it. A damaged one counts as absent: all it holds can be made again.
    ///
    /// # Errors
    /// The disk does not answer.
    fn read(dir: &Path) -> io::Result<Option<Self>> {
        let Some(octets) = durable_file::read(&dir.join(Self::NAME), OCTETS)? else {
            return Ok(None);
        };
        let kept = serde_json::from_slice::<Self>(&octets).ok();
        Ok(kept.filter(Self::is_known))
    }

    /// Writes it, durably.
    ///
    /// # Errors
    /// The disk does not take it: the old one is still there.
    fn write(&self, disk: &dyn Disk, dir: &Path) -> io::Result<()> {
        let text = serde_json::to_vec(self)?;
        durable_file::replace(disk, dir, Self::NAME, &text)
    }

    /// Removes it, durably.
    ///
    /// # Errors
    /// The disk does not do it.
    fn remove(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
        match durable_file::remove(disk, &dir.join(Self::NAME))? {
            true => durable_file::sync(disk, dir),
            false => Ok(()),
        }
    }
}

impl Kept for KeptRequest {
    const NAME: &'static str = "request.json";

    fn is_known(&self) -> bool {
        self.format == FORMAT
    }
}

impl Kept for KeptRotation {
    const NAME: &'static str = "rotation.json";

    fn is_known(&self) -> bool {
        self.format == FORMAT
    }
}

impl KeptRequest {
    pub(crate) const fn new(kid: KeyId, request: String) -> Self {
        Self {
            format: FORMAT,
            kid,
            request,
            sent: false,
            join_files: Vec::new(),
        }
    }

    /// What it was made of: the newest few.
    pub(crate) fn add_join_file(&mut self, file: KeptJoinFile) {
        self.join_files.retain(|known| known.path != file.path);
        self.join_files.push(file);
        let surplus = self.join_files.len().saturating_sub(JOIN_FILES);
        self.join_files.drain(..surplus);
    }
}

impl KeptRotation {
    pub(crate) const fn new(new: KeyId, request: String) -> Self {
        Self {
            format: FORMAT,
            new,
            request,
            sent: false,
            seen_at: None,
            at_once: false,
        }
    }
}

const FORMAT: u32 = 1;
const OCTETS: u64 = 64 << 10;
const JOIN_FILES: usize = 4;
