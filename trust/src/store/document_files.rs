//! The signed documents as files: what trust rests on. Every file is whole or absent; the order in
//! which they are written is the store's.

use super::index::Rows;
use super::{StoreError, atomic_file};
use crate::document::{Digest, Document, DocumentRejection, Manifest, Root, Shard, Signed};
use crate::limits;
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The directory `trust` in a state directory.
#[derive(Debug)]
pub(super) struct DocumentFiles {
    dir: PathBuf,
}

/// The shards of a manifest and of the one before it, read one at a time.
#[derive(Debug, Default)]
pub(super) struct ShardFiles {
    dir: PathBuf,
    digests: Vec<Digest>,
    before: Vec<Digest>,
}

impl DocumentFiles {
    pub(super) fn new(state_dir: &Path) -> Self {
        Self {
            dir: state_dir.join("trust"),
        }
    }

    /// Whether any document is or was here.
    pub(super) fn any(&self) -> Result<bool, StoreError> {
        let roots = atomic_file::names(&self.roots_dir())?;
        Ok(!roots.is_empty() || self.manifest_path().exists())
    }

    /// The root documents, oldest first, and complaints about those that are damaged. A damaged root is
    /// passed over: what it vouched for is then refused until it is applied again.
    pub(super) fn roots(&self) -> Result<(Vec<Document<Root>>, Vec<String>), StoreError> {
        let mut roots = BTreeMap::new();
        let mut complaints = Vec::new();
        for name in atomic_file::names(&self.roots_dir())? {
            let number = name.strip_suffix(".json").and_then(|n| n.parse().ok());
            let Some(version) = number else { continue };
            match load_root(&self.root_path(version), version) {
                Ok(root) => drop(roots.insert(version, root)),
                Err(error @ StoreError::Document { .. }) => complaints.push(error.to_string()),
                Err(error) => return Err(error),
            }
        }
        Ok((roots.into_values().collect(), complaints))
    }

    /// The manifest on disk.
    pub(super) fn manifest(&self) -> Result<Option<Document<Manifest>>, StoreError> {
        load(&self.manifest_path(), limits::MANIFEST_OCTETS)
    }

    /// Writes the first root, durably, unless there is one that can be read.
    pub(super) fn pin(&self, octets: &[u8]) -> Result<(), StoreError> {
        let document = Document::<Root>::load(octets);
        let document = document.map_err(|why| rejected(&self.roots_dir(), &why))?;
        let path = self.root_path(document.content().version);
        let pinned = || StoreError::RootPinned { path: path.clone() };
        if !self.roots()?.0.is_empty() {
            return Err(pinned());
        }
        self.make_dirs()?;
        if atomic_file::create_new(&path, document.octets())? {
            return Ok(());
        }
        // Made meanwhile, or damaged.
        match load_root(&path, document.content().version) {
            Err(StoreError::Document { .. }) => atomic_file::write(&path, document.octets()),
            Err(error) => Err(error),
            Ok(_) => Err(pinned()),
        }
    }

    /// Writes roots, durably.
    pub(super) fn write_roots(&self, roots: &[Document<Root>]) -> Result<(), StoreError> {
        if roots.is_empty() {
            return Ok(());
        }
        self.make_dirs()?;
        for root in roots {
            atomic_file::write(&self.root_path(root.content().version), root.octets())?;
        }
        Ok(())
    }

    /// Takes roots back that were written for an update that failed.
    pub(super) fn remove_roots(&self, roots: &[Document<Root>]) {
        for root in roots {
            let _ = fs::remove_file(self.root_path(root.content().version));
        }
    }

    /// Writes a shard; its name is durable after [`DocumentFiles::sync_shards`] only. One that is there
    /// already is left alone.
    pub(super) fn place_shard(&self, digest: &Digest, octets: &[u8]) -> Result<(), StoreError> {
        if read_shard(&self.shards_dir(), digest).is_ok() {
            return Ok(());
        }
        self.make_dirs()?;
        atomic_file::place(&shard_path(&self.shards_dir(), digest), octets)
    }

