//! The edge of the doctor: files, kernel, service manager, agent, brokers. Nothing is changed, and
//! everything ends: each wait has a limit.

mod asked;
mod brokers;
mod files;
mod image;
mod settings;
mod system;

pub use image::gather_image;

use super::{Facts, TimeFacts};
use crate::clock::{Clock, SystemClock};
use crate::config::{Loaded, Location, Unsynchronized};
use crate::daemon::engine_settings;
use crate::engine::Settings;
use edgeseal_doctor::look;
use edgeseal_trust::store::Store;
use edgeseal_trust::time::UnixTime;
use rustix::process::geteuid;
use std::io;
use std::path::{Path, PathBuf};

/// Looks at this device. `socket` is the agent's where the configuration does not say it.
///
/// # Errors
/// The system gives no event queue.
pub fn gather(location: &Location, socket: Option<PathBuf>) -> io::Result<(Facts, Loaded)> {
    let (configuration, loaded) = settings::read(location);
    let config = &loaded.config;
    let time = time(&engine_settings(config));
    let socket = socket.unwrap_or_else(|| config.api_socket());
    let state = &config.agent.state_directory;
    let store = files::seen(Store::look(state));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()?;
    let (asked, brokers, listeners) = runtime.block_on(async {
        let mut asked = asked::ask(&socket).await;
        let view = store
            .as_ref()
            .ok()
            .and_then(|look| look.trust.as_ref().ok()?.as_ref());
        let round_trip = asked.round_trip(view).await;
        let brokers = brokers::ask(config, &time, &mut asked).await;
        let listeners = brokers::listeners(config).await;
        ((asked.agent, round_trip), brokers, listeners)
    });
    let (agent, round_trip) = asked;
    let service = system::service();
    let process = agent
        .status()
        .and_then(|_| system::process(service.as_ref(), state));
    let facts = Facts {
        is_root: geteuid().is_root(),
        configuration,
        state: files::directory(state),
        runtime: files::directory(&config.agent.runtime_directory),
        service_uid: system::uid_of(service.as_ref()),
        identity: files::identity(state),
        join_files: files::join_files(Path::new("/")),
        grace_seconds: config.trust.grace_seconds,
        unsynchronized_allowed: config.clock.unsynchronized == Unsynchronized::Allow,
        index_octets: files::octets_below(&state.join("index")),
        store,
        time,
        agent,
        round_trip,
        brokers,
        listeners,
        service,
        process,
        machine: look::machine(),
    };
    Ok((facts, loaded))
}

fn time(settings: &Settings) -> TimeFacts {
    let reading = SystemClock::start().read();
    TimeFacts {
        now: UnixTime::from_seconds(reading.unix_seconds),
        synchronization: SystemClock::synchronization().map_err(|error| error.to_string()),
        released: settings.release,
        service: look::time_service(Path::new("/")),
    }
}
