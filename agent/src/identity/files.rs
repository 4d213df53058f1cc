//! The two files of an identity: written whole or not at all, never over one another.

use super::credentials::{Credential, Credentials};
use super::{IdentityError, OldKey, pem};
use crate::board::Board;
use crate::durable_file::{self, Disk, no_follow};
use edgeseal_trust::key::{KeyId, SigningKey};
use edgeseal_trust::time::UnixTime;
use rustix::process::geteuid;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use zeroize::Zeroizing;

/// What `identity.json` says.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    format: u32,
    pub(super) created: UnixTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    board_serial: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    machine_id: Option<String>,
    /// The key that the board is noted for; files of earlier versions name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kid: Option<KeyId>,
    /// The key that was about to take its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next_kid: Option<KeyId>,
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}

impl Record {
    pub(super) fn new(board: &Board, created: UnixTime, kid: KeyId) -> Self {
        Self {
            format: FORMAT,
            created,
            board_serial: board.serial.clone(),
            machine_id: board.machine_id.clone(),
            kid: Some(kid),
            next_kid: None,
        }
    }

    /// The same record, which takes `next` for its key as well: what is written before one key takes the
    /// place of another, so that it is of the key whichever is there after a power cut.
    pub(super) fn expecting(self, now: Option<KeyId>, next: KeyId) -> Self {
        let now = now.filter(|kid| self.is_of(*kid));
        Self {
            kid: now.or(self.kid),
            next_kid: Some(next),
            ..self
        }
    }

    /// Whether the board is noted for this key.
    pub(super) fn is_of(&self, kid: KeyId) -> bool {
        self.kid.is_none() || [self.kid, self.next_kid].contains(&Some(kid))
    }

    pub(super) fn board(&self) -> Board {
        Board {
            serial: self.board_serial.clone(),
            machine_id: self.machine_id.clone(),
        }
    }
}

pub(super) fn expect_absent(dir: &Path) -> Result<(), IdentityError> {
    let path = dir.join(KEY_FILE);
    match fs::symlink_metadata(&path) {
        Ok(_) => Err(IdentityError::Exists { path }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("look at", &path)(error)),
    }
}

/// Puts a key where there is none: what is there already wins, whatever the moment it came.
pub(super) fn create_key(
    disk: &dyn Disk,
    dir: &Path,
    name: &str,
    key: &SigningKey,
    credentials: &Credentials,
) -> Result<(), IdentityError> {
    let path = dir.join(name);
    let text = pem::encode(key, credentials.passphrase()?.as_ref())?;
    durable_file::create(disk, dir, name, text.as_bytes()).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => IdentityError::Exists { path },
        _ => failed("create", &path)(error),
    })
}

/// Puts a key in the place of whatever is there, then overwrites the old octets where they lie.
pub(super) fn replace_key(
    disk: &dyn Disk,
    dir: &Path,
    key: &SigningKey,
    credentials: &Credentials,
) -> Result<Option<OldKey>, IdentityError> {
    let text = pem::encode(key, credentials.passphrase()?.as_ref())?;
    let new = durable_file::write_new(disk, dir, KEY_FILE, text.as_bytes());
    let new = new.map_err(failed("write", &dir.join(KEY_FILE)))?;
    move_into_place(disk, dir, &new)
}

/// Refuses to put a key in the clear in the place of one under a passphrase, which this process was not
/// given. What cannot be read is no key under a passphrase.
pub(super) fn expect_passphrase_for(
    dir: &Path,
    credentials: &Credentials,
) -> Result<(), IdentityError> {
    let path = dir.join(KEY_FILE);
    let is_encrypted = key_octets(&path).is_ok_and(|octets| pem::is_encrypted(&octets));
    if is_encrypted && credentials.passphrase()?.is_none() {
        return Err(IdentityError::Locked { path, given: false });
    }
    Ok(())
}

/// Whether the key lies in the clear although a passphrase for it is given.
pub(super) fn lies_in_the_clear(dir: &Path, credentials: &Credentials) -> bool {
    let has_passphrase = matches!(credentials.passphrase(), Ok(Some(_)));
    has_passphrase
        && matches!(credentials.identity(), Ok(None))
        && key_octets(&dir.join(KEY_FILE)).is_ok_and(|octets| !pem::is_encrypted(&octets))
}

