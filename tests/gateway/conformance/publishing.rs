//! PUBLISH and its acknowledgements.

use super::{BOTH, Case, FIVE, case};
use crate::packet::{
    self, ALIAS, CONTENT_TYPE, CORRELATION, MESSAGE_EXPIRY, PAYLOAD_FORMAT, PUBREL, Publish,
    RESPONSE_TOPIC, Value,
};

pub(super) const FLOWS: &[Case] = &[
    case("MQTT-4.3.1-1", "QoS 0 arrives", BOTH, |t| {
        t.connect("a");
        t.subscribe("a", &[("x", 0)]);
        t.say("a", "x", "once");
    }),
    case(
        "MQTT-4.3.2-4",
        "QoS 1 is acknowledged with its identifier",
        BOTH,
        |t| {
            t.connect("a");
            t.subscribe("a", &[("x", 1)]);
            let message = t.message("x", "at least once");
            t.publish("a", &message.qos(1, 4711));
            t.acknowledge("a");
        },
    ),
    case("MQTT-4.3.3-8", "QoS 2 in four steps", BOTH, |t| {
        t.connect("a");
        t.subscribe("a", &[("x", 2)]);
        let message = t.message("x", "exactly once");
        t.publish("a", &message.qos(2, 4711));
        t.raw("a", &packet::ack(PUBREL, 4711));
        t.settle();
        t.acknowledge("a");
    }),
    case(
        "MQTT-4.3.3-10",
        "QoS 2 sent again before PUBREL is one message",
        BOTH,
        |t| {
            t.connect("a");
            t.subscribe("a", &[("x", 0)]);
            let message = t.message("x", "exactly once").qos(2, 9);
            t.publish("a", &message);
            t.publish("a", &message.dup());
            t.raw("a", &packet::ack(PUBREL, 9));
            t.settle();
        },
    ),
    case(
        "MQTT-4.3.3-11",
        "PUBREL sent again is answered again",
        BOTH,
        |t| {
            t.connect("a");
            let message = t.message("x", "exactly once").qos(2, 9);
            t.publish("a", &message);
            t.raw("a", &packet::ack(PUBREL, 9));
            t.settle();
            t.raw("a", &packet::ack(PUBREL, 9));
            t.settle();
        },
    ),
    case("MQTT-3.8.4-8", "the lower QoS of both holds", BOTH, |t| {
        t.connect("a");
        t.subscribe("a", &[("x", 1)]);
        let message = t.message("x", "two to one").qos(2, 9);
        t.publish("a", &message);
        t.raw("a", &packet::ack(PUBREL, 9));
        t.settle();
        t.acknowledge("a");
        t.say("a", "x", "zero stays zero");
    }),
    case("MQTT-4.6.0-6", "messages keep their order", BOTH, |t| {
        t.connect("a");
        t.subscribe("a", &[("x", 1)]);
        for number in 1..=10 {
            let message = t.message("x", &number.to_string()).qos(1, 100 + number);
            let octets = message.octets(t.version);
            t.raw("a", &octets);
        }
        t.settle();
        t.acknowledge("a");
    }),
    case(
        "MQTT-4.4.0-1",
        "unacknowledged messages come again with DUP",
        BOTH,
        |t| {
            let hello = t.lasting("a");
            t.connect_as("a", &hello);
            t.subscribe("a", &[("x", 2)]);
            t.connect("b");
            let message = t.message("x", "one").qos(1, 0);
            t.publish("b", &message);
            let message = t.message("x", "two").qos(1, 0);
            t.publish("b", &message);
            t.vanish("a");
            t.connect_as("a", &hello);
            t.acknowledge("a");
        },
    ),
    case(
        "MQTT-4.4.0-1",
        "QoS 2 without PUBREC comes again",
        BOTH,
        |t| {
            let hello = t.lasting("a");
            t.connect_as("a", &hello);
            t.subscribe("a", &[("x", 2)]);
            t.connect("b");
            let message = t.message("x", "one").qos(2, 7);
            t.publish("b", &message);
            t.raw("b", &packet::ack(PUBREL, 7));
            t.settle();
            t.vanish("a");
            t.connect_as("a", &hello);
            t.acknowledge("a");
        },
    ),
    case(
        "MQTT-4.4.0-1",
        "an unfinished QoS 2 of the client is finished later",
        BOTH,
        |t| {
            let hello = t.lasting("b");
            t.connect("a");
            t.subscribe("a", &[("x", 0)]);
            t.connect_as("b", &hello);
            let message = t.message("x", "one").qos(2, 7);
            t.publish("b", &message);
            t.vanish("b");
            t.connect_as("b", &hello);
            t.raw("b", &packet::ack(PUBREL, 7));
            t.settle();
        },
    ),
    case("3.3.2.1", "a long topic", BOTH, |t| {
        t.connect("a");
        t.subscribe("a", &[("#", 0)]);
        t.say("a", &"level/".repeat(20), "deep");
    }),
    case(
        "MQTT-4.7.3-3",
        "topics are case sensitive and spaces count",
        BOTH,
        |t| {
            t.connect("a");
            t.subscribe("a", &[("X y", 0)]);
            t.say("a", "x y", "no");
            t.say("a", "X  y", "no");
            t.say("a", "X y", "yes");
        },
    ),
    case("MQTT-4.7.3-1", "empty levels are levels", BOTH, |t| {
        t.connect("a");
        t.subscribe("a", &[("+/+/x", 0)]);
        t.say("a", "//x", "yes");
        t.say("a", "/x", "no");
    }),
    case("3.3.3", "an empty payload is a message", BOTH, |t| {
        t.connect("a");
        t.subscribe("a", &[("x", 1)]);
        let message = t.message("x", "").qos(1, 0);
        t.publish("a", &message);
    }),
    case("3.3.3", "100,000 octets", BOTH, |t| {
        t.connect("a");
        t.subscribe("a", &[("x", 0)]);
        let message = t.message("x", &"0123456789".repeat(10_000));
        t.publish("a", &message);
    }),
    case(
        "1.5.4",
        "letters of every script in topic and payload",
        BOTH,
        |t| {
            t.connect("a");
            t.subscribe("a", &[("#", 0)]);
            t.say("a", "Größe/температура/温度/🌡", "grün 21 °C");
        },
    ),
];

