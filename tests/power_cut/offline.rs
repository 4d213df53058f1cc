//! Recordings of a device that gets its trust data as a file.

use crate::farm::{Device, Farm, assert_success};
use crate::record::Record;
use crate::state::{Recorded, State, in_new_place, record_of};
use crate::strace;
use edgeseal_trust::store::{IndexReport, Store};
use serde_json::Value;
use std::process::Command;

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

/// A first start makes the key.
pub(crate) fn first_start(farm: &Farm) -> Recorded<'_> {
    let new = farm.device("new");
    let mut command = new.agent();
    command.arg("init");
    let record = record_of(&new, |trace| {
        assert_success(&strace::traced(&command, trace).output().unwrap());
        vec![r#""kid":""#.to_owned()]
    });
    let kid = new.kid();
    let check = move |state: &State, record: &Record| {
        in_new_place(state, |device| {
            let before = device.kid();
            let made = device.agent().arg("init").output().unwrap();
            let after = device.kid();
            if after.is_none() {
                return Err(format!("no key: {made:?}"));
            }
            if record.has_promised(state.time) && after != kid {
                return Err("another key".to_owned());
            }
            if before.is_some() && before != after {
                return Err("a key went".to_owned());
            }
            open(device, 0).map(drop)
        })
    };
    Recorded {
        what: "first start",
        record,
        check: Box::new(check),
    }
}

pub(crate) fn first_bundle(farm: &Farm) -> Recorded<'_> {
    let one = farm.member("first-bundle");
    let record = applied(farm, &one, "first");
    recorded(farm, "first bundle", record, |promised| Promise {
        sequence: u64::from(promised),
        next: "first",
        next_sequence: 1,
        ..Promise::default()
    })
}

pub(crate) fn update(farm: &Farm) -> Recorded<'_> {
    let one = farm.member("update");
    farm.applied(&one, "first");
    let record = applied(farm, &one, "second");
    recorded(farm, "update", record, |promised| Promise {
        sequence: 1 + u64::from(promised),
        next: "second",
        next_sequence: 2,
        ..Promise::default()
    })
}

/// From its start to its clean stop, signing before and after an update; the boot epoch is given out once.
pub(crate) fn running(farm: &Farm) -> Recorded<'_> {
    let one = farm.member("signing");
    farm.applied(&one, "first");
    let mut epoch = 0;
    let record = record_of(&one, |trace| {
        let mut command = one.agent();
        command.arg("run");
        let running = one.start(strace::traced(&command, trace)).unwrap();
        one.signs().unwrap();
        farm.applied(&one, "second");
        one.signs().unwrap();
        epoch = running.status().unwrap()["epoch"].as_u64().unwrap();
        running.stop();
        // As the answer to the first question of its status says it.
        vec![r#""epoch":"#.to_owned()]
    });
    recorded(farm, "signing", record, move |promised| Promise {
        sequence: 1,
        epoch: if promised { epoch } else { 0 },
        next: "second",
        next_sequence: 2,
    })
}

fn applied(farm: &Farm, device: &Device, bundle: &str) -> Record {
    let command = device.apply(&farm.path(bundle), &farm.words);
    record_of(device, |trace| {
        assert_success(&strace::traced(&command, trace).output().unwrap());
        vec![r#""outcome":"applied""#.to_owned()]
    })
}

fn recorded<'a>(
    farm: &'a Farm,
    what: &'static str,
    record: Record,
    promise: impl Fn(bool) -> Promise + 'a,
) -> Recorded<'a> {
    let check = move |state: &State, record: &Record| {
        let promise = promise(record.has_promised(state.time));
        in_new_place(state, |device| open(device, promise.sequence))?;
        in_new_place(state, |device| start(farm, device, promise))
    };
    Recorded {
        what,
        record,
        check: Box::new(check),
    }
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
    device.signs()?;
    drop(running); // kill -9
    open(device, promise.next_sequence).map(drop)
}

pub(crate) fn answer(command: &mut Command) -> Result<Value, String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(format!("{command:?}: {output:?}"));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}
