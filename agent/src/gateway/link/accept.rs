//! Lets programs in, within their number.

use super::hub::{Hub, Letter};
use super::plan::Plan;
use super::pump::Connection;
use super::refuse::refuse;
use super::sockets::{Accepted, LocalSocket};
use crate::gateway::metrics::add_code;
use crate::notify::{Pulse, Turns};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::warn;

/// What an accept loop shares with whoever reloads and shows it.
pub(super) struct Door {
    plan: RwLock<Arc<Plan>>,
    inside: AtomicU32,
    refusing: AtomicU32,
}

/// A place inside; free again when this is dropped.
struct Place(Arc<Door>);

impl Door {
    pub(super) fn new(plan: Arc<Plan>) -> Self {
        Self {
            plan: RwLock::new(plan),
            inside: AtomicU32::new(0),
            refusing: AtomicU32::new(0),
        }
    }

    pub(super) fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.plan.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn set_plan(&self, plan: Arc<Plan>) {
        *self.plan.write().unwrap_or_else(PoisonError::into_inner) = plan;
    }

    pub(super) fn inside(&self) -> u32 {
        self.inside.load(Ordering::Relaxed)
    }

    fn enter(self: &Arc<Self>, limit: u32) -> Option<Place> {
        let enter = |inside: u32| inside.checked_add(1).filter(|inside| *inside <= limit);
        let order = Ordering::Relaxed;
        self.inside.fetch_update(order, order, enter).ok()?;
        Some(Place(Arc::clone(self)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Accepts until `stop` becomes true, then tells all that came in here to stop and waits for them.
pub(super) async fn accept(
    socket: LocalSocket,
    door: Arc<Door>,
    hub: Arc<Hub>,
    mut stop: watch::Receiver<bool>,
    pulse: Option<(Pulse, Duration)>,
) {
    let mut connections = JoinSet::new();
    let mut turns = Turns::new(pulse);
    loop {
        tokio::select! {
            () = stopped(&mut stop) => break,
            accepted = socket.accept() => match accepted {
                Ok(accepted) => let_in(accepted, &door, &hub, &mut connections),
                Err(error) => {
                    // No file descriptors left, most likely: some will be free again.
                    warn!(%error, "a program cannot be let in");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = turns.due() => {}
        }
        turns.tick();
    }
    drop(socket);
    hub.tell_all(Some(door.plan().number), Letter::Stop);
    while connections.join_next().await.is_some() {
        turns.tick();
    }
}

fn let_in(accepted: Accepted, door: &Arc<Door>, hub: &Arc<Hub>, connections: &mut JoinSet<()>) {
    let plan = door.plan();
    let listener = &plan.listener.listener;
    let (stream, peer) = match accepted.known(&plan) {
        Ok(known) => known,
        Err(error) => {
            warn!(%error, listener = listener.name, "a program without credentials is refused");
            return;
        }
    };
    let Some(place) = door.enter(listener.max_connections) else {
        hub.count(|counts| {
            add_code(&mut counts.listener(&listener.name).refused, TOO_MANY);
        });
        // A few are told so; a flood of them is not worth more memory.
        if door.refusing.load(Ordering::Relaxed) < REFUSING {
            door.refusing.fetch_add(1, Ordering::Relaxed);
            let door = Arc::clone(door);
            connections.spawn(async move {
                refuse(stream).await;
                door.refusing.fetch_sub(1, Ordering::Relaxed);
            });
        }
        return;
    };
    let mut connection = Connection::new(hub, &plan, stream, peer);
    connections.spawn(async move {
        connection.run().await;
        drop(place);
        connection.close().await;
    });
}

/// Returns when nobody is to be let in any more, or the gateway is gone.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    stop.wait_for(|stop| *stop).await.ok();
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const REFUSING: u32 = 16;
const TOO_MANY: &str = "too-many-connections";
