//! The replay memory, the flows and their files: restored at the start, stored with every verdict, saved at the
//! end.

use crate::config::{Config, Replay};
use crate::engine::Engine;
use crate::gateway::flows::{FlowFile, Flows};
use crate::replay_file::{Opened, Origin, ReplayFile, Stored};
use edgeseal_trust::key::KeyId;
use edgeseal_trust::limits;
use edgeseal_trust::replay::{Bounds, Past, ReplayMemory, Sweep};
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::token::Failure;
use std::fs;
use tracing::{error, info, warn};

/// The file of the engine's memory, if there is one.
#[derive(Default)]
pub(super) struct Keeper(Option<ReplayFile>);

/// Restores what the process before this one remembered. Without an epoch of its own this process
/// keeps no file: the next could not tell whether it may be believed.
pub(super) fn open(config: &Config, epoch: Option<u64>, start: UnixTime) -> (ReplayMemory, Keeper) {
    let bounds = bounds(&config.replay);
    let nothing = || {
        let memory = ReplayMemory::new(bounds, Past::UnknownUntil(start), start);
        (memory, Keeper(None))
    };
    let runtime = &config.agent.runtime_directory;
    let Some(epoch) = epoch else {
        warn!("replays are remembered in this process only: there is no boot epoch");
        return nothing();
    };
    if let Err(error) = fs::create_dir_all(runtime) {
        error!("{} cannot be made: {error}", runtime.display());
        return nothing();
    }
    match ReplayFile::open(runtime, &config.agent.state_directory, epoch, bounds, start) {
        Ok(opened) => restored(opened),
        Err(error) => {
            error!(
                code = error.code(),
                "replays are remembered in this process only: {error}"
            );
            nothing()
        }
    }
}

/// What was in flight between brokers and programs when the process before this one ended.
pub(super) fn open_flows(config: &Config) -> Flows {
    let runtime = &config.agent.runtime_directory;
    match FlowFile::open(runtime) {
        Ok(opened) => {
            if let Some(unusable) = &opened.unusable {
                warn!(code = unusable.why.code(), "{unusable}");
            }
            opened.flows
        }
        Err(error) => {
            error!(
                code = error.code(),
                "what is in flight is remembered in this process only: {error}"
            );
            Flows::default()
        }
    }
}

impl Keeper {
    /// Stores what a judgement changed, before its verdict is used.
    ///
    /// # Errors
    /// The verdict must not be used.
    pub(super) fn store(&mut self, engine: &mut Engine, now: UnixTime) -> Result<(), Failure> {
        if let Some(proof) = engine.gather_alarms() {
            engine.alarm(&proof, now);
            error!(
                device = %proof.device, kid = %proof.kid, jti = %proof.id,
                "clone proven: this key signs in two places; have the device suspended"
            );
        }
        let (Some(memory), Some(file)) = (engine.memory(), &mut self.0) else {
            return Ok(());
        };
        match file.store(memory) {
            Ok(Stored::Done) => Ok(()),
            Ok(Stored::Detached(error)) => {
                error!("the replay file cannot be written and was removed: {error}");
                Ok(())
            }
            Err(error) => Err(Failure::Store(error.to_string())),
        }
    }

    /// Forgets what cannot be accepted again, and begins the file anew where it was lost.
    pub(super) fn tidy(
        &mut self,
        engine: &mut Engine,
        now: UnixTime,
        in_registry: &dyn Fn(KeyId) -> bool,
    ) {
        let Some(memory) = engine.memory() else {
            return;
        };
        memory.sweep(&Sweep {
            now,
            leeway_seconds: limits::LEEWAY_CEILING_SECONDS,
            in_use: &|_| false,
            in_registry,
        });
        if let Some(file) = &mut self.0
            && let Err(error) = file.reattach(memory)
        {
            warn!(
                code = error.code(),
                "the replay file cannot be begun anew: {error}"
            );
        }
        if let Err(failure) = self.store(engine, now) {
            error!(code = failure.code(), "{failure}");
        }
    }

    /// This process has taken another epoch: the file counts in the one after it.
    pub(super) fn follow_epoch(&mut self, engine: &mut Engine, epoch: u64) {
        if let (Some(file), Some(memory)) = (&mut self.0, engine.memory())
            && let Err(error) = file.follow_epoch(epoch, memory)
        {
            warn!(
                code = error.code(),
                "the replay file cannot follow the epoch: {error}"
            );
        }
    }

    /// Saves the memory for the next boot: the last act of a clean stop.
    pub(super) fn save(&mut self, engine: &mut Engine) {
        if let (Some(file), Some(memory)) = (self.0.take(), engine.memory())
            && let Err(error) = file.save(memory)
        {
            error!(
                code = error.code(),
                "the replay memory was not saved: {error}"
            );
        }
    }
}

fn restored(opened: Opened) -> (ReplayMemory, Keeper) {
    for unusable in &opened.unusable {
        warn!(code = unusable.why.code(), "{unusable}");
    }
    let counts = opened.memory.counts();
    let origin = match opened.origin {
        Origin::Nothing => "nothing: what was issued before this start is refused",
        Origin::Runtime => "the process before this one",
        Origin::Saved => "before the boot",
    };
    info!(
        windows = counts.windows,
        consumers = counts.consumers,
        "replay memory from {origin}"
    );
    (opened.memory, Keeper(Some(opened.file)))
}

fn bounds(replay: &Replay) -> Bounds {
    let count = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
    Bounds {
        consumers: count(replay.max_consumers),
        windows: count(replay.max_windows),
        statements: count(replay.max_windows),
    }
}