pub(super) const RETAINED: &[Case] = &[
    case(
        "MQTT-3.3.1-5",
        "a retained message comes to a later subscriber",
        BOTH,
        |t| {
            t.connect("a");
            let message = t.message("state", "on").retain().qos(1, 0);
            t.publish("a", &message);
            t.subscribe("a", &[("state", 1)]);
            t.acknowledge("a");
        },
    ),
    case(
        "MQTT-3.3.1-7",
        "the newest retained message replaces the older",
        BOTH,
        |t| {
            t.connect("a");
            let message = t.message("state", "on").retain();
            t.publish("a", &message);
            let message = t.message("state", "off").retain();
            t.publish("a", &message);
            t.subscribe("a", &[("state", 0)]);
        },
    ),
    case(
        "MQTT-3.3.1-6",
        "an empty retained message deletes",
        BOTH,
        |t| {
            t.connect("a");
            let message = t.message("state", "on").retain();
            t.publish("a", &message);
            let message = t.message("state", "").retain();
            t.publish("a", &message);
            t.subscribe("a", &[("state", 0)]);
        },
    ),
    case(
        "MQTT-3.3.1-8",
        "a message without RETAIN leaves the retained one",
        BOTH,
        |t| {
            t.connect("a");
            let message = t.message("state", "on").retain();
            t.publish("a", &message);
            t.say("a", "state", "passing");
            t.subscribe("a", &[("state", 0)]);
        },
    ),
    case(
        "MQTT-3.3.1-12",
        "a live copy of a retained message",
        BOTH,
        |t| {
            t.connect("a");
            t.subscribe("a", &[("state", 0)]);
            let message = t.message("state", "on").retain();
            t.publish("a", &message);
        },
    ),
    case(
        "MQTT-3.3.1-5",
        "every SUBSCRIBE sends it again",
        BOTH,
        |t| {
            t.connect("a");
            let message = t.message("state", "on").retain();
            t.publish("a", &message);
            t.subscribe("a", &[("state", 0)]);
            t.subscribe("a", &[("state", 0)]);
        },
    ),
    case("MQTT-3.3.1-13", "Retain As Published", FIVE, |t| {
        t.connect("a");
        t.subscribe("a", &[("state", 0x08)]);
        let message = t.message("state", "on").retain();
        t.publish("a", &message);
    }),
    case(
        "MQTT-3.3.1-10",
        "Retain Handling 1 sends it only to a new subscription",
        FIVE,
        |t| {
            t.connect("a");
            let message = t.message("state", "on").retain();
            t.publish("a", &message);
            t.subscribe("a", &[("state", 0x10)]);
            t.subscribe("a", &[("state", 0x10)]);
        },
    ),
    case("MQTT-3.3.1-11", "Retain Handling 2 sends none", FIVE, |t| {
        t.connect("a");
        let message = t.message("state", "on").retain();
        t.publish("a", &message);
        t.subscribe("a", &[("state", 0x20)]);
        t.say("a", "state", "live");
    }),
];

