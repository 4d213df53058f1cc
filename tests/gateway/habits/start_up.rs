//! A device that starts before its clock is right.

use super::{Place, publish, subscriber};
use crate::client::{self, At, Client, Event, Kind, Plan};
use crate::observer::Observer;
use crate::packet::{Connect, Publish};
use crate::process::{PATIENCE, until};
use crate::raw::{Heard, Raw};
use crate::world::{End, Setup, is_direct};
use data_encoding::BASE64URL_NOPAD;
use serde_json::Value;
use std::collections::BTreeMap;

#[test]
fn what_programs_queue_before_the_clock_is_right_is_published_after() {
    if is_direct() {
        return; // a broker alone needs no clock
    }
    let mut place = Place::new(&[("alpha", ""), ("beta", "")]);
    if place.broker.mosquitto().is_none() || !is_unsynchronized(&mut place) {
        return; // without NTP a machine of CI is unsynchronized, and mosquitto keeps sessions
    }
    let (alpha, beta) = (place.port("alpha"), place.port("beta"));
    let late = Plan::new(Kind::Rust, 5, At::Tcp(alpha), "late").persistent();
    let late = late.filter("site/beta/#", 1);
    late.clone().start().kill();
    let mut setup = Setup::at(place.broker.port()).rules("");
    setup.unsynchronized = "refuse";
    place.device("alpha").stop(End::Clean);
    place.device("alpha").configure(&setup);
    place.device("alpha").start();

    let programs: Vec<Client> = [
        (Kind::Paho1, 4),
        (Kind::Paho2, 5),
        (Kind::Node, 4),
        (Kind::Node, 5),
        (Kind::C, 4),
        (Kind::C, 5),
        (Kind::Rust, 4),
    ]
    .into_iter()
    .filter(|(kind, _)| kind.is_here())
    .map(|(kind, version)| {
        let name = format!("{kind:?}{version}").to_lowercase();
        let plan = Plan::new(kind, version, At::Tcp(alpha), &name).persistent();
        let mut program = plan.start_unready();
        program.publish(&topic(&name), 1, QUEUED, &name);
        program
    })
    .collect();
    let home = Plan::new(Kind::Rust, 5, At::Tcp(beta), "home");
    let home = home.filter("site/alpha/#", 1).start();
    let mut sender = Raw::connect(beta, &Connect::new(5, "sender")).0;
    publish(&mut sender, Publish::new("site/beta/news", "queued"));
    is_not_answered(alpha);
    for program in &programs {
        program.wait("it came again and again", |events| {
            events
                .iter()
                .filter(|at| **at == Event::Disconnected)
                .count()
                >= 2
        });
    }
    let late = late.start_unready();
    assert_eq!((home.messages(), late.messages()), (Vec::new(), Vec::new()));

    setup.unsynchronized = "allow";
    place.device("alpha").configure(&setup);
    place.device("alpha").reload();
    for program in &programs {
        program.acked(&program.plan.id);
    }
    home.wait("everything", |events| {
        client::messages_of(events).count() >= programs.len() * QUEUED
    });
    let mut got: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for message in home.messages() {
        got.entry(message.topic).or_default().push(message.payload);
    }
    let sent = programs.iter().map(|program| {
        let name = &program.plan.id;
        let payloads = (0..QUEUED).map(|number| format!("{name}-{number}"));
        (topic(name), payloads.collect())
    });
    assert_eq!(got, sent.collect());
    late.message("what the broker kept", |at| at.payload == "queued");
}

/// Does the machine say that its clock is not synchronized? Then tokens say so.
fn is_unsynchronized(place: &mut Place) -> bool {
    let observer = Observer::at(place.broker.port(), "site/#");
    let mut raw = subscriber(place.port("alpha"), "first", "site/alpha/first");
    publish(&mut raw, Publish::new("site/alpha/first", "1"));
    until("it is seen", || !observer.seen().is_empty());
    let seen = observer.seen();
    let token = seen[0].values("edgeseal")[0].to_owned();
    let claims = token.split('.').nth(1).unwrap();
    let claims = BASE64URL_NOPAD.decode(claims.as_bytes()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    claims.get("clk").is_some()
}

/// CONNECT is closed on without an answer, as a broker that is down would.
fn is_not_answered(port: u16) {
    let mut raw = Raw::open(port, 5);
    raw.send(&Connect::new(5, "probe").octets());
    assert_eq!(raw.next(PATIENCE), Heard::Closed);
}

fn topic(name: &str) -> String {
    format!("site/alpha/{name}")
}

const QUEUED: usize = 20;
