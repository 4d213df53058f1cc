//! Every split, every end, every event at every moment, and floods.

use super::farm::Desk;
use super::line::Line;
use super::words::*;
use crate::gateway::packet::{Packet, Reasoned, Version};
use crate::gateway::session::{Event, Phase};
use bytes::BytesMut;

/// One turn of a conversation.
#[derive(Clone, Debug)]
enum Turn {
    Broker(Vec<u8>),
    Connected,
    Program(Vec<u8>),
}

use Turn::{Broker, Connected, Program};

/// A conversation with something of everything.
fn conversation(program: Version) -> Vec<Turn> {
    let mut two = Desk::new(2);
    let forged = |level, id| publish(&message(level, id, "site/two/a", "FORGED"), V5);
    vec![
        Program(connect(&plain_connect(program))),
        Connected,
        Broker(connack(false, 0, &[], V5)),
        Program(
            [
                subscribe(1, &["site/#", "secret"], program),
                PINGREQ.to_vec(),
            ]
            .concat(),
        ),
        Broker(suback(1, &[1], V5)),
        Program(publish(&message(1, 2, "site/one/a", "1"), program)),
        Program(publish(&message(2, 3, "site/one/a", "2"), program)),
        Program(publish(&message(1, 4, "open/a", "refused"), program)),
        Broker([puback(2, 0, V5), pubrec(3, 0, V5)].concat()),
        Program(pubrel(3, program)),
        Broker(pubcomp(3, V5)),
        Broker(two.sends(&message(1, 9, "site/two/a", "x"), V5)),
        Broker([forged(0, 0), forged(1, 10), forged(2, 11)].concat()),
        Broker(two.sends(&message(2, 12, "site/two/a", "y"), V5)),
        Program([puback(9, 0, program), pubrec(12, 0, program)].concat()),
        Broker(pubrel(12, V5)),
        Program(pubcomp(12, program)),
        Program(publish(
            &message(0, 0, "site/one/a", &"z".repeat(70_000)),
            program,
        )),
        Program(unsubscribe(5, &["site/#"], program)),
        Broker(unsuback(5, &[0], V5)),
        Program(disconnect(0, program)),
    ]
}

fn take(line: &mut Line, turn: &Turn) {
    match turn {
        Broker(octets) => line.broker_sends(octets),
        Connected => line.is_connected(),
        Program(octets) => line.program_sends(octets),
    }
}

#[test]
fn any_split_of_the_octets_gives_the_same() {
    for version in [V311, V5] {
        let told = |cut| {
            let mut line = Line::new(version);
            line.cut = cut;
            for turn in conversation(version) {
                take(&mut line, &turn);
            }
            assert_eq!(line.phase(), Phase::Closed);
            (line.program_got_octets(), line.broker_got_octets())
        };
        let at_once = told(usize::MAX);
        assert!(!String::from_utf8_lossy(&at_once.0).contains("FORGED"));
        for cut in [1, 2, 3, 7, 100] {
            assert!(told(cut) == at_once, "{cut} octets at a time");
        }
    }
}

#[test]
fn an_end_at_any_octet_is_an_end() {
    for version in [V311, V5] {
        let turns = conversation(version);
        for (number, turn) in turns.iter().enumerate() {
            let length = match turn {
                Broker(octets) | Program(octets) => octets.len().min(120),
                Connected => 0,
            };
            // Every octet near the front of a packet, some behind.
            for octets in (0..=length).filter(|octets| *octets < 24 || octets % 11 == 0) {
                for end in 0..3 {
                    if end > 0 && octets % 40 != 0 {
                        continue; // one kind of end is tried everywhere
                    }
                    let mut line = Line::new(version);
                    turns[..number]
                        .iter()
                        .for_each(|turn| take(&mut line, turn));
                    match turn {
                        Broker(all) => line.broker_sends(&all[..octets]),
                        Program(all) => line.program_sends(&all[..octets]),
                        Connected => {}
                    }
                    ends(&mut line, end);
                }
            }
        }
    }
}

