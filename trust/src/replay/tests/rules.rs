//! Messages: windows, consumers, the time before the start, the proof of a clone.

use super::{BOUNDS, Delivery, Past, ReplayMemory, START, Token, at, kid, memory, restarted};
use crate::replay::CloneAlarm;

#[test]
fn a_message_is_accepted_once_by_each_consumer() {
    let mut memory = memory();
    memory.introduce(&"pump".into(), at(START)).unwrap();
    for (consumer, id, expected) in [
        ("panel", "7.1.10", Ok(None)),
        ("pump", "7.1.10", Ok(None)),
        ("panel", "7.1.10", Err("replay")),
        ("pump", "7.1.10", Err("replay")),
        ("panel", "7.1.14", Ok(Some(3))),
        ("panel", "7.0.14", Ok(None)), // the other stream
        ("panel", "7.1.12", Ok(None)),
        ("panel", "6.1.15", Err("old-epoch")),
        ("panel", "8.1.1", Ok(None)),
        ("panel", "7.1.15", Ok(Some(0))),
        ("panel", "9.1.1", Ok(None)),
        ("panel", "7.1.16", Err("old-epoch")),
        ("pump", "7.1.16", Ok(Some(5))),
    ] {
        let judged = Token::message(id).for_consumer(consumer).judge(&mut memory);
        assert_eq!(
            judged.map(|accepted| accepted.gap),
            expected,
            "{consumer} {id}"
        );
        if let Ok(accepted) = judged {
            assert_eq!(accepted.delivery, Delivery::Live);
            assert!(!accepted.first_since_start);
        }
    }
}

#[test]
fn keys_are_apart() {
    let mut memory = memory();
    let mut token = Token::message("1.1.1");
    assert!(token.judge(&mut memory).is_ok());
    token.kid = kid(2);
    assert!(token.judge(&mut memory).is_ok());
}

#[test]
fn a_new_consumer_begins_with_the_newest_counters_of_all() {
    let mut memory = memory();
    for id in ["7.1.10", "7.1.12", "7.0.3"] {
        assert!(Token::message(id).judge(&mut memory).is_ok());
    }
    for (id, expected) in [
        ("7.1.12", "replay"),
        ("7.1.11", "replay"), // nobody accepted it, but it is not newer
        ("7.0.3", "replay"),
        ("6.1.99", "old-epoch"),
        ("7.1.13", "live"),
        ("7.0.4", "live"),
    ] {
        let outcome = Token::message(id)
            .for_consumer("x-4711")
            .outcome(&mut memory);
        assert_eq!(outcome, expected, "{id}");
    }
    // a consumer that was there already misses nothing, whoever was first
    assert!(
        Token::message("7.1.14")
            .for_consumer("x-4711")
            .judge(&mut memory)
            .is_ok()
    );
    assert!(Token::message("7.1.14").judge(&mut memory).is_ok());
    // and a key that it meets for the first time begins afresh
    let mut other = Token::message("3.1.5");
    other.kid = kid(2);
    assert!(other.judge(&mut memory).is_ok());
    assert!(other.for_consumer("x-4711").judge(&mut memory).is_ok());
    assert_eq!(other.for_consumer("x-4712").outcome(&mut memory), "replay");
}

#[test]
fn a_consumer_begins_when_it_is_introduced_or_refused_for_the_first_time() {
    let mut memory = memory();
    assert!(Token::message("7.1.1").judge(&mut memory).is_ok());
    memory.introduce(&"early".into(), at(START)).unwrap();
    let late = Token::message("7.1.1").for_consumer("late");
    assert_eq!(late.outcome(&mut memory), "replay");
    let second = Token::message("7.1.2");
    assert!(second.judge(&mut memory).is_ok());
    for consumer in ["early", "late"] {
        assert!(
            second.for_consumer(consumer).judge(&mut memory).is_ok(),
            "{consumer}"
        );
    }
}

