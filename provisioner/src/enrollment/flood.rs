//! The bound on work: how often one key may ask, and what was answered to the very same request a moment ago.

use edgeseal_trust::document::Digest;
use edgeseal_trust::key::KeyId;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Remembers who asked lately, in two generations of bounded size.
pub(crate) struct Flood {
    young: HashMap<KeyId, Seen>,
    old: HashMap<KeyId, Seen>,
    /// How many messages were not looked at.
    passed_over: u64,
}

#[derive(Clone, Copy)]
struct Seen {
    request: Digest,
    at: Instant,
}

impl Flood {
    /// Nobody has asked yet.
    pub(crate) fn new() -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            passed_over: 0,
        }
    }

    /// Whether a request on the topic of `kid` is to be judged now: not the same again within a minute, and not another within
    /// [`PAUSE`].
    pub(crate) fn admits(&mut self, kid: KeyId, request: Digest, now: Instant) -> bool {
        let seen = self.young.get(&kid).or_else(|| self.old.get(&kid));
        if let Some(seen) = seen {
            let pause = match seen.request == request {
                true => SAME_AGAIN,
                false => PAUSE,
            };
            if now.saturating_duration_since(seen.at) < pause {
                self.passed_over = self.passed_over.saturating_add(1);
                return false;
            }
        }
        if self.young.len() >= MOST {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(kid, Seen { request, at: now });
        true
    }

    /// How many messages were not looked at, since the last time somebody asked.
    pub(crate) fn take_passed_over(&mut self) -> u64 {
        std::mem::take(&mut self.passed_over)
    }
}

/// The least time between two requests of one key.
pub(crate) const PAUSE: Duration = Duration::from_secs(2);
const SAME_AGAIN: Duration = Duration::from_secs(10);
/// Keys in one generation: some 5 MiB in both.
const MOST: usize = 32_768;

#[cfg(test)]
mod tests {
    use super::{Flood, MOST, PAUSE, SAME_AGAIN};
    use edgeseal_trust::document::Digest;
    use edgeseal_trust::key::KeyId;
    use std::time::Instant;

    #[test]
    fn a_key_asks_now_and_then_and_memory_is_bounded() {
        let mut flood = Flood::new();
        let kid = KeyId::from_octets([1; 32]);
        let (first, second) = (Digest::of(b"1"), Digest::of(b"2"));
        let now = Instant::now();
        assert!(flood.admits(kid, first, now));
        assert!(!flood.admits(kid, first, now + PAUSE));
        assert!(!flood.admits(kid, second, now));
        assert!(flood.admits(kid, second, now + PAUSE));
        assert!(flood.admits(kid, second, now + PAUSE + SAME_AGAIN));
        assert_eq!(flood.take_passed_over(), 2);
        for number in 0..100_000_u32 {
            let mut octets = [0; 32];
            octets[..4].copy_from_slice(&number.to_be_bytes());
            assert!(flood.admits(KeyId::from_octets(octets), first, now));
        }
        assert!(flood.young.len() + flood.old.len() <= 2 * MOST);
    }
}