fn ends(line: &mut Line, end: u8) {
    line.event(match end {
        0 => Event::LocalClosed,
        1 => Event::UpstreamClosed,
        _ => Event::TakenOver,
    });
    if line.phase() != Phase::Closed {
        return; // the broker's connection was not there yet
    }
    line.program_got();
    line.broker_got_octets();
    for number in 0..EVENTS {
        happens(line, number);
        assert!(line.session.local_output().is_empty());
        assert!(line.session.upstream_output().is_empty());
        assert!(line.session.next_action().is_none());
        assert_eq!(line.session.deadline(), None);
    }
}

const EVENTS: u8 = 11;

/// One of all events, by its number.
fn happens(line: &mut Line, number: u8) {
    let mut garbage = BytesMut::from(&b"\x30\x05\x00\x01ab"[..]);
    let session = &mut line.session;
    let event = match number {
        0 => Event::UpstreamClosed,
        1 => Event::UpstreamConnected,
        2 => Event::UpstreamOctets(&mut garbage),
        3 => Event::UpstreamUnavailable,
        4 => Event::LocalOctets(&mut garbage),
        5 => Event::PasswordChecked(true),
        6 => Event::Stop,
        7 => Event::Timer,
        8 => Event::TrustChanged,
        9 => Event::TakenOver,
        _ => Event::LocalClosed,
    };
    line.desk.handle(session, event);
}

#[test]
fn every_event_may_come_at_every_moment() {
    for version in [V311, V5] {
        let turns = conversation(version);
        for number in 0..=turns.len() {
            for first in 0..EVENTS {
                for second in
                    (0..EVENTS).filter(|second| (first + second + number as u8).is_multiple_of(3))
                {
                    let mut line = Line::new(version);
                    turns[..number]
                        .iter()
                        .for_each(|turn| take(&mut line, turn));
                    happens(&mut line, first);
                    happens(&mut line, second);
                    let got = line.program_got_octets();
                    assert!(!String::from_utf8_lossy(&got).contains("FORGED"));
                }
            }
        }
    }
}

/// What is held while neither end reads.
fn flooded(mut line: Line, flood: &[u8], by_program: bool) -> usize {
    line.program_reads = false;
    line.broker_reads = false;
    let mut most = 0;
    for _ in 0..40 {
        if by_program {
            line.program_sends(flood);
        } else {
            line.broker_sends(flood);
        }
        most = most.max(line.session.buffered_octets());
    }
    most
}

#[test]
fn floods_do_not_grow() {
    let bound = 1400 * 1024;
    let refused = publish(&message(1, 1, "open/a", "x"), V5).repeat(500);
    for flood in [
        PINGREQ.repeat(20_000),
        refused,
        subscribe(1, &["secret"], V5).repeat(500),
        publish(&message(0, 0, "site/one/a", &"x".repeat(3000)), V5),
        pubrel(1, V5).repeat(5000),
    ] {
        let most = flooded(Line::running(V5), &flood, true);
        assert!(most < bound, "{most} by {:02x?}", &flood[..8]);
    }
    let auth = Packet::Auth(Reasoned {
        code: 0,
        properties: Default::default(),
    });
    let releases: Vec<u8> = (1..=20_000).flat_map(|id| pubrel(id, V5)).collect();
    for flood in [
        PINGRESP.repeat(2000),
        releases,
        written(&auth, V5).repeat(5000),
        publish(&message(1, 1, "site/two/a", "FORGED"), V5).repeat(500),
        publish(&message(2, 1, "site/two/a", "FORGED"), V5).repeat(500),
        publish(&message(0, 0, "watch/a", &"x".repeat(3000)), V5).repeat(10),
        puback(1, 0, V5).repeat(5000),
    ] {
        let most = flooded(Line::running(V5), &flood, false);
        assert!(most < bound, "{most} by {:02x?}", &flood[..8]);
    }
}

#[test]
fn a_flood_takes_turns() {
    let mut line = Line::running(V5);
    let mut input = BytesMut::from(&PINGREQ.repeat(100)[..]);
    line.desk
        .handle(&mut line.session, Event::LocalOctets(&mut input));
    assert_eq!(input.len(), 2 * (100 - 16));
}
