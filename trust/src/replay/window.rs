//! Sliding windows over the counters of one sender, as one consumer has accepted them.

use crate::limits;
use crate::time::UnixTime;
use crate::token::{Rejection, Stream, TokenId};

/// What one consumer has accepted from one key.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Window {
    /// The newest epoch of which a message was accepted.
    pub(super) current: Option<Epoch<MESSAGE_WORDS>>,
    /// The epoch before it, of which messages may still be queued at the broker.
    pub(super) previous: Option<Epoch<MESSAGE_WORDS>>,
    /// Retained statements that were handed on as live events.
    pub(super) live: Option<Epoch<LIVE_WORDS>>,
    /// When a token was accepted last.
    pub(super) last_accepted: UnixTime,
    /// When the last of the accepted tokens expires.
    pub(super) expires_at: UnixTime,
}

/// Two streams of counters in one epoch of the sender.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Epoch<const WORDS: usize> {
    pub(super) number: u64,
    pub(super) at_most_once: Counters<WORDS>,
    pub(super) reliable: Counters<WORDS>,
}

/// A window of `WORDS * 64` counters, the newest of them included. The bit of a counter is its
/// remainder by the span (as in RFC 6479), so nothing is ever shifted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Counters<const WORDS: usize> {
    pub(super) newest: Option<u64>,
    pub(super) seen: [u64; WORDS],
}

/// The newest counters of one key that any consumer has accepted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Newest {
    pub(super) message: Option<Mark>,
    pub(super) live: Option<Mark>,
}

/// The newest counters of one epoch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Mark {
    pub(super) epoch: u64,
    pub(super) at_most_once: Option<u64>,
    pub(super) reliable: Option<u64>,
}

/// Where a counter falls.
enum Place {
    /// Above everything accepted; the gap to it, unless it is the first.
    Ahead(Option<u64>),
    /// Too far behind to tell.
    Below(u64),
    /// Within the window and not accepted yet.
    Late,
    /// Accepted before.
    Seen,
}

impl Window {
    /// The window of a consumer that begins with the newest counters that others accepted: all up
    /// to them counts as accepted.
    pub(super) fn begun_at(newest: &Newest) -> Self {
        Self {
            current: newest.message.map(Epoch::up_to),
            live: newest.live.map(Epoch::up_to),
            ..Self::default()
        }
    }

    /// Judges the id of a message and counts it as accepted; answers the gap.
    pub(super) fn accept_message(&mut self, id: TokenId) -> Result<Option<u64>, Rejection> {
        match &mut self.current {
            Some(current) if current.number == id.epoch => current.accept(id),
            Some(current) if current.number > id.epoch => match &mut self.previous {
                Some(previous) if previous.number == id.epoch => previous.accept(id),
                _ => Err(Rejection::OldEpoch {
                    found: id.epoch,
                    newest: current.number,
                }),
            },
            _ => {
                self.previous = self.current.take();
                self.current.insert(Epoch::begun(id.epoch)).accept(id)
            }
        }
    }

    /// Whether a retained statement is new here; counts it as seen live.
    pub(super) fn accept_live(&mut self, id: TokenId) -> bool {
        match &mut self.live {
            Some(live) if live.number == id.epoch => live.accept(id).is_ok(),
            Some(live) if live.number > id.epoch => false,
            _ => {
                let mut live = Epoch::begun(id.epoch);
                let new = live.accept(id).is_ok();
                self.live = Some(live);
                new
            }
        }
    }

    /// The newest counters in it.
    pub(super) fn newest(&self) -> Newest {
        Newest {
            message: self.current.as_ref().map(Epoch::mark),
            live: self.live.as_ref().map(Epoch::mark),
        }
    }
}

impl<const WORDS: usize> Epoch<WORDS> {
    fn begun(number: u64) -> Self {
        Self {
            number,
            at_most_once: Counters::up_to(None),
            reliable: Counters::up_to(None),
        }
    }

    fn up_to(mark: Mark) -> Self {
        Self {
            number: mark.epoch,
            at_most_once: Counters::up_to(mark.at_most_once),
            reliable: Counters::up_to(mark.reliable),
        }
    }

    fn mark(&self) -> Mark {
        Mark {
            epoch: self.number,
            at_most_once: self.at_most_once.newest,
            reliable: self.reliable.newest,
        }
    }

