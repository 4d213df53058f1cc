//! What was published before: the last manifests as they were signed (`published/history`), and a
//! journal with a line for every one (`history.jsonl`).
//!
//! The journal is for reading, the manifests prove it: `edgeseal history` compares them. A line that a
//! kill kept from being written is made up at the next publish.

use super::changes::Changes;
use super::{Registry, atomic, load};
use crate::error::{CommandError, Result};
use edgeseal_trust::document::{Digest, Document, DocumentType, Manifest, Root, Unverified};
use edgeseal_trust::id::DeviceId;
use edgeseal_trust::key::KeyId;
use edgeseal_trust::limits;
use edgeseal_trust::time::UnixTime;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

/// A line of the journal: one signed manifest.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JournalLine {
    /// The root it was signed under.
    pub(crate) root_version: u64,
    /// Its sequence.
    pub(crate) sequence: u64,
    /// When it was signed.
    pub(crate) iat: UnixTime,
    /// Until when it is valid.
    pub(crate) exp: UnixTime,
    /// The SHA-256 of its payload.
    pub(crate) payload: Digest,
    /// The registrar keys that signed it.
    pub(crate) signed_by: Vec<KeyId>,
    /// What changed besides devices.
    pub(crate) tables: Vec<String>,
    /// How many devices changed.
    pub(crate) devices_changed: usize,
    /// The first thousand of them.
    pub(crate) devices: BTreeMap<DeviceId, String>,
}

/// The place of a manifest: root version and sequence.
pub(crate) type Place = (u64, u64);

impl JournalLine {
    /// The line of `manifest`, which follows `last`.
    pub(crate) fn of(manifest: &Document<Manifest>, root: &Root, changes: Result<Changes>) -> Self {
        let content = manifest.content();
        let kids = Unverified::parse(manifest.octets(), DocumentType::Manifest);
        let kids = kids.map_or_else(|_| Vec::new(), |document| document.kids().collect());
        let changes = changes.unwrap_or_else(|why| Changes {
            tables: vec![format!("what changed cannot be told: {}", why.reason)],
            devices: BTreeMap::new(),
        });
        Self {
            root_version: content.root_version,
            sequence: content.sequence,
            iat: content.issued_at,
            exp: content.expires_at,
            payload: manifest.payload_digest(),
            signed_by: kids
                .into_iter()
                .filter(|kid| root.registrar.key(*kid).is_some())
                .collect(),
            tables: changes.tables,
            devices_changed: changes.devices.len(),
            devices: changes.devices.into_iter().take(LISTED_DEVICES).collect(),
        }
    }

    /// Its place.
    pub(crate) const fn place(&self) -> Place {
        (self.root_version, self.sequence)
    }
}

