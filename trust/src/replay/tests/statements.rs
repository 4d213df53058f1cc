//! Retained statements and deletions: their order, and when they are events.

use super::{BOUNDS, Past, ReplayMemory, START, Token, at, kid, memory};
use crate::replay::Bounds;

#[test]
fn statements_are_ordered_by_epoch_and_counter_and_between_keys_by_time() {
    let mut memory = memory();
    let mut first = true;
    for (key, id, issued_at, expected) in [
        (1, "7.1.10", 100, "retained"),
        (1, "7.1.10", 100, "retained"), // every SUBSCRIBE sends it again
        (1, "7.1.9", 200, "superseded"),
        (1, "7.1.11", 90, "retained"), // within a key the clock counts for nothing
        (1, "7.1.10", 100, "superseded"),
        (1, "6.1.99", 200, "superseded"),
        (1, "8.1.1", 90, "retained"),
        (2, "1.1.1", 89, "superseded"),
        (2, "1.1.1", 90, "retained"),
        (2, "1.1.2", 110, "retained"),
        (1, "8.1.2", 109, "superseded"),
        (1, "8.1.3", 111, "retained"),
        // the streams of an epoch count apart: time decides between them
        (1, "8.0.500", 110, "superseded"),
        (1, "8.0.500", 111, "retained"),
        (1, "8.0.500", 111, "retained"),
        (1, "8.1.3", 111, "superseded"),
        (1, "8.1.4", 111, "retained"),
        (1, "8.0.500", 111, "superseded"),
        (1, "8.0.501", 112, "retained"),
        (1, "8.1.5", 113, "retained"),
        (1, "9.1.1", 1, "retained"),
        (1, "8.1.6", 114, "superseded"),
    ] {
        let token = Token {
            kid: kid(key),
            issued_at: START + issued_at,
            ..Token::statement(id)
        };
        let judged = token.judge(&mut memory);
        if let Ok(accepted) = judged {
            assert_eq!(accepted.first_since_start, first);
            assert_eq!(accepted.gap, None);
            first = false;
        }
        let outcome = judged.map_or_else(|code| code, |accepted| accepted.delivery.as_str());
        assert_eq!(outcome, expected, "{key} {id} {issued_at}");
    }
}

#[test]
fn topics_senders_and_consumers_have_orders_of_their_own() {
    let mut memory = memory();
    assert!(Token::statement("1.1.9").judge(&mut memory).is_ok());
    let old = Token::statement("1.1.1");
    let topic = Token {
        topic: "site/other".into(),
        ..Token::statement("1.1.2")
    };
    let device = Token {
        device: crate::id::DeviceId::parse("sensor-2").unwrap(),
        kid: kid(2),
        ..old.clone()
    };
    for token in [&topic, &device, &old.for_consumer("pump")] {
        let accepted = token.judge(&mut memory).unwrap();
        assert!(accepted.first_since_start);
    }
    assert_eq!(old.outcome(&mut memory), "superseded");
}

#[test]
fn statements_are_outside_the_windows_of_messages_and_the_time_before_the_start() {
    let mut memory = ReplayMemory::new(BOUNDS, Past::UnknownUntil(at(START)), at(START));
    let old = Token {
        issued_at: 5,
        lifetime: 3_000_000,
        ..Token::statement("1.1.900")
    };
    assert_eq!(old.outcome(&mut memory), "retained");
    assert_eq!(Token::message("1.1.1").outcome(&mut memory), "live");
    assert_eq!(Token::message("1.1.900").outcome(&mut memory), "live");
}