    fn accept(&mut self, id: TokenId) -> Result<Option<u64>, Rejection> {
        let counters = match id.stream {
            Stream::AtMostOnce => &mut self.at_most_once,
            Stream::Reliable => &mut self.reliable,
        };
        let gap = match counters.place(id.counter) {
            Place::Ahead(gap) => gap,
            Place::Below(newest) => return Err(Rejection::WindowPassed { id, newest }),
            Place::Late => None,
            Place::Seen => return Err(Rejection::Replay(id)),
        };
        counters.count(id.counter);
        Ok(gap)
    }
}

impl<const WORDS: usize> Counters<WORDS> {
    /// All up to `newest` accepted; nothing at all without it.
    fn up_to(newest: Option<u64>) -> Self {
        let seen = if newest.is_some() { u64::MAX } else { 0 };
        Self {
            newest,
            seen: [seen; WORDS],
        }
    }

    fn place(&self, counter: u64) -> Place {
        let Some(newest) = self.newest else {
            return Place::Ahead(None);
        };
        if let Some(behind) = newest.checked_sub(counter) {
            if behind >= Self::span() {
                Place::Below(newest)
            } else if self.is_seen(counter) {
                Place::Seen
            } else {
                Place::Late
            }
        } else {
            let step = counter.saturating_sub(newest);
            Place::Ahead(Some(step.saturating_sub(1)))
        }
    }

    /// Counts an accepted counter; the window follows the newest.
    fn count(&mut self, counter: u64) {
        match self.newest {
            Some(newest) if counter > newest => {
                if counter.saturating_sub(newest) >= Self::span() {
                    self.seen = [0; WORDS];
                } else {
                    (newest..=counter)
                        .skip(1)
                        .for_each(|passed| self.set(passed, false));
                }
                self.newest = Some(counter);
            }
            Some(_) => {}
            None => self.newest = Some(counter),
        }
        self.set(counter, true);
    }

    fn is_seen(&self, counter: u64) -> bool {
        let (word, bit) = Self::locate(counter);
        self.seen.get(word).is_none_or(|word| word & bit != 0)
    }

    fn set(&mut self, counter: u64, seen: bool) {
        let (word, bit) = Self::locate(counter);
        if let Some(word) = self.seen.get_mut(word) {
            *word = if seen { *word | bit } else { *word & !bit };
        }
    }

    fn locate(counter: u64) -> (usize, u64) {
        let at = counter.checked_rem(Self::span()).unwrap_or_default();
        let word = usize::try_from(at >> 6).unwrap_or(usize::MAX);
        (word, 1 << (at & 63))
    }

    fn span() -> u64 {
        u64::try_from(WORDS).unwrap_or(0).saturating_mul(WORD_BITS)
    }
}

impl Newest {
    /// What is newer of both, epoch by epoch and stream by stream.
    pub(super) fn merge(&mut self, other: &Self) {
        merge(&mut self.message, other.message);
        merge(&mut self.live, other.live);
    }

    /// The highest epoch in it.
    pub(super) fn epoch(&self) -> u64 {
        let epoch = |mark: Option<Mark>| mark.map_or(0, |mark| mark.epoch);
        epoch(self.message).max(epoch(self.live))
    }
}

fn merge(known: &mut Option<Mark>, other: Option<Mark>) {
    let Some(other) = other else { return };
    match known {
        Some(known) if known.epoch > other.epoch => {}
        Some(known) if known.epoch == other.epoch => {
            known.at_most_once = known.at_most_once.max(other.at_most_once);
            known.reliable = known.reliable.max(other.reliable);
        }
        _ => *known = Some(other),
    }
}

