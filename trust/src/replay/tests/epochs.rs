//! Notices about epochs: what shows two agents with one key, and what an honest one does.

use super::{START, Token, memory};
use crate::replay::EpochNoticeKind::{Back, Interleaved};
use crate::replay::{EpochNotice, ReplayMemory};

fn seen(memory: &mut ReplayMemory, id: &str, issued_at: u64) -> Vec<EpochNotice> {
    let token = Token {
        issued_at,
        now: issued_at,
        ..Token::message(id)
    };
    let _ = token.judge(memory);
    memory.take_notices()
}

#[test]
fn a_restored_backup_is_noticed_once() {
    let mut memory = memory();
    assert_eq!(seen(&mut memory, "8.1.1", START + 100), []);
    let notices = seen(&mut memory, "5.1.1", START + 200);
    let [notice] = &notices[..] else {
        panic!("{notices:?}")
    };
    assert_eq!((notice.kind, notice.epoch, notice.newest), (Back, 5, 8));
    assert_eq!(notice.at.seconds(), START + 200);
    assert_eq!(notice.kind.code(), "epoch-back");
    for step in 1..100 {
        assert_eq!(
            seen(
                &mut memory,
                &format!("5.1.{}", step + 1),
                START + 200 + step
            ),
            []
        );
    }
}

#[test]
fn two_agents_that_take_turns_are_noticed() {
    let mut memory = memory();
    assert_eq!(seen(&mut memory, "8.1.1", START + 100), []);
    assert_eq!(seen(&mut memory, "5.1.1", START + 200)[0].kind, Back);
    let notices = seen(&mut memory, "8.1.2", START + 300);
    assert_eq!((notices[0].kind, notices.len()), (Interleaved, 1));
    assert_eq!(notices[0].kind.code(), "epoch-interleaved");
    assert_eq!(seen(&mut memory, "5.1.2", START + 400), []);
    assert_eq!(seen(&mut memory, "8.1.3", START + 500), []);
    // in an epoch of its own, the next time is told again
    assert_eq!(seen(&mut memory, "9.1.1", START + 600), []);
    assert_eq!(seen(&mut memory, "5.1.3", START + 700)[0].kind, Back);
}

#[test]
fn what_waited_while_its_sender_started_anew_is_no_news() {
    let mut memory = memory();
    assert_eq!(seen(&mut memory, "8.1.1", START + 100), []);
    assert_eq!(seen(&mut memory, "9.1.1", START + 200), []);
    for (counter, issued_at) in [(2, START + 150), (3, START + 200), (4, START + 210)] {
        assert_eq!(seen(&mut memory, &format!("8.1.{counter}"), issued_at), []);
    }
    assert_eq!(seen(&mut memory, "9.1.2", START + 300), []);
    assert_eq!(
        seen(&mut memory, "8.1.5", START + 211)[0].kind,
        Back,
        "past the leeway"
    );
}

#[test]
fn a_will_of_an_epoch_that_is_over_is_no_news() {
    let mut memory = memory();
    assert_eq!(seen(&mut memory, "9.1.1", START + 100), []);
    let will = Token {
        issued_at: START + 300,
        ..Token::will("8.1.1")
    };
    assert_eq!(will.outcome(&mut memory), "will-spent");
    assert_eq!(memory.take_notices(), []);
}

#[test]
fn the_notices_that_wait_are_bounded() {
    let mut memory = memory();
    for number in 0..20 {
        for (id, issued_at) in [("8.1.1", START + 100), ("5.1.1", START + 200)] {
            let token = Token {
                kid: super::kid(number),
                issued_at,
                now: issued_at,
                ..Token::message(id)
            };
            let _ = token.judge(&mut memory);
        }
    }
    let notices = memory.take_notices();
    assert_eq!(notices.len(), crate::limits::EPOCH_NOTICES);
    assert_eq!(
        notices.last().map(|notice| notice.kid),
        Some(super::kid(19))
    );
}
