//! The exchange with a broker, one publish or removal at a time. Pure.

/// Whether there is a broker, and whether it owes an answer.
#[derive(Debug)]
pub(super) struct Exchange {
    connected: bool,
    outstanding: bool,
}

impl Exchange {
    pub(super) const fn new() -> Self {
        Self {
            connected: false,
            outstanding: false,
        }
    }

    /// There is a connection to a broker, or none any more.
    pub(super) const fn set_connected(&mut self, connected: bool) {
        self.connected = connected;
    }

    pub(super) const fn is_connected(&self) -> bool {
        self.connected
    }

    /// Whether something may be sent.
    pub(super) const fn is_free(&self) -> bool {
        self.connected && !self.outstanding
    }

    /// Something was sent.
    pub(super) const fn sent(&mut self) {
        self.outstanding = true;
    }

    /// What is under way is of no interest any more.
    pub(super) const fn forget(&mut self) {
        self.outstanding = false;
    }

    /// What was sent last came back, taken by the broker or dropped; whether it was taken and is of
    /// interest still.
    pub(super) const fn acknowledged(&mut self, by_broker: bool) -> bool {
        let awaited = self.outstanding;
        self.outstanding = false;
        awaited && by_broker
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_only_what_is_of_interest_counts() {
        let mut exchange = Exchange::new();
        assert!(!exchange.is_free(), "nobody is there");
        exchange.set_connected(true);
        assert!(exchange.is_free());
        exchange.sent();
        assert!(!exchange.is_free());
        assert!(!exchange.acknowledged(false), "dropped");
        assert!(exchange.is_free());
        exchange.sent();
        exchange.forget();
        assert!(exchange.is_free());
        assert!(!exchange.acknowledged(true), "of what is forgotten");
        exchange.sent();
        assert!(exchange.acknowledged(true));
        assert!(!exchange.acknowledged(true), "once");
    }
}
