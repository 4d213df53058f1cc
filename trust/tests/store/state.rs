//! The state file: epochs, its loss, the noted time, the lock.

use crate::domain::{Domain, devices, kid};
use crate::place::*;
use edgeseal_trust::store::{Recovery, Store};
use edgeseal_trust::time::UnixTime;
use std::fs;

#[test]
fn epochs_go_up_by_one_and_survive() {
    let dir = tempfile::tempdir().unwrap();
    for start in 1..4 {
        let (store, _) = open(dir.path());
        assert_eq!(store.next_epoch().unwrap(), 2 * start - 1);
        assert_eq!(store.next_epoch().unwrap(), 2 * start);
    }
    let torn = dir.path().join("state.0");
    let bytes = fs::read(&torn).unwrap();
    fs::write(&torn, &bytes[..60]).unwrap();
    let (store, report) = open(dir.path());
    assert!(matches!(report.recovery, Recovery::OlderGeneration { .. }));
    assert!(store.next_epoch().unwrap() > 1000);
}

#[test]
fn lost_state_verifies_after_a_bundle_and_signs_after_a_reset() {
    let domain = Domain::new();
    let (dir, store) = begun(&domain, &devices(0..2), 1);
    store.next_epoch().unwrap();
    drop(store);
    for name in ["state.0", "state.1"] {
        fs::write(dir.path().join(name), "torn").unwrap();
    }
    let (store, report) = open(dir.path());
    assert!(matches!(report.recovery, Recovery::Lost { .. }));
    assert!(store.is_state_lost() && store.trust().is_none());
    assert_eq!(store.next_epoch().unwrap_err().code(), "store-state-lost");
    store
        .note_time(UnixTime::from_seconds(1_800_000_000))
        .unwrap();
    drop(store);
    let (store, _) = open(dir.path());
    assert!(
        store.trust().is_none(),
        "a written state does not end the loss"
    );
    let older = domain.bundle(1, 1, &devices(0..1));
    assert_eq!(
        refused(&store, &older),
        "conflict",
        "the stored manifest bounds the mark"
    );
    apply(&store, &domain.bundle(1, 1, &devices(0..2)));
    assert_eq!(sequence(&store), Some(1));
    drop(store);
    let (store, _) = open(dir.path());
    assert_eq!(sequence(&store), Some(1));
    assert_eq!(store.next_epoch().unwrap_err().code(), "store-state-lost");
    store.identity_was_reset().unwrap();
    assert_eq!(store.next_epoch().unwrap(), 1);
}

#[test]
fn an_identity_without_state_is_a_loss_but_a_prepared_directory_is_not() {
    let lost = tempfile::tempdir().unwrap();
    fs::write(lost.path().join("identity.pem"), "key").unwrap();
    assert!(matches!(
        open(lost.path()).1.recovery,
        Recovery::Lost { .. }
    ));

    let prepared = tempfile::tempdir().unwrap();
    Store::prepare(prepared.path()).unwrap();
    fs::write(prepared.path().join("identity.pem"), "key").unwrap();
    let (store, report) = open(prepared.path());
    assert_eq!(report.recovery, Recovery::None);
    assert_eq!(store.next_epoch().unwrap(), 1);
}

#[test]
fn time_is_noted_once_an_hour_and_when_it_goes_back() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let noted = |seconds| {
        store.note_time(UnixTime::from_seconds(seconds)).unwrap();
        store.noted_time().seconds()
    };
    assert_eq!(noted(1_800_000_000), 1_800_000_000);
    assert_eq!(noted(1_800_003_599), 1_800_000_000);
    assert_eq!(noted(1_800_003_600), 1_800_003_600);
    assert_eq!(noted(1_700_000_000), 1_700_000_000);
    drop(store);
    assert_eq!(open(dir.path()).0.noted_time().seconds(), 1_700_000_000);
}

#[test]
fn looking_up_writes_nothing() {
    let domain = Domain::new();
    let (dir, store) = begun(&domain, &devices(0..50), 4);
    let before = snapshot(dir.path());
    for number in 0..50 {
        store.key(kid(number)).unwrap().unwrap();
    }
    listing(&store);
    apply(&store, &domain.bundle(1, 4, &devices(0..50)));
    assert_eq!(snapshot(dir.path()), before);
}

#[test]
fn a_second_process_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let (_store, _) = open(dir.path());
    let error = Store::open(dir.path()).unwrap_err();
    assert_eq!(error.code(), "store-in-use");
}
