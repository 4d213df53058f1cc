//! The start of the agent, before anything asynchronous.

use super::{Agent, remember};
use crate::api::ListenError;
use crate::board::Board;
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, ConfigError, Unsynchronized};
use crate::engine::{Engine, Settings, SignBlock, Signing};
use crate::exit::Exit;
use crate::gateway::link::GatewayError;
use crate::identity;
use crate::log::LogError;
use crate::state_dir::{StateDir, StateDirError, VolatileState};
use edgeseal_trust::store::{IndexReport, OpenReport, Recovery, Store, StoreError};
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::token;
use std::io;
use std::path::Path;
use tracing::{error, info, warn};

/// Why the agent does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The gateway cannot work as configured.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// Nobody can be listened to.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// There is nowhere to log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The system gives no event queue, signal handler or thread.
    #[error(
        "the runtime cannot start: {0}\n  hint: is the limit of open files or of processes reached?"
    )]
    Runtime(io::Error),
    /// The state directory cannot be used.
    #[error(transparent)]
    State(#[from] StateDirError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl StartError {
    /// The stable short code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Config(_) => "config",
            Self::Gateway(error) => error.code(),
            Self::Listen(error) => error.code(),
            Self::Log(_) => "log",
            Self::Runtime(_) => "runtime",
            Self::State(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }

    /// How the verb ends because of it.
    pub fn exit(&self) -> Exit {
        match self {
            // A card that does not answer now may do so later.
            Self::Config(error) if error.is_unreadable() => Exit::TemporaryFailure,
            Self::Config(_) => Exit::Configuration,
            Self::State(error) => error.exit(),
            Self::Store(error) => Exit::from(error),
            Self::Runtime(_) => Exit::TemporaryFailure,
            Self::Gateway(_) | Self::Listen(_) | Self::Log(_) => Exit::Unavailable,
        }
    }
}

/// What was prepared: the agent, and what must live as long as it does.
pub(super) struct Parts {
    pub(super) agent: Agent,
    pub(super) state: StateDir,
}

/// Opens everything that the agent stands on.
pub(super) fn prepare(config: &Config) -> Result<Parts, StartError> {
    let clock = SystemClock::start();
    let path = &config.agent.state_directory;
    let (state, volatile) = open_state(path, config.agent.dangerous_volatile_state)?;
    let (store, report) = Store::open(path)?;
    tell(&report);
    store.set_cached_keys(usize::try_from(config.peers.cached_keys).unwrap_or(usize::MAX));
    // Every process takes an epoch of its own, also one that does not sign: the replay file goes by
    // it.
    let epoch = store.next_epoch();
    if let Err(error) = &epoch {
        error!(code = error.code(), "there is no boot epoch: {error}");
    }
    let started_at = UnixTime::from_seconds(clock.read().unix_seconds);
    let (memory, keeper) = remember::open(config, epoch.as_ref().ok().copied(), started_at);
    let signing = match volatile {
        Some(file_system) => Signing::Blocked {
            why: SignBlock::StateNotDurable(file_system.to_owned()),
            kid: None,
        },
        None => signing(path, &epoch),
    };
    if let Signing::Blocked { why, .. } = &signing {
        warn!(code = why.code(), hint = %why.hint(), "this device signs nothing: {why}");
    }
    let mut engine = Engine::new(engine_settings(config), signing, Some(memory));
    let noted = store.noted_time();
    engine.set_noted_time((noted > UnixTime::default()).then_some(noted));
    let agent = Agent::with_keeper(engine, keeper, store, clock);
    if let Err(error) = agent.take_over() {
        error!(
            code = error.code(),
            "the trust data cannot be used: {error}"
        );
    }
    Ok(Parts { agent, state })
}

/// What the configuration says of signing and judging.
pub fn engine_settings(config: &Config) -> Settings {
    Settings {
        release: RELEASED,
        leeway_seconds: config.clock.leeway_seconds,
        grace_seconds: config.trust.grace_seconds,
        unsynchronized: match config.clock.unsynchronized {
            Unsynchronized::Allow => token::Unsynchronized::Allow,
            Unsynchronized::Refuse => token::Unsynchronized::Refuse,
        },
        message_lifetime_seconds: config.token.lifetime_seconds,
    }
}

/// A directory that a power cut empties serves for judging: then only signing is forbidden, and
/// the file system named.
fn open_state(
    path: &Path,
    accept: bool,
) -> Result<(StateDir, Option<&'static str>), StateDirError> {
    if accept {
        warn!("dangerous_volatile_state is set: fit for tests and demonstrations only");
        return Ok((StateDir::open(path, VolatileState::DangerousAccept)?, None));
    }
    match StateDir::open(path, VolatileState::Refuse) {
        Err(StateDirError::NotDurable { file_system, .. }) => {
            let state = StateDir::open(path, VolatileState::DangerousAccept)?;
            Ok((state, Some(file_system)))
        }
        opened => Ok((opened?, None)),
    }
}

fn signing(path: &Path, epoch: &Result<u64, StoreError>) -> Signing {
    match identity::load(path, &Board::read(Path::new("/"))) {
        Ok(identity) => identity.into_signing(|| epoch.as_ref().copied().map_err(block)),
        Err(error) => Signing::Blocked {
            why: SignBlock::from(&error),
            kid: None,
        },
    }
}

fn block(error: &StoreError) -> SignBlock {
    match error {
        StoreError::StateLost { .. } => SignBlock::StateLost,
        other => SignBlock::IdentityUnusable {
            what: other.to_string(),
            hint: other.hint().to_owned(),
        },
    }
}

/// Repairs are no secret: the card or its file system may be dying.
fn tell(report: &OpenReport) {
    match &report.recovery {
        Recovery::None | Recovery::Fresh => {}
        Recovery::OlderGeneration {
            what,
            older_epoch,
            epoch,
        } => warn!(
            older_epoch,
            epoch, "the newer state file is unreadable, the older one serves: {what}"
        ),
        Recovery::Lost { what } => error!("both state files are unreadable: {what}"),
    }
    match &report.index {
        IndexReport::Used { keys } => info!(keys, "the index fits the manifest in force"),
        IndexReport::Rebuilt { what, keys } => {
            warn!(keys, "the index was rebuilt from the documents: {what}");
        }
        IndexReport::InMemory { what } => {
            error!("the index lives in memory until the next start: {what}");
        }
    }
    if let Some(what) = &report.no_manifest {
        error!("the stored manifest is not in force: {what}");
    }
    for what in &report.damaged {
        error!("damaged and passed over: {what}");
    }
    if report.strays_removed > 0 {
        info!(
            files = report.strays_removed,
            "leftovers of an interrupted update were removed"
        );
    }
}

/// When this version was released: no clock is right that shows less. 2026-11-01T00:00:00Z.
pub(super) const RELEASED: UnixTime = UnixTime::from_seconds(1_793_491_200);
