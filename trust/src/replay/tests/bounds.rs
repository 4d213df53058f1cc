//! Bounds, counted in slots, and what may be forgotten.

use super::{BOUNDS, Disk, Past, ReplayMemory, START, Token, at, kid, memory, sweep};
use crate::replay::Bounds;

const DAY: u64 = 86_400;

fn small(consumers: usize, windows: usize) -> ReplayMemory {
    let bounds = Bounds {
        consumers,
        windows,
        ..BOUNDS
    };
    ReplayMemory::new(bounds, Past::Known, at(START))
}

fn from_key(number: u32, id: &str) -> Token {
    Token {
        kid: kid(number),
        ..Token::message(id)
    }
}

#[test]
fn at_a_bound_new_ones_are_refused_and_the_old_ones_work_on() {
    let mut memory = small(2, 8);
    let mut disk = Disk::default();
    for number in 0..1000 {
        let outcome = from_key(number, "1.1.1").outcome(&mut memory);
        assert_eq!(outcome, if number < 8 { "live" } else { "memory-full" });
        assert_eq!(memory.counts().windows, 8.min(number as usize + 1));
    }
    disk.write(&mut memory);
    // the past, a consumer, 8 windows and 8 keys
    assert_eq!(disk.0.len(), 18);
    assert_eq!(from_key(3, "1.1.1").outcome(&mut memory), "replay");
    assert_eq!(from_key(3, "1.1.2").outcome(&mut memory), "live");
    assert_eq!(from_key(3, "2.1.2").outcome(&mut memory), "live");
    let other = from_key(3, "2.1.3").for_consumer("other");
    assert_eq!(
        other.outcome(&mut memory),
        "memory-full",
        "its seeds have no room"
    );
    assert_eq!(memory.counts().consumers, 1);
    assert_eq!(memory.counts().windows, 8);
    let statement = Token {
        max_age_seconds: Some(60),
        ..Token::statement("1.1.1")
    };
    let unknown = Token {
        kid: kid(77),
        ..statement
    };
    assert_eq!(unknown.outcome(&mut memory), "memory-full");
    assert_eq!(Token::will("2.1.1").outcome(&mut memory), "memory-full");
}

#[test]
fn keys_are_bounded_where_they_need_no_window() {
    let mut memory = small(2, 8);
    for number in 0..20 {
        let token = Token {
            kid: kid(number),
            issued_at: START + u64::from(number),
            ..Token::statement("1.1.1")
        };
        let expected = if number < 8 {
            "retained"
        } else {
            "memory-full"
        };
        assert_eq!(token.outcome(&mut memory), expected);
    }
    assert_eq!((memory.counts().keys, memory.counts().windows), (8, 0));
}

#[test]
fn consumers_are_bounded_and_cost_one_slot_for_five_keys() {
    let mut memory = small(3, 100);
    for number in 0..11 {
        assert!(from_key(number, "1.1.1").judge(&mut memory).is_ok());
    }
    for (consumer, expected, windows) in [
        ("a", "replay", 14),
        ("b", "replay", 17),
        ("c", "memory-full", 17),
        ("d", "memory-full", 17),
        ("a", "replay", 17),
    ] {
        let token = from_key(3, "1.1.1").for_consumer(consumer);
        assert_eq!(token.outcome(&mut memory), expected, "{consumer}");
        assert_eq!(memory.counts().windows, windows);
    }
    assert_eq!(memory.counts().consumers, 3);
}

#[test]
fn a_consumer_is_dropped_only_when_all_that_it_accepted_has_expired() {
    let idle = START + 100 + 30 * DAY + 20;
    for (consumer, lifetime, now, dropped) in [
        ("panel", 60, idle, false),
        ("panel", 60, idle + 1, true),
        ("connected", 60, idle + 1, false),
        ("panel", 30 * DAY + 5, idle + 1, false),
        ("panel", 30 * DAY + 5, idle + 6, true),
    ] {
        let mut memory = memory();
        let token = Token {
            lifetime,
            ..Token::message("1.1.1").for_consumer(consumer)
        };
        assert!(token.judge(&mut memory).is_ok());
        sweep(&mut memory, now, true);
        assert_eq!(
            memory.counts().consumers,
            usize::from(!dropped),
            "{consumer} {lifetime} {now}"
        );
        assert_eq!(memory.counts().windows, usize::from(!dropped));
        assert_eq!(
            token.outcome(&mut memory),
            "replay",
            "it gains nothing by coming back"
        );
    }
}

