//! SIGKILL at any moment while trust is updated and epochs are taken: the store starts every time,
//! nothing acknowledged is lost, nothing goes back, no epoch is given out twice.
//!
//! 20 kills, or as many as `EDGESEAL_KILLS` says.
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

use domain::{Domain, device, kid};
use edgeseal_trust::document::DeviceEntry;
use edgeseal_trust::registry::DeviceState;
use edgeseal_trust::store::{Recovery, Store};
use edgeseal_trust::time::UnixTime;
use std::collections::BTreeSet;
use std::env;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

#[test]
fn nothing_acknowledged_is_lost_when_killed() {
    if let Some(dir) = env::var_os(WORKER) {
        return work(Path::new(&dir));
    }
    let kills = env::var("EDGESEAL_KILLS").map_or(20, |kills| kills.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let mut epochs = BTreeSet::new();
    let (mut newest, mut updates) = ((0, 0), 0);
    for kill in 0..kills {
        run_and_kill(dir.path(), kill);
        let (acknowledged, given_out) = journal(dir.path());
        updates += acknowledged.len();
        for epoch in given_out {
            assert!(
                epochs.insert(epoch),
                "kill {kill}: epoch {epoch} given out twice"
            );
        }
        newest = acknowledged.into_iter().max().unwrap_or(newest).max(newest);
        let (store, report) = Store::open(dir.path()).expect("starts every time");
        let expected = [Recovery::Fresh, Recovery::None];
        assert!(
            expected.contains(&report.recovery),
            "kill {kill}: {report:?}"
        );
        assert_eq!(report.damaged, Vec::<String>::new());
        let found = in_force(&store);
        assert!(found >= newest, "kill {kill}: {found:?} after {newest:?}");
        newest = found;
        expect_fleet(&store, found.1);
        let epoch = store.next_epoch().unwrap();
        assert!(
            epochs.last().is_none_or(|last| epoch > *last),
            "kill {kill}"
        );
        epochs.insert(epoch);
    }
    println!(
        "{kills} kills, {updates} updates acknowledged, {} epochs",
        epochs.len()
    );
    assert!(updates >= kills / 2 && epochs.len() > kills);
}

/// Updates and takes epochs until it is killed; says so in the journal after each.
fn work(dir: &Path) {
    let mut journal = OpenOptions::new()
        .append(true)
        .create(true)
        .open(dir.join("journal"))
        .unwrap();
    let (store, _) = Store::open(dir).unwrap();
    for sequence in in_force(&store).1 + 1.. {
        let epoch = store.next_epoch().unwrap();
        writeln!(journal, "epoch {epoch}").unwrap();
        let domain = domain_at(sequence);
        let bundle = domain.bundle(sequence, 4, &fleet(sequence));
        let applied = store.apply_bundle(&bundle[..], Some(&domain.words()));
        let mark = applied.unwrap().mark.unwrap();
        writeln!(journal, "applied {} {}", mark.root_version, mark.sequence).unwrap();
        store
            .note_time(UnixTime::from_seconds(sequence * 3600))
            .unwrap();
    }
}

fn run_and_kill(dir: &Path, kill: usize) {
    let mut worker = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "nothing_acknowledged_is_lost_when_killed",
            "--nocapture",
        ])
        .env(WORKER, dir)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Every other one is known to have worked, however busy the machine is; the rest may be killed
    // while they start.
    let has_worked =
        || fs::read_to_string(dir.join("journal")).is_ok_and(|text| text.contains("applied"));
    while kill % 2 == 1 && worker.try_wait().unwrap().is_none() && !has_worked() {
        sleep(Duration::from_millis(1));
    }
    // Spread over start and work, without a pattern.
    sleep(Duration::from_micros(
        5_000 + (kill as u64 * 7_919_333) % 300_000,
    ));
    worker.kill().unwrap();
    let output = worker.wait_with_output().unwrap();
    assert_eq!(
        output.status.code(),
        None,
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Takes what the worker acknowledged: manifests by root version and sequence, and epochs.
fn journal(dir: &Path) -> (Vec<(u64, u64)>, Vec<u64>) {
    let path = dir.join("journal");
    let text = fs::read_to_string(&path).unwrap_or_default();
    fs::write(&path, "").unwrap();
    let (mut manifests, mut epochs) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["epoch", epoch] => epochs.push(epoch.parse().unwrap()),
            ["applied", root, sequence] => {
                manifests.push((root.parse().unwrap(), sequence.parse().unwrap()));
            }
            _ => panic!("{line}"),
        }
    }
    (manifests, epochs)
}

fn in_force(store: &Store) -> (u64, u64) {
    // A kill between a new root and the manifest under it leaves no manifest in force, and the mark.
    let mark = store.mark().map(|mark| (mark.root_version, mark.sequence));
    match store.trust() {
        Some(trust) => (trust.root_version, trust.sequence),
        None => mark.unwrap_or_default(),
    }
}

fn expect_fleet(store: &Store, sequence: u64) {
    let Some(trust) = store.trust() else { return };
    assert_eq!(trust.sequence, sequence);
    let fleet = fleet(sequence);
    assert_eq!(store.key_count(), fleet.len() as u64);
    for expected in fleet {
        let key = store.key(expected.keys[0].key.id()).unwrap().unwrap();
        assert_eq!(
            (&key.device.id, key.device.state),
            (&expected.id, expected.state)
        );
    }
    assert!(store.key(kid(sequence + 1001)).unwrap().is_none());
}

/// Thirty devices, of which some change in every sequence, and one that comes and goes.
fn fleet(sequence: u64) -> Vec<DeviceEntry> {
    let state = |number: u64| match (number + sequence) % 10 {
        0 => DeviceState::Suspended,
        _ => DeviceState::Active,
    };
    let mut fleet: Vec<DeviceEntry> = (0..30).map(device).collect();
    for (number, entry) in (0..).zip(&mut fleet) {
        entry.state = state(number);
    }
    fleet.push(device(1000 + sequence));
    fleet
}

/// A domain whose root is replaced every 16 sequences, for a while.
fn domain_at(sequence: u64) -> Domain {
    let mut domain = Domain::new();
    for root in 1..=(sequence / 16).min(20) {
        domain.replace_registrar(100 + root as u8);
    }
    domain
}

const WORKER: &str = "EDGESEAL_KILL_WORKER";