const WORD_BITS: u64 = 64;
const MESSAGE_WORDS: usize = 8;
const LIVE_WORDS: usize = 4;
const _: () = assert!(MESSAGE_WORDS == 8 && limits::WINDOW_COUNTERS == 8 * WORD_BITS);
const _: () = assert!(LIVE_WORDS == 4 && limits::LIVE_STATEMENT_COUNTERS == 4 * WORD_BITS);

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]
    use super::{Mark, Newest, Window};
    use crate::token::{Stream, TokenId};

    fn id(epoch: u64, counter: u64) -> TokenId {
        let stream = Stream::Reliable;
        TokenId {
            epoch,
            stream,
            counter,
        }
    }

    #[test]
    fn a_window_of_512_counters_moves_with_the_newest() {
        let mut window = Window::default();
        let mut judge = |epoch, counter| match window.accept_message(id(epoch, counter)) {
            Ok(gap) => gap.map_or("accepted".to_owned(), |gap| format!("gap {gap}")),
            Err(rejection) => rejection.code().to_owned(),
        };
        for (epoch, counter, expected) in [
            (7, 1000, "accepted"),     // the first: no gap to tell
            (7, 1000, "replay"),       // equal
            (7, 489, "accepted"),      // the last counter in the window
            (7, 488, "window-passed"), // one below it
            (7, 1001, "gap 0"),
            (7, 489, "window-passed"), // the window moved
            (7, 490, "accepted"),
            (7, 1004, "gap 2"),
            (7, 1002, "accepted"), // late: no gap
            (7, 1002, "replay"),
            (7, 1515, "gap 510"),
            (7, 1004, "replay"), // still the last counter in the window
            (7, 1003, "window-passed"),
            (7, 1005, "accepted"), // its bit was another counter's once
            (7, 9999, "gap 8483"), // everything forgotten, nothing accepted again
            (7, 1515, "window-passed"),
            (7, 9707, "accepted"), // the bit of 1515, which is forgotten
            (7, 9998, "accepted"),
            (8, 5, "accepted"),    // a new epoch: a new window
            (7, 9997, "accepted"), // the previous one still counts
            (7, 9998, "replay"),
            (7, 10_001, "gap 1"),
            (6, 1, "old-epoch"),
            (9, 0, "accepted"),
            (7, 10_002, "old-epoch"), // only one previous
            (8, 4, "accepted"),
            (11, 0, "accepted"),
            (10, 1, "old-epoch"), // between the two
            (9, 1, "gap 0"),
            (u64::MAX, u64::MAX, "accepted"),
            (u64::MAX, u64::MAX, "replay"),
            (u64::MAX, 0, "window-passed"),
        ] {
            assert_eq!(judge(epoch, counter), expected, "{epoch}.1.{counter}");
        }
    }

    #[test]
    fn streams_are_apart() {
        let mut window = Window::default();
        let other = TokenId {
            stream: Stream::AtMostOnce,
            ..id(1, 5)
        };
        assert_eq!(window.accept_message(id(1, 5)), Ok(None));
        assert_eq!(window.accept_message(other), Ok(None));
        assert!(window.accept_message(other).is_err());
    }

    #[test]
    fn a_window_begun_at_the_newest_counters_counts_all_up_to_them() {
        let message = Some(Mark {
            epoch: 3,
            at_most_once: None,
            reliable: Some(40),
        });
        let newest = Newest {
            message,
            live: message,
        };
        let mut window = Window::begun_at(&newest);
        assert_eq!(window.newest(), newest);
        for counter in 0..=40 {
            let refused = window.accept_message(id(3, counter)).unwrap_err();
            assert_eq!(refused.code(), "replay", "{counter}");
            assert!(!window.accept_live(id(3, counter)));
        }
        assert_eq!(
            window.accept_message(id(2, 41)).unwrap_err().code(),
            "old-epoch"
        );
        assert_eq!(window.accept_message(id(3, 41)), Ok(Some(0)));
        let unseen = TokenId {
            stream: Stream::AtMostOnce,
            ..id(3, 1)
        };
        assert_eq!(window.accept_message(unseen), Ok(None));
    }

    #[test]
    fn statements_are_new_once_and_never_move_the_windows_of_messages() {
        let mut window = Window::default();
        for (epoch, counter, new) in [
            (2, 300, true),
            (2, 300, false),
            (2, 45, true),
            (2, 44, false), // 256 behind: cannot be told
            (2, 301, true),
            (3, 1, true),
            (2, 302, false),
        ] {
            assert_eq!(
                window.accept_live(id(epoch, counter)),
                new,
                "{epoch} {counter}"
            );
        }
        assert_eq!(window.current, None);
        assert_eq!(window.accept_message(id(2, 300)), Ok(None));
    }

    #[test]
    fn marks_merge_by_epoch_and_stream() {
        let mark = |epoch, at_most_once, reliable| {
            Some(Mark {
                epoch,
                at_most_once,
                reliable,
            })
        };
        for (one, other, both) in [
            (None, mark(1, None, Some(1)), mark(1, None, Some(1))),
            (mark(1, None, Some(1)), None, mark(1, None, Some(1))),
            (
                mark(2, None, Some(1)),
                mark(1, Some(9), Some(9)),
                mark(2, None, Some(1)),
            ),
            (
                mark(1, Some(9), Some(9)),
                mark(2, None, Some(1)),
                mark(2, None, Some(1)),
            ),
            (
                mark(2, Some(4), Some(1)),
                mark(2, None, Some(3)),
                mark(2, Some(4), Some(3)),
            ),
        ] {
            let mut merged = Newest {
                message: one,
                live: None,
            };
            merged.merge(&Newest {
                message: other,
                live: other,
            });
            assert_eq!(merged.message, both);
            assert_eq!(merged.live, other);
        }
    }
}
