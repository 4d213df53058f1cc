//! From a join file to a stored request, every step durable and none done twice: pin the root, keep the
//! broker, make the key, sign, store. No clock is asked; whether a token has expired is the registrar's
//! to judge.

use super::kept::{Kept, KeptJoinFile, KeptRequest};
use crate::board::Board;
use crate::durable_file::{self, Disk};
use crate::identity::{self, Identity, IdentityError};
use crate::trust_link::BrokerFile;
use crate::wire::{ErrorBody, ErrorClass};
use data_encoding::HEXLOWER;
use edgeseal_trust::document::{Digest, Document, Root};
use edgeseal_trust::enrollment::{EnrollmentRequest, JoinFile, RequestDraft};
use edgeseal_trust::id::DeviceId;
use edgeseal_trust::limits;
use edgeseal_trust::store::{Store, StoreError};
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::words::Words;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A join file as it was read.
pub(crate) struct Offered {
    path: PathBuf,
    octets: Zeroizing<Vec<u8>>,
}

impl Offered {
    /// Reads the file; nothing where there is none.
    ///
    /// # Errors
    /// `join-file-unreadable`: it is there, and no file that can be read.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, ErrorBody> {
        match read_plain(path) {
            Ok(Some(octets)) => Ok(Some(Self {
                path: path.to_owned(),
                octets,
            })),
            Ok(None) => Ok(None),
            Err(error) => Err(unreadable(path, &error)),
        }
    }
}

/// Takes a join file for the state directory `dir`, and returns the request that was made of it. It can be
/// stopped at any step, and asked again: it goes on where it was. `device` is the id that this device would
/// like where the token names none, `now` is noted as the time at which a new key was made.
///
/// # Errors
/// Nothing of the file was taken where it is refused.
pub(crate) fn take(
    disk: &dyn Disk,
    dir: &Path,
    offered: &Offered,
    device: Option<DeviceId>,
    board: &Board,
    now: UnixTime,
) -> Result<KeptRequest, ErrorBody> {
    let sha256 = Digest::of(&offered.octets);
    let file = JoinFile::read(&offered.octets).map_err(|why| {
        refused(why.code(), format!("{}: {why}", offered.path.display()))
            .with_hint("copy it again, or let the operator make another: edgeseal join create")
    })?;
    expect_this_board(&file, board)?;
    expect_name(&file, device.as_ref())?;
    pin(disk, dir, &file.root)?;
    keep_broker(disk, dir, &file)?;
    let identity = load_or_make(disk, dir, board, now)?;
    let mut kept = match kept_request(dir, &identity)? {
        Some((kept, request)) if request.draft.join.as_ref() == Some(&file.token) => kept,
        _ => sign(&file, &identity, device)?,
    };
    let known = KeptJoinFile {
        path: offered.path.clone(),
        sha256,
    };
    if !kept.join_files.contains(&known) {
        kept.add_join_file(known);
        kept.write(disk, dir).map_err(|error| failed(dir, &error))?;
    }
    Ok(kept)
}

/// The stored request of this key; nothing where there is none, or it is of another key or damaged.
///
/// # Errors
/// The state directory cannot be read.
pub(crate) fn kept_request(
    dir: &Path,
    identity: &Identity,
) -> Result<Option<(KeptRequest, EnrollmentRequest)>, ErrorBody> {
    let kept = KeptRequest::read(dir).map_err(|error| failed(dir, &error))?;
    Ok(kept.and_then(|kept| {
        let request = EnrollmentRequest::verify(kept.request.as_bytes()).ok()?;
        let ours = request.key.id() == identity.key().public().id() && kept.kid == request.key.id();
        ours.then_some((kept, request))
    }))
}

/// Whether this very file was taken already and all of it is in place: then nothing is done with its seed.
pub(crate) fn was_taken(kept: &KeptRequest, offered: &Offered) -> bool {
    let sha256 = Digest::of(&offered.octets);
    kept.join_files
        .iter()
        .any(|known| known.sha256 == sha256 && known.path == offered.path)
}