#[test]
fn what_was_issued_before_the_start_is_refused_unless_remembered() {
    let unknown = || ReplayMemory::new(BOUNDS, Past::UnknownUntil(at(START)), at(START));
    for (past, issued_at, command, after_power_loss, expected) in [
        ("unknown", START + 10, false, false, "before-start"), // the leeway included
        ("unknown", START + 11, false, false, "live"),
        ("unknown", START - 50, false, true, "live"),
        ("unknown", START - 50, true, true, "before-start"),
        ("unknown", START + 10, true, false, "before-start"),
        ("unknown", START + 11, true, false, "live"),
        ("known", START - 50, false, false, "live"),
        ("known", START + 10, true, false, "before-start"), // a command, whatever is remembered
        ("known", START + 10, true, true, "before-start"),
        ("known", START + 11, true, false, "live"),
        ("known", 0, false, false, "live"),
    ] {
        let mut memory = if past == "known" { memory() } else { unknown() };
        let token = Token {
            issued_at,
            command,
            after_power_loss,
            ..Token::message("1.1.1")
        };
        let outcome = token.outcome(&mut memory);
        assert_eq!(
            outcome, expected,
            "{past} {issued_at} {command} {after_power_loss}"
        );
    }
}

#[test]
fn the_start_moves_when_the_clock_is_known_better() {
    let mut memory = ReplayMemory::new(BOUNDS, Past::UnknownUntil(at(5)), at(5));
    memory.set_start(at(START));
    assert_eq!(memory.past(), Past::UnknownUntil(at(START)));
    let token = Token {
        issued_at: START,
        ..Token::message("1.1.1")
    };
    assert_eq!(token.outcome(&mut memory), "before-start");
    // What a process before this one could not know stays unknown, up to that one's start.
    let mut memory = restarted(&mut memory, START + 1000);
    assert_eq!(memory.past(), Past::UnknownUntil(at(START)));
    memory.set_start(at(START + 2000));
    assert_eq!(memory.past(), Past::UnknownUntil(at(START)));
    assert_eq!(token.outcome(&mut memory), "before-start");
    let young = Token {
        issued_at: START + 11,
        ..token
    };
    let command = Token {
        command: true,
        ..young.clone()
    };
    assert_eq!(command.outcome(&mut memory), "before-start");
    // also where the clock went back since: a command waives nothing
    let mut earlier = restarted(&mut memory, START - 1000);
    let harmless = Token {
        issued_at: START + 10,
        after_power_loss: true,
        ..young.clone()
    };
    let command = Token {
        command: true,
        ..harmless.clone()
    };
    assert_eq!(command.outcome(&mut earlier), "before-start");
    assert_eq!(harmless.outcome(&mut earlier), "live");
    assert_eq!(young.outcome(&mut memory), "live");
}

#[test]
fn two_tokens_with_one_id_that_differ_prove_a_clone() {
    let token = Token::message("4.1.2");
    let payload = Token {
        payload_hash: [1; 32],
        ..token.clone()
    };
    let topic = Token {
        topic: "site/tempo".into(),
        ..token.clone()
    };
    let mut memory = memory();
    assert!(token.judge(&mut memory).is_ok());
    assert_eq!(
        token.outcome(&mut memory),
        "replay",
        "signed anew, it keeps its id"
    );
    assert_eq!(memory.take_clone_proof(), None);
    for (altered, clones) in [(&payload, 1), (&topic, 2), (&topic.for_consumer("new"), 3)] {
        assert_eq!(altered.outcome(&mut memory), "clone-proven");
        assert_eq!(memory.counts().clones, clones);
        let proof = CloneAlarm {
            kid: token.kid,
            device: token.device.clone(),
            id: token.id,
            tokens: Some([token.token.clone(), altered.token.clone()]),
        };
        assert_eq!(memory.take_clone_proof(), Some(proof));
    }
    let other_key = Token {
        kid: kid(2),
        ..payload.clone()
    };
    assert_eq!(other_key.outcome(&mut memory), "live");
    let statement = Token {
        kind: crate::token::Kind::Retained,
        ..payload
    };
    assert_eq!(statement.outcome(&mut memory), "clone-proven");
    assert_eq!(memory.counts().consumers, 1, "a clone opens no consumer");
}
