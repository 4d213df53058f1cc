//! Home Assistant: what is retained is there at every start, and availability is what it says.

use super::Place;
use crate::client::{self, At, Event, Kind, Message, Plan};
use crate::packet::{self, Connect, PUBACK, Publish};
use crate::raw::Raw;
use crate::world::{End, is_direct};
use std::collections::BTreeMap;

#[test]
fn home_assistant_gets_every_retained_configuration_at_every_start_and_over_a_rotation() {
    if is_direct() {
        return; // a broker alone keeps what it keeps
    }
    let mut place = Place::new(&[("alpha", STATES), ("beta", STATES)]);
    place.names_its_broker();
    let mut configurations = configure(place.port("alpha"), CONFIGURATIONS, "first");
    starts(&mut place, 1, &configurations);
    starts(&mut place, 2, &configurations);
    place.rotates("alpha");
    starts(&mut place, 3, &configurations);
    // What it says by its next key goes before, and what it said by the old one stays.
    let again = configure(place.port("alpha"), CONFIGURATIONS / 10, "second");
    configurations.extend(again);
    place.retires("alpha");
    starts(&mut place, 4, &configurations);
    // The order of statements is remembered over this; what is equal is accepted again.
    place.device("beta").stop(End::Kill);
    place.device("beta").start();
    starts(&mut place, 5, &configurations);
}

#[test]
fn availability_is_online_and_then_a_will_that_latecomers_see() {
    if is_direct() {
        return; // a broker alone does no more than it says
    }
    let mut place = Place::new(&[("alpha", STATES), ("beta", STATES)]);
    let at = [At::Tcp(place.port("alpha")), At::Tcp(place.port("beta"))];
    let topic = "site/alpha/zigbee/availability";
    let online = |id: &str| {
        let plan = Plan::new(program(), 5, at[0].clone(), id);
        let mut program = plan.will(topic, "offline", 1, true).start();
        program.retain(topic, 1, "online");
        program.acked("online");
        program
    };
    let panel = |id: &str| Plan::new(program(), 5, at[1].clone(), id).filter(topic, 1);
    let home = panel("home").start();
    let zigbee = online("zigbee");
    let live = home.message("online", |at| at.payload == "online-0");
    assert_eq!(
        (said(&live, "verdict").as_str(), live.retain),
        ("verified", false)
    );
    let late = panel("late-1").start();
    let state = late.message("online, retained", |_| true);
    assert_eq!((state.payload.as_str(), state.retain), ("online-0", true));
    late.quit();

    zigbee.kill();
    let will = home.message("the will", |at| at.payload == "offline");
    assert_eq!(
        (said(&will, "verdict").as_str(), will.retain),
        ("will", false)
    );
    let late = panel("late-2").start();
    let state = late.message("the will, retained", |_| true);
    let marks = [said(&state, "verdict"), said(&state, "sender")];
    assert_eq!((state.payload.as_str(), state.retain), ("offline", true));
    assert_eq!(marks, ["will", "alpha"]);
    late.quit();

    let zigbee = online("zigbee");
    home.wait("online again", |events| {
        client::messages_of(events)
            .filter(|at| at.payload == "online-0")
            .count()
            == 2
    });
    let late = panel("late-3").start();
    assert_eq!(late.message("online again", |_| true).payload, "online-0");
    late.quit();
    zigbee.quit();
    home.quit();
}

/// Home Assistant starts: a new session each time, under the same name, and every configuration is told.
fn starts(place: &mut Place, start: usize, configurations: &BTreeMap<String, String>) {
    let at = At::Tcp(place.port("beta"));
    let home = Plan::new(program(), 5, at, "home-assistant");
    let home = home.filter("homeassistant/#", 1).start();
    home.wait(&format!("all configurations at start {start}"), |events| {
        client::messages_of(events).count() >= configurations.len()
    });
    let got = home.messages();
    assert!(got.iter().all(|at| at.retain), "start {start}");
    for message in &got {
        let marks = [said(message, "verdict"), said(message, "sender")];
        assert_eq!(marks, ["retained", "alpha"], "{message:?}");
    }
    assert_eq!(got.len(), configurations.len(), "start {start}");
    let got: BTreeMap<_, _> = got.into_iter().map(|at| (at.topic, at.payload)).collect();
    let missing = configurations
        .iter()
        .filter(|(topic, payload)| got.get(*topic) != Some(payload));
    assert_eq!(missing.collect::<Vec<_>>(), [], "start {start}");
    let events = home.log.events();
    assert!(!events.contains(&Event::Disconnected), "start {start}");
    home.quit();
}

/// So many retained configurations by topic.
fn configure(port: u16, count: usize, edition: &str) -> BTreeMap<String, String> {
    let mut raw = Raw::connect(port, &Connect::new(5, "zigbee2mqtt")).0;
    let mut configurations = BTreeMap::new();
    for number in 0..count {
        let topic = format!("homeassistant/sensor/alpha/{number}/config");
        let payload = format!("{{\"unique_id\":\"alpha-{number}\",\"sw_version\":\"{edition}\"}}");
        let id = u16::try_from(number % AT_ONCE + 1).unwrap();
        raw.publish(&Publish::new(&topic, &payload).retain().qos(1, id));
        configurations.insert(topic, payload);
        if (number + 1) % AT_ONCE == 0 {
            for _ in 0..AT_ONCE {
                let ack = raw.expect(PUBACK).answer(5).unwrap();
                assert!(matches!(ack.codes[..], [0 | 0x10]), "{ack:?}");
            }
        }
    }
    raw.send(&packet::disconnect(5, 0));
    configurations
}

/// What the gateway says of a message.
fn said(message: &Message, what: &str) -> String {
    let name = format!("edgeseal-{what}");
    let values = message.user.iter().filter(|(at, _)| *at == name);
    values.map(|(_, value)| value.as_str()).collect()
}

/// Home Assistant and most of its bridges are written with paho.
fn program() -> Kind {
    if Kind::Paho2.is_here() {
        Kind::Paho2
    } else {
        Kind::Rust
    }
}

const CONFIGURATIONS: usize = 2000;
const AT_ONCE: usize = 20;
const STATES: &str = r##"
[[rule]]
topic = "homeassistant/+/+/+/config"
kind = "retained"
lifetime_seconds = 2592000

[[rule]]
topic = "site/+/+/availability"
kind = "retained"
accept = ["message", "retained", "will"]
max_age_seconds = 60
"##;
