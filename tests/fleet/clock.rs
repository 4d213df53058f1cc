//! Time that a test moves on: it runs as the real one does, and can be put forward by hours.

use edgeseal_trust::clock::ClockReading;
use edgeseal_trust::time::UnixTime;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

/// One clock for the whole fleet. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Clock {
    started: Instant,
    began: Duration,
    skipped: watch::Receiver<Duration>,
}

/// Who may put it forward.
pub(crate) struct Hands(watch::Sender<Duration>);

impl Clock {
    /// As the real clock is now.
    pub(crate) fn new() -> (Self, Hands) {
        let (hands, skipped) = watch::channel(Duration::ZERO);
        let clock = Self {
            started: Instant::now(),
            began: SystemTime::now().duration_since(UNIX_EPOCH).unwrap(),
            skipped,
        };
        (clock, Hands(hands))
    }

    /// Time since the start.
    pub(crate) fn now(&self) -> Duration {
        self.started.elapsed() + *self.skipped.borrow()
    }

    /// What a synchronized clock shows.
    pub(crate) fn reading(&self) -> ClockReading {
        ClockReading {
            time: UnixTime::from_seconds((self.began + self.now()).as_secs()),
            synchronized: true,
        }
    }

    /// Returns when it was put forward.
    pub(crate) async fn skipped(&mut self) {
        if self.skipped.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Returns at that time, unless it was put forward before.
    pub(crate) async fn at(&self, deadline: Option<Duration>) {
        match deadline {
            Some(deadline) => tokio::time::sleep(deadline.saturating_sub(self.now())).await,
            None => std::future::pending().await,
        }
    }
}

impl Hands {
    pub(crate) fn put_forward(&self, by: Duration) {
        self.0.send_modify(|skipped| *skipped += by);
    }
}
