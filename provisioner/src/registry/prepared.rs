//! A manifest that waits for signatures, and the shards that only it names.

use super::atomic::{self, Batch};
use super::{Registry, load};
use crate::error::{CommandError, Result};
use edgeseal_trust::document::{Digest, Document, Manifest};
use edgeseal_trust::limits;
use std::io;
use std::path::PathBuf;

impl Registry {
    /// Keeps a manifest that waits for signatures in the place of the one before it, and gives its path. Its shards come first.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn keep_prepared<'a>(
        &self,
        manifest: &[u8],
        new_shards: impl IntoIterator<Item = (Digest, &'a [u8])>,
    ) -> Result<PathBuf> {
        self.drop_prepared()?;
        let shards = self.prepared_dir().join("shard");
        let mut batch = Batch::new(&shards)?;
        for (digest, octets) in new_shards {
            batch.add(&format!("{digest}.json"), octets)?;
        }
        batch.commit()?;
        atomic::write(&self.prepared_dir(), FILE, manifest)?;
        Ok(self.prepared_dir().join(FILE))
    }

    /// The manifest that waits for signatures, and its path.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn prepared(&self) -> Result<Option<(PathBuf, Document<Manifest>)>> {
        let path = self.prepared_dir().join(FILE);
        let Some(octets) = load::read_if_there(&path, limits::MANIFEST_OCTETS)? else {
            return Ok(None);
        };
        let manifest = Document::<Manifest>::load(&octets);
        let manifest = manifest.map_err(|why| load::corrupt(&path, None, &why.to_string()))?;
        Ok(Some((path, manifest)))
    }

    /// A shard of the prepared manifest that the last publish does not have.
    ///
    /// # Errors
    /// It is missing, or is not what its name says.
    pub(crate) fn prepared_shard(&self, digest: Digest) -> Result<Vec<u8>> {
        let path = self
            .prepared_dir()
            .join("shard")
            .join(format!("{digest}.json"));
        let octets = load::read(&path, limits::SHARD_OCTETS)?;
        if Digest::of(&octets) == digest {
            return Ok(octets);
        }
        Err(load::corrupt(&path, None, "its SHA-256 is not its name"))
    }

    /// Forgets the prepared manifest: it is published, or another takes its place.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn drop_prepared(&self) -> Result<()> {
        let dir = self.prepared_dir();
        // The manifest first: without it nobody looks at the shards.
        let removed = match std::fs::remove_file(dir.join(FILE)) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => Err(why),
            _ => std::fs::remove_dir_all(&dir),
        };
        match removed {
            Err(why) if why.kind() != io::ErrorKind::NotFound => {
                Err(CommandError::io("remove", &dir, &why))
            }
            _ => Ok(()),
        }
    }

    fn prepared_dir(&self) -> PathBuf {
        self.dir.join("prepared")
    }
}

const FILE: &str = "manifest.json";
