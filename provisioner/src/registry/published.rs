//! What was signed: roots, the manifest and shards of the last publish, and the shards of kept ones.

use super::atomic::{self, Batch};
use super::{Registry, load, pretty};
use crate::error::{CommandError, Result};
use edgeseal_trust::document::{Digest, Document, Manifest, Root};
use edgeseal_trust::limits;
use std::collections::HashSet;
use std::path::PathBuf;

impl Registry {
    /// The roots, oldest first, as they were signed.
    ///
    /// # Errors
    /// One is missing or cannot be read.
    pub(crate) fn roots(&self) -> Result<Vec<Document<Root>>> {
        let mut roots = Vec::new();
        for version in 1_u64.. {
            let path = self.dir.join("root").join(format!("{version}.json"));
            if !path.exists() {
                break;
            }
            let octets = load::read(&path, limits::ROOT_OCTETS)?;
            let root = Document::<Root>::load(&octets)
                .and_then(|root| root.verify(&root.content().root).map(|()| root))
                .map_err(|why| load::corrupt(&path, None, &why.to_string()))?;
            if root.content().version != version || root.content().domain != self.domain.domain {
                let what = "the root of another domain or version";
                return Err(load::corrupt(&path, None, what));
            }
            roots.push(root);
        }
        Ok(roots)
    }

    /// The newest root.
    ///
    /// # Errors
    /// As [`Registry::roots`], or there is none.
    pub(crate) fn root(&self) -> Result<Document<Root>> {
        let newest = self.roots()?.pop();
        newest.ok_or_else(|| load::corrupt(&self.dir.join("root").join("1.json"), None, "missing"))
    }

    /// Keeps a root that follows the newest: its judge has let it in. A manifest that waits for
    /// signatures was made under the root before and is dropped.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn keep_root(&mut self, root: &Document<Root>) -> Result<()> {
        let name = format!("{}.json", root.content().version);
        atomic::write(&self.dir.join("root"), &name, root.octets())?;
        self.drop_prepared()?;
        if self.domain.next_sequence >= RESTART_SEQUENCE {
            self.domain.next_sequence = 1;
            atomic::write(&self.dir, "domain.json", &pretty(&self.domain)?)?;
        }
        Ok(())
    }

    /// The manifest of the last publish.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn manifest(&self) -> Result<Option<Document<Manifest>>> {
        let path = self.published_dir().join("manifest.json");
        let Some(octets) = load::read_if_there(&path, limits::MANIFEST_OCTETS)? else {
            return Ok(None);
        };
        let manifest = Document::<Manifest>::load(&octets);
        let manifest = manifest.map_err(|why| load::corrupt(&path, None, &why.to_string()))?;
        Ok(Some(manifest))
    }

    /// A shard of the last publish.
    ///
    /// # Errors
    /// It is missing, or is not what the manifest says.
    pub(crate) fn shard(&self, digest: Digest) -> Result<Vec<u8>> {
        let path = self.shard_dir().join(format!("{digest}.json"));
        let octets = load::read(&path, limits::SHARD_OCTETS)?;
        if Digest::of(&octets) == digest {
            return Ok(octets);
        }
        Err(load::corrupt(&path, None, "its SHA-256 is not its name"))
    }

    /// Whether the last publish has this shard, whole: a thousand of them are read in a moment, and a damaged one is found
    /// before anything is signed.
    pub(crate) fn has_shard(&self, digest: Digest) -> bool {
        self.shard(digest).is_ok()
    }

    /// The lowest sequence that may be signed under `root_version`. A root lets sequences start
    /// anywhere, so one that was driven up under the root before does not count.
    pub(crate) fn next_sequence(&self, last: Option<&Manifest>, root_version: u64) -> u64 {
        let last = last
            .filter(|last| last.root_version >= root_version || last.sequence < RESTART_SEQUENCE);
        let after = last.map_or(1, |manifest| manifest.sequence.saturating_add(1));
        self.domain.next_sequence.max(after)
    }

    /// Makes sure that no later publish signs `sequence`, whatever happens to this one.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn reserve(&mut self, sequence: u64) -> Result<()> {
        self.domain.next_sequence = sequence.saturating_add(1);
        atomic::write(&self.dir, "domain.json", &pretty(&self.domain)?)
    }

    /// Keeps what was signed: the new shards, then the manifest that names them, then its line of the
    /// journal.
    ///
    /// # Errors
    /// The system refuses. The last publish is then as before.
    pub(crate) fn keep_published<'a>(
        &self,
        manifest: &[u8],
        new_shards: impl IntoIterator<Item = (Digest, &'a [u8])>,
    ) -> Result<()> {
        let shards = self.shard_dir();
        let mut batch = Batch::new(&shards)?;
        for (digest, octets) in new_shards {
            batch.add(&format!("{digest}.json"), octets)?;
        }
        batch.commit()?;
        let path = self.published_dir().join("manifest.json");
        let next = Document::<Manifest>::load(manifest)
            .map_err(|why| load::corrupt(&path, None, &why.to_string()))?;
        if let Ok(Some(last)) = self.manifest() {
            self.remember(&last)?;
        }
        self.remember(&next)?;
        atomic::write(&self.published_dir(), "manifest.json", manifest)?;
        self.write_journal()
    }

    /// Removes manifests that are older than those to keep, and the shards that neither `manifest` nor
    /// a kept one names.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn prune(&self, manifest: &Manifest) -> Result<()> {
        let dir = self.shard_dir();
        let mut named = self.trim_history()?;
        named.extend(manifest.shards.iter().copied());
        let named: HashSet<String> = named
            .into_iter()
            .map(|digest| format!("{digest}.json"))
            .collect();
        let entries =
            std::fs::read_dir(&dir).map_err(|why| CommandError::io("read", &dir, &why))?;
        for entry in entries {
            let path = entry
                .map_err(|why| CommandError::io("read", &dir, &why))?
                .path();
            let name = path.file_name().and_then(|name| name.to_str());
            let is_ours = |name: &str| name.ends_with(".json") || name.ends_with(".tmp");
            if name.is_some_and(|name| is_ours(name) && !named.contains(name)) {
                std::fs::remove_file(&path)
                    .map_err(|why| CommandError::io("remove", &path, &why))?;
            }
        }
        Ok(())
    }

    pub(super) fn published_dir(&self) -> PathBuf {
        self.dir.join("published")
    }

    fn shard_dir(&self) -> PathBuf {
        self.published_dir().join("shard")
    }
}

/// Under a new root a sequence from here on begins anew: whoever drove it up left no room above.
const RESTART_SEQUENCE: u64 = 1 << 62;