pub(super) const PROPERTIES: &[Case] = &[
    case(
        "MQTT-3.3.2-17",
        "user properties arrive in their order",
        FIVE,
        |t| {
            t.connect("a");
            t.subscribe("a", &[("x", 0)]);
            let message = t.message("x", "one").user("b", "1").user("a", "2");
            t.publish("a", &message.user("b", "3"));
        },
    ),
    case("MQTT-3.3.2-20", "the content type arrives", FIVE, |t| {
        t.connect("a");
        t.subscribe("a", &[("x", 0)]);
        let message = t.message("x", "{}");
        t.publish(
            "a",
            &message.with(CONTENT_TYPE, Value::Text("application/json".into())),
        );
    }),
    case("MQTT-3.3.2-4", "the payload format arrives", FIVE, |t| {
        t.connect("a");
        t.subscribe("a", &[("x", 0)]);
        let message = t.message("x", "text");
        t.publish("a", &message.with(PAYLOAD_FORMAT, Value::Byte(1)));
    }),
    case(
        "MQTT-3.3.2-15",
        "response topic and correlation data arrive",
        FIVE,
        |t| {
            t.connect("a");
            t.subscribe("a", &[("x", 0)]);
            let reply = Value::Text(t.topic("reply"));
            let message = t.message("x", "ask").with(RESPONSE_TOPIC, reply);
            t.publish(
                "a",
                &message.with(CORRELATION, Value::Binary(vec![1, 0, 255])),
            );
        },
    ),
    case(
        "MQTT-3.3.2-6",
        "message expiry is counted down",
        FIVE,
        |t| {
            t.connect("a");
            t.subscribe("a", &[("x", 0)]);
            let message = t.message("x", "short");
            t.publish("a", &message.with(MESSAGE_EXPIRY, Value::Four(1_000)));
        },
    ),
    case(
        "MQTT-3.3.2-12",
        "a topic alias stands for its topic",
        FIVE,
        |t| {
            t.connect("a");
            t.subscribe("a", &[("#", 0)]);
            let message = t.message("x", "named").with(ALIAS, Value::Two(1));
            t.publish("a", &message);
            let message = Publish::new("", "by alias").with(ALIAS, Value::Two(1));
            t.publish("a", &message);
        },
    ),
    case(
        "MQTT-3.3.2-12",
        "a topic alias can be set anew",
        FIVE,
        |t| {
            t.connect("a");
            t.subscribe("a", &[("#", 0)]);
            for topic in ["x", "y"] {
                let message = t.message(topic, "named").with(ALIAS, Value::Two(1));
                t.publish("a", &message);
            }
            let message = Publish::new("", "by alias").with(ALIAS, Value::Two(1));
            t.publish("a", &message);
        },
    ),
    case(
        "MQTT-3.3.4-9",
        "no more than Receive Maximum at once",
        FIVE,
        |t| {
            let mut hello = t.hello("a");
            hello.properties = vec![(packet::RECEIVE_MAXIMUM, Value::Two(2))];
            t.connect_as("a", &hello);
            t.subscribe("a", &[("x", 1)]);
            t.connect("b");
            for number in 1..=5 {
                let message = t.message("x", &number.to_string()).qos(1, number);
                t.publish("b", &message);
            }
            for _ in 1..=5 {
                t.acknowledge_one("a");
            }
        },
    )
    .differs(
        FIVE,
        "what mosquitto sends beyond it waits until there is room",
    ),
    case(
        "MQTT-3.1.2-25",
        "a message above the Maximum Packet Size is left out",
        FIVE,
        |t| {
            let mut hello = t.hello("a");
            hello.properties = vec![(packet::MAXIMUM_PACKET, Value::Four(200))];
            t.connect_as("a", &hello);
            t.subscribe("a", &[("x", 0)]);
            t.connect("b");
            let message = t.message("x", &"long".repeat(100));
            t.publish("b", &message);
            t.say("b", "x", "short");
        },
    ),
];