#[test]
fn a_statement_is_an_event_once_while_it_is_young() {
    let live = |id| Token {
        max_age_seconds: Some(60),
        ..Token::statement(id)
    };
    let mut memory = memory();
    for (token, expected) in [
        (Token::statement("1.1.1"), "retained"), // the rule knows no events
        (live("1.1.2"), "live"),
        (live("1.1.2"), "retained"),
        (
            Token {
                now: START + 161,
                ..live("1.1.3")
            },
            "retained",
        ),
        (
            Token {
                now: START + 160,
                ..live("1.1.4")
            },
            "live",
        ),
        (live("1.1.4").for_consumer("new"), "retained"), // a random client id gains nothing
        (live("1.1.5").for_consumer("new"), "live"),
        (live("1.1.5"), "live"),
        (live("2.1.1"), "live"),
    ] {
        assert_eq!(token.outcome(&mut memory), expected, "{}", token.id);
    }
    let mut memory = ReplayMemory::new(BOUNDS, Past::UnknownUntil(at(START + 100)), at(START));
    let before = Token {
        issued_at: START + 110,
        ..live("1.1.1")
    };
    let after = Token {
        issued_at: START + 111,
        ..live("1.1.2")
    };
    assert_eq!(before.outcome(&mut memory), "retained");
    assert_eq!(after.outcome(&mut memory), "live");
}

#[test]
fn a_deletion_is_a_message_and_the_newest_statement() {
    let deletion = |id| Token {
        deletion: true,
        retain: true,
        ..Token::message(id)
    };
    let mut memory = memory();
    for (token, expected) in [
        (Token::statement("1.1.5"), "retained"),
        (deletion("1.1.7"), "live"),
        (Token::statement("1.1.5"), "superseded"),
        (deletion("1.1.7"), "replay"),
        (Token::statement("1.1.9"), "retained"),
        (deletion("1.1.8"), "superseded"), // what it deleted is gone already
        (Token::message("1.1.8"), "live"),
        (Token::message("1.1.6"), "live"), // it did not move the order
        (Token::statement("1.1.9"), "retained"),
    ] {
        assert_eq!(
            token.outcome(&mut memory),
            expected,
            "{:?} {}",
            token.kind,
            token.id
        );
    }
    let before = Token {
        issued_at: START,
        ..deletion("1.1.1")
    };
    let mut memory = ReplayMemory::new(BOUNDS, Past::UnknownUntil(at(START)), at(START));
    assert_eq!(before.outcome(&mut memory), "before-start");
    let accepted = deletion("1.1.2").judge(&mut memory).unwrap();
    assert!(accepted.first_since_start);
}

#[test]
fn a_sender_remembers_4096_topics_and_gives_up_its_own_oldest() {
    let bounds = Bounds {
        statements: 4100,
        ..BOUNDS
    };
    let mut memory = ReplayMemory::new(bounds, Past::Known, at(START));
    let on = |topic: u32, device: &str, epoch: u64| Token {
        topic: format!("t/{topic}"),
        kid: kid(device.len() as u32),
        device: crate::id::DeviceId::parse(device).unwrap(),
        ..Token::statement(&format!("{epoch}.1.{topic}"))
    };
    assert!(on(0, "other", 2).judge(&mut memory).is_ok());
    for topic in 0..4097 {
        assert!(on(topic, "greedy", 2).judge(&mut memory).is_ok());
    }
    assert_eq!(memory.counts().statements, 4097);
    // its oldest was forgotten, the next was not, and the other sender's neither
    assert_eq!(on(1, "greedy", 1).outcome(&mut memory), "superseded");
    assert_eq!(on(0, "other", 1).outcome(&mut memory), "superseded");
    let again = on(0, "greedy", 1).judge(&mut memory).unwrap();
    assert!(again.first_since_start);
    // at the bound of all the largest gives way
    for topic in 1..10 {
        assert!(on(topic, "other", 2).judge(&mut memory).is_ok());
        assert!(memory.counts().statements <= 4100);
    }
    assert_eq!(memory.counts().statements, 4100);
    assert_eq!(on(0, "other", 1).outcome(&mut memory), "superseded");
    assert_eq!(on(9, "other", 1).outcome(&mut memory), "superseded");
}
