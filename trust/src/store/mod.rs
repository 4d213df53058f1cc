//! The durable side of trust: signed documents, the mark, the boot epoch, and the index of keys.
//!
//! The signed documents are files and are the truth; the index (sled) holds only what can be rebuilt
//! from them. The mark, the boot epoch and the noted time lie in a checksummed file of two
//! generations. An idle store writes nothing.
//!
//! Every call may block on the disk: an asynchronous program makes them on a blocking thread. Only
//! [`Store::trust`] and a [`Store::key`] that was asked for lately do not touch it. One process at a
//! time uses a state directory: the caller holds its lock.
#![allow(
    clippy::disallowed_methods,
    reason = "the one module of this library that keeps files"
)]

mod atomic_file;
mod cached;
mod commit;
mod document_files;
mod error;
#[cfg(fuzzing)]
pub mod fuzzing;
mod index;
mod key_cache;
mod look;
mod record;
mod report;
mod state_file;

pub use error::StoreError;
pub use look::Look;
pub use report::{Applied, IndexReport, OpenReport, Outcome, Peer, PeerPage, Recovery};

use crate::document::{Digest, Document, Manifest, Root, shard_of};
use crate::id::DeviceId;
use crate::key::KeyId;
use crate::registry::{PeerKey, TrustView};
use crate::time::UnixTime;
use crate::update::{self, Current, Held, InForce, Mark};
use document_files::DocumentFiles;
use index::Index;
use key_cache::KeyCache;
use state_file::{State, StateFile};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// The store of one state directory. Shared by reference between threads; one write at a time.
pub struct Store {
    dir: PathBuf,
    files: DocumentFiles,
    index: Index,
    cache: Mutex<KeyCache>,
    trust: RwLock<Option<Arc<TrustView>>>,
    held: Mutex<HeldState>,
    /// Held for the whole of an update, so that two do not take each other's shards away.
    updating: Mutex<()>,
}

/// What [`update::evaluate`] needs to know, as it is now.
#[derive(Clone, Debug, Default)]
pub struct HeldDocuments {
    roots: Arc<[Document<Root>]>,
    manifest: Option<Arc<Document<Manifest>>>,
    mark: Option<Mark>,
}

struct HeldState {
    file: StateFile,
    roots: Arc<[Document<Root>]>,
    /// The manifest on disk.
    manifest: Option<Arc<Document<Manifest>>>,
    /// Whether all its shards are there and indexed.
    complete: bool,
}

impl Store {
    /// Opens the store in the state directory `dir`, which must exist, and repairs what a power cut
    /// or a kill left. Shards are read only if the index must be rebuilt.
    ///
    /// # Errors
    /// [`StoreError`] when the directory cannot be read, is in use, or was written by a newer version.
    /// Damage is no error: see [`OpenReport`].
    pub fn open(dir: &Path) -> Result<(Self, OpenReport), StoreError> {
        let files = DocumentFiles::new(dir);
        let (roots, mut damaged) = files.roots()?;
        let manifest = files
            .manifest()
            .or_else(|why| passed_over(why, &mut damaged))?;
        let stored = manifest.as_ref().map(Mark::of);
        let (file, recovery) = StateFile::open(dir, is_used(dir, &files)?, stored)?;
        let content = manifest.as_ref().map(Document::content);
        let strays_removed = files.remove_strays(content)?;

        let mut complete = manifest.is_some();
        if let Some(Err(why)) = content.map(|content| files.expect_shards(content)) {
            passed_over::<()>(why, &mut damaged)?;
            complete = false;
        }
        let (index, index_report) = match open_index(dir, &files, manifest.as_ref()) {
            Err(why) if matches!(why, StoreError::Document { .. }) => {
                passed_over::<()>(why, &mut damaged)?;
                complete = false;
                open_index(dir, &files, None)?
            }
            opened => opened?,
        };
        let held = HeldState {
            file,
            roots: roots.into(),
            manifest: manifest.map(Arc::new),
            complete,
        };
        let judged = held.judge();
        let report = OpenReport {
            recovery,
            index: index_report,
            no_manifest: judged.as_ref().err().cloned().flatten(),
            damaged,
            strays_removed,
        };
        let store = Self {
            dir: dir.to_owned(),
            files,
            index,
            cache: Mutex::new(KeyCache::new(CACHED_KEYS)),
            trust: RwLock::new(judged.ok().map(Arc::new)),
            held: Mutex::new(held),
            updating: Mutex::new(()),
        };
        Ok((store, report))
    }

    /// Writes the first state into a directory that holds none. To be called before the first
    /// identity key is written: a key without state counts as a loss of state. ([`Store::open`] does it,
    /// too.)
    ///
    /// # Errors
    /// [`StoreError`] when the directory cannot be read or written.
    pub fn prepare(dir: &Path) -> Result<(), StoreError> {
        let used = is_used(dir, &DocumentFiles::new(dir))?;
        StateFile::open(dir, used, None).map(|_| ())
    }

