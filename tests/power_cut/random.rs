//! Power cuts at moments that nobody chose, of everything that changes the disk.
//!
//! `cargo xtask power-cuts [N] [--seed SEED]`; 20 of them otherwise.

use crate::disk::{Chance, Left};
use crate::farm::Farm;
use crate::offline::{first_bundle, first_start, running, update};
use crate::site::Site;
use crate::strace;
use std::time::{SystemTime, UNIX_EPOCH};

#[test]
fn power_cuts_at_random_moments_lose_nothing() {
    if !strace::is_there() {
        return;
    }
    let cuts = number("EDGESEAL_CUTS").unwrap_or(20);
    let seed = number("EDGESEAL_SEED").unwrap_or_else(any);
    eprintln!("{cuts} power cuts, seed {seed}");
    let (farm, site) = (Farm::found(), Site::found());
    let recorded = [
        first_start(&farm),
        first_bundle(&farm),
        update(&farm),
        running(&farm),
        site.enrollment(),
        site.rotation(),
    ];
    let mut chance = Chance(seed);
    let mut counts = [0_u64; 6];
    for number in 0..cuts {
        // All kinds in turns; which moment, and what is left then, is chance.
        let kind = usize::try_from(number % 6).unwrap();
        let of = &recorded[kind];
        let time = chance.below(of.record.disk.end() + 1);
        let left = match chance.below(8) {
            0 => Left::Nothing,
            1 => Left::Names,
            2 => Left::Content,
            3 => Left::All,
            _ => Left::Some(chance.number()),
        };
        let state = of.cut(time, left);
        of.holds(&state)
            .unwrap_or_else(|why| panic!("seed {seed}, cut {number}, {}: {state}: {why}", of.what));
        counts[kind] += 1;
    }
    for (of, count) in recorded.iter().zip(counts) {
        eprintln!("{}: {count} of {} calls", of.what, of.record.disk.end());
    }
    eprintln!("{cuts} power cuts: it started every time, nothing was lost or rolled back");
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}: {text}")))
}

fn any() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_nanos() % 1_000_000_007).unwrap()
}