fn key_octets(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    if !fs::symlink_metadata(path)?.is_file() {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    let mut readable = OpenOptions::new();
    let file = readable.read(true).custom_flags(no_follow()).open(path)?;
    let mut octets = Zeroizing::new(Vec::with_capacity(KEY_OCTETS_AT_MOST));
    let limit = u64::try_from(KEY_OCTETS_AT_MOST).unwrap_or(u64::MAX);
    file.take(limit).read_to_end(&mut octets)?;
    Ok(octets)
}

/// Lets the next key take the place of the key: one rename. Then the old octets are overwritten where
/// they lie.
pub(super) fn promote_key(disk: &dyn Disk, dir: &Path) -> Result<Option<OldKey>, IdentityError> {
    move_into_place(disk, dir, &dir.join(NEXT_KEY_FILE))
}

/// Takes the next key away, its octets overwritten as far as the medium lets it.
pub(super) fn remove_next_key(disk: &dyn Disk, dir: &Path) -> Result<(), IdentityError> {
    let path = dir.join(NEXT_KEY_FILE);
    let lying = durable_file::open_to_overwrite(&path);
    let removed = durable_file::remove(disk, &path).map_err(failed("remove", &path))?;
    if removed {
        durable_file::sync(disk, dir).map_err(failed("write", dir))?;
        let _ = lying.and_then(|file| durable_file::overwrite(disk, &file)); // best effort
    }
    Ok(())
}

fn move_into_place(
    disk: &dyn Disk,
    dir: &Path,
    new: &Path,
) -> Result<Option<OldKey>, IdentityError> {
    let path = dir.join(KEY_FILE);
    let existed = fs::symlink_metadata(&path).is_ok();
    let old = durable_file::open_to_overwrite(&path);
    durable_file::rename(disk, new, &path).map_err(failed("replace", &path))?;
    durable_file::sync(disk, dir).map_err(failed("write", dir))?;
    let overwrite = |file: File| durable_file::overwrite(disk, &file);
    Ok(existed.then(|| match old.and_then(overwrite) {
        Ok(()) => OldKey::Shredded,
        Err(_) => OldKey::Removed,
    }))
}

/// Reads the key: the one that the service was given, else the one of the state directory.
pub(super) fn read_identity(
    dir: &Path,
    credentials: &Credentials,
) -> Result<SigningKey, IdentityError> {
    match credentials.identity()? {
        Some(Credential { path, octets }) => {
            pem::decode(&path, &octets, || credentials.passphrase())
        }
        None => read_key(dir, KEY_FILE, credentials),
    }
}

/// Reads a key, if nobody but its owner could have.
pub(super) fn read_key(
    dir: &Path,
    name: &str,
    credentials: &Credentials,
) -> Result<SigningKey, IdentityError> {
    let path = dir.join(name);
    let mut readable = OpenOptions::new();
    readable.read(true).custom_flags(no_follow());
    let file = match readable.open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(IdentityError::Absent { path });
        }
        opened => opened.map_err(failed("open", &path))?,
    };
    expect_private(dir, &path, &file)?;
    let mut octets = Zeroizing::new(Vec::with_capacity(KEY_OCTETS_AT_MOST));
    let limit = u64::try_from(KEY_OCTETS_AT_MOST).unwrap_or(u64::MAX);
    let read = file.take(limit).read_to_end(&mut octets);
    read.map_err(failed("read", &path))?;
    pem::decode(&path, &octets, || credentials.passphrase())
}

/// Refuses a key of this board that is not the one the board was noted for: a credential that lay on
/// another board, or a file that somebody put here.
pub(super) fn expect_record_of(
    dir: &Path,
    record: &Record,
    key: &SigningKey,
) -> Result<(), IdentityError> {
    let kid = key.public().id();
    if record.is_of(kid) {
        return Ok(());
    }
    Err(IdentityError::Record {
        path: dir.join(RECORD_FILE),
        kid,
    })
}

pub(super) fn read_record(dir: &Path) -> Result<Record, IdentityError> {
    let path = dir.join(RECORD_FILE);
    let mut octets = Vec::new();
    let opened = File::open(&path);
    let read = opened.and_then(|file| file.take(RECORD_OCTETS).read_to_end(&mut octets));
    let malformed = |what: String| IdentityError::Malformed {
        path: path.clone(),
        what,
    };
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(malformed("it is missing beside the key".to_owned()));
        }
        read => read.map_err(failed("read", &path))?,
    };
    // A later format may have other members.
    let Format { format } =
        serde_json::from_slice(&octets).map_err(|error| malformed(error.to_string()))?;
    match format {
        FORMAT => serde_json::from_slice(&octets).map_err(|error| malformed(error.to_string())),
        found => Err(IdentityError::UnknownFormat {
            path,
            found,
            known: FORMAT,
        }),
    }
}

pub(super) fn write_record(
    disk: &dyn Disk,
    dir: &Path,
    record: &Record,
) -> Result<(), IdentityError> {
    let path = dir.join(RECORD_FILE);
    let mut text = serde_json::to_vec(record)
        .map_err(|error| failed("write", &path)(io::Error::from(error)))?;
    text.push(b'\n');
    durable_file::replace(disk, dir, RECORD_FILE, &text).map_err(failed("write", &path))
}

fn expect_private(dir: &Path, path: &Path, file: &File) -> Result<(), IdentityError> {
    let metadata = file.metadata().map_err(failed("look at", path))?;
    if !metadata.is_file() {
        return Err(IdentityError::Malformed {
            path: path.to_owned(),
            what: "not a regular file".to_owned(),
        });
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        let path = path.to_owned();
        return Err(IdentityError::LoosePermissions { path, mode });
    }
    let expected = match geteuid() {
        user if user.is_root() => fs::metadata(dir).map_err(failed("look at", dir))?.uid(),
        user => user.as_raw(),
    };
    if metadata.uid() != expected {
        return Err(IdentityError::WrongOwner {
            path: path.to_owned(),
            uid: metadata.uid(),
            expected,
        });
    }
    Ok(())
}

pub(super) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> IdentityError {
    let path = path.to_owned();
    move |error| IdentityError::Io {
        action,
        path,
        error,
    }
}

pub(super) const KEY_FILE: &str = "identity.pem";
pub(super) const NEXT_KEY_FILE: &str = "identity-next.pem";
const RECORD_FILE: &str = "identity.json";
const FORMAT: u32 = 1;
const KEY_OCTETS_AT_MOST: usize = 4096;
const RECORD_OCTETS: u64 = 4096;
