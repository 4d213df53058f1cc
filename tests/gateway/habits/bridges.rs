//! What brokers and bridges do to messages and sessions: prefixes, lost properties, sessions that end with their login.

use super::proxy::Proxy;
use super::{Place, messages_until, publish, subscriber};
use crate::broker::Broker;
use crate::client::{self, At, Event, Kind, Plan};
use crate::packet::{Connect, PUBLISH, Publish, USER};
use crate::process::until;
use crate::raw::{Heard, Raw};
use crate::world::{Device, Setup, is_direct};
use data_encoding::BASE64URL_NOPAD;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

#[test]
fn a_bridge_that_adds_a_prefix_is_met_by_as_published() {
    let directory = tempfile::Builder::new().prefix("edgeseal-gw-").tempdir();
    let directory = directory.unwrap();
    let near = Broker::start(&directory.path().join("near"), false);
    let Some(far) = Broker::bridged(&directory.path().join("far"), near.port()) else {
        return; // the embedded broker has no bridges
    };
    if is_direct() {
        return; // a broker alone judges nothing
    }
    let setup = |broker: &Broker, rules| Setup::at(broker.port()).rules(rules);
    let plans = vec![
        ("alpha", setup(&near, LOSSY)),
        ("beta", setup(&far, BRIDGED)),
        ("gamma", setup(&far, LOSSY)),
    ];
    let devices = Device::set_up(directory.path(), plans);
    are_bridged(&near, &far);
    let mut five = subscriber(devices[1].port, "five", "five/site/#");
    let mut four = subscriber(devices[1].port, "four", "four/site/#");
    let mut unaware = subscriber(devices[2].port, "unaware", "#");
    let mut sensor = Raw::connect(devices[0].port, &Connect::new(5, "sensor")).0;
    for (topic, payload) in [("site/alpha/temp", "21"), ("site/alpha/envelope", "22")] {
        publish(&mut sensor, Publish::new(topic, payload));
    }
    let seen =
        |topic: &str, payload: &str| [topic, payload, "verified", "alpha"].map(str::to_owned);
    let of_five = [
        seen("five/site/alpha/temp", "21"),
        seen("five/site/alpha/envelope", "22"),
    ];
    assert_eq!(messages_until(&mut five, "22"), of_five);
    // Towards MQTT 3.1.1 the property is lost, and its message with it.
    assert_eq!(
        messages_until(&mut four, "22"),
        [seen("four/site/alpha/envelope", "22")]
    );
    let mut stranger = Raw::connect(far.port(), &Connect::new(5, "stranger")).0;
    publish(&mut stranger, Publish::new("plain/mark", "end"));
    let mark = ["plain/mark", "end", "", ""].map(str::to_owned);
    assert_eq!(messages_until(&mut unaware, "end"), [mark]);
}

#[test]
fn an_envelope_survives_a_broker_that_drops_user_properties() {
    if is_direct() {
        return; // a broker alone judges nothing
    }
    let mut proxy = None;
    let mut place = Place::with(|port| {
        let drops = |publish: &mut Publish| publish.properties.retain(|(id, _)| *id != USER);
        let proxy = proxy.insert(Proxy::changing(port, drops));
        let setup = |port| Setup::at(port).rules(LOSSY);
        vec![("alpha", setup(port)), ("beta", setup(proxy.port))]
    });
    let mut panel = subscriber(place.port("beta"), "panel", "#");
    let mut sensor = Raw::connect(place.port("alpha"), &Connect::new(5, "sensor")).0;
    for (topic, payload) in [
        ("site/alpha/temp", "21"),
        ("site/alpha/envelope", "22"),
        ("site/alpha/unbound/envelope", "23"),
    ] {
        // One that has a property loses it: the rule says whether that is borne.
        let message = Publish::new(topic, payload);
        let is_unbound = topic.contains("unbound");
        publish(
            &mut sensor,
            if is_unbound {
                message.user("a", "1")
            } else {
                message
            },
        );
    }
    publish(
        &mut sensor,
        Publish::new("site/alpha/envelope", "lost").user("a", "1"),
    );
    publish(&mut sensor, Publish::new("plain/mark", "end"));
    let wanted = [
        ["site/alpha/envelope", "22", "verified", "alpha"],
        ["site/alpha/unbound/envelope", "23", "verified", "alpha"],
        ["plain/mark", "end", "", ""],
    ];
    assert_eq!(messages_until(&mut panel, "end"), wanted);
}

