//! What the running agent does beside answering: signals, the watchdog, the noted time.

use super::Agent;
use super::card::CardReporter;
use super::enrolling::Enrolling;
use super::reload::Reloader;
use super::remember::open_flows;
use super::start::{Parts, StartError};
use crate::api::{Settings, Shared, Socket, serve};
use crate::config::{Loaded, Location, NameDatabase};
use crate::gateway::link::{Gateway, PassedSockets};
use crate::log::LogHandle;
use crate::notify::{self, Liveness, Pulse, Watchdog};
use crate::state_dir::Durability;
use crate::trust_link::{LinkHandle, LinkSettings, TrustLink};
use rustix::process::geteuid;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

/// Works until a signal ends it.
pub(super) async fn work(
    location: Location,
    loaded: Loaded,
    log: LogHandle,
    parts: Parts,
    mut passed: PassedSockets,
) -> Result<(), StartError> {
    // Before anybody can think of sending one: by default a signal ends the process on the spot.
    let mut signals = Signals::catch().map_err(StartError::Runtime)?;
    let Parts { agent, state } = parts;
    let agent = Arc::new(agent);
    let names = NameDatabase::of_system();
    let settings = Settings::new(&loaded.config.api, geteuid().as_raw(), &names);
    let shared = Arc::new(Shared::new(Arc::clone(&agent), settings));
    let socket = match passed.take_for_api(&loaded.config.api_socket()) {
        Some(listener) => Socket::passed(listener)?,
        None => Socket::listen(&loaded.config)?,
    };
    info!(socket = %socket.path().display(), "listening");
    let (stop, stopping) = watch::channel(false);
    let watchdog = Watchdog::from_environment();
    let mut liveness = Liveness::default();
    let pulse = |liveness: &mut Liveness, name| {
        watchdog.map(|watchdog| (liveness.register(name), watchdog.period()))
    };
    let api_pulse = pulse(&mut liveness, "api");
    let store_pulse = pulse(&mut liveness, "store");
    let gateway_pulse = pulse(&mut liveness, "gateway");
    let flows = open_flows(&loaded.config);
    let gateway = Gateway::start(&loaded.config.gateway, &agent, flows, passed, gateway_pulse)?;
    let gateway = Arc::new(gateway);
    shared.set_gateway(Arc::clone(&gateway));
    let served = tokio::spawn(serve(socket, Arc::clone(&shared), stopping, api_pulse));
    if let Some((pulse, period)) = store_pulse {
        tokio::spawn(watch_store(Arc::clone(&agent), pulse, period));
    }
    if let Some(watchdog) = watchdog {
        tokio::spawn(watchdog.run(liveness));
    }
    tokio::spawn(keep_time(Arc::clone(&agent)));
    let runtime = loaded.config.agent.runtime_directory.clone();
    tokio::spawn(keep_tidy(Arc::clone(&agent), Arc::clone(&gateway), runtime));
    let (link_settings, settings) = watch::channel(LinkSettings::of(&loaded.config));
    let (link, orders) = LinkHandle::new();
    agent.set_link(link.clone());
    if state.durability() == Durability::Durable || loaded.config.agent.dangerous_volatile_state {
        let enroll = loaded.config.enroll.clone();
        tokio::spawn(Enrolling::new(Arc::clone(&agent), link.clone(), enroll).run());
    }
    tokio::spawn(CardReporter::new(Arc::clone(&agent), link, &loaded.config).run());
    tokio::spawn(TrustLink::new(Arc::clone(&agent), settings, orders).run());
    let mut reloader = Reloader::new(
        location,
        loaded.config,
        log,
        shared,
        Arc::clone(&gateway),
        link_settings,
    );
    notify::ready(&agent.summary());
    info!("{}", agent.summary());
    until_stopped(&mut signals, &mut reloader).await;
    notify::stopping();
    stop.send_replace(true);
    let (served, ()) = tokio::join!(served, gateway.stop());
    served.ok();
    agent.save();
    info!("edgeseal-agent has stopped");
    drop(state);
    Ok(())
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn catch() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

async fn until_stopped(signals: &mut Signals, reloader: &mut Reloader) {
    let mut turn = interval(HOUSEKEEPING);
    turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => return,
            _ = signals.interrupt.recv() => return,
            _ = signals.hangup.recv() => reloader.reload(),
            _ = turn.tick() => reloader.log_suppressed(),
        }
    }
}

/// Notes the time of a synchronized clock, and believes such a clock against what was noted: one
/// lie about time never bricks a device.
async fn keep_time(agent: Arc<Agent>) {
    let mut turn = interval(CLOCK_LOOK);
    turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turn.tick().await;
        if let Err(error) = agent.note_time().await {
            warn!(code = error.code(), "the time cannot be noted: {error}");
        }
    }
}

/// Keeps the replay memory small, and its file alive.
async fn keep_tidy(agent: Arc<Agent>, gateway: Arc<Gateway>, runtime: PathBuf) {
    let mut turn = interval(TIDYING);
    turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
    turn.tick().await; // the first comes at once, when there is nothing to tidy
    loop {
        turn.tick().await;
        let (agent, gateway) = (Arc::clone(&agent), Arc::clone(&gateway));
        let runtime = runtime.clone();
        let tidying = move || {
            agent.tidy();
            gateway.keep_flows(&runtime);
        };
        tokio::task::spawn_blocking(tidying).await.ok();
    }
}

/// The store's threads turn when they answer.
async fn watch_store(agent: Arc<Agent>, pulse: Pulse, period: Duration) {
    let mut turn = interval(period);
    loop {
        turn.tick().await;
        if agent.touch_store().await.is_ok() {
            pulse.tick();
        }
    }
}

const TIDYING: Duration = Duration::from_secs(600);
const HOUSEKEEPING: Duration = Duration::from_secs(60);
const CLOCK_LOOK: Duration = Duration::from_secs(60);
