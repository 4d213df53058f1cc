//! Power cuts: the system calls of the real agent are recorded while trust data is applied, and every prefix of them is laid out
//! again with what was not synced dropped, or kept in part. From each such state the agent starts, with nothing older than what
//! it had acknowledged, and applies the same bundle.
//!
//! `EDGESEAL_POWER_CUTS=all cargo test -p edgeseal --test power_cut` looks at all of them and at more random remains; otherwise
//! at a sample of each recording.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod disk;
mod farm;
mod record;
mod strace;

use disk::{Disk, Left, Tree};
use edgeseal_trust::store::{IndexReport, Store};
use farm::{Device, Farm, assert_success};
use record::Record;
use serde_json::Value;
use std::collections::HashSet;
use std::path::Path;
use std::process::Command;

#[test]
fn a_first_bundle_survives_a_power_cut_at_any_call() {
    if !strace::is_there() {
        return;
    }
    let farm = Farm::found();
    let one = farm.device("one");
    let command = one.apply(&farm.path("first"), &farm.words);
    let record = record_of(&one, r#""outcome":"applied""#, |trace| {
        assert_success(&strace::traced(&command, trace).output().unwrap());
    });
    cut_everywhere(&farm, "first bundle", &record, |promised| Promise {
        sequence: u64::from(promised),
        next: "first",
        next_sequence: 1,
        ..Promise::default()
    });
}

#[test]
fn an_update_survives_a_power_cut_at_any_call() {
    if !strace::is_there() {
        return;
    }
    let farm = Farm::found();
    let one = farm.device("one");
    farm.applied(&one, "first");
    let command = one.apply(&farm.path("second"), &farm.words);
    let record = record_of(&one, r#""outcome":"applied""#, |trace| {
        assert_success(&strace::traced(&command, trace).output().unwrap());
    });
    cut_everywhere(&farm, "update", &record, |promised| Promise {
        sequence: 1 + u64::from(promised),
        next: "second",
        next_sequence: 2,
        ..Promise::default()
    });
}

/// From its start to its clean stop; the boot epoch is given out once.
#[test]
fn a_running_agent_survives_a_power_cut_at_any_call() {
    if !strace::is_there() {
        return;
    }
    let farm = Farm::found();
    let one = farm.device("one");
    farm.applied(&one, "first");
    let mut epoch = 0;
    // As the answer to the first question of its status says it.
    let record = record_of(&one, r#""epoch":"#, |trace| {
        let mut command = one.agent();
        command.arg("run");
        let running = one.start(strace::traced(&command, trace)).unwrap();
        farm.applied(&one, "second");
        epoch = running.status().unwrap()["epoch"].as_u64().unwrap();
        running.stop();
    });
    cut_everywhere(&farm, "running agent", &record, |promised| Promise {
        sequence: 1,
        epoch: if promised { epoch } else { 0 },
        next: "second",
        next_sequence: 2,
    });
}

#[test]
fn a_first_start_survives_a_power_cut_at_any_call() {
    if !strace::is_there() {
        return;
    }
    let farm = Farm::found();
    let new = farm.device("new");
    let mut command = new.agent();
    command.arg("init");
    let record = record_of(&new, r#""kid":""#, |trace| {
        assert_success(&strace::traced(&command, trace).output().unwrap());
    });
    let kid = new.kid();
    let states = states(&record);
    for state in &states {
        in_new_place(state, |device| {
            let before = device.kid();
            let made = device.agent().arg("init").output().unwrap();
            let after = device.kid();
            assert!(after.is_some(), "no key: {state}, {made:?}");
            if record.has_promised(state.time) {
                assert_eq!(after, kid, "another key: {state}");
            }
            assert!(before.is_none() || before == after, "a key went: {state}");
            open(device, 0).unwrap_or_else(|why| panic!("{state}: {why}"));
        });
    }
    eprintln!("first start: {} states", states.len());
}

/// What must be so after a power cut.
#[derive(Clone, Copy, Default)]
struct Promise {
    /// A manifest at least as new is in force.
    sequence: u64,
    /// This boot epoch is not given out again.
    epoch: u64,
    /// A bundle that applies now, and its sequence.
    next: &'static str,
    next_sequence: u64,
}

/// A state that a power cut leaves.
struct State {
    time: usize,
    left: Left,
    tree: Tree,
}

fn record_of(device: &Device, promise: &str, run: impl FnOnce(&Path)) -> Record {
    let trace = device.place.join("trace");
    let disk = Disk::of(&device.state());
    run(&trace);
    let record = Record::of(disk, &device.state(), &strace::read(&trace), promise);
    let end = record.disk.after(usize::MAX, Left::All);
    assert!(
        end == disk::read(&device.state()),
        "what was replayed is not what happened"
    );
    record
}