/// Overwrites and removes the join files that a request was made of. A file with other octets is left
/// alone.
///
/// # Errors
/// `join-file-left`: a file is still there.
pub(crate) fn shred(disk: &dyn Disk, files: &[KeptJoinFile]) -> Result<(), ErrorBody> {
    let mut outcome = Ok(());
    for file in files {
        if let Err(error) = shred_one(disk, file) {
            let path = file.path.display();
            let body = refused(
                "join-file-left",
                format!(
                    "the join file {path} is of no use any more, and could not be shredded: {error}"
                ),
            );
            outcome = Err(body.with_hint(format!("as root: shred -u {path}")));
        }
    }
    outcome
}

fn shred_one(disk: &dyn Disk, known: &KeptJoinFile) -> io::Result<()> {
    let path = &known.path;
    match read_plain(path)? {
        Some(octets) if Digest::of(&octets) == known.sha256 || octets.starts_with(&OVERWRITTEN) => {
        }
        _ => return Ok(()),
    }
    let overwritten =
        durable_file::open_to_overwrite(path).and_then(|file| durable_file::overwrite(disk, &file));
    durable_file::remove(disk, path)?;
    if let Some(dir) = path.parent() {
        let _ = durable_file::sync(disk, dir); // the directory of another file system may not be ours
    }
    overwritten
}

/// Root pinned already: the file's must be the same, another of its chain, or the next one.
fn pin(disk: &dyn Disk, dir: &Path, root: &Document<Root>) -> Result<(), ErrorBody> {
    let mut held = Store::roots_in(dir).map_err(|error| store_failed(&error))?;
    if held.is_empty() {
        disk.go_on().map_err(|error| failed(dir, &error))?;
        match Store::pin_first_root(dir, root.octets()) {
            Ok(()) => return Ok(()),
            Err(StoreError::RootPinned { .. }) => {}
            Err(error) => return Err(store_failed(&error)),
        }
        held = Store::roots_in(dir).map_err(|error| store_failed(&error))?;
    }
    let is_same = |one: &Document<Root>| one.payload_digest() == root.payload_digest();
    let is_next = |newest: &Document<Root>| {
        newest.content().version.checked_add(1) == Some(root.content().version)
            && newest.content().domain == root.content().domain
            && root.verify(&newest.content().root).is_ok()
    };
    if held.iter().any(is_same) || held.last().is_some_and(is_next) {
        return Ok(());
    }
    let Some(newest) = held.last() else {
        return Err(refused("join-root", "no root could be pinned".to_owned()));
    };
    let named = |root: &Document<Root>| {
        let content = root.content();
        let words = Words::of_root(root.octets());
        format!(
            "domain {}, version {}, words {words}",
            content.domain, content.version
        )
    };
    let reason = format!(
        "the join file has another root ({}) than the one that is pinned here ({})",
        named(root),
        named(newest)
    );
    Err(refused("join-root", reason).with_hint(
        "if the file is right, this device needs a new state directory; else let the operator make another: \
         edgeseal join create",
    ))
}

fn keep_broker(disk: &dyn Disk, dir: &Path, file: &JoinFile) -> Result<(), ErrorBody> {
    let password = file.broker.password.as_ref();
    let broker = BrokerFile {
        url: file.broker.url.clone(),
        ca_pem: file.broker.ca.clone(),
        username: file.broker.username.clone(),
        password: password.map(|secret| secret.as_str().to_owned()),
    };
    if matches!(BrokerFile::read(dir), Ok(Some(held)) if held == broker) {
        return Ok(());
    }
    disk.go_on().map_err(|error| failed(dir, &error))?;
    broker.write(dir).map_err(|error| {
        ErrorBody::new(ErrorClass::Failure, error.code(), error.to_string())
            .with_hint("check the state directory and its disk or card")
    })
}

fn load_or_make(
    disk: &dyn Disk,
    dir: &Path,
    board: &Board,
    now: UnixTime,
) -> Result<Identity, ErrorBody> {
    let identity = match identity::load(dir, board) {
        Err(IdentityError::Absent { .. }) => identity::make(disk, dir, board, now),
        loaded => loaded,
    };
    let identity = identity.map_err(|error| identity_failed(&error))?;
    match identity.binding() {
        Ok(()) => Ok(identity),
        Err(mismatch) => Err(identity_failed(&IdentityError::BoardMismatch(
            mismatch.clone(),
        ))),
    }
}

