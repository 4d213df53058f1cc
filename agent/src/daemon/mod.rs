//! The daemon: `edgeseal-agent run`.
//!
//! Its start, in this order: configuration, log, lock of the state directory, store, identity, boot
//! epoch (durable before anything is signed), replay memory, engine, socket, gateway, READY=1. One thread
//! serves everybody; what may wait for the disk is done on blocking threads.

mod agent;
mod bundle;
mod card;
mod enrolling;
mod notary;
mod reload;
mod remember;
mod start;
mod status;
mod tasks;
mod trust;
mod update;

pub use agent::Agent;
pub use bundle::{Bundle, write_bundle};
pub use notary::AgentNotary;
pub use start::{StartError, engine_settings};
pub use status::AgentStatus;
pub use trust::Condition;
pub use update::{apply as apply_bundle, body as update_body};

use crate::config::{self, Location};
use crate::gateway::link::PassedSockets;
use crate::log;
use tracing::info;

/// Runs the agent until it is told to stop (SIGTERM, SIGINT).
///
/// # Errors
/// [`StartError`] when it cannot work at all. An agent that is not enrolled, or has no clock yet,
/// can: it says in its health what is missing.
pub fn run(location: Location) -> Result<(), StartError> {
    let loaded = config::load(&location)?;
    let log = log::start(loaded.config.log)?;
    info!(version = env!("CARGO_PKG_VERSION"), "edgeseal-agent starts");
    // Before there are threads: it reads and changes the environment.
    let passed = PassedSockets::take();
    let parts = start::prepare(&loaded.config)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_keep_alive(BLOCKING_KEEP_ALIVE)
        .build()
        .map_err(StartError::Runtime)?;
    runtime.block_on(tasks::work(location, loaded, log, parts, passed))?;
    runtime.shutdown_timeout(SHUTDOWN_PATIENCE);
    Ok(())
}

/// The store answers one at a time anyway; a second thread writes a bundle meanwhile.
const BLOCKING_THREADS: usize = 4;
const BLOCKING_KEEP_ALIVE: std::time::Duration = std::time::Duration::from_secs(60);
/// An update of trust that runs is cut off: the store is made for that.
const SHUTDOWN_PATIENCE: std::time::Duration = std::time::Duration::from_millis(200);
