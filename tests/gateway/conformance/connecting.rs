//! CONNECT, CONNACK, sessions, wills, pings, DISCONNECT.

use super::{BOTH, Case, FIVE, FOUR, case};
use crate::packet::{self, Connect, DISCONNECT, PINGREQ, SESSION_EXPIRY, Value, WILL_DELAY};

pub(super) const CASES: &[Case] = &[
    case(
        "MQTT-3.2.2-2",
        "a clean session has no session present",
        BOTH,
        |t| {
            t.connect("a");
            t.leave("a");
            t.connect("a");
        },
    ),
    case(
        "MQTT-3.2.2-3",
        "a lasting session is present again",
        BOTH,
        |t| {
            let hello = t.lasting("a");
            t.connect_as("a", &hello);
            t.subscribe("a", &[("x", 1)]);
            t.leave("a");
            t.connect_as("a", &hello);
        },
    ),
    case(
        "MQTT-3.1.2-4",
        "a clean start ends the old session",
        BOTH,
        |t| {
            let hello = t.lasting("a");
            t.connect_as("a", &hello);
            t.subscribe("a", &[("x", 1)]);
            t.leave("a");
            t.connect("a");
            t.say("a", "x", "nobody hears this");
            t.leave("a");
            t.connect_as("a", &hello);
        },
    ),
    case(
        "MQTT-3.1.2-5",
        "messages wait for a lasting session",
        BOTH,
        |t| {
            let hello = t.lasting("a");
            t.connect_as("a", &hello);
            t.subscribe("a", &[("x", 1)]);
            t.leave("a");
            t.connect("b");
            let message = t.message("x", "waits");
            t.publish("b", &message.qos(1, 0));
            t.connect_as("a", &hello);
            t.acknowledge("a");
        },
    ),
    case(
        "3.1.2.11.2",
        "session expiry 0 ends the session with the connection",
        FIVE,
        |t| {
            let mut hello = t.lasting("a");
            hello.properties = vec![(SESSION_EXPIRY, Value::Four(0))];
            t.connect_as("a", &hello);
            t.subscribe("a", &[("x", 1)]);
            t.leave("a");
            t.connect_as("a", &hello);
        },
    ),
    case(
        "MQTT-3.14.2-2",
        "DISCONNECT may shorten the session to nothing",
        FIVE,
        |t| {
            let hello = t.lasting("a");
            t.connect_as("a", &hello);
            let body = [
                vec![0],
                packet::properties(&vec![(SESSION_EXPIRY, Value::Four(0))]),
            ];
            t.raw("a", &packet::packet(DISCONNECT, &body.concat()));
            t.settle();
            t.connect_as("a", &hello);
        },
    ),
    case(
        "MQTT-3.1.4-3",
        "a second connection of one client id ends the first",
        BOTH,
        |t| {
            t.connect("a");
            let hello = t.hello("a");
            t.connect_as("b", &hello);
            t.settle();
        },
    ),
    case(
        "MQTT-3.1.0-2",
        "a second CONNECT ends the connection",
        BOTH,
        |t| {
            t.connect("a");
            let hello = t.hello("a");
            t.raw("a", &hello.octets());
            t.settle();
        },
    ),
    case(
        "MQTT-3.1.3-6",
        "an empty client id with a clean session is served",
        BOTH,
        |t| {
            let hello = Connect::new(t.version, "");
            t.connect_as("a", &hello);
        },
    ),
    case(
        "MQTT-3.1.3-8",
        "an empty client id without a clean session",
        FOUR,
        |t| {
            let mut hello = Connect::new(t.version, "");
            hello.clean = false;
            t.connect_as("a", &hello);
        },
    ),
    case("MQTT-3.12.4-1", "PINGREQ is answered", BOTH, |t| {
        t.connect("a");
        t.raw("a", &packet::packet(PINGREQ, &[]));
        t.say("a", "x", "after");
    }),
    case(
        "MQTT-3.1.2-8",
        "a will is published when the connection breaks",
        BOTH,
        |t| {
            t.connect("a");
            t.subscribe("a", &[("will", 1)]);
            let mut hello = t.hello("b");
            hello.will = Some((t.topic("will"), b"gone".to_vec(), 1, false, Vec::new()));
            t.connect_as("b", &hello);
            t.vanish("b");
            t.patient("a");
        },
    ),
    case("MQTT-3.14.4-3", "no will after DISCONNECT", BOTH, |t| {
        t.connect("a");
        t.subscribe("a", &[("#", 1)]);
        let mut hello = t.hello("b");
        hello.will = Some((t.topic("will"), b"gone".to_vec(), 1, false, Vec::new()));
        t.connect_as("b", &hello);
        t.leave("b");
        t.say("a", "mark", "and nothing before");
    }),
    case(
        "3.14.2.1",
        "DISCONNECT with 0x04 publishes the will",
        FIVE,
        |t| {
            t.connect("a");
            t.subscribe("a", &[("will", 1)]);
            let mut hello = t.hello("b");
            hello.will = Some((t.topic("will"), b"gone".to_vec(), 0, false, Vec::new()));
            t.connect_as("b", &hello);
            t.raw("b", &packet::packet(DISCONNECT, &[4]));
            t.patient("a");
        },
    ),
    case(
        "MQTT-3.1.3-9",
        "a will does not wait longer than the session lives",
        FIVE,
        |t| {
            t.connect("a");
            t.subscribe("a", &[("will", 1)]);
            let mut hello = t.hello("b");
            let delay = vec![(WILL_DELAY, Value::Four(3600))];
            hello.will = Some((t.topic("will"), b"gone".to_vec(), 1, false, delay));
            t.connect_as("b", &hello);
            t.vanish("b");
            t.patient("a");
        },
    ),
    case("MQTT-3.3.1-2", "properties of a will arrive", FIVE, |t| {
        t.connect("a");
        t.subscribe("a", &[("will", 1)]);
        let mut hello = t.hello("b");
        let properties = vec![
            (packet::CONTENT_TYPE, Value::Text("text/plain".into())),
            (packet::USER, Value::Pair("unit".into(), "C".into())),
        ];
        hello.will = Some((t.topic("will"), b"gone".to_vec(), 1, false, properties));
        t.connect_as("b", &hello);
        t.vanish("b");
        t.patient("a");
    }),
    case(
        "MQTT-3.1.2-24",
        "user name and password where none is asked for",
        BOTH,
        |t| {
            let mut hello = t.hello("a");
            hello.user = Some("me".into());
            hello.password = Some(b"secret".to_vec());
            t.connect_as("a", &hello);
        },
    ),
    case(
        "MQTT-3.14.4-1",
        "DISCONNECT ends the connection",
        BOTH,
        |t| {
            t.connect("a");
            t.raw("a", &packet::disconnect(t.version, 0));
            t.settle();
        },
    ),
    case("3.1.1 3.1.2.2", "a level that is not known", BOTH, |t| {
        let mut hello = t.hello("a");
        hello.version = 6;
        t.connect_as("a", &hello);
    }),
];
