//! Where the power is cut, what is left then, and what was recorded before.

use crate::disk::{self, Disk, Left, Tree};
use crate::farm::Device;
use crate::record::Record;
use crate::strace;
use std::collections::HashSet;
use std::path::Path;

/// What processes did to a disk, and what must hold on it after a power cut.
pub(crate) struct Recorded<'a> {
    pub(crate) what: &'static str,
    pub(crate) record: Record,
    /// Says what does not hold.
    pub(crate) check: Check<'a>,
}

/// Of a state and what was recorded.
pub(crate) type Check<'a> = Box<dyn Fn(&State, &Record) -> Result<(), String> + 'a>;

/// A state that a power cut leaves.
pub(crate) struct State {
    pub(crate) time: usize,
    pub(crate) left: Left,
    pub(crate) tree: Tree,
}

impl Recorded<'_> {
    /// What is left when the power goes behind a call.
    pub(crate) fn cut(&self, time: usize, left: Left) -> State {
        let tree = self.record.disk.after(time, left);
        State { time, left, tree }
    }

    /// All different states, or a sample of them that is spread over the whole time: each must hold.
    pub(crate) fn holds_everywhere(&self) {
        let states = self.states();
        for state in &states {
            self.holds(state)
                .unwrap_or_else(|why| panic!("{}: {state}: {why}", self.what));
        }
        eprintln!("{}: {} states", self.what, states.len());
    }

    pub(crate) fn holds(&self, state: &State) -> Result<(), String> {
        (self.check)(state, &self.record)
    }

    fn states(&self) -> Vec<State> {
        let all = std::env::var_os("EDGESEAL_POWER_CUTS").is_some_and(|how_many| how_many == "all");
        let randoms = if all { 20 } else { 1 };
        let mut seen = HashSet::new();
        let mut states = Vec::new();
        for time in self.record.boundaries() {
            let fixed = [Left::Nothing, Left::Names, Left::Content, Left::All];
            let seeds = (0..randoms).map(|n| u64::try_from(time).unwrap() * 1000 + n);
            for left in fixed.into_iter().chain(seeds.map(Left::Some)) {
                let state = self.cut(time, left);
                if seen.insert((self.record.has_promised(time), state.tree.clone())) {
                    states.push(state);
                }
            }
        }
        if all || states.len() <= SAMPLE {
            return states;
        }
        // The cut at a promise is the one that nobody may lose, so it is always among them.
        let count = states.len();
        let chosen = |n: usize, state: &State| {
            self.record.promises_at(state.time) || n * SAMPLE / count != (n + 1) * SAMPLE / count
        };
        let numbered = states.into_iter().enumerate();
        let sample = numbered.filter(|(n, state)| chosen(*n, state));
        sample.map(|(_, state)| state).collect()
    }
}

/// Records what happens to the disk of a device. `run` is given the file for its tracer, and says what was promised.
pub(crate) fn record_of(device: &Device, run: impl FnOnce(&Path) -> Vec<String>) -> Record {
    let trace = device.place.join("trace");
    let disk = Disk::of(&device.disk());
    let promises = run(&trace);
    let record = Record::of(disk, &device.disk(), &strace::read(&trace), promises);
    let end = record.disk.after(usize::MAX, Left::All);
    assert!(
        end == disk::read(&device.disk()),
        "what was replayed is not what happened"
    );
    record
}

/// A device whose disk is in this state.
pub(crate) fn in_new_place<T>(state: &State, look: impl FnOnce(&Device) -> T) -> T {
    let place = tempfile::Builder::new().prefix("edgeseal-cut-").tempdir();
    let device = Device::at(place.as_ref().unwrap().path().to_owned());
    disk::lay(&state.tree, &device.disk());
    look(&device)
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
