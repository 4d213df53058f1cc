//! What survives which damage.
#![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]

use super::{Damage, OCTETS, State, StateFile, decode, encode};
use crate::document::Digest;
use crate::store::{Recovery, StoreError};
use crate::time::UnixTime;
use crate::update::Mark;
use std::fs;
use std::path::Path;

fn state(epoch: u64) -> State {
    State {
        mark: Some(mark(1, epoch)),
        epoch,
        noted_time: UnixTime::from_seconds(1_800_000_000),
        ..State::default()
    }
}

fn mark(root_version: u64, sequence: u64) -> Mark {
    Mark {
        root_version,
        sequence,
        payload: Digest::from_octets([9; 32]),
    }
}

fn open(dir: &Path) -> (State, Recovery) {
    let (file, recovery) = StateFile::open(dir, true, None).unwrap();
    (*file.state(), recovery)
}

/// A directory in which `state(1)` to `state(count)` were written, state.0 being the odd ones.
fn written(count: u64) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let (mut file, recovery) = StateFile::open(dir.path(), false, None).unwrap();
    assert_eq!(recovery, Recovery::Fresh);
    for epoch in 2..=count {
        file.write(state(epoch)).unwrap();
    }
    dir
}

#[test]
fn the_newest_generation_wins() {
    for count in 2..6 {
        let dir = written(count);
        assert_eq!(open(dir.path()), (state(count), Recovery::None), "{count}");
    }
}

#[test]
fn a_single_first_generation_is_no_loss() {
    let dir = written(1);
    assert_eq!(open(dir.path()), (State::default(), Recovery::None));
}

#[test]
fn the_older_generation_goes_on_far_above() {
    for damage in [Some(&b""[..]), Some(b"EDGESEAL"), Some(&[7; OCTETS]), None] {
        for (count, newer) in [(4, "state.1"), (5, "state.0")] {
            let dir = written(count);
            let path = dir.path().join(newer);
            match damage {
                Some(octets) => fs::write(&path, octets).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            let (mut file, recovery) =
                StateFile::open(dir.path(), true, Some(mark(1, 77))).unwrap();
            assert!(
                matches!(
                    recovery,
                    Recovery::OlderGeneration { older_epoch, epoch, .. }
                        if older_epoch == count - 1 && epoch == count - 1 + 1000
                ),
                "{recovery:?}"
            );
            assert_eq!(file.state().epoch, count - 1 + 1000);
            assert_eq!(file.state().mark, Some(mark(1, 77)));
            let next = State {
                epoch: file.state().epoch + 1,
                ..*file.state()
            };
            file.write(next).unwrap();
            assert_eq!(open(dir.path()), (next, Recovery::None));
        }
    }
}

#[test]
fn a_stored_manifest_never_lowers_the_mark() {
    let dir = written(4);
    let (file, _) = StateFile::open(dir.path(), true, Some(mark(1, 3))).unwrap();
    assert_eq!(file.state().mark, Some(mark(1, 4)));
    let (file, _) = StateFile::open(dir.path(), true, Some(mark(2, 1))).unwrap();
    assert_eq!(file.state().mark, Some(mark(2, 1)));
}

#[test]
fn both_gone_is_a_loss_that_outlives_a_write() {
    for damage in [None, Some(b"torn")] {
        let dir = written(5);
        for name in ["state.0", "state.1"] {
            match damage {
                Some(octets) => fs::write(dir.path().join(name), octets).unwrap(),
                None => fs::remove_file(dir.path().join(name)).unwrap(),
            }
        }
        let (mut file, recovery) = StateFile::open(dir.path(), true, None).unwrap();
        assert!(matches!(recovery, Recovery::Lost { .. }), "{recovery:?}");
        let lost = *file.state();
        assert!(lost.epoch_lost && lost.mark_lost);
        file.write(lost).unwrap();
        let (state, _) = open(dir.path());
        assert!(state.epoch_lost && state.mark_lost);
    }
}

#[test]
fn no_octet_can_be_altered_unseen() {
    let octets = encode(&state(3), 3);
    assert_eq!(octets.len(), OCTETS);
    assert_eq!(decode(&octets), Ok((state(3), 3)));
    for length in 0..octets.len() {
        assert!(decode(&octets[..length]).is_err(), "{length}");
    }
    for place in 0..octets.len() {
        for bit in 0..8 {
            let mut altered = octets.clone();
            altered[place] ^= 1 << bit;
            assert!(decode(&altered).is_err(), "{place}.{bit}");
        }
    }
}

#[test]
fn a_later_format_is_refused_and_not_replaced() {
    let dir = written(3);
    let mut later = encode(&state(9), 9);
    later.truncate(OCTETS - 32);
    later[11] = 2;
    later.push(0);
    let checksum = Digest::of(&later);
    later.extend_from_slice(checksum.octets());
    assert_eq!(decode(&later), Err(Damage::Version(2)));
    let path = dir.path().join("state.1");
    fs::write(&path, &later).unwrap();
    let error = StateFile::open(dir.path(), true, None).unwrap_err();
    assert!(matches!(error, StoreError::UnknownFormat { found: 2, .. }));
    assert_eq!(fs::read(path).unwrap(), later);
}
