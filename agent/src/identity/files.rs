//! The two files of an identity: written whole or not at all, never over one another.

use super::{IdentityError, OldKey};
use crate::board::Board;
use data_encoding::BASE64;
use edgeseal_trust::key::SigningKey;
use edgeseal_trust::time::UnixTime;
use rustix::fs::OFlags;
use rustix::process::geteuid;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
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
}

impl Record {
    pub(super) fn new(board: &Board, created: UnixTime) -> Self {
        Self {
            format: FORMAT,
            created,
            board_serial: board.serial.clone(),
            machine_id: board.machine_id.clone(),
        }
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
pub(super) fn create_key(dir: &Path, key: &SigningKey) -> Result<(), IdentityError> {
    let path = dir.join(KEY_FILE);
    let new = write_new(dir, KEY_FILE, &pem(key))?;
    let linked = fs::hard_link(&new, &path);
    let removed = fs::remove_file(&new);
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(IdentityError::Exists { path });
        }
        linked => linked.map_err(failed("create", &path))?,
    }
    removed.map_err(failed("remove", &new))?;
    sync(dir)
}

/// Puts a key in the place of whatever is there, then overwrites the old octets where they lie.
pub(super) fn replace_key(dir: &Path, key: &SigningKey) -> Result<Option<OldKey>, IdentityError> {
    let path = dir.join(KEY_FILE);
    let existed = fs::symlink_metadata(&path).is_ok();
    let mut writable = OpenOptions::new();
    writable.write(true).custom_flags(no_follow());
    let old = writable.open(&path);
    let new = write_new(dir, KEY_FILE, &pem(key))?;
    fs::rename(&new, &path).map_err(failed("replace", &path))?;
    sync(dir)?;
    Ok(existed.then(|| match old.and_then(shred) {
        Ok(()) => OldKey::Shredded,
        Err(_) => OldKey::Removed,
    }))
}

/// Reads the key, if nobody but its owner could have.
pub(super) fn read_key(dir: &Path) -> Result<SigningKey, IdentityError> {
    let path = dir.join(KEY_FILE);
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
    let malformed = |what| IdentityError::Malformed { path, what };
    let Ok(text) = std::str::from_utf8(&octets) else {
        return Err(malformed("it is not text".to_owned()));
    };
    SigningKey::from_pkcs8_pem(text).map_err(|error| malformed(error.to_string()))
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
    let record: Record =
        serde_json::from_slice(&octets).map_err(|error| malformed(error.to_string()))?;
    match record.format {
        FORMAT => Ok(record),
        other => Err(malformed(format!(
            "format {other}; this program knows {FORMAT}"
        ))),
    }
}

pub(super) fn write_record(dir: &Path, record: &Record) -> Result<(), IdentityError> {
    let path = dir.join(RECORD_FILE);
    let mut text = serde_json::to_vec(record)
        .map_err(|error| failed("write", &path)(io::Error::from(error)))?;
    text.push(b'\n');
    let new = write_new(dir, RECORD_FILE, &text)?;
    fs::rename(&new, &path).map_err(failed("replace", &path))?;
    sync(dir)
}

/// Writes a file beside the one that it will become, readable by its owner alone, and durable.
fn write_new(dir: &Path, name: &str, content: &[u8]) -> Result<PathBuf, IdentityError> {
    let path = dir.join(format!("{name}.new"));
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed("remove", &path)(error));
        }
        _ => {} // of a try that was cut off: the directory is locked, so nobody else is at it
    }
    let mut fresh = OpenOptions::new();
    fresh.write(true).create_new(true).mode(0o600);
    let written = fresh.open(&path).and_then(|mut file| {
        give_to_owner_of(dir, &file)?;
        file.write_all(content)?;
        file.sync_all()
    });
    if let Err(error) = written {
        let _ = fs::remove_file(&path); // the error that stopped it is the one to tell
        return Err(failed("write", &path)(error));
    }
    Ok(path)
}

/// What root makes belongs to whom the directory belongs: the agent does not run as root.
fn give_to_owner_of(dir: &Path, file: &File) -> io::Result<()> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let owner = fs::metadata(dir)?;
    fchown(file, Some(owner.uid()), Some(owner.gid()))
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

/// Overwrites a file that no name leads to any more.
fn shred(mut file: File) -> io::Result<()> {
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    file.rewind()?;
    file.write_all(&vec![0; length.min(KEY_OCTETS_AT_MOST)])?;
    file.sync_all()
}

fn sync(dir: &Path) -> Result<(), IdentityError> {
    let synced = File::open(dir).and_then(|directory| directory.sync_all());
    synced.map_err(failed("write", dir))
}

/// PKCS#8 in PEM form (RFC 7468 section 10): 48 octets are one line.
fn pem(key: &SigningKey) -> Zeroizing<Vec<u8>> {
    let der = key.to_pkcs8_der();
    let mut text = Zeroizing::new(String::with_capacity(KEY_OCTETS_AT_MOST));
    text.push_str("-----BEGIN PRIVATE KEY-----\n");
    BASE64.encode_append(&der, &mut text);
    text.push_str("\n-----END PRIVATE KEY-----\n");
    Zeroizing::new(std::mem::take(&mut *text).into_bytes())
}

pub(super) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> IdentityError {
    let path = path.to_owned();
    move |error| IdentityError::Io {
        action,
        path,
        error,
    }
}

fn no_follow() -> i32 {
    i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default()
}

const KEY_FILE: &str = "identity.pem";
const RECORD_FILE: &str = "identity.json";
const FORMAT: u32 = 1;
const KEY_OCTETS_AT_MOST: usize = 4096;
const RECORD_OCTETS: u64 = 4096;
