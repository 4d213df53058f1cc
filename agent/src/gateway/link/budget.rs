//! One bound for what all connections hold in buffers.

use crate::gateway::clients::ConnectionId;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// The octets that each connection holds.
#[derive(Debug)]
pub(super) struct Budget(Mutex<Held>);

#[derive(Debug)]
struct Held {
    limit: usize,
    total: usize,
    by_connection: HashMap<ConnectionId, usize>,
}

/// What a connection has to do about it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Pressure {
    /// Nothing.
    None,
    /// It holds more than its share of what is nearly used up: it reads no more of its program.
    Pause,
    /// All is used up: this connection, which holds most, must end.
    Close(ConnectionId),
}

impl Budget {
    pub(super) fn new(limit: usize) -> Self {
        Self(Mutex::new(Held {
            limit,
            total: 0,
            by_connection: HashMap::new(),
        }))
    }

    /// Another bound, from the next call on.
    pub(super) fn set_limit(&self, limit: usize) {
        self.held().limit = limit;
    }

    /// What this connection holds now.
    pub(super) fn hold(&self, connection: ConnectionId, octets: usize) -> Pressure {
        let mut held = self.held();
        held.set(connection, octets);
        if held.total > held.limit {
            return held.largest().map_or(Pressure::None, Pressure::Close);
        }
        let connections = held.by_connection.len().max(1);
        let is_tight = held.total > held.limit / 2;
        let share = held.limit.checked_div(connections).unwrap_or_default() / 2;
        if is_tight && octets > share {
            Pressure::Pause
        } else {
            Pressure::None
        }
    }

    /// Who holds most.
    pub(super) fn largest(&self) -> Option<ConnectionId> {
        self.held().largest()
    }

    /// The connection has ended.
    pub(super) fn release(&self, connection: ConnectionId) {
        let mut held = self.held();
        held.set(connection, 0);
    }

    /// What all of them hold.
    pub(super) fn total(&self) -> usize {
        self.held().total
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn largest(&self) -> Option<ConnectionId> {
        let largest = self.by_connection.iter().max_by_key(|(_, held)| **held);
        largest.map(|(largest, _)| *largest)
    }

    fn set(&mut self, connection: ConnectionId, octets: usize) {
        let before = match octets {
            0 => self.by_connection.remove(&connection),
            octets => self.by_connection.insert(connection, octets),
        };
        self.total = self
            .total
            .saturating_sub(before.unwrap_or_default())
            .saturating_add(octets);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_much_pauses_and_who_holds_most_ends() {
        let budget = Budget::new(1000);
        let number = ConnectionId::new;
        assert_eq!(budget.hold(number(1), 400), Pressure::None);
        assert_eq!(budget.hold(number(2), 90), Pressure::None);
        assert_eq!(budget.hold(number(1), 450), Pressure::Pause);
        assert_eq!(
            budget.hold(number(2), 100),
            Pressure::None,
            "within its share"
        );
        assert_eq!(budget.hold(number(2), 600), Pressure::Close(number(2)));
        budget.release(number(2));
        assert_eq!(budget.total(), 450);
        assert_eq!(budget.hold(number(3), 580), Pressure::Close(number(3)));
        assert_eq!(budget.hold(number(3), 0), Pressure::None);
        budget.set_limit(400);
        assert_eq!(budget.hold(number(4), 1), Pressure::Close(number(1)));
        budget.release(number(1));
        budget.release(number(4));
        assert_eq!(budget.total(), 0);
    }
}