/// All different states, or a sample of them that is spread over the whole time.
fn states(record: &Record) -> Vec<State> {
    let all = std::env::var_os("EDGESEAL_POWER_CUTS").is_some_and(|how_many| how_many == "all");
    let randoms = if all { 20 } else { 1 };
    let mut seen = HashSet::new();
    let mut states = Vec::new();
    for time in record.boundaries() {
        let fixed = [Left::Nothing, Left::Names, Left::Content, Left::All];
        let seeds = (0..randoms).map(|n| u64::try_from(time).unwrap() * 1000 + n);
        for left in fixed.into_iter().chain(seeds.map(Left::Some)) {
            let tree = record.disk.after(time, left);
            if seen.insert((record.has_promised(time), tree.clone())) {
                states.push(State { time, left, tree });
            }
        }
    }
    if all || states.len() <= SAMPLE {
        return states;
    }
    // The cut at the promise is the one that nobody may lose, so it is always among them.
    let count = states.len();
    let chosen = |n: usize, state: &State| {
        state.time == record.promised || n * SAMPLE / count != (n + 1) * SAMPLE / count
    };
    let numbered = states.into_iter().enumerate();
    let sample = numbered.filter(|(n, state)| chosen(*n, state));
    sample.map(|(_, state)| state).collect()
}

fn cut_everywhere(farm: &Farm, what: &str, record: &Record, promise: impl Fn(bool) -> Promise) {
    let states = states(record);
    let mut rebuilt = 0;
    for state in &states {
        let promise = promise(record.has_promised(state.time));
        let opened = in_new_place(state, |device| open(device, promise.sequence));
        let index = opened.unwrap_or_else(|why| panic!("{what}: {state}: {why}"));
        rebuilt += usize::from(matches!(index, IndexReport::Rebuilt { .. }));
        let started = in_new_place(state, |device| start(farm, device, promise));
        started.unwrap_or_else(|why| panic!("{what}: {state}: {why}"));
    }
    let count = states.len();
    eprintln!("{what}: {count} states started; in {rebuilt} the index was made anew");
}

fn in_new_place<T>(state: &State, look: impl FnOnce(&Device) -> T) -> T {
    let place = tempfile::Builder::new().prefix("edgeseal-cut-").tempdir();
    let device = Device::at(place.as_ref().unwrap().path().to_owned());
    disk::lay(&state.tree, &device.state());
    look(&device)
}

/// The store alone.
fn open(device: &Device, at_least: u64) -> Result<IndexReport, String> {
    let (store, report) = Store::open(&device.state()).map_err(|error| error.to_string())?;
    let in_force = store.trust().map_or(0, |trust| trust.sequence);
    if in_force < at_least || store.is_state_lost() {
        return Err(format!("{in_force} is in force: {report:?}"));
    }
    match report.index {
        IndexReport::InMemory { what } => Err(what),
        index => Ok(index),
    }
}

/// The real agent, as the next boot finds the state.
fn start(farm: &Farm, device: &Device, promise: Promise) -> Result<(), String> {
    let mut command = device.agent();
    command.arg("run");
    let running = device.start(command)?;
    let status = running.status().ok_or("gives no status")?;
    let sequence = status["trust"]["sequence"].as_u64().unwrap_or(0);
    if sequence < promise.sequence {
        return Err(format!(
            "sequence {sequence} after {} was acknowledged",
            promise.sequence
        ));
    }
    let epoch = status["epoch"]
        .as_u64()
        .ok_or_else(|| format!("does not sign: {}", status["signing"]))?;
    if epoch <= promise.epoch {
        return Err(format!(
            "epoch {epoch} after {} was given out",
            promise.epoch
        ));
    }
    let applied = answer(&mut device.apply(&farm.path(promise.next), &farm.words))?;
    if applied["sequence"] != promise.next_sequence {
        return Err(format!("does not apply the bundle: {applied}"));
    }
    drop(running); // kill -9
    open(device, promise.next_sequence).map(drop)
}

fn answer(command: &mut Command) -> Result<Value, String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(format!("{command:?}: {output:?}"));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self
            .tree
            .iter()
            .map(|(name, octets)| (name, octets.as_ref().map(Vec::len)))
            .collect();
        write!(
            f,
            "power cut behind call {}, left of what was not synced: {:?}; {names:?}",
            self.time, self.left
        )
    }
}

/// States looked at of each recording, unless all are.
const SAMPLE: usize = 40;
