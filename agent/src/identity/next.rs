//! The next key of a rotation, and the one rename by which it becomes the key.

use super::credentials::Credentials;
use super::files::{self, NEXT_KEY_FILE, Record};
use super::{Identity, IdentityError, load, new_key};
use crate::board::Board;
use crate::durable_file::{Disk, Live};
use edgeseal_trust::key::SigningKey;
use edgeseal_trust::time::UnixTime;
use std::path::Path;

/// Makes the next key, durably. Beside a running agent, too: who comes first makes it.
///
/// # Errors
/// [`IdentityError::RotationOpen`] when a rotation is open already; [`IdentityError::BoardMismatch`] on
/// another board than the one that the key was made on.
pub fn begin_next(dir: &Path, board: &Board) -> Result<Box<SigningKey>, IdentityError> {
    let identity = load(dir, board)?;
    identity
        .binding()
        .map_err(|mismatch| IdentityError::BoardMismatch(mismatch.clone()))?;
    begin_on(&Live, dir)
}

/// The next key; nothing where no rotation is open.
///
/// # Errors
/// [`IdentityError`] as for the key itself.
pub fn next_key(dir: &Path) -> Result<Option<Box<SigningKey>>, IdentityError> {
    match files::read_key(dir, NEXT_KEY_FILE, &Credentials::of_process()) {
        Ok(key) => Ok(Some(Box::new(key))),
        Err(IdentityError::Absent { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Lets the next key become the key, by one rename, and shreds the old one as far as the medium lets
/// it. `now` is when the key is taken to be made. To be called once the next key is active.
///
/// # Errors
/// [`IdentityError`]. At any moment the old or the new key is there, whole.
pub fn promote_next(dir: &Path, board: &Board, now: UnixTime) -> Result<Identity, IdentityError> {
    promote_on(&Live, dir, board, now)
}

/// Notes when the key was made, where no clock told so then.
///
/// # Errors
/// [`IdentityError`]: the record cannot be read or written.
pub fn note_created(dir: &Path, now: UnixTime) -> Result<(), IdentityError> {
    let mut record = files::read_record(dir)?;
    record.created = now;
    files::write_record(&Live, dir, &record)
}

fn begin_on(disk: &dyn Disk, dir: &Path) -> Result<Box<SigningKey>, IdentityError> {
    let credentials = Credentials::of_process();
    credentials.expect_no_identity()?;
    let key = new_key()?;
    files::create_key(disk, dir, NEXT_KEY_FILE, &key, &credentials).map_err(
        |error| match error {
            IdentityError::Exists { path } => IdentityError::RotationOpen { path },
            other => other,
        },
    )?;
    Ok(key)
}

fn promote_on(
    disk: &dyn Disk,
    dir: &Path,
    board: &Board,
    now: UnixTime,
) -> Result<Identity, IdentityError> {
    let credentials = Credentials::of_process();
    let next = Box::new(files::read_key(dir, NEXT_KEY_FILE, &credentials)?);
    files::expect_passphrase_for(dir, &credentials)?;
    let kid = next.public().id();
    let old = files::read_record(dir)?;
    // The key keeps the board of the old one: a card in another board must not rotate itself free.
    let record = Record::new(&old.board(), now, kid);
    let present = files::read_identity(dir, &credentials).ok();
    let present = present.map(|key| key.public().id());
    files::write_record(disk, dir, &old.expecting(present, kid))?;
    files::promote_key(disk, dir)?;
    files::write_record(disk, dir, &record)?;
    Ok(Identity::new(next, record, board))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::durable_file::tests::PowerCut;
    use crate::identity::{init, reset};
    use crate::state_dir::{StateDir, VolatileState};
    use edgeseal_trust::key::KeyId;
    use edgeseal_trust::store::Store;
    use std::fs;
    use tempfile::TempDir;

    const MADE: UnixTime = UnixTime::from_seconds(1_800_000_000);
    const LATER: UnixTime = UnixTime::from_seconds(1_900_000_000);

    fn board() -> Board {
        Board {
            serial: Some("a".to_owned()),
            machine_id: None,
        }
    }

    fn with_identity() -> (TempDir, StateDir, KeyId) {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path(), VolatileState::DangerousAccept).unwrap();
        let identity = init(&state, &board(), MADE).unwrap();
        let kid = identity.key().public().id();
        (dir, state, kid)
    }

    fn kid(dir: &TempDir) -> KeyId {
        let identity = load(dir.path(), &board()).unwrap();
        assert!(identity.binding().is_ok());
        identity.key().public().id()
    }

    #[test]
    fn power_cut_after_any_operation_of_a_beginning_leaves_the_key_and_a_way_on() {
        for operations in 0.. {
            let (dir, _state, old) = with_identity();
            let disk = PowerCut::after(operations);
            let begun = begin_on(&disk, dir.path());
            assert_eq!(kid(&dir), old, "after {operations}");
            // Whatever is there at the next start, a rotation is open or can be begun.
            let next = match next_key(dir.path()).unwrap() {
                Some(next) => next,
                None => begin_next(dir.path(), &board()).unwrap(),
            };
            let new = promote_next(dir.path(), &board(), LATER).unwrap();
            assert_eq!(new.key().public(), next.public());
            if begun.is_ok() {
                assert!(operations > 5, "it does less than it should");
                return;
            }
        }
    }

    #[test]
    fn power_cut_after_any_operation_of_the_change_leaves_one_working_key() {
        let (mut kept, mut changed) = (0, 0);
        for operations in 0.. {
            let (dir, _state, old) = with_identity();
            let new = begin_next(dir.path(), &board()).unwrap().public().id();
            let disk = PowerCut::after(operations);
            let promoted = promote_on(&disk, dir.path(), &board(), LATER);
            let works = kid(&dir);
            assert!([old, new].contains(&works), "after {operations}");
            let next = next_key(dir.path()).unwrap();
            assert_eq!(next.is_some(), works == old, "after {operations}");
            if works == old {
                kept += 1;
                promote_next(dir.path(), &board(), LATER).unwrap();
            } else {
                changed += 1;
            }
            assert_eq!(kid(&dir), new);
            if promoted.is_ok() {
                assert_eq!(load(dir.path(), &board()).unwrap().created(), LATER);
                break;
            }
        }
        assert!(kept > 0 && changed > 3, "{kept} kept, {changed} changed");
    }

    #[test]
    fn one_rotation_at_a_time_and_none_on_another_board() {
        let (dir, _state, _) = with_identity();
        let elsewhere = Board {
            serial: Some("b".to_owned()),
            machine_id: None,
        };
        let refused = begin_next(dir.path(), &elsewhere).err().unwrap();
        assert_eq!(refused.code(), "board-mismatch");
        let next = begin_next(dir.path(), &board()).unwrap();
        let refused = begin_next(dir.path(), &board()).err().unwrap();
        assert_eq!(refused.code(), "rotation-open");
        let same = next_key(dir.path()).unwrap().unwrap();
        assert_eq!(same.public(), next.public());
        // On another board the promoted key signs as little as the old one.
        let moved = promote_next(dir.path(), &elsewhere, LATER).unwrap();
        assert!(moved.binding().is_err());
    }

    #[test]
    fn a_next_key_that_others_can_read_or_that_is_damaged_is_not_used() {
        use std::os::unix::fs::PermissionsExt;
        let (dir, _state, old) = with_identity();
        begin_next(dir.path(), &board()).unwrap();
        let path = dir.path().join(NEXT_KEY_FILE);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let refused = next_key(dir.path()).err().unwrap();
        assert_eq!(refused.code(), "identity-permissions");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "half").unwrap();
        let refused = promote_next(dir.path(), &board(), LATER).err().unwrap();
        assert_eq!(refused.code(), "identity-malformed");
        assert_eq!(kid(&dir), old);
    }

    #[test]
    fn a_reset_ends_an_open_rotation() {
        let (dir, state, _) = with_identity();
        begin_next(dir.path(), &board()).unwrap();
        let (store, _) = Store::open(dir.path()).unwrap();
        reset(&state, &store, &board(), LATER).unwrap();
        assert!(next_key(dir.path()).unwrap().is_none());
        begin_next(dir.path(), &board()).unwrap();
    }
}