    /// Pins the first root, whose words a person has compared: never replaces one. Needs no open store,
    /// so that it can be done beside a running agent, which then finds it.
    ///
    /// # Errors
    /// [`StoreError::RootPinned`] when there is one already; [`StoreError::Document`] when the octets are
    /// no root document.
    pub fn pin_first_root(dir: &Path, document: &[u8]) -> Result<(), StoreError> {
        Self::prepare(dir)?;
        DocumentFiles::new(dir).pin(document)
    }

    /// The root documents in the state directory `dir`, oldest first, as far as they can be read. Needs no
    /// open store.
    ///
    /// # Errors
    /// [`StoreError`] when the directory cannot be read.
    pub fn roots_in(dir: &Path) -> Result<Vec<Document<Root>>, StoreError> {
        Ok(DocumentFiles::new(dir).roots()?.0)
    }

    /// The trust data in force; nothing before the first manifest is applied, and when the newest root
    /// no longer vouches for the manifest.
    pub fn trust(&self) -> Option<Arc<TrustView>> {
        let trust = self.trust.read().unwrap_or_else(PoisonError::into_inner);
        trust.clone()
    }

    /// The key named `kid`, with its device, if the manifest knows it.
    ///
    /// # Errors
    /// [`StoreError::Index`] when the index is damaged.
    pub fn key(&self, kid: KeyId) -> Result<Option<Arc<PeerKey>>, StoreError> {
        let generation = match lock(&self.cache).lookup(kid) {
            Ok(key) => return Ok(Some(key)),
            Err(generation) => generation,
        };
        let Some(key) = self.index.key(kid)?.map(Arc::new) else {
            return Ok(None);
        };
        lock(&self.cache).insert(generation, Arc::clone(&key));
        Ok(Some(key))
    }

    /// Up to `limit` devices, at least 1 and at most 1,024, that follow `after` in the order of shards and
    /// of ids in each. Read from the documents.
    ///
    /// # Errors
    /// [`StoreError`] when a shard cannot be read.
    pub fn peers(&self, after: Option<&DeviceId>, limit: usize) -> Result<PeerPage, StoreError> {
        let limit = limit.clamp(1, PEERS);
        let manifest = lock(&self.held).manifest.clone();
        match self.peers_of(manifest.as_deref(), after, limit) {
            // An update took the shard away meanwhile.
            Err(_) if !same(&manifest, &lock(&self.held).manifest) => {
                let manifest = lock(&self.held).manifest.clone();
                self.peers_of(manifest.as_deref(), after, limit)
            }
            page => page,
        }
    }

    /// Number of keys that the manifest knows.
    pub fn key_count(&self) -> u64 {
        self.index.key_count()
    }

    /// The highest manifest ever committed to, even if it is not in force.
    pub fn mark(&self) -> Option<Mark> {
        lock(&self.held).file.state().mark
    }

    /// The root documents, oldest first: the pinned one and its successors. Looks on the disk while there
    /// is none.
    ///
    /// # Errors
    /// [`StoreError`] when the directory cannot be read.
    pub fn roots(&self) -> Result<Arc<[Document<Root>]>, StoreError> {
        self.held_documents().map(|held| held.roots)
    }

    /// What an update is evaluated against.
    ///
    /// # Errors
    /// [`StoreError`] when there is no root yet and the directory cannot be read.
    pub fn held_documents(&self) -> Result<HeldDocuments, StoreError> {
        let mut held = lock(&self.held);
        if held.roots.is_empty() {
            held.roots = self.files.roots()?.0.into();
        }
        let state = held.file.state();
        let usable = held.complete && !state.mark_lost;
        Ok(HeldDocuments {
            roots: Arc::clone(&held.roots),
            manifest: held.manifest.clone().filter(|_| usable),
            mark: state.mark,
        })
    }

    /// Takes the next boot epoch. It is durable before this returns and is never given out again.
    ///
    /// # Errors
    /// [`StoreError::StateLost`] until the identity is reset; [`StoreError::Io`] when it cannot be made
    /// durable: then nothing may be signed.
    pub fn next_epoch(&self) -> Result<u64, StoreError> {
        let mut held = lock(&self.held);
        let state = *held.file.state();
        let path = || self.dir.clone();
        if state.epoch_lost {
            return Err(StoreError::StateLost { path: path() });
        }
        let epoch = state.epoch.checked_add(1);
        let epoch = epoch.ok_or_else(|| StoreError::EpochExhausted { path: path() })?;
        held.file.write(State { epoch, ..state })?;
        Ok(epoch)
    }

    /// The time noted last; 1970 if none was.
    pub fn noted_time(&self) -> UnixTime {
        lock(&self.held).file.state().noted_time
    }

