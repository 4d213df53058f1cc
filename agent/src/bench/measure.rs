//! Two pieces of work, timed in turns.

use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;
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
/// round before, both at the same depth of the stack. One round more, at the beginning, warms up and
/// does not count.
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
        let depth = round % DEPTHS;
        let (raw_time, our_time) = if round % 2 == 0 {
            let raw_time = deep(depth, by, &mut raw, operations)?;
            (raw_time, deep(depth, by, &mut ours, operations)?)
        } else {
            let our_time = deep(depth, by, &mut ours, operations)?;
            (deep(depth, by, &mut raw, operations)?, our_time)
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

/// Times `work` with so many steps more of the stack in use, which together go through a page.
#[inline(never)]
fn deep<E>(
    depth: u32,
    by: By,
    work: &mut impl FnMut(u32) -> Result<(), E>,
    operations: u32,
) -> Result<Duration, E> {
    let step = black_box([0_u8; STEP_OCTETS]);
    let timed = match depth.checked_sub(1) {
        Some(depth) => deep(depth, by, work, operations),
        None => time(by, work, operations),
    };
    black_box(&step);
    timed
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

/// A prime: no rhythm of the rounds falls in with it.
const DEPTHS: u32 = 31;
/// With what a call takes itself, a little more than the 31st part of a page.
const STEP_OCTETS: usize = 64;

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
