//! Records: what was written is enough, and what is damaged lets nothing in.

use super::{BOUNDS, Disk, Past, ReplayMemory, START, Token, at, kid, memory, restarted};
use crate::replay::record::Content;
use crate::replay::{Bounds, Restoration};

/// A memory with every type of record, and the tokens that it accepted.
fn full() -> (ReplayMemory, Vec<Token>) {
    let mut memory = memory();
    let mut accepted = Vec::new();
    for number in 0..12 {
        for (consumer, id) in [
            ("panel", "3.1.7"),
            ("panel", "4.1.2"),
            ("panel", "3.1.8"),
            ("second", "4.1.3"),
            ("third", "4.1.4"),
        ] {
            let token = Token {
                kid: kid(number),
                ..Token::message(id).for_consumer(consumer)
            };
            assert_eq!(token.outcome(&mut memory), "live");
            accepted.push(token);
        }
    }
    let live = Token {
        max_age_seconds: Some(60),
        ..Token::statement("4.0.9")
    };
    assert_eq!(live.outcome(&mut memory), "live");
    assert_eq!(Token::will("4.1.10").outcome(&mut memory), "will");
    (memory, accepted)
}

#[test]
fn a_restored_memory_says_what_the_first_one_said() {
    let (mut memory, accepted) = full();
    let counts = memory.counts();
    let mut memory = restarted(&mut memory, START + 200);
    assert_eq!(memory.past(), Past::Known);
    assert_eq!(
        memory.counts(),
        crate::replay::Counts {
            statements: 0,
            ..counts
        }
    );
    for token in &accepted {
        assert_eq!(
            token.outcome(&mut memory),
            "replay",
            "{} {}",
            token.consumer,
            token.id
        );
        assert!(token.for_consumer("random").judge(&mut memory).is_err());
    }
    let live = Token {
        max_age_seconds: Some(60),
        ..Token::statement("4.0.9")
    };
    assert_eq!(live.outcome(&mut memory), "retained");
    assert_eq!(Token::will("4.1.10").outcome(&mut memory), "will-spent");
    let next = Token::message("4.1.5").for_consumer("third");
    assert_eq!(next.judge(&mut memory).unwrap().gap, Some(0));
}

#[test]
fn one_damaged_record_makes_the_past_unknown_and_lets_nothing_in() {
    let (mut memory, accepted) = full();
    let mut disk = Disk::default();
    disk.write(&mut memory);
    let start = START + 101; // the youngest token was accepted a second ago
    for slot in 0..disk.0.len() {
        let mut damaged = disk.0.clone();
        damaged[slot][100] ^= 1;
        damaged[slot][1] ^= 1;
        let (mut memory, restoration) =
            ReplayMemory::restore(BOUNDS, at(start), damaged.iter().copied());
        assert_eq!(restoration.refused, 1, "{slot}");
        assert_eq!(memory.past(), Past::UnknownUntil(at(start)));
        for token in &accepted {
            assert!(token.judge(&mut memory).is_err(), "{slot} {}", token.id);
        }
        let young = Token {
            issued_at: start + 11,
            ..Token::message("9.1.1")
        };
        assert_eq!(young.outcome(&mut memory), "live");
    }
}

#[test]
fn records_that_are_absent_twice_there_or_beyond_a_bound_are_noticed() {
    let (mut memory, accepted) = full();
    let mut disk = Disk::default();
    disk.write(&mut memory);
    let unknown = Past::UnknownUntil(at(START + 500));
    let restore = |bounds, records: &[[u8; 512]]| {
        ReplayMemory::restore(bounds, at(START + 500), records.iter().copied())
    };
    let (memory, _) = restore(BOUNDS, &disk.0[1..]);
    assert_eq!(memory.past(), unknown, "without the record of the past");
    let (memory, restoration) = restore(BOUNDS, &[]);
    assert_eq!(
        (memory.past(), restoration),
        (unknown, Restoration::default())
    );
    let twice = [&disk.0[..], &disk.0[..]].concat();
    let (memory, restoration) = restore(BOUNDS, &twice);
    assert_eq!(memory.past(), unknown);
    assert_eq!(restoration.refused, 40, "consumers, windows, the past");
    for bounds in [
        Bounds {
            windows: 20,
            ..BOUNDS
        },
        Bounds {
            consumers: 2,
            ..BOUNDS
        },
    ] {
        let (mut memory, restoration) = restore(bounds, &disk.0);
        assert!(restoration.refused > 0);
        assert!(memory.counts().windows <= bounds.windows);
        assert_eq!(memory.past(), unknown);
        for token in &accepted {
            assert!(token.judge(&mut memory).is_err());
        }
    }
    let mut reversed = disk.0.clone();
    reversed.reverse();
    let (memory, restoration) = restore(BOUNDS, &reversed);
    assert_eq!(
        (memory.past(), restoration.refused),
        (Past::Known, 0),
        "any order"
    );
}

#[test]
fn what_changes_later_is_written_too() {
    let mut memory = ReplayMemory::new(BOUNDS, Past::UnknownUntil(at(5)), at(5));
    let mut disk = Disk::default();
    for token in [
        Token::statement("7.1.1"),
        Token::will("7.1.2"),
        Token::will("7.1.3"),
    ] {
        assert!(token.judge(&mut memory).is_ok());
        disk.write(&mut memory);
    }
    let mut restored = disk.restore(START);
    for id in ["7.1.2", "7.1.3"] {
        assert_eq!(Token::will(id).outcome(&mut restored), "will-spent");
    }
    assert!(Token::statement("8.1.1").judge(&mut memory).is_ok());
    disk.write(&mut memory);
    let mut restored = disk.restore(START);
    assert_eq!(Token::will("7.1.4").outcome(&mut restored), "will-spent");
    memory.set_start(at(START));
    disk.write(&mut memory);
    assert_eq!(disk.restore(START).past(), Past::UnknownUntil(at(START)));
    memory.set_start(at(START + 7));
    memory.distrust();
    disk.write(&mut memory);
    assert_eq!(
        disk.restore(START).past(),
        Past::UnknownUntil(at(START + 7))
    );
}