#[test]
fn a_broker_that_cuts_old_sessions_is_not_noticed() {
    if is_direct() {
        return; // nobody renews then
    }
    let mut proxy = None;
    let mut place = Place::with(|port| {
        let proxy = proxy.insert(Proxy::cutting(port, LONGEST_SESSION));
        let mut alpha = Setup::at(proxy.port).rules("");
        alpha.upstream +=
            "credentials = \"login\"\nlogin_audience = \"login:broker\"\nrenewal = true\n";
        vec![("alpha", alpha), ("beta", Setup::at(port).rules(""))]
    });
    let proxy = proxy.unwrap();
    let kind = if Kind::Paho2.is_here() {
        Kind::Paho2
    } else {
        Kind::Rust
    };
    let plan = |port, id| Plan::new(kind, 5, At::Tcp(port), id);
    let alpha = plan(place.port("alpha"), "a").filter("site/beta/#", 2);
    // A will is believed for six seconds here, so a session is renewed as often: a login lasts five minutes.
    let mut alpha = alpha.will("brief/alpha/gone", "gone", 1, false).start();
    let beta = plan(place.port("beta"), "b").filter("site/alpha/#", 2);
    let mut beta = beta.filter("brief/alpha/gone", 1).start();
    let mut sent = Vec::new();
    until("two renewals", || {
        let prefix = sent.len().to_string();
        alpha.publish("site/alpha/temp", 1, 1, &prefix);
        beta.publish("site/beta/temp", 2, 1, &prefix);
        alpha.acked(&prefix);
        beta.acked(&prefix);
        sent.push(format!("{prefix}-0"));
        std::thread::sleep(PACE);
        proxy.connects().len() >= 3
    });
    for program in [&alpha, &beta] {
        program.wait("everything", |events| {
            client::messages_of(events).count() >= sent.len()
        });
        let got = program.messages().into_iter().map(|at| at.payload);
        assert_eq!(got.collect::<Vec<_>>(), sent);
    }
    assert!(!alpha.log.events().contains(&Event::Disconnected));
    assert_eq!(proxy.cuts(), 0);
    let logins: BTreeSet<String> = proxy.connects().iter().map(|at| login(at)).collect();
    assert_eq!(logins.len(), proxy.connects().len(), "a new one each time");
    alpha.kill();
    let will = beta.message("the will", |at| at.payload == "gone");
    let verdict = ("edgeseal-verdict".to_owned(), "will".to_owned());
    assert!(will.user.contains(&verdict), "{will:?}");
    beta.quit();
}

/// Waits until what is published at `near` comes over both bridges.
fn are_bridged(near: &Broker, far: &Broker) {
    let mut here = Raw::connect(near.port(), &Connect::new(5, "probe")).0;
    let mut there = Raw::connect(far.port(), &Connect::new(5, "probe")).0;
    assert_eq!(there.subscribe(1, &[("+/site/probe", 0)]), [0]);
    let mut came = BTreeSet::new();
    until("both bridges", || {
        here.publish(&Publish::new("site/probe", "?"));
        while let Heard::Packet(packet) = there.next(Duration::from_millis(20)) {
            if packet.kind() == PUBLISH {
                came.insert(packet.publish(5).unwrap().topic);
            }
        }
        came.len() == 2
    });
}

/// The login token at the end of a CONNECT, which must be one.
fn login(connect: &[u8]) -> String {
    let text = String::from_utf8_lossy(connect).into_owned();
    let token = &text[text.rfind("eyJ").unwrap()..];
    let start = text[..text.len() - token.len()].rfind("eyJ").unwrap();
    let header = text[start..].split('.').next().unwrap();
    let header = BASE64URL_NOPAD.decode(header.as_bytes()).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    assert_eq!(header["typ"], "edgeseal-login+jwt", "{text}");
    token.to_owned()
}

const LONGEST_SESSION: Duration = Duration::from_secs(9);
const PACE: Duration = Duration::from_millis(100);
const LOSSY: &str = r##"
[[rule]]
topic = "plain/#"
mode = "pass"

[[rule]]
topic = "site/+/unbound/envelope"
form = "envelope"
bind_user_properties = false

[[rule]]
topic = "site/+/envelope"
form = "envelope"
"##;
const BRIDGED: &str = r##"
[[rule]]
topic = "five/site/#"
as_published = { remove = "five/", add = "" }

[[rule]]
topic = "four/site/#"
as_published = { remove = "four/" }
"##;