#[test]
fn near_a_bound_the_longest_idle_consumers_go_first_once_expired() {
    let mut memory = small(4, 100);
    for (counter, consumer) in (1..).zip(["a", "b", "c", "d"]) {
        let token = Token {
            now: START + counter,
            issued_at: START + counter,
            ..Token::message(&format!("1.1.{counter}")).for_consumer(consumer)
        };
        assert!(token.judge(&mut memory).is_ok());
    }
    sweep(&mut memory, START + 300 + 20 + 1, true);
    assert_eq!(
        memory.counts().consumers,
        4,
        "the first is 300 s old, and twice the leeway"
    );
    sweep(&mut memory, START + 300 + 20 + 2, true);
    assert_eq!(memory.counts().consumers, 3);
    sweep(&mut memory, START + 900, true);
    assert_eq!(
        memory.counts().consumers,
        3,
        "three quarters are not crowded"
    );
    let known = |memory: &ReplayMemory, name: &str| memory.consumers.named(&name.into()).is_some();
    assert!(!known(&memory, "a") && known(&memory, "d"));
}

#[test]
fn a_dropped_consumer_leaves_slots_and_no_way_back() {
    let mut memory = memory();
    let mut disk = Disk::default();
    for number in 0..7 {
        assert!(from_key(number, "1.1.5").judge(&mut memory).is_ok());
        let will = Token {
            kid: kid(number),
            ..Token::will("1.1.6")
        };
        assert_eq!(will.outcome(&mut memory), "will");
        let second = from_key(number, "1.1.7").for_consumer("second");
        disk.write(&mut memory);
        assert!(second.judge(&mut memory).is_ok());
    }
    disk.write(&mut memory);
    let size = disk.0.len();
    sweep(&mut memory, START + 40 * DAY, true);
    disk.write(&mut memory);
    assert_eq!(memory.counts().windows, 0);
    let mut memory = disk.restore(START + 40 * DAY);
    assert_eq!(memory.counts().consumers, 0);
    assert_eq!(memory.counts().keys, 7);
    for number in 0..7 {
        for consumer in ["panel", "second", "third"] {
            for id in ["1.1.5", "1.1.7"] {
                let token = from_key(number, id).for_consumer(consumer);
                assert_eq!(token.outcome(&mut memory), "replay");
            }
        }
    }
    disk = Disk::default();
    disk.write(&mut memory);
    assert!(disk.0.len() <= size);
}

#[test]
fn a_key_is_forgotten_when_it_is_idle_and_out_of_the_registry() {
    for (now, in_registry, keys) in [
        (START + 31 * DAY, true, 1),
        (START + 29 * DAY, false, 1),
        (START + 31 * DAY, false, 0),
    ] {
        let mut memory = memory();
        let token = Token::message("2.1.1").for_consumer("connected");
        assert!(token.judge(&mut memory).is_ok());
        sweep(&mut memory, now, in_registry);
        assert_eq!(memory.counts().keys, keys, "{now} {in_registry}");
        assert_eq!(memory.counts().windows, keys);
    }
}

#[test]
fn expired_wills_are_forgotten() {
    let mut memory = memory();
    let will = Token {
        lifetime: 7 * DAY,
        ..Token::will("1.1.1")
    };
    assert_eq!(will.outcome(&mut memory), "will");
    sweep(&mut memory, START + 7 * DAY, true);
    assert_eq!(will.outcome(&mut memory), "will-spent");
    sweep(&mut memory, START + 8 * DAY, true);
    assert_eq!(memory.counts().windows, 0);
}

#[test]
fn slots_are_used_again() {
    let mut memory = small(4, 40);
    let mut disk = Disk::default();
    for round in 0..50_u64 {
        let now = START + round * 40 * DAY;
        for number in 0..20 {
            let token = Token {
                kid: kid(number),
                issued_at: now,
                now,
                ..Token::message(&format!("1.1.{round}"))
            };
            let consumer = format!("{}-{}", round, number % 2);
            let judged = token.for_consumer(&consumer).judge(&mut memory);
            assert_ne!(judged, Err("memory-full"), "{round} {number}");
        }
        disk.write(&mut memory);
        sweep(&mut memory, now + 39 * DAY, true);
        disk.write(&mut memory);
    }
    assert!(disk.0.len() <= 1 + 4 + 40 + 20, "{}", disk.0.len());
}