fn sign(
    file: &JoinFile,
    identity: &Identity,
    device: Option<DeviceId>,
) -> Result<KeptRequest, ErrorBody> {
    let device = file.join.device.clone().or(device);
    let draft = RequestDraft {
        domain: Some(file.join.domain.clone()),
        device: device.or_else(|| usual_name(identity)),
        serial: identity.serial().map(str::to_owned),
        issued_at: None, // this device may have no clock
        join: Some(file.token.clone()),
    };
    let request = draft.sign_joined(identity.key(), &file.one_time_key());
    let request = request.map_err(|why| refused(why.code(), why.to_string()))?;
    let request = String::from_utf8_lossy(&request).into_owned();
    Ok(KeptRequest::new(identity.key().public().id(), request))
}

/// A name that no other device has: of the board where that has a serial, else of the key.
fn usual_name(identity: &Identity) -> Option<DeviceId> {
    let of_board = identity.serial().and_then(|serial| {
        let name = format!("pi-{}", serial.to_ascii_lowercase());
        DeviceId::parse(&name).ok()
    });
    of_board.or_else(|| {
        let kid = identity.key().public().id();
        let name = format!("d-{}", HEXLOWER.encode(kid.octets().get(..8)?));
        DeviceId::parse(&name).ok()
    })
}

fn expect_this_board(file: &JoinFile, board: &Board) -> Result<(), ErrorBody> {
    match (&file.join.serial, &board.serial) {
        (None, _) => Ok(()),
        (Some(wanted), Some(serial)) if wanted == serial => Ok(()),
        (Some(wanted), serial) => {
            let serial = serial.as_deref().unwrap_or("none that it states");
            let reason = format!(
                "the join file is for the board {wanted}; the serial of this one is {serial}"
            );
            Err(refused("join-serial", reason).with_hint(
                "put the card into that board, or let the operator make another join file",
            ))
        }
    }
}

fn expect_name(file: &JoinFile, wanted: Option<&DeviceId>) -> Result<(), ErrorBody> {
    match (&file.join.device, wanted) {
        (Some(named), Some(wanted)) if named != wanted => {
            let reason = format!("the join file is for the device {named}, not for {wanted}");
            Err(refused("join-device", reason).with_hint("leave --device out"))
        }
        _ => Ok(()),
    }
}

/// A plain file, of the size of a join file at most.
fn read_plain(path: &Path) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let mut readable = OpenOptions::new();
    readable.read(true).custom_flags(durable_file::no_wait());
    let file = match readable.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no plain file"));
    }
    let limit = limits::JOIN_FILE_OCTETS;
    let past_limit = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut octets = Zeroizing::new(Vec::new());
    if file.take(past_limit).read_to_end(&mut octets)? > limit {
        return Err(io::Error::other(format!("it has more than {limit} octets")));
    }
    Ok(Some(octets))
}

fn unreadable(path: &Path, error: &io::Error) -> ErrorBody {
    let reason = format!("the join file {} cannot be read: {error}", path.display());
    refused("join-file-unreadable", reason).with_hint(match error.kind() {
        io::ErrorKind::PermissionDenied => format!(
            "let the agent's user read it, or take it as root: edgeseal-agent enroll --join {}",
            path.display()
        ),
        _ => "is it the file that edgeseal join create wrote? Copy it again".to_owned(),
    })
}

/// What passes only when a person does something about it.
pub(crate) fn refused(code: &'static str, reason: String) -> ErrorBody {
    ErrorBody::new(ErrorClass::Conflict, code, reason)
}

pub(crate) fn failed(dir: &Path, error: &io::Error) -> ErrorBody {
    let reason = format!("{}: {error}", dir.display());
    ErrorBody::new(ErrorClass::Failure, "enroll-io", reason)
        .with_hint("check the state directory and its disk or card")
}

pub(crate) fn identity_failed(error: &IdentityError) -> ErrorBody {
    ErrorBody::new(ErrorClass::Failure, error.code(), error.reason()).with_hint(error.hint())
}

fn store_failed(error: &StoreError) -> ErrorBody {
    ErrorBody::new(ErrorClass::Failure, error.code(), error.to_string()).with_hint(error.hint())
}

/// How a file starts whose shredding lost its power: it overwrites from the start, a sector at least. No text
/// starts so in any encoding, UTF-16 and UTF-32 among them, which have zeros in every ASCII letter.
const OVERWRITTEN: [u8; 8] = [0; 8];

#[cfg(test)]
mod tests;
