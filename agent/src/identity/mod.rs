//! This device's identity: a key that is made here and never leaves, bound to the board it was made
//! on.
//!
//! `identity.pem` is the key (PKCS#8 version 1, readable by its owner alone), `identity.json` says
//! which key that is, for which board and when it was made. `identity-next.pem` is the key that will take its place in
//! a rotation. All lie in the state directory. Of the service the key may be a credential instead, or the
//! passphrase of its file.

mod credentials;
mod error;
mod files;
mod forget;
mod next;
mod pem;
mod show;
#[cfg(test)]
mod tests;

pub use error::IdentityError;
pub use forget::forget;
pub use next::{begin_next, next_key, note_created, promote_next};
pub use show::{IdentityBody, Request};

use crate::board::{Board, Mismatch};
use crate::durable_file::{Disk, Live};
use crate::engine::{SignBlock, Signing};
use crate::secrecy::keep_out_of_swap;
use crate::state_dir::StateDir;
use credentials::Credentials;
use edgeseal_trust::key::SigningKey;
use edgeseal_trust::store::Store;
use edgeseal_trust::time::UnixTime;
use files::Record;
use std::path::Path;
use std::sync::Once;
use zeroize::Zeroizing;

/// An identity that was loaded.
pub struct Identity {
    key: Box<SigningKey>,
    created: UnixTime,
    stored: Board,
    binding: Result<(), Mismatch>,
}

/// What became of an identity that was replaced.
pub struct Reset {
    /// The new identity.
    pub identity: Identity,
    /// The old key's octets were overwritten where they lay. On flash a copy may survive all the
    /// same: revoke the old key. Nothing where there was no old key.
    pub old_key: Option<OldKey>,
}

/// What became of an old key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OldKey {
    /// Its file is gone, but could not be overwritten.
    Removed,
    /// Its file was overwritten, then removed. Flash may keep a copy of it all the same.
    Shredded,
}

/// Makes the identity of this device, bound to `board`.
///
/// # Errors
/// [`IdentityError::Exists`] when there is one; nothing is overwritten, ever. [`IdentityError::FromCredential`]
/// when the service has its key from elsewhere.
pub fn init(dir: &StateDir, board: &Board, now: UnixTime) -> Result<Identity, IdentityError> {
    make(&Live, dir.path(), board, now)
}

/// The same beside a running agent: who comes first makes it.
pub(crate) fn make(
    disk: &dyn Disk,
    dir: &Path,
    board: &Board,
    now: UnixTime,
) -> Result<Identity, IdentityError> {
    let credentials = Credentials::of_process();
    credentials.expect_no_identity()?;
    files::expect_absent(dir)?;
    let key = new_key()?;
    let record = Record::new(board, now, key.public().id());
    // The record first: a record without a key is no identity, and the next try replaces it.
    files::write_record(disk, dir, &record)?;
    let created = files::create_key(disk, dir, files::KEY_FILE, &key, &credentials);
    if let Err(IdentityError::Exists { .. }) = &created {
        // Somebody else came first, and this record took the place of theirs.
        let first = files::read_identity(dir, &credentials)?;
        files::write_record(disk, dir, &Record::new(board, now, first.public().id()))?;
    }
    created?;
    Ok(Identity::new(key, record, board))
}

/// Loads the identity of this device. On another board than the one that it was made on it loads
/// all the same, to be shown, but signs nothing.
///
/// # Errors
/// [`IdentityError`]: absent, readable by others than its owner, damaged, or not the key that the board was
/// noted for.
pub fn load(dir: &Path, board: &Board) -> Result<Identity, IdentityError> {
    load_by(dir, board, &Credentials::of_process())
}

/// Whether the key lies in the clear although this process, or the service that runs, has a passphrase for it.
#[must_use]
pub fn lies_in_the_clear(dir: &Path) -> bool {
    let given = [Credentials::of_process(), Credentials::of_service()];
    given
        .iter()
        .any(|credentials| files::lies_in_the_clear(dir, credentials))
}

