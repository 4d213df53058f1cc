//! What all connections and the handles share: the state behind its lock, the interference behind another.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::watch;

use super::hostile::{self, Interference};
use super::message::{Message, MessageError};
use super::state::State;

/// Never lock the interference while the state is locked: an interference may inject.
pub(super) struct Shared {
    state: Mutex<State>,
    interference: Mutex<Option<Interference>>,
    shutdown: watch::Sender<bool>,
}

impl Shared {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State::new(MAX_MESSAGE_BYTES)),
            interference: Mutex::new(None),
            shutdown: watch::Sender::new(false),
        })
    }

    /// The state. Not to be held across an await.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// A message of a client on its way to the subscribers. Returns whether the client should slow down.
    pub(super) fn publish(&self, client_id: &str, message: Message) -> Result<bool, MessageError> {
        let messages = match &mut *lock(&self.interference) {
            Some(interference) => hostile::interfere(interference, &message),
            None => vec![message],
        };
        let mut crowded = false;
        for message in messages {
            let routed = self
                .state()
                .route(Some(client_id), message, Instant::now())?;
            crowded |= routed.crowded;
        }
        Ok(crowded)
    }

    pub(super) fn inject(&self, message: Message) -> Result<usize, MessageError> {
        message.check()?;
        let routed = self.state().route(None, message, Instant::now())?;
        Ok(routed.queued)
    }

    /// Publishes the wills that have fallen due. A will that there is no room for is lost: nobody could be told.
    pub(super) fn publish_due_wills(&self) {
        let due = self.state().take_due_wills();
        for (client_id, stored) in due {
            let _ = self.publish(&client_id, stored.message().clone());
        }
    }

    pub(super) fn tick(&self) {
        self.state().tick(Instant::now());
        self.publish_due_wills();
    }

    pub(super) fn interfere(&self, interference: Option<Interference>) {
        *lock(&self.interference) = interference;
    }

    pub(super) fn shut_down(&self) {
        self.shutdown.send_replace(true);
    }

    pub(super) fn shutdown_signal(&self) -> ShutdownSignal {
        ShutdownSignal(self.shutdown.subscribe())
    }
}

/// Lets a task wait for the shutdown.
pub(super) struct ShutdownSignal(watch::Receiver<bool>);

impl ShutdownSignal {
    /// Returns when the broker is to shut down, at once if it already was. May be cancelled.
    pub(super) async fn received(&mut self) {
        // An error means that the sender is gone, and the broker with it.
        let _ = self.0.wait_for(|&down| down).await;
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// Every change of what lies behind these locks is whole before anything can panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All messages kept for later together, octets: retained, queued, in flight, wills.
const MAX_MESSAGE_BYTES: usize = 64 * 1024 * 1024;