    /// Notes the time of a synchronized clock. Written once an hour at most, and when the clock went
    /// back.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn note_time(&self, time: UnixTime) -> Result<(), StoreError> {
        let mut held = lock(&self.held);
        let state = *held.file.state();
        let due = state.noted_time.plus(NOTED_EVERY_SECONDS);
        if time >= state.noted_time && time < due {
            return Ok(());
        }
        held.file.write(State {
            noted_time: time,
            ..state
        })
    }

    /// Whether epochs were lost: none is given out until [`Store::identity_was_reset`].
    pub fn is_state_lost(&self) -> bool {
        lock(&self.held).file.state().epoch_lost
    }

    /// Ends the loss of epochs. To be called once the old identity key is gone for good, so that no token
    /// id of it can be used twice.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn identity_was_reset(&self) -> Result<(), StoreError> {
        let mut held = lock(&self.held);
        let state = *held.file.state();
        if !state.epoch_lost {
            return Ok(());
        }
        held.file.write(State {
            epoch_lost: false,
            ..state
        })
    }

    /// The octets of a shard that the manifest held names.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read, or an update took it away meanwhile.
    pub fn shard_octets(&self, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        self.files.shard_octets(digest)
    }

    /// The state directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn peers_of(
        &self,
        manifest: Option<&Document<Manifest>>,
        after: Option<&DeviceId>,
        limit: usize,
    ) -> Result<PeerPage, StoreError> {
        let mut page = PeerPage::default();
        let Some(manifest) = manifest.map(Document::content) else {
            return Ok(page);
        };
        let first = after.map_or(0, |id| shard_of(id, manifest.shard_count()));
        for (index, digest) in (0..).zip(&manifest.shards).skip_while(|(n, _)| *n < first) {
            for entry in self.files.shard(digest)?.into_devices() {
                if index == first && after.is_some_and(|after| entry.id <= *after) {
                    continue;
                }
                if page.peers.len() == limit {
                    page.next = page.peers.last().map(|peer| peer.device.id.clone());
                    return Ok(page);
                }
                page.peers.push(Peer {
                    device: entry.device(),
                    keys: entry.peer_keys(),
                    reason: entry.reason,
                });
            }
        }
        Ok(page)
    }
}

impl HeldDocuments {
    /// The root documents, oldest first.
    pub fn roots(&self) -> &[Document<Root>] {
        &self.roots
    }

    /// As [`update::evaluate`] takes it.
    pub fn current(&self) -> Current<'_> {
        Current {
            root: self.roots.last(),
            mark: self.mark,
            manifest: self.manifest.as_deref(),
        }
    }
}

impl Held for Store {
    type Error = StoreError;

    fn owner(&self, kid: &KeyId) -> Result<Option<DeviceId>, StoreError> {
        let key = self.index.key(*kid)?;
        Ok(key.map(|key| key.device.id.clone()))
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

impl HeldState {
    /// The trust data in force, or why there is none although there might be.
    fn judge(&self) -> Result<TrustView, Option<String>> {
        let state = self.file.state();
        if state.mark_lost {
            return Err(Some("the state files were lost".to_owned()));
        }
        if !self.complete {
            let why = "the manifest or a shard of it is damaged or missing";
            return Err(state.mark.map(|_| why.to_owned()));
        }
        let Some(root) = self.roots.last() else {
            return Err(Some("no root document can be read".to_owned()));
        };
        match update::in_force(root.content(), self.manifest.as_deref()) {
            InForce::Manifest(view) => Ok(view),
            InForce::NoManifest(why) => Err(why.map(|why| why.to_string())),
        }
    }
}

fn same<T>(a: &Option<Arc<T>>, b: &Option<Arc<T>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        _ => a.is_none() && b.is_none(),
    }
}

/// Whether the directory was used before: then its state files must be there.
fn is_used(dir: &Path, files: &DocumentFiles) -> Result<bool, StoreError> {
    let identity = IDENTITY.iter().any(|name| dir.join(name).exists());
    Ok(identity || files.any()?)
}

fn open_index(
    dir: &Path,
    files: &DocumentFiles,
    manifest: Option<&Document<Manifest>>,
) -> Result<(Index, IndexReport), StoreError> {
    let digest = manifest.map(Document::payload_digest);
    let shards = files.shards(manifest.map(Document::content), &[]);
    Index::open(
        &dir.join("index"),
        digest.as_ref().map(|d| d.octets()),
        &shards,
    )
}

/// Notes a damaged document, to go on without it; every other failure stays one.
fn passed_over<T>(why: StoreError, damaged: &mut Vec<String>) -> Result<Option<T>, StoreError> {
    match why {
        StoreError::Document { .. } => {
            damaged.push(why.to_string());
            Ok(None)
        }
        other => Err(other),
    }
}

/// A poisoned lock is taken all the same: everything behind these locks is replaced whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Parsed keys in memory, some 1 KiB each.
const CACHED_KEYS: usize = 2048;
/// Devices in one page of the listing.
const PEERS: usize = 1024;
const NOTED_EVERY_SECONDS: u64 = 3600;
const IDENTITY: [&str; 2] = ["identity.json", "identity.pem"];