/// Replaces the identity by a new one, bound to `board`, and shreds the old key as far as the
/// medium lets it. Ends a rotation that is open, and the state that signing is blocked in after both
/// state files were lost.
///
/// # Errors
/// [`IdentityError`]; [`IdentityError::Locked`] where the old key is under a passphrase and none is given.
/// At any moment the old or the new key is there, whole.
pub fn reset(
    dir: &StateDir,
    store: &Store,
    board: &Board,
    now: UnixTime,
) -> Result<Reset, IdentityError> {
    let credentials = Credentials::of_process();
    let (identity, old_key) = replace(&Live, dir.path(), board, now, &credentials)?;
    store.identity_was_reset().map_err(IdentityError::Store)?;
    Ok(Reset { identity, old_key })
}

impl Identity {
    /// The key.
    #[must_use]
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// When it was made, by the clock of then.
    #[must_use]
    pub const fn created(&self) -> UnixTime {
        self.created
    }

    /// Serial number of the board that it was made on, where that has one.
    #[must_use]
    pub fn serial(&self) -> Option<&str> {
        self.stored.serial.as_deref()
    }

    /// Whether this is the board that the identity was made on.
    ///
    /// # Errors
    /// What differs: then nothing may be signed.
    pub fn binding(&self) -> Result<(), &Mismatch> {
        self.binding.as_ref().copied()
    }

    /// Whether and with what this device signs, in an epoch that is durable already.
    ///
    /// `epoch` is asked for only where the board is the right one: no epoch is used up otherwise.
    pub fn into_signing(self, epoch: impl FnOnce() -> Result<u64, SignBlock>) -> Signing {
        let kid = Some(self.key.public().id());
        let bound = self.binding;
        let epoch = match bound {
            Ok(()) => epoch(),
            Err(mismatch) => Err(SignBlock::BoardMismatch(mismatch.to_string())),
        };
        match epoch {
            Ok(epoch) => {
                keep_out_of_swap(&*self.key);
                let key = self.key;
                Signing::Ready { epoch, key }
            }
            Err(why) => Signing::Blocked { why, kid },
        }
    }

    fn new(key: Box<SigningKey>, record: Record, board: &Board) -> Self {
        let stored = record.board();
        Self {
            key,
            created: record.created,
            binding: board.matches(&stored),
            stored,
        }
    }
}

impl From<&IdentityError> for SignBlock {
    fn from(error: &IdentityError) -> Self {
        match error {
            IdentityError::Absent { .. } => Self::NoIdentity,
            other => Self::IdentityUnusable {
                what: other.reason(),
                hint: other.hint(),
            },
        }
    }
}

fn load_by(
    dir: &Path,
    board: &Board,
    credentials: &Credentials,
) -> Result<Identity, IdentityError> {
    let key = Box::new(files::read_identity(dir, credentials)?);
    let record = files::read_record(dir)?;
    files::expect_record_of(dir, &record, &key)?;
    if files::lies_in_the_clear(dir, credentials) {
        warn_once(dir);
    }
    Ok(Identity::new(key, record, board))
}

fn replace(
    disk: &dyn Disk,
    dir: &Path,
    board: &Board,
    now: UnixTime,
    credentials: &Credentials,
) -> Result<(Identity, Option<OldKey>), IdentityError> {
    credentials.expect_no_identity()?;
    files::expect_passphrase_for(dir, credentials)?;
    let key = new_key()?;
    let kid = key.public().id();
    if let Ok(old) = files::read_record(dir) {
        let present = files::read_identity(dir, credentials).ok();
        let present = present.map(|key| key.public().id());
        files::write_record(disk, dir, &old.expecting(present, kid))?;
    }
    // The key first: the old key must never be bound to this board.
    let old_key = files::replace_key(disk, dir, &key, credentials)?;
    let record = Record::new(board, now, kid);
    files::write_record(disk, dir, &record)?;
    files::remove_next_key(disk, dir)?;
    Ok((Identity::new(key, record, board), old_key))
}

/// The daemon loads the key again and again.
fn warn_once(dir: &Path) {
    static WARNED: Once = Once::new();
    WARNED.call_once(|| {
        tracing::warn!(
            directory = %dir.display(),
            "identity.pem lies in the clear, although the credential edgeseal-passphrase is given; \
             see credentials.conf among the examples"
        );
    });
}

fn new_key() -> Result<Box<SigningKey>, IdentityError> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed).map_err(IdentityError::Random)?;
    Ok(Box::new(SigningKey::from_seed(&seed)))
}
