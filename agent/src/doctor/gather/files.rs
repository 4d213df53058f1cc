//! Files, directories, and the file systems that they lie on.

use super::super::facts::Ownership;
use super::super::{DirectoryFacts, FileFacts, IdentityFacts, Seen, Space};
use crate::board::Board;
use crate::identity::{self, IdentityError};
use crate::state_dir::{Durability, durability};
use edgeseal_doctor::look;
use edgeseal_trust::store::StoreError;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

pub(super) fn file(path: &Path) -> FileFacts {
    let found = match fs::metadata(path) {
        Ok(metadata) => Ok(Some(Ownership {
            uid: metadata.uid(),
            gid: metadata.gid(),
            mode: metadata.mode() & 0o7777,
            is_dir: metadata.is_dir(),
        })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.to_string()),
    };
    FileFacts {
        path: path.to_owned(),
        found,
    }
}

pub(super) fn directory(path: &Path) -> DirectoryFacts {
    let file = file(path);
    let there = matches!(file.found, Ok(Some(_)));
    DirectoryFacts {
        space: there.then(|| space(path)).flatten(),
        file,
    }
}

/// A store that does not exist yet is an empty one.
pub(super) fn seen<T>(looked: Result<T, StoreError>) -> Seen<T> {
    looked.map_err(|error| {
        error
            .to_string()
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned()
    })
}

pub(super) fn identity(state_dir: &Path) -> IdentityFacts {
    match identity::load(state_dir, &Board::read(Path::new("/"))) {
        Ok(identity) => IdentityFacts::Loaded {
            kid: identity.key().public().id(),
            mismatch: identity.binding().err().map(ToString::to_string),
            in_the_clear: identity::lies_in_the_clear(state_dir),
        },
        Err(IdentityError::Io { error, .. }) if error.kind() == io::ErrorKind::PermissionDenied => {
            IdentityFacts::Unseen(error.to_string())
        }
        Err(error) => IdentityFacts::Unusable {
            code: error.code(),
            reason: error.reason(),
            hint: error.hint(),
        },
    }
}

/// Where the boot partition is: Raspberry Pi OS since Bookworm, and before.
pub(super) fn join_files(root: &Path) -> Vec<PathBuf> {
    let places = [
        "boot/firmware/edgeseal/join.json",
        "boot/edgeseal/join.json",
    ];
    let paths = places.iter().map(|place| root.join(place));
    paths.filter(|path| path.exists()).collect()
}

/// Octets of all files below a directory, links not followed; 0 where there is none.
pub(super) fn octets_below(path: &Path) -> Seen<u64> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries.map_err(|error| error.to_string())?,
    };
    let mut sum = 0_u64;
    for entry in entries.flatten() {
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        let below = if metadata.is_dir() {
            octets_below(&entry.path())?
        } else {
            metadata.len()
        };
        sum = sum.saturating_add(below);
    }
    Ok(sum)
}

fn space(path: &Path) -> Option<Space> {
    let volatile = match durability(path).ok()? {
        Durability::Durable => None,
        Durability::Volatile(file_system) => Some(file_system),
    };
    let found = look::space(path)?;
    Some(Space { volatile, ..found })
}
