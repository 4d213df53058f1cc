//! SUBSCRIBE, UNSUBSCRIBE, filters.

use super::{BOTH, Case, FIVE, case};
use crate::packet::{self, SUBSCRIPTION_ID, Value};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(
            "MQTT-3.8.4-6",
            "SUBACK has a code for each filter, in order",
            BOTH,
            |t| {
                t.connect("a");
                t.subscribe("a", &[("x", 0), ("y", 1), ("z", 2)]);
            },
        ),
        case(
            "MQTT-3.8.4-3",
            "a second subscription to a filter replaces the first",
            BOTH,
            |t| {
                t.connect("a");
                t.subscribe("a", &[("x", 0)]);
                t.subscribe("a", &[("x", 1)]);
                let message = t.message("x", "once").qos(1, 0);
                t.publish("a", &message);
                t.acknowledge("a");
            },
        ),
        case(
            "MQTT-4.7.1-1",
            "# matches its parent and everything below",
            BOTH,
            |t| {
                t.connect("a");
                t.subscribe("a", &[("x/#", 0)]);
                t.say("a", "x", "parent");
                t.say("a", "x/y/z", "below");
                t.say("a", "xy", "no");
            },
        ),
        case("MQTT-4.7.1-2", "+ matches one level", BOTH, |t| {
            t.connect("a");
            t.subscribe("a", &[("x/+", 0)]);
            t.say("a", "x/y", "yes");
            t.say("a", "x/y/z", "no");
            t.say("a", "x", "no");
            t.say("a", "x/", "yes, an empty one");
        }),
        case(
            "MQTT-3.10.4-1",
            "after UNSUBSCRIBE nothing comes",
            BOTH,
            |t| {
                t.connect("a");
                t.subscribe("a", &[("x", 0), ("y", 0)]);
                let octets = packet::unsubscribe(t.version, 99, &[&t.topic("x")]);
                t.raw("a", &octets);
                t.settle();
                t.say("a", "x", "no");
                t.say("a", "y", "yes");
            },
        ),
        case(
            "MQTT-3.10.4-5",
            "UNSUBSCRIBE of what is not subscribed is acknowledged",
            BOTH,
            |t| {
                t.connect("a");
                let octets = packet::unsubscribe(t.version, 99, &[&t.topic("x")]);
                t.raw("a", &octets);
                t.settle();
            },
        ),
        case(
            "MQTT-3.10.4-6",
            "UNSUBSCRIBE of several filters",
            BOTH,
            |t| {
                t.connect("a");
                t.subscribe("a", &[("x", 0), ("y", 1)]);
                let topics = [t.topic("x"), t.topic("y"), t.topic("z")];
                let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
                let octets = packet::unsubscribe(t.version, 7, &topics);
                t.raw("a", &octets);
                t.settle();
            },
        ),
        case("3.3.4", "two filters that match", BOTH, |t| {
            t.connect("a");
            t.subscribe("a", &[("x/#", 1), ("+/y", 0)]);
            let message = t.message("x/y", "how often").qos(1, 0);
            t.publish("a", &message);
            t.acknowledge("a");
        })
        .differs(
            FIVE,
            "one copy: without a subscription identifier a second one cannot be told from a replay",
        ),
        case(
            "3.8.4",
            "subscriptions outlive a lasting session's connection",
            BOTH,
            |t| {
                let hello = t.lasting("a");
                t.connect_as("a", &hello);
                t.subscribe("a", &[("x", 0)]);
                t.leave("a");
                t.connect_as("a", &hello);
                t.say("a", "x", "still there");
            },
        ),
        case("MQTT-3.8.3-3", "No Local", FIVE, |t| {
            t.connect("a");
            t.subscribe("a", &[("x", 0x04)]);
            t.connect("b");
            t.say("a", "x", "own");
            t.say("b", "x", "another's");
        }),
        case(
            "MQTT-3.3.4-3",
            "a subscription identifier comes with the message",
            FIVE,
            |t| {
                t.connect("a");
                let filter = t.topic("x");
                let id = vec![(SUBSCRIPTION_ID, Value::Varying(268_435_455))];
                let octets = packet::subscribe(5, 3, &[(&filter, 0)], &id);
                t.raw("a", &octets);
                t.settle();
                t.say("a", "x", "which");
            },
        ),
        case(
            "MQTT-3.3.4-4",
            "identifiers of overlapping subscriptions",
            FIVE,
            |t| {
                t.connect("a");
                for (number, filter) in [(1, "x/#"), (2, "+/y")] {
                    let filter = t.topic(filter);
                    let id = vec![(SUBSCRIPTION_ID, Value::Varying(number))];
                    let octets = packet::subscribe(5, 3, &[(&filter, 0)], &id);
                    t.raw("a", &octets);
                    t.settle();
                }
                t.say("a", "x/y", "both");
            },
        ),
        case(
            "4.8.2",
            "a shared subscription gives each message to one",
            FIVE,
            |t| {
                t.connect("a");
                t.connect("b");
                for name in ["a", "b"] {
                    let filter = format!("$share/group/{}", t.topic("x"));
                    let octets = packet::subscribe(5, 3, &[(&filter, 0)], &Vec::new());
                    t.raw(name, &octets);
                    t.settle();
                }
                for number in 0..4 {
                    t.say("a", "x", &number.to_string());
                }
            },
        ),
        case(
            "MQTT-3.8.4-1",
            "SUBSCRIBE with a user property",
            FIVE,
            |t| {
                t.connect("a");
                let filter = t.topic("x");
                let own = vec![(packet::USER, Value::Pair("why".into(), "so".into()))];
                let octets = packet::subscribe(5, 3, &[(&filter, 1)], &own);
                t.raw("a", &octets);
                t.settle();
            },
        ),
    ]
}