#[test]
fn a_start_that_no_synchronized_clock_told_does_not_outlive_its_process() {
    for shown in [0, START - 3600, START, START + 3600] {
        let mut memory = ReplayMemory::new(BOUNDS, Past::UnknownUntil(at(shown)), at(shown));
        let young = Token {
            issued_at: shown + 11,
            ..Token::message("1.1.1")
        };
        assert_eq!(young.outcome(&mut memory), "live");
        for restart in 1..3 {
            memory = restarted(&mut memory, shown + restart);
            assert_eq!(memory.past(), Past::UnknownUntil(at(shown + restart)));
        }
        // What was accepted before the reboot is known to nobody, and refused once the time is right.
        let mut disk = Disk::default();
        disk.write(&mut memory);
        memory.set_start(at(START));
        assert_eq!(memory.past(), Past::UnknownUntil(at(START)), "{shown}");
        for (issued_at, expected) in [
            (START - 1800, "before-start"),
            (START + 10, "before-start"),
            (START + 11, "live"),
        ] {
            let token = Token {
                issued_at,
                ..Token::message("1.1.2")
            };
            assert_eq!(token.outcome(&mut memory), expected, "{shown} {issued_at}");
        }
        // From then on it is told, also where the clock showed the same all the time.
        disk.write(&mut memory);
        let mut memory = disk.restore(START + 50);
        memory.set_start(at(START + 60));
        assert_eq!(memory.past(), Past::UnknownUntil(at(START)), "{shown}");
        // and what the windows knew before stays known
        let expected = match shown < START {
            true => "before-start",
            false => "replay",
        };
        assert_eq!(young.outcome(&mut memory), expected, "{shown}");
    }
}

#[test]
fn what_belongs_to_a_lost_consumer_is_dropped_and_not_given_to_another() {
    let mut memory = memory();
    assert_eq!(Token::message("1.1.5").outcome(&mut memory), "live");
    assert_eq!(Token::will("1.1.6").outcome(&mut memory), "will");
    let records = memory.records().filter(|record| {
        let content = Content::decode(record);
        !matches!(content, Ok(Content::Consumer { .. }))
    });
    let (mut memory, _) = ReplayMemory::restore(BOUNDS, at(START), records);
    assert_eq!((memory.counts().consumers, memory.counts().windows), (0, 0));
    // it begins with the newest counters, as every new consumer does
    assert_eq!(Token::message("1.1.5").outcome(&mut memory), "replay");
    assert_eq!(Token::will("1.1.6").outcome(&mut memory), "will");
}

#[test]
fn a_write_that_fails_is_handed_out_again() {
    let mut memory = memory();
    assert!(Token::message("1.1.1").judge(&mut memory).is_ok());
    let mut slots = Vec::new();
    let failed = memory.write_changes(|slot, _| {
        slots.push(slot);
        if slots.len() < 3 { Ok(()) } else { Err("full") }
    });
    assert_eq!(failed, Err("full"));
    let third = slots[2];
    slots.clear();
    let written = memory.write_changes(|slot, _| {
        slots.push(slot);
        Ok::<(), ()>(())
    });
    assert_eq!(written, Ok(()));
    assert_eq!(slots.first(), Some(&third));
    let mut more = 0;
    let count = |_: u32, _: &super::Record| {
        more += 1;
        Ok::<(), ()>(())
    };
    assert_eq!(memory.write_changes(count), Ok(()));
    assert_eq!(more, 0, "nothing changed since");
    assert!(Token::message("1.1.2").judge(&mut memory).is_ok());
    let mut more = 0;
    let count = |_: u32, _: &super::Record| {
        more += 1;
        Ok::<(), ()>(())
    };
    assert_eq!(memory.write_changes(count), Ok(()));
    assert_eq!(more, 1, "a message costs one write");
}

#[test]
fn a_kill_between_any_two_writes_lets_nothing_in() {
    let (mut memory, accepted) = full();
    let mut disk = Disk::default();
    disk.write(&mut memory);
    // a new consumer's records are cut off anywhere: its verdict was never used
    let token = Token::message("4.1.5").for_consumer("random");
    let steps = {
        let mut trial = restarted(&mut full().0, START + 200);
        trial.all_written();
        assert_eq!(token.outcome(&mut trial), "live");
        let mut steps = 0;
        let count = |_: u32, _: &super::Record| {
            steps += 1;
            Ok::<(), ()>(())
        };
        assert_eq!(trial.write_changes(count), Ok(()));
        steps
    };
    assert!(steps > 4);
    for cut in 0..steps {
        let mut first = disk.restore(START + 200);
        let mut copy = Disk::default();
        copy.write(&mut first);
        assert_eq!(token.outcome(&mut first), "live");
        let mut left = cut;
        let _ = first.write_changes(|slot, record| {
            let slot = slot as usize;
            left = i32::checked_sub(left, 1)
                .filter(|left| *left >= 0)
                .ok_or(())?;
            copy.0.resize(copy.0.len().max(slot + 1), [0; 512]);
            copy.0[slot] = *record;
            Ok::<(), ()>(())
        });
        let mut second = copy.restore(START + 300);
        assert_eq!(second.past(), Past::Known);
        for token in &accepted {
            let again = token.for_consumer("random");
            assert!(again.judge(&mut second).is_err(), "{cut} {}", token.id);
            assert_eq!(token.outcome(&mut second), "replay");
        }
    }
}