impl Registry {
    /// The places of the manifests that are kept, oldest first.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub(crate) fn history_places(&self) -> Result<BTreeSet<Place>> {
        let dir = self.history_dir();
        let entries = match std::fs::read_dir(&dir) {
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
            entries => entries.map_err(|why| CommandError::io("read", &dir, &why))?,
        };
        let mut places = BTreeSet::new();
        for entry in entries {
            let entry = entry.map_err(|why| CommandError::io("read", &dir, &why))?;
            let name = entry.file_name();
            places.extend(name.to_str().and_then(place_of));
        }
        Ok(places)
    }

    /// A manifest that is kept. Its signatures are the caller's to judge.
    ///
    /// # Errors
    /// It is not there, or is none.
    pub(crate) fn history_manifest(&self, place: Place) -> Result<Document<Manifest>> {
        let path = self.history_dir().join(name_of(place));
        let octets = load::read(&path, limits::MANIFEST_OCTETS)?;
        Document::load(&octets).map_err(|why| load::corrupt(&path, None, &why.to_string()))
    }

    /// Every line of the journal, oldest first. A last line that was cut off is no line.
    ///
    /// # Errors
    /// A line cannot be read.
    pub(crate) fn journal(&self) -> Result<Vec<JournalLine>> {
        let path = self.dir.join(JOURNAL);
        let octets = load::read_if_there(&path, JOURNAL_OCTETS)?.unwrap_or_default();
        let mut lines = Vec::new();
        for (number, line) in (1_usize..).zip(octets.split_inclusive(|octet| *octet == b'\n')) {
            if !line.ends_with(b"\n") {
                break;
            }
            let line = serde_json::from_slice(line);
            lines.push(line.map_err(|why| load::corrupt(&path, Some(number), &why.to_string()))?);
        }
        Ok(lines)
    }

    /// How many manifests are kept.
    pub(crate) fn history_kept(&self) -> u32 {
        self.domain.history_kept.unwrap_or(KEPT)
    }

    /// Keeps so many from the next publish on.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn keep_history(&mut self, count: u32) -> Result<()> {
        self.domain.history_kept = Some(count);
        atomic::write(&self.dir, "domain.json", &super::pretty(&self.domain)?)
    }

    /// Keeps a manifest as it was signed.
    pub(super) fn remember(&self, manifest: &Document<Manifest>) -> Result<()> {
        let content = manifest.content();
        let place = (content.root_version, content.sequence);
        let name = name_of(place);
        if self.history_dir().join(&name).exists() {
            return Ok(());
        }
        atomic::write(&self.history_dir(), &name, manifest.octets())
    }

    /// Writes the lines of kept manifests that the journal does not have.
    pub(super) fn write_journal(&self) -> Result<()> {
        let written = self.written_places()?;
        let roots = self.roots()?;
        let mut before: Option<Document<Manifest>> = None;
        let mut lines = String::new();
        let places: Vec<Place> = self.history_places()?.into_iter().collect();
        for (index, place) in places.iter().enumerate() {
            if written.contains(place) {
                continue;
            }
            let previous = index.checked_sub(1).and_then(|before| places.get(before));
            before = match (before.take(), previous) {
                (Some(last), Some(place)) if place_of_manifest(&last) == *place => Some(last),
                (_, Some(place)) => self.history_manifest(*place).ok(),
                (_, None) => None,
            };
            let manifest = self.history_manifest(*place)?;
            let root = roots.iter().find(|root| root.content().version == place.0);
            let Some(root) = root else { continue };
            let last = before.as_ref().map(Document::content);
            let changes = Changes::between(last, manifest.content(), |digest| self.shard(digest));
            let line = JournalLine::of(&manifest, root.content(), changes);
            let line = serde_json::to_string(&line).map_err(|why| super::unwritable(&why))?;
            lines.push_str(&line);
            lines.push('\n');
            before = Some(manifest);
        }
        self.append(&lines)
    }

    /// Drops the oldest kept manifests, and gives the shards that the others name.
    pub(super) fn trim_history(&self) -> Result<HashSet<Digest>> {
        self.remove_remains()?;
        let places = self.history_places()?;
        let kept = usize::try_from(self.history_kept()).unwrap_or(usize::MAX);
        let dropped = places.len().saturating_sub(kept);
        let mut named = HashSet::new();
        for (index, place) in places.into_iter().enumerate() {
            if index < dropped {
                let path = self.history_dir().join(name_of(place));
                std::fs::remove_file(&path)
                    .map_err(|why| CommandError::io("remove", &path, &why))?;
            } else if let Ok(manifest) = self.history_manifest(place) {
                named.extend(manifest.content().shards.iter().copied());
            }
        }
        Ok(named)
    }

    /// Removes what a kill left beside the manifests.
    fn remove_remains(&self) -> Result<()> {
        let dir = self.history_dir();
        let failed = |why| CommandError::io("tidy", &dir, &why);
        for entry in std::fs::read_dir(&dir).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|extension| extension == "tmp") {
                std::fs::remove_file(&path).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// The places of the last lines; enough of them for all that is kept.
    fn written_places(&self) -> Result<HashSet<Place>> {
        let path = self.dir.join(JOURNAL);
        let read = || -> std::io::Result<Vec<u8>> {
            let mut file = std::fs::File::open(&path)?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(TAIL_OCTETS)))?;
            let mut tail = Vec::new();
            file.take(TAIL_OCTETS).read_to_end(&mut tail)?;
            Ok(tail)
        };
        let tail = match read() {
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            tail => tail.map_err(|why| CommandError::io("read", &path, &why))?,
        };
        let lines = tail.split_inclusive(|octet| *octet == b'\n');
        let lines = lines.filter(|line| line.ends_with(b"\n"));
        let lines = lines.filter_map(|line| serde_json::from_slice::<JournalLine>(line).ok());
        Ok(lines.map(|line| line.place()).collect())
    }

    fn append(&self, lines: &str) -> Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let path = self.dir.join(JOURNAL);
        let write = || -> std::io::Result<()> {
            let mut file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .open(&path)?;
            let length = file.metadata()?.len();
            let mut tail = Vec::new();
            file.seek(SeekFrom::Start(length.saturating_sub(TAIL_OCTETS)))?;
            file.read_to_end(&mut tail)?;
            // A kill may have left the beginning of a line; it goes.
            let cut = tail
                .iter()
                .rev()
                .take_while(|octet| **octet != b'\n')
                .count();
            let cut = u64::try_from(cut).unwrap_or(0);
            file.set_len(length.saturating_sub(cut))?;
            file.seek(SeekFrom::End(0))?;
            file.write_all(lines.as_bytes())?;
            file.sync_all()
        };
        write().map_err(|why| CommandError::io("write", &path, &why))?;
        atomic::sync_directory(&self.dir)
    }

    fn history_dir(&self) -> PathBuf {
        self.published_dir().join("history")
    }
}

fn place_of_manifest(manifest: &Document<Manifest>) -> Place {
    let content = manifest.content();
    (content.root_version, content.sequence)
}

fn name_of((root_version, sequence): Place) -> String {
    format!("{root_version}-{sequence}.json")
}

fn place_of(name: &str) -> Option<Place> {
    let (root_version, sequence) = name.strip_suffix(".json")?.split_once('-')?;
    Some((root_version.parse().ok()?, sequence.parse().ok()?))
}

const JOURNAL: &str = "history.jsonl";
/// Manifests that are kept unless somebody says otherwise.
const KEPT: u32 = 32;
/// Devices that a line lists.
const LISTED_DEVICES: usize = 1000;
/// More than the lines of all kept manifests need, as a rule; of those before it a line would be
/// written twice, which `edgeseal history` shows.
const TAIL_OCTETS: u64 = 16 << 20;
/// A publish an hour for ten years.
const JOURNAL_OCTETS: usize = 64 << 20;
