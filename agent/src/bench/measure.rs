//! Two pieces of work, timed in turns.

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// Medians of the rounds, in microseconds for one operation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Medians {
    pub(super) ours: f64,
    pub(super) raw: f64,
}

/// What a round is timed by.
#[derive(Clone, Copy, Debug)]
pub(super) enum By {
    /// What this thread worked: others on the same processor change little.
    ThreadTime,
    /// The clock on the wall, where another thread has a part in the work.
    WallTime,
}

impl By {
    fn now(self) -> Duration {
        let time = clock_gettime(match self {
            Self::ThreadTime => ClockId::ThreadCPUTime,
            Self::WallTime => ClockId::Monotonic,
        });
        Duration::try_from(time).unwrap_or_default()
    }
}

/// Times `raw` and `ours`, `operations` of each in every round, the one first that was second the
/// round before. One round more, at the beginning, warms up and does not count.
///
/// # Errors
/// The first of either side.
pub(super) fn interleave<E>(
    by: By,
    rounds: u32,
    operations: u32,
    mut raw: impl FnMut(u32) -> Result<(), E>,
    mut ours: impl FnMut(u32) -> Result<(), E>,
) -> Result<Medians, E> {
    let (mut raw_times, mut our_times) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        let (raw_time, our_time) = if round % 2 == 0 {
            let raw_time = time(by, &mut raw, operations)?;
            (raw_time, time(by, &mut ours, operations)?)
        } else {
            let our_time = time(by, &mut ours, operations)?;
            (time(by, &mut raw, operations)?, our_time)
        };
        if round > 0 {
            raw_times.push(raw_time);
            our_times.push(our_time);
        }
    }
    let each = |times: Vec<Duration>| median(times).as_secs_f64() * 1e6 / f64::from(operations);
    Ok(Medians {
        ours: each(our_times),
        raw: each(raw_times),
    })
}

fn time<E>(
    by: By,
    work: &mut impl FnMut(u32) -> Result<(), E>,
    operations: u32,
) -> Result<Duration, E> {
    let started = by.now();
    for operation in 0..operations {
        work(operation)?;
    }
    Ok(by.now().saturating_sub(started))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    let middle = times.len() / 2;
    times.get(middle).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{By, interleave, median};
    use std::convert::Infallible;
    use std::time::Duration;

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        let times = [9, 1, 5, 100, 2].map(Duration::from_micros);
        assert_eq!(median(times.to_vec()), Duration::from_micros(5));
        assert_eq!(median(Vec::new()), Duration::ZERO);
    }

    #[test]
    fn both_sides_do_the_same_number_of_operations() {
        let (mut raw, mut ours) = (0_u32, 0_u32);
        let count = |counter: &mut u32| {
            *counter = counter.saturating_add(1);
            Ok::<(), Infallible>(())
        };
        interleave(
            By::ThreadTime,
            4,
            5,
            |_| count(&mut raw),
            |_| count(&mut ours),
        )
        .unwrap();
        assert_eq!((raw, ours), (25, 25));
    }
}
