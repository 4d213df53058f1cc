//! A device that starts before its clock is right.

use super::{Place, publish};
use crate::client::{self, At, Client, Event, Kind, Plan};
use crate::packet::{Connect, Publish};
use crate::process::{PATIENCE, until};
use crate::raw::{Heard, Raw};
use crate::world::{End, Setup, is_direct};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

#[test]
fn what_programs_queue_before_the_clock_is_right_is_published_after() {
    if is_direct() {
        return; // a broker alone needs no clock
    }
    let mut place = Place::new(&[("alpha", ""), ("beta", "")]);
    if place.broker.mosquitto().is_none() {
        return; // it keeps sessions, as the embedded one does not; CI must have it
    }
    let (alpha, beta) = (place.port("alpha"), place.port("beta"));
    let late = Plan::new(Kind::Rust, 5, At::Tcp(alpha), "late").persistent();
    let late = late.filter("site/beta/#", 1);
    late.clone().start().kill();
    let mut setup = Setup::at(place.broker.port()).rules("");
    setup.unsynchronized = "refuse";
    let device = place.device("alpha");
    device.stop(End::Clean);
    device.configure(&setup);
    device.hands().set(0);
    device.hands().set_synchronized(false);
    device.start();
    // What is sent in the second of the start counts as sent before.
    let started = SystemTime::now();
    until("the next second", || {
        started.elapsed().is_ok_and(|since| since > ONE_SECOND)
    });

    let programs = queueing(alpha);
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

    place.device("alpha").hands().set_right();
    place.device("alpha").hands().set_synchronized(true);
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

/// Programs of every kind, each of which keeps what it has published until it is connected.
fn queueing(alpha: u16) -> Vec<Client> {
    [
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
    .collect()
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
const ONE_SECOND: Duration = Duration::from_secs(1);
