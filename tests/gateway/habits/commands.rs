//! Commands to many devices through one rule, and somebody who only looks on.

use super::proxy::Proxy;
use super::{Place, brief, message, messages_until, publish, subscriber};
use crate::packet::{CORRELATION, Connect, PUBACK, Publish, RESPONSE_TOPIC, Value};
use crate::raw::Raw;
use crate::world::{Setup, is_direct};
use std::collections::BTreeMap;

#[test]
fn a_command_reaches_its_device_alone_and_is_answered() {
    if is_direct() {
        return; // a broker alone judges nothing
    }
    let mut proxy = None;
    let mut place = Place::with(|port| {
        let proxy = proxy.insert(Proxy::changing(port, tamper));
        let setup = |port| Setup::at(port).rules(COMMANDS);
        vec![
            ("alpha", setup(port)),
            ("beta", setup(port)),
            ("gamma", setup(proxy.port)),
            ("delta", Setup::at(port).rules(LOOKS_ON)),
        ]
    });
    let mut log = subscriber(place.port("delta"), "log", "site/#");
    let mut panel = subscriber(place.port("alpha"), "panel", "site/+/answer");
    let mut devices = ["beta", "gamma"].map(|name| {
        let mut raw = subscriber(place.port(name), name, "site/+/cmd");
        assert_eq!(raw.subscribe(2, &[("site/alpha/mark", 1)]), [1]);
        (name, raw)
    });
    command_all(&mut panel);
    for (what, correlation) in [(OTHER_TOPIC, "1"), (OTHER_CORRELATION, "2")] {
        publish(&mut panel, command("gamma", what, correlation));
    }
    publish(&mut panel, Publish::new("site/alpha/mark", "end"));
    for (name, raw) in &mut devices {
        let got = message(raw);
        let wanted = [&format!("site/{name}/cmd"), "on", "verified", "alpha"];
        assert_eq!(brief(&got), wanted);
        let answer_to = format!("site/{name}/answer");
        assert_eq!(text(&got, RESPONSE_TOPIC), answer_to);
        assert_eq!(text(&got, CORRELATION), format!("for {name}"));
        // Neither what was for others nor what was changed on its way.
        let mark = ["site/alpha/mark", "end", "verified", "alpha"].map(str::to_owned);
        assert_eq!(messages_until(raw, "end"), [mark]);
        let correlation = Value::Binary(text(&got, CORRELATION).into_bytes());
        let answer = Publish::new(&text(&got, RESPONSE_TOPIC), "done");
        publish(raw, answer.with(CORRELATION, correlation));
        let answer = message(&mut panel);
        assert_eq!(brief(&answer), [&answer_to, "done", "verified", *name]);
        assert_eq!(text(&answer, CORRELATION), format!("for {name}"));
    }
    looks_on(&mut log, place.broker.port());
}

/// Everything is in the log, and what it is worth.
fn looks_on(log: &mut Raw, broker: u16) {
    let mut stranger = Raw::connect(broker, &Connect::new(5, "stranger")).0;
    let forged = Publish::new("site/beta/answer", "forged");
    publish(&mut stranger, forged.user("edgeseal-verdict", "verified"));
    let mut verdicts: BTreeMap<[String; 2], usize> = BTreeMap::new();
    loop {
        let got = message(log);
        let [_, payload, verdict, sender] = brief(&got);
        if payload == "forged" {
            assert_eq!((verdict.as_str(), sender.as_str()), ("unverified", ""));
            assert_eq!(got.values("edgeseal-code"), ["unsigned"]);
            break;
        }
        *verdicts.entry([verdict, sender]).or_default() += 1;
    }
    let wanted = [
        (["observed", "alpha"], DEVICES + 2),
        (["verified", "alpha"], 1),
        (["verified", "beta"], 1),
        (["verified", "gamma"], 1),
    ];
    let wanted = wanted.map(|(at, count)| (at.map(str::to_owned), count));
    assert_eq!(verdicts, BTreeMap::from(wanted));
}

/// One command to each of two hundred devices, of which two are there.
fn command_all(panel: &mut Raw) {
    let absent = (2..DEVICES).map(|number| format!("device-{number}"));
    let names: Vec<String> = absent.chain(["beta", "gamma"].map(str::to_owned)).collect();
    for some in names.chunks(20) {
        for (id, name) in (1..).zip(some) {
            panel.publish(&command(name, "on", &format!("for {name}")).qos(1, id));
        }
        for _ in some {
            let ack = panel.expect(PUBACK).answer(5).unwrap();
            assert_eq!(ack.codes, [0], "{ack:?}");
        }
    }
}

fn command(device: &str, what: &str, correlation: &str) -> Publish {
    let answer_to = format!("site/{device}/answer");
    Publish::new(&format!("site/{device}/cmd"), what)
        .with(RESPONSE_TOPIC, Value::Text(answer_to))
        .with(CORRELATION, Value::Binary(correlation.into()))
}

/// A broker that would have answers for itself.
fn tamper(publish: &mut Publish) {
    for (id, value) in &mut publish.properties {
        match (*id, publish.payload.as_slice()) {
            (RESPONSE_TOPIC, payload) if payload == OTHER_TOPIC.as_bytes() => {
                *value = Value::Text("site/stranger/answer".to_owned());
            }
            (CORRELATION, payload) if payload == OTHER_CORRELATION.as_bytes() => {
                *value = Value::Binary(b"3".to_vec());
            }
            _ => {}
        }
    }
}

fn text(publish: &Publish, property: u8) -> String {
    let mut found = publish.properties.iter().filter(|(id, _)| *id == property);
    match found.next() {
        Some((_, Value::Text(text))) => text.clone(),
        Some((_, Value::Binary(octets))) => String::from_utf8_lossy(octets).into_owned(),
        other => panic!("{other:?} in {publish:?}"),
    }
}

const DEVICES: usize = 200;
const OTHER_TOPIC: &str = "other topic";
const OTHER_CORRELATION: &str = "other correlation";
const COMMANDS: &str = r##"
[[rule]]
topic = "site/+/cmd"
audience = "device:{2}"
command = true
"##;
const LOOKS_ON: &str = r##"
[[rule]]
topic = "#"
mode = "observe"
receive_audience = "any"
accept = ["message", "retained", "will"]
"##;
