//! The store on a disk that is full, read-only, or refuses large files: a clear failure, and the old
//! state works on. Each test runs itself again as a child with a disk of its own.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod domain;

use domain::{Domain, devices, kid};
use edgeseal_trust::store::{IndexReport, Outcome, Store, StoreError};
use edgeseal_trust::update::UpdateError;
use std::env;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn a_full_disk_is_told_and_the_old_state_works_on() {
    let Some(dir) = on_a_disk_of_four_mebibytes("a_full_disk_is_told_and_the_old_state_works_on")
    else {
        return;
    };
    let domain = Domain::new();
    let (store, _) = Store::open(&dir).unwrap();
    let first = domain.bundle(1, 2, &devices(0..20));
    store
        .apply_bundle(&first[..], Some(&domain.words()))
        .unwrap();
    let epoch = store.next_epoch().unwrap();

    fill(&dir, 0);
    let next = domain.bundle(2, 2, &devices(1..400));
    let error = store.apply_bundle(&next[..], None).unwrap_err();
    let UpdateError::Store(error) = error else {
        panic!("{error}");
    };
    assert!(is(&error, ErrorKind::StorageFull), "{error}");
    assert!(error.hint().contains("free some space"));
    assert!(is(&store.next_epoch().unwrap_err(), ErrorKind::StorageFull));
    expect_consistent(&store, 1);
    drop(store);
    let (store, _) = Store::open(&dir).unwrap();
    expect_consistent(&store, 1);

    fs::remove_file(dir.join("ballast")).unwrap();
    assert_eq!(store.next_epoch().unwrap(), epoch + 1);
    store.apply_bundle(&next[..], None).unwrap();
    expect_consistent(&store, 2);
}

#[test]
fn wherever_the_disk_gets_full_an_update_is_whole_or_absent() {
    let Some(dir) =
        on_a_disk_of_four_mebibytes("wherever_the_disk_gets_full_an_update_is_whole_or_absent")
    else {
        return;
    };
    let domain = Domain::new();
    let (mut store, _) = Store::open(&dir).unwrap();
    let first = domain.bundle(1, 2, &devices(0..20));
    store
        .apply_bundle(&first[..], Some(&domain.words()))
        .unwrap();
    let (mut sequence, mut refusals) = (1, 0);
    for free in (0..240).step_by(8) {
        fill(&dir, free << 10);
        let bundle = domain.bundle(sequence + 1, 2, &devices(sequence..sequence + 150));
        match store.apply_bundle(&bundle[..], None) {
            Ok(_) => sequence += 1,
            Err(UpdateError::Store(error)) => {
                assert!(is(&error, ErrorKind::StorageFull), "{free} KiB: {error}");
                refusals += 1;
            }
            Err(other) => panic!("{other}"),
        }
        expect_consistent(&store, sequence);
        drop(store);
        store = Store::open(&dir).unwrap().0;
        expect_consistent(&store, sequence);
        fs::remove_file(dir.join("ballast")).unwrap();
    }
    assert!(refusals > 3 && sequence > 5, "{refusals} {sequence}");
}

#[test]
fn a_read_only_directory_is_told_and_the_old_state_works_on() {
    let Some(dir) =
        on_a_disk_of_four_mebibytes("a_read_only_directory_is_told_and_the_old_state_works_on")
    else {
        return;
    };
    let domain = Domain::new();
    let (store, _) = Store::open(&dir).unwrap();
    let first = domain.bundle(1, 2, &devices(0..20));
    store
        .apply_bundle(&first[..], Some(&domain.words()))
        .unwrap();
    let epoch = store.next_epoch().unwrap();
    drop(store);

    remount(&dir, "ro");
    let (store, report) = Store::open(&dir).unwrap();
    assert!(
        matches!(report.index, IndexReport::InMemory { .. }),
        "{report:?}"
    );
    expect_consistent(&store, 1);
    let next = domain.bundle(2, 2, &devices(0..30));
    match store.apply_bundle(&next[..], None).unwrap_err() {
        UpdateError::Store(error) => assert!(is(&error, ErrorKind::ReadOnlyFilesystem), "{error}"),
        other => panic!("{other}"),
    }
    let error = store.next_epoch().unwrap_err();
    assert!(is(&error, ErrorKind::ReadOnlyFilesystem), "{error}");
    assert!(error.hint().contains("mount"), "{error}");
    expect_consistent(&store, 1);

    remount(&dir, "rw");
    assert_eq!(store.next_epoch().unwrap(), epoch + 1);
    let applied = store.apply_bundle(&next[..], None).unwrap();
    assert!(
        matches!(applied.index, IndexReport::Rebuilt { .. }),
        "{applied:?}"
    );
    expect_consistent(&store, 2);
}

