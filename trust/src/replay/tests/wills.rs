//! Wills.

use super::{START, Token, at, kid, memory, restarted};

#[test]
fn a_will_is_live_once_per_consumer() {
    let mut memory = memory();
    memory.introduce(&"pump".into(), at(START)).unwrap();
    for (consumer, id, retain, expected) in [
        ("panel", "7.1.1", false, "will"),
        ("panel", "7.1.1", false, "will-spent"),
        ("pump", "7.1.1", false, "will"),
        ("panel", "7.1.9", false, "will"), // another connection of that epoch
        ("panel", "7.1.1", false, "will-spent"),
        ("panel", "7.1.1", true, "will"), // the retained copy, at every SUBSCRIBE
        ("panel", "7.1.1", true, "will"),
        ("panel", "7.1.1", false, "will-spent"),
        ("panel", "8.1.1", true, "will"),
        ("panel", "8.1.1", false, "will-spent"),
        ("panel", "7.1.10", false, "will-spent"), // a higher epoch has been accepted
        ("pump", "7.1.10", true, "will-spent"),
    ] {
        let token = Token {
            retain,
            ..Token::will(id)
        };
        let outcome = token.for_consumer(consumer).outcome(&mut memory);
        assert_eq!(outcome, expected, "{consumer} {id} {retain}");
    }
}

#[test]
fn every_higher_epoch_of_the_key_spends_a_will() {
    for newer in [
        Token::message("8.1.1"),
        Token::statement("8.1.1"),
        Token::will("8.1.1"),
    ] {
        let mut memory = memory();
        assert!(newer.judge(&mut memory).is_ok());
        let will = Token::will("7.1.1");
        let mut memory = restarted(&mut memory, START + 200);
        assert_eq!(will.outcome(&mut memory), "will-spent", "{:?}", newer.kind);
        let other = Token {
            kid: kid(2),
            ..will
        };
        assert_eq!(other.outcome(&mut memory), "will");
    }
}

#[test]
fn a_retained_will_lasts_until_a_newer_statement_is_seen() {
    let will = |retain| Token {
        retain,
        ..Token::will("7.1.1")
    };
    let mut memory = memory();
    for (token, expected) in [
        (Token::statement("7.1.2"), "retained"), // "online", said after CONNECT
        (will(true), "will"),                    // and still the will is what came last
        (will(true), "will"),
        (Token::statement("7.1.2"), "retained"),
        (will(true), "will"),
        (Token::statement("7.1.3"), "retained"), // alive again
        (will(true), "superseded"),
        (will(false), "will-spent"),
    ] {
        assert_eq!(
            token.outcome(&mut memory),
            expected,
            "{:?} {}",
            token.kind,
            token.id
        );
    }
    let elsewhere = Token {
        topic: "site/other".into(),
        retain: true,
        ..Token::will("7.1.8")
    };
    assert_eq!(elsewhere.outcome(&mut memory), "will");
    // the wills are stored, the order is not: then a statement that comes first supersedes
    let mut memory = restarted(&mut memory, START + 200);
    assert_eq!(will(false).outcome(&mut memory), "will-spent");
    assert_eq!(will(true).outcome(&mut memory), "will");
    assert!(Token::statement("7.1.3").judge(&mut memory).is_ok());
    assert_eq!(will(true).outcome(&mut memory), "superseded");
    // a deletion is a statement too
    assert_eq!(elsewhere.outcome(&mut memory), "will");
    let deletion = Token {
        deletion: true,
        topic: "site/other".into(),
        ..Token::message("7.1.9")
    };
    assert!(deletion.judge(&mut memory).is_ok());
    assert_eq!(elsewhere.outcome(&mut memory), "superseded");
}

#[test]
fn sixty_four_wills_of_an_epoch_are_remembered_and_survive() {
    let mut memory = memory();
    for counter in 0..64 {
        let will = Token::will(&format!("7.1.{counter}"));
        assert_eq!(will.outcome(&mut memory), "will");
        assert_eq!(memory.counts().windows, if counter < 32 { 1 } else { 2 });
    }
    assert_eq!(Token::will("7.1.64").outcome(&mut memory), "memory-full");
    assert_eq!(Token::will("7.1.63").outcome(&mut memory), "will-spent");
    let mut memory = restarted(&mut memory, START + 200);
    for counter in 0..64 {
        let will = Token::will(&format!("7.1.{counter}"));
        assert_eq!(will.outcome(&mut memory), "will-spent");
    }
    assert_eq!(Token::will("7.1.64").outcome(&mut memory), "memory-full");
    // the next epoch drops them
    assert_eq!(Token::will("8.1.0").outcome(&mut memory), "will");
    let mut memory = restarted(&mut memory, START + 300);
    assert_eq!(Token::will("8.1.0").outcome(&mut memory), "will-spent");
    assert_eq!(Token::will("8.1.1").outcome(&mut memory), "will");
    assert_eq!(Token::will("7.1.64").outcome(&mut memory), "will-spent");
}

#[test]
fn wills_are_outside_the_windows_and_the_time_before_the_start() {
    use super::{BOUNDS, Past, ReplayMemory};
    let mut memory = ReplayMemory::new(BOUNDS, Past::UnknownUntil(at(START)), at(START));
    let will = Token {
        issued_at: START - 500,
        lifetime: 7 * 86_400,
        ..Token::will("7.1.1")
    };
    assert_eq!(will.outcome(&mut memory), "will");
    assert_eq!(Token::message("7.1.1").outcome(&mut memory), "live");
    assert_eq!(Token::message("7.1.900").outcome(&mut memory), "live");
    assert_eq!(Token::will("7.1.2").outcome(&mut memory), "will");
}
