//! The turns of a loop that waits for others, and must show that it turns all the same.

use super::Pulse;
use std::future::pending;
use std::time::Duration;
use tokio::time::{Interval, interval};

/// A loop's pulse, with the time after which an idle loop turns. Without a watchdog it does nothing.
pub struct Turns(Option<(Pulse, Interval)>);

impl Turns {
    /// Of a pulse and the watchdog's period.
    #[must_use]
    pub fn new(pulse: Option<(Pulse, Duration)>) -> Self {
        Self(pulse.map(|(pulse, period)| (pulse, interval(period))))
    }

    /// Returns when an idle loop is to turn.
    pub async fn due(&mut self) {
        match &mut self.0 {
            Some((_, turn)) => {
                turn.tick().await;
            }
            None => pending().await,
        }
    }

    /// The loop turned.
    pub fn tick(&self) {
        if let Some((pulse, _)) = &self.0 {
            pulse.tick();
        }
    }
}