#[test]
fn an_index_that_cannot_be_written_goes_on_in_memory() {
    if let Some(dir) = env::var_os(CHILD) {
        return in_memory(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path()).unwrap();
    let domain = Domain::new();
    let first = domain.bundle(1, 2, &devices(0..20));
    store
        .apply_bundle(&first[..], Some(&domain.words()))
        .unwrap();
    drop(store);
    // Files of at most 64 KiB: documents and state fit, the database does not.
    let limited = "trap '' XFSZ; ulimit -f 64; exec \"$@\"";
    let mut shell = Command::new("bash");
    shell.args(["-c", limited, "bash"]);
    run_again(
        shell,
        "an_index_that_cannot_be_written_goes_on_in_memory",
        dir.path(),
    );
    let (store, report) = Store::open(dir.path()).unwrap();
    assert!(
        matches!(report.index, IndexReport::Rebuilt { .. }),
        "{report:?}"
    );
    expect_consistent(&store, 2);
}

fn in_memory(dir: &Path) {
    let domain = Domain::new();
    let (store, _) = Store::open(dir).unwrap();
    expect_consistent(&store, 1);
    let applied = store.apply_bundle(&domain.bundle(2, 16, &devices(0..600))[..], None);
    let applied = applied.unwrap();
    assert_eq!(applied.outcome, Outcome::Applied);
    assert!(
        matches!(applied.index, IndexReport::InMemory { .. }),
        "{applied:?}"
    );
    expect_consistent(&store, 2);
    assert!(store.key(kid(599)).unwrap().is_some());
}

/// The manifest of that sequence is in force, and every device that it lists can be looked up.
fn expect_consistent(store: &Store, sequence: u64) {
    assert_eq!(store.trust().map(|trust| trust.sequence), Some(sequence));
    let page = store.peers(None, 1024).unwrap();
    assert_eq!(page.peers.len() as u64, store.key_count());
    for peer in &page.peers {
        let number = peer.device.id.as_str().trim_start_matches("device-");
        let key = store.key(kid(number.parse().unwrap())).unwrap().unwrap();
        assert_eq!(key.device.id, peer.device.id);
    }
}

fn is(error: &StoreError, kind: ErrorKind) -> bool {
    matches!(error, StoreError::Io { error, .. } if error.kind() == kind)
}

/// Leaves `free` octets of the disk, roughly.
fn fill(dir: &Path, free: usize) {
    let mut ballast = File::create(dir.join("ballast")).unwrap();
    let page = [1; 4096];
    let mut written: u64 = 0;
    while ballast.write_all(&page).is_ok() {
        written += page.len() as u64;
    }
    ballast
        .set_len(written.saturating_sub(free as u64))
        .unwrap();
}

/// The index's threads close their files a moment after the store is gone: until then the disk is busy.
fn remount(dir: &Path, how: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,{how}")]).arg(dir);
        if mount.status().unwrap().success() {
            return;
        }
        assert!(Instant::now() < deadline, "{} stays busy", dir.display());
        thread::sleep(Duration::from_millis(20));
    }
}

/// In the child: the directory on a small disk of its own. In the parent: nothing, once the child has
/// passed. Where this account may not mount anything there is no such disk to test on.
fn on_a_disk_of_four_mebibytes(test: &str) -> Option<PathBuf> {
    if let Some(dir) = env::var_os(CHILD) {
        return Some(dir.into());
    }
    let dir = tempfile::tempdir().unwrap();
    let mount = "mount -t tmpfs -o size=4m none \"$EDGESEAL_DISK_CHILD\"";
    let own_disk = || {
        let mut unshare = Command::new("unshare");
        unshare.args(["--map-root-user", "--mount", "sh", "-c"]);
        unshare
    };
    let probe = own_disk().arg(mount).env(CHILD, dir.path()).status();
    if !probe.is_ok_and(|status| status.success()) {
        eprintln!("{test}: not permitted to mount a small disk");
        return None;
    }
    let mut shell = own_disk();
    shell.args([&format!("{mount} && exec \"$@\""), "sh"]);
    run_again(shell, test, dir.path());
    None
}

/// Runs one test of this program again, by way of `shell`, in a directory of its choice.
fn run_again(mut shell: Command, test: &str, dir: &Path) {
    // The system cannot start the program of another processor by itself.
    if let Ok(emulator) = env::var("EDGESEAL_TEST_EMULATOR") {
        shell.args(emulator.split(' '));
    }
    let output = shell
        .arg(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, dir)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let ran = output.status.success() && text.contains("1 passed");
    assert!(ran, "{text}{}", String::from_utf8_lossy(&output.stderr));
}

const CHILD: &str = "EDGESEAL_DISK_CHILD";