    /// Makes new shards of `manifest` durable; all that it names must be there. Together, after all of
    /// them were written: then most of them cost the disk nothing any more.
    pub(super) fn sync_shards<'a>(
        &self,
        manifest: &Manifest,
        new: impl Iterator<Item = &'a Digest>,
    ) -> Result<(), StoreError> {
        self.expect_shards(manifest)?;
        let dir = self.shards_dir();
        atomic_file::make_durable(&dir, new.map(|digest| shard_path(&dir, digest)))
    }

    /// Writes a manifest, durably, beside the one in force.
    pub(super) fn prepare_manifest(&self, octets: &[u8]) -> Result<(), StoreError> {
        atomic_file::prepare(&self.manifest_path(), octets)
    }

    /// Puts the prepared manifest in the place of the old one, durably.
    pub(super) fn replace_manifest(&self) -> Result<(), StoreError> {
        atomic_file::replace(&self.manifest_path())
    }

    /// One shard.
    pub(super) fn shard(&self, digest: &Digest) -> Result<Shard, StoreError> {
        reload_shard(&self.shards_dir(), digest)
    }

    /// The octets of one shard.
    pub(super) fn shard_octets(&self, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        read_shard(&self.shards_dir(), digest)
    }

    /// The shards of `manifest`, with those of the manifest before it.
    pub(super) fn shards(&self, manifest: Option<&Manifest>, before: &[Digest]) -> ShardFiles {
        ShardFiles {
            dir: self.shards_dir(),
            digests: manifest.map_or_else(Vec::new, |manifest| manifest.shards.clone()),
            before: before.to_vec(),
        }
    }

    /// Fails if a shard of `manifest` is not there. Reads none of them.
    pub(super) fn expect_shards(&self, manifest: &Manifest) -> Result<(), StoreError> {
        let names: HashSet<String> = atomic_file::names(&self.shards_dir())?
            .into_iter()
            .collect();
        let missing = |digest: &&Digest| !names.contains(&format!("{digest}.json"));
        match manifest.shards.iter().find(missing) {
            Some(digest) => Err(damaged(&shard_path(&self.shards_dir(), digest), "missing")),
            None => Ok(()),
        }
    }

    /// Removes what an interrupted update left: temporary files, and shards that `manifest` does not
    /// name. What cannot be removed stays; it does no harm.
    pub(super) fn remove_strays(&self, manifest: Option<&Manifest>) -> Result<usize, StoreError> {
        let named = manifest.map_or(&[][..], |manifest| &manifest.shards);
        let named: HashSet<String> = named.iter().map(|d| format!("{d}.json")).collect();
        let mut removed: usize = 0;
        for dir in [self.dir.clone(), self.roots_dir(), self.shards_dir()] {
            for name in atomic_file::names(&dir)? {
                let unnamed = dir == self.shards_dir() && !named.contains(&name);
                if (unnamed || atomic_file::is_temporary(&name))
                    && fs::remove_file(dir.join(name)).is_ok()
                {
                    removed = removed.saturating_add(1);
                }
            }
        }
        Ok(removed)
    }

    fn make_dirs(&self) -> Result<(), StoreError> {
        atomic_file::make_dir(&self.dir)?;
        atomic_file::make_dir(&self.roots_dir())?;
        atomic_file::make_dir(&self.shards_dir())
    }

    fn roots_dir(&self) -> PathBuf {
        self.dir.join("root")
    }

    fn shards_dir(&self) -> PathBuf {
        self.dir.join("shard")
    }

    fn root_path(&self, version: u64) -> PathBuf {
        self.roots_dir().join(format!("{version}.json"))
    }

    fn manifest_path(&self) -> PathBuf {
        self.dir.join("manifest.json")
    }
}

impl ShardFiles {
    /// Number of shards.
    pub(super) fn count(&self) -> usize {
        self.digests.len()
    }

    /// The rows of one shard.
    pub(super) fn rows(&self, shard: usize) -> Result<Rows, StoreError> {
        self.rows_of(self.digests.get(shard))
    }

    /// The rows of the same shard under the manifest before.
    pub(super) fn rows_before(&self, shard: usize) -> Result<Rows, StoreError> {
        self.rows_of(self.before.get(shard))
    }

    /// The shards that differ from the manifest before, if their number is the same.
    pub(super) fn changed(&self) -> Option<Vec<usize>> {
        let pairs = self.digests.iter().zip(&self.before).enumerate();
        let changed = pairs.filter(|(_, (now, before))| now != before);
        (self.digests.len() == self.before.len()).then(|| changed.map(|(n, _)| n).collect())
    }

    fn rows_of(&self, digest: Option<&Digest>) -> Result<Rows, StoreError> {
        let mut rows = Rows::default();
        if let Some(digest) = digest {
            for entry in reload_shard(&self.dir, digest)?.devices() {
                entry.peer_keys().iter().for_each(|key| rows.add(key));
            }
        }
        Ok(rows)
    }
}

fn reload_shard(dir: &Path, digest: &Digest) -> Result<Shard, StoreError> {
    let octets = read_shard(dir, digest)?;
    Shard::reload(&octets).map_err(|why| rejected(&shard_path(dir, digest), &why))
}

fn load<T: Signed>(path: &Path, limit: usize) -> Result<Option<Document<T>>, StoreError> {
    let octets = atomic_file::read(path, limit)?;
    let document = octets.map(|octets| Document::load(&octets));
    document.transpose().map_err(|why| rejected(path, &why))
}

/// Reads a root. Its own keys must have signed it: with a bit flipped on the disk it would be another
/// root, under which nothing verifies and which no bundle repairs.
fn load_root(path: &Path, version: u64) -> Result<Document<Root>, StoreError> {
    let root = load::<Root>(path, limits::ROOT_OCTETS)?;
    let root = root.ok_or_else(|| damaged(path, "missing"))?;
    if root.content().version != version {
        return Err(damaged(path, "it is another version"));
    }
    let signed = root.verify(&root.content().root);
    signed.map_err(|why| rejected(path, &why)).map(|()| root)
}

/// Reads a shard and compares it with its name.
fn read_shard(dir: &Path, digest: &Digest) -> Result<Vec<u8>, StoreError> {
    let path = shard_path(dir, digest);
    match atomic_file::read(&path, limits::SHARD_OCTETS)? {
        Some(octets) if Digest::of(&octets) == *digest => Ok(octets),
        Some(_) => Err(damaged(&path, "its SHA-256 is not its name")),
        None => Err(damaged(&path, "missing")),
    }
}

fn shard_path(dir: &Path, digest: &Digest) -> PathBuf {
    dir.join(format!("{digest}.json"))
}

fn damaged(path: &Path, what: &str) -> StoreError {
    StoreError::Document {
        path: path.to_owned(),
        what: what.to_owned(),
    }
}

/// A document of a later format is not damaged: it must not be overwritten.
fn rejected(path: &Path, why: &DocumentRejection) -> StoreError {
    match why {
        DocumentRejection::Format { found: Some(found) } => StoreError::UnknownFormat {
            path: path.to_owned(),
            found: *found,
            known: 1,
        },
        _ => damaged(path, &why.to_string()),
    }
}
