//! The files of a backup in one tar archive, in memory: what comes out is as hostile as any file, until
//! its names are judged.

use crate::error::{CommandError, Exit, Result};
use crate::input;
use edgeseal_trust::id::TrustDomain;
use edgeseal_trust::time::UnixTime;
use serde::{Deserialize, Serialize};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use zeroize::Zeroizing;

/// What a backup says of itself, as its first entry.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct About {
    pub(super) edgeseal_backup: u64,
    pub(super) domain: TrustDomain,
    pub(super) made_at: UnixTime,
    pub(super) root_version: u64,
    pub(super) sequence: u64,
}

/// A file: below `registry/` or `keys/`.
pub(super) struct Entry {
    pub(super) name: PathBuf,
    pub(super) octets: Zeroizing<Vec<u8>>,
}

/// The files of a registry. What lies there besides (a git directory, say) is none of it.
///
/// # Errors
/// One cannot be read.
pub(super) fn collect(registry: &Path) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    walk(registry, Path::new(REGISTRY), &mut entries)?;
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

/// A key file.
///
/// # Errors
/// It cannot be read.
pub(super) fn key(path: &Path) -> Result<Entry> {
    let name = path.file_name().unwrap_or_default();
    read(path, Path::new(KEYS).join(name))
}

/// The archive.
///
/// # Errors
/// A name is too long for one.
pub(super) fn pack(about: &About, entries: Vec<Entry>) -> Result<Zeroizing<Vec<u8>>> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut add = |name: &Path, octets: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(u64::try_from(octets.len()).unwrap_or(u64::MAX));
        header.set_mode(0o600);
        header.set_cksum();
        archive.append_data(&mut header, name, octets)
    };
    let about = serde_json::to_vec(about).unwrap_or_default();
    let mut written = add(Path::new(ABOUT), &about);
    for entry in &entries {
        written = written.and_then(|()| add(&entry.name, &entry.octets));
    }
    let packed = written.and_then(|()| archive.into_inner());
    packed.map(Zeroizing::new).map_err(|why| {
        CommandError::new(Exit::TemporaryFailure, "io", format!("cannot pack: {why}"))
            .hint("run the command again")
    })
}

/// Reads an archive.
///
/// # Errors
/// It is none of ours, or has a name that would lead out of its place.
pub(super) fn unpack(octets: &[u8]) -> Result<(About, Vec<Entry>)> {
    let damaged = |why: &dyn std::fmt::Display| {
        CommandError::no(
            "backup-damaged",
            format!("the backup cannot be read: {why}"),
        )
        .hint("take another copy of the backup")
    };
    let mut archive = tar::Archive::new(octets);
    let mut about = None;
    let mut entries = Vec::new();
    for entry in archive.entries().map_err(|why| damaged(&why))? {
        let mut entry = entry.map_err(|why| damaged(&why))?;
        if entry.header().entry_type() != tar::EntryType::Regular {
            return Err(damaged(&"it holds something else than files"));
        }
        let name = entry.path().map_err(|why| damaged(&why))?.into_owned();
        let mut octets = Zeroizing::new(Vec::new());
        let read: io::Result<usize> = entry.read_to_end(&mut octets);
        read.map_err(|why| damaged(&why))?;
        if name == Path::new(ABOUT) {
            about = serde_json::from_slice::<About>(&octets).ok();
            continue;
        }
        if !is_plain(&name) {
            return Err(damaged(&format!(
                "{} is no name of a backup",
                name.display()
            )));
        }
        entries.push(Entry { name, octets });
    }
    match about {
        Some(about) if about.edgeseal_backup == FORMAT => Ok((about, entries)),
        _ => Err(damaged(&"it does not say what it is")),
    }
}

/// Below `registry/` or directly in `keys/`, without a step aside.
fn is_plain(name: &Path) -> bool {
    let parts: Vec<Component<'_>> = name.components().collect();
    let normal = parts
        .iter()
        .all(|part| matches!(part, Component::Normal(_)));
    let place = name.starts_with(REGISTRY) || (name.starts_with(KEYS) && parts.len() == 2);
    normal && place && parts.len() >= 2
}

fn walk(dir: &Path, name: &Path, entries: &mut Vec<Entry>) -> Result<()> {
    let failed = |why| CommandError::io("read", dir, &why);
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let kind = entry.file_type().map_err(failed)?;
        let file = entry.file_name();
        let shown = file.to_string_lossy();
        let is_ours = matches!(shown.as_ref(), ".gitignore" | ".gitattributes")
            || !shown.starts_with('.') && !shown.ends_with(".tmp") && !shown.ends_with(".pem");
        if !is_ours {
            continue;
        }
        if kind.is_dir() {
            walk(&entry.path(), &name.join(&file), entries)?;
        } else {
            entries.push(read(&entry.path(), name.join(&file))?);
        }
    }
    Ok(())
}

fn read(path: &Path, name: PathBuf) -> Result<Entry> {
    let octets =
        input::read(path, FILE_OCTETS).map_err(|why| CommandError::io("read", path, &why))?;
    Ok(Entry {
        name,
        octets: Zeroizing::new(octets),
    })
}

pub(super) const FORMAT: u64 = 1;
pub(super) const REGISTRY: &str = "registry";
pub(super) const KEYS: &str = "keys";
const ABOUT: &str = "backup.json";
/// The largest file of a registry: approvals.
const FILE_OCTETS: usize = crate::registry::APPROVALS_OCTETS;
