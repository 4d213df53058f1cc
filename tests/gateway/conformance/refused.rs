//! What no client may send: the connection ends.

use super::talk::Talk;
use super::{BOTH, Case, FIVE, FOUR, case};
use crate::packet::{
    self, ALIAS, AUTH, CONNECT, DISCONNECT, PINGREQ, PUBACK, PUBLISH, PUBREL, Publish, SUBSCRIBE,
    UNSUBSCRIBE, Value, packet, text,
};

pub(super) fn cases() -> Vec<Case> {
    [before_connack(), after_connack(), properties()]
        .into_iter()
        .flatten()
        .collect()
}

/// Sends these octets on a new connection.
fn first(t: &mut Talk<'_>, octets: &[u8]) {
    t.open("a");
    t.raw("a", octets);
    t.settle();
}

/// Sends these octets on a connection that is accepted.
fn then(t: &mut Talk<'_>, octets: &[u8]) {
    t.connect("a");
    t.raw("a", octets);
    t.settle();
}

/// A CONNECT of which one octet, counted from the protocol name's length on, is another.
fn connect_with(t: &Talk<'_>, at: usize, octet: u8) -> Vec<u8> {
    let mut octets = t.hello("a").octets();
    let head = octets.len() - usize::from(octets[1]);
    octets[head + at] = octet;
    octets
}

fn before_connack() -> Vec<Case> {
    vec![
        case("MQTT-3.1.0-1", "PUBLISH before CONNECT", BOTH, |t| {
            let octets = t.message("x", "first").octets(t.version);
            first(t, &octets);
        }),
        case("MQTT-3.1.0-1", "PINGREQ before CONNECT", BOTH, |t| {
            first(t, &packet(PINGREQ, &[]));
        }),
        case("MQTT-3.1.2-1", "another protocol name", BOTH, |t| {
            let octets = connect_with(t, 2, b'X');
            first(t, &octets);
        }),
        case("MQTT-3.1.2-3", "the reserved flag of CONNECT", BOTH, |t| {
            let octets = connect_with(t, 7, 0x03);
            first(t, &octets);
        }),
        case("MQTT-3.1.2-12", "a will of QoS 3", BOTH, |t| {
            let mut hello = t.hello("a");
            hello.will = Some((t.topic("will"), Vec::new(), 3, false, Vec::new()));
            first(t, &hello.octets());
        }),
        case("MQTT-3.1.2-13", "a will's QoS without a will", BOTH, |t| {
            let octets = connect_with(t, 7, 0x0a);
            first(t, &octets);
        }),
        case(
            "MQTT-3.1.2-15",
            "a will's RETAIN without a will",
            BOTH,
            |t| {
                let octets = connect_with(t, 7, 0x22);
                first(t, &octets);
            },
        ),
        case(
            "3.1.1 MQTT-3.1.2-22",
            "a password without a user name",
            FOUR,
            |t| {
                let mut hello = t.hello("a");
                hello.password = Some(b"secret".to_vec());
                first(t, &hello.octets());
            },
        ),
        case("MQTT-3.1.3-4", "a client id that is no UTF-8", BOTH, |t| {
            let hello = t.hello("a");
            let mut octets = hello.octets();
            let last = octets.len() - 1;
            octets[last] = 0xff;
            first(t, &octets);
        }),
        case(
            "MQTT-2.1.3-1",
            "flags of CONNECT's fixed header",
            BOTH,
            |t| {
                let mut octets = t.hello("a").octets();
                octets[0] = CONNECT | 1;
                first(t, &octets);
            },
        ),
        case("3.1.3", "a CONNECT that ends too early", BOTH, |t| {
            let body = [text("MQTT"), vec![t.version]].concat();
            first(t, &packet(CONNECT, &body));
        }),
    ]
}

fn after_connack() -> Vec<Case> {
    vec![
        case("MQTT-3.3.1-4", "QoS 3", BOTH, |t| {
            let octets = t.message("x", "three").qos(3, 1).octets(t.version);
            then(t, &octets);
        }),
        case("MQTT-3.3.1-2", "DUP at QoS 0", BOTH, |t| {
            let octets = t.message("x", "dup").dup().octets(t.version);
            then(t, &octets);
        })
        .differs(BOTH, "closed on, as the statement asks; mosquitto bears it"),
        case("MQTT-3.3.2-2", "a wildcard in a topic", BOTH, |t| {
            let octets = t.message("x/+", "wild").octets(t.version);
            then(t, &octets);
        }),
        case("MQTT-4.7.3-1", "an empty topic", BOTH, |t| {
            let octets = Publish::new("", "nowhere").octets(t.version);
            then(t, &octets);
        }),
        case("MQTT-1.5.4-2", "U+0000 in a topic", BOTH, |t| {
            let octets = t.message("x\0", "null").octets(t.version);
            then(t, &octets);
        }),
        case("MQTT-1.5.4-1", "a topic that is no UTF-8", BOTH, |t| {
            let mut octets = t.message("x", "").octets(t.version);
            let at = octets.iter().rposition(|octet| *octet == b'x').unwrap();
            octets[at] = 0xff;
            then(t, &octets);
        }),
        case(
            "MQTT-2.2.1-3",
            "packet identifier 0 in PUBLISH",
            BOTH,
            |t| {
                let mut octets = t.message("x", "").qos(1, 0xabcd).octets(t.version);
                let at = octets.iter().rposition(|octet| *octet == 0xab).unwrap();
                (octets[at], octets[at + 1]) = (0, 0);
                then(t, &octets);
            },
        ),
        case(
            "MQTT-2.2.1-3",
            "packet identifier 0 in SUBSCRIBE",
            BOTH,
            |t| {
                let octets = packet::subscribe(t.version, 0, &[(&t.topic("x"), 0)], &Vec::new());
                then(t, &octets);
            },
        ),
        case("MQTT-3.8.1-1", "flags of SUBSCRIBE", BOTH, |t| {
            let mut octets = packet::subscribe(t.version, 1, &[(&t.topic("x"), 0)], &Vec::new());
            octets[0] = SUBSCRIBE;
            then(t, &octets);
        }),
        case("MQTT-3.8.3-2", "SUBSCRIBE without a filter", BOTH, |t| {
            let octets = packet::subscribe(t.version, 1, &[], &Vec::new());
            then(t, &octets);
        }),
        case("MQTT-3.8.3-5", "a requested QoS of 3", BOTH, |t| {
            let octets = packet::subscribe(t.version, 1, &[(&t.topic("x"), 3)], &Vec::new());
            then(t, &octets);
        }),
        case("MQTT-4.7.1-1", "# that is not last", BOTH, |t| {
            let octets = packet::subscribe(t.version, 1, &[(&t.topic("#/x"), 0)], &Vec::new());
            then(t, &octets);
        }),
        case("MQTT-4.7.1-2", "+ that is not a whole level", BOTH, |t| {
            let octets = packet::subscribe(t.version, 1, &[(&t.topic("x+"), 0)], &Vec::new());
            then(t, &octets);
        }),
        case("MQTT-3.10.1-1", "flags of UNSUBSCRIBE", BOTH, |t| {
            let mut octets = packet::unsubscribe(t.version, 1, &[&t.topic("x")]);
            octets[0] = UNSUBSCRIBE;
            then(t, &octets);
        }),
        case("MQTT-3.10.3-2", "UNSUBSCRIBE without a filter", BOTH, |t| {
            let octets = packet::unsubscribe(t.version, 1, &[]);
            then(t, &octets);
        }),
        case("MQTT-3.6.1-1", "flags of PUBREL", BOTH, |t| {
            then(t, &packet(PUBREL, &[0, 1]));
        }),
        case("2.1.3", "flags of PUBACK", BOTH, |t| {
            then(t, &packet(PUBACK | 1, &[0, 1]));
        })
        .differs(BOTH, "closed on, as the statement asks; mosquitto bears it"),
        case("3.12.1", "a PINGREQ with a body", BOTH, |t| {
            then(t, &packet(PINGREQ, &[0]));
        })
        .differs(BOTH, "closed on as malformed; mosquitto bears it"),
        case("2.1.2", "packet type 0", BOTH, |t| {
            then(t, &packet(0, &[]));
        }),
        case("3.15", "packet type 15 in 3.1.1", FOUR, |t| {
            then(t, &packet(AUTH, &[]));
        }),
        case("1.5.5", "a Remaining Length of five octets", BOTH, |t| {
            then(t, &[PUBLISH, 0xff, 0xff, 0xff, 0xff, 0x01]);
        }),
        case("MQTT-3.2.0", "a packet that only servers send", BOTH, |t| {
            let octets = packet::connack(t.version, false, 0, &Vec::new());
            then(t, &octets);
        }),
        case("3.3.2", "a topic longer than its packet", BOTH, |t| {
            then(t, &packet(PUBLISH, &[0, 200, b'x']));
        }),
    ]
}

fn properties() -> Vec<Case> {
    vec![
        case("MQTT-3.3.2-8", "topic alias 0", FIVE, |t| {
            let octets = t.message("x", "").with(ALIAS, Value::Two(0)).octets(5);
            then(t, &octets);
        }),
        case(
            "MQTT-3.3.2-9",
            "a topic alias above the maximum",
            FIVE,
            |t| {
                let octets = t.message("x", "").with(ALIAS, Value::Two(60_000));
                then(t, &octets.octets(5));
            },
        ),
        case(
            "3.3.2.3.4",
            "a topic alias that stands for nothing",
            FIVE,
            |t| {
                let octets = Publish::new("", "").with(ALIAS, Value::Two(3)).octets(5);
                then(t, &octets);
            },
        ),
        case("2.2.2.2", "a property twice", FIVE, |t| {
            let twice = t.message("x", "");
            let twice = twice.with(packet::PAYLOAD_FORMAT, Value::Byte(1));
            let twice = twice.with(packet::PAYLOAD_FORMAT, Value::Byte(1));
            then(t, &twice.octets(5));
        }),
        case("2.2.2.2", "a property of another packet", FIVE, |t| {
            let octets = t.message("x", "");
            let octets = octets.with(packet::SESSION_EXPIRY, Value::Four(1));
            then(t, &octets.octets(5));
        }),
        case("2.2.2.2", "a property that does not exist", FIVE, |t| {
            let octets = t.message("x", "").with(0x7e, Value::Byte(1));
            then(t, &octets.octets(5));
        }),
        case(
            "2.2.2.1",
            "properties longer than their packet",
            FIVE,
            |t| {
                let body = [text("x"), vec![200, 1, 1]].concat();
                then(t, &packet(PUBLISH, &body));
            },
        ),
        case("3.3.2.3.2", "a payload format of 2", FIVE, |t| {
            let octets = t.message("x", "");
            let octets = octets.with(packet::PAYLOAD_FORMAT, Value::Byte(2));
            then(t, &octets.octets(5));
        })
        .differs(FIVE, "closed on, as the statement asks; mosquitto bears it"),
        case(
            "MQTT-3.3.4-6",
            "a subscription identifier from a client",
            FIVE,
            |t| {
                let octets = t.message("x", "");
                let octets = octets.with(packet::SUBSCRIPTION_ID, Value::Varying(1));
                then(t, &octets.octets(5));
            },
        ),
        case(
            "MQTT-3.3.2-14",
            "a wildcard in a response topic",
            FIVE,
            |t| {
                let octets = t.message("x", "");
                let octets = octets.with(packet::RESPONSE_TOPIC, Value::Text("a/#".into()));
                then(t, &octets.octets(5));
            },
        )
        .differs(FIVE, "closed on, as the statement asks; mosquitto bears it"),
        case("3.8.2.1.2", "subscription identifier 0", FIVE, |t| {
            let zero = vec![(packet::SUBSCRIPTION_ID, Value::Varying(0))];
            let octets = packet::subscribe(5, 1, &[(&t.topic("x"), 0)], &zero);
            then(t, &octets);
        }),
        case(
            "MQTT-3.8.3-4",
            "No Local on a shared subscription",
            FIVE,
            |t| {
                let filter = format!("$share/g/{}", t.topic("x"));
                let octets = packet::subscribe(5, 1, &[(&filter, 4)], &Vec::new());
                then(t, &octets);
            },
        )
        .differs(FIVE, "closed on, as the statement asks; mosquitto bears it"),
        case(
            "MQTT-3.8.3-5",
            "reserved bits of subscription options",
            FIVE,
            |t| {
                let octets = packet::subscribe(5, 1, &[(&t.topic("x"), 0x40)], &Vec::new());
                then(t, &octets);
            },
        ),
        case("3.8.3.1", "Retain Handling 3", FIVE, |t| {
            let octets = packet::subscribe(5, 1, &[(&t.topic("x"), 0x30)], &Vec::new());
            then(t, &octets);
        }),
        case(
            "MQTT-3.14.2-1",
            "a DISCONNECT reason that does not exist",
            FIVE,
            |t| {
                then(t, &packet(DISCONNECT, &[3]));
            },
        ),
        case(
            "3.14.2.2.2",
            "a DISCONNECT that revives its session",
            FIVE,
            |t| {
                let mut hello = t.hello("a");
                hello.properties = vec![(packet::SESSION_EXPIRY, Value::Four(0))];
                t.connect_as("a", &hello);
                let revived = vec![(packet::SESSION_EXPIRY, Value::Four(60))];
                let body = [vec![0], packet::properties(&revived)].concat();
                t.raw("a", &packet(DISCONNECT, &body));
                t.settle();
            },
        ),
        case("MQTT-4.12.0-6", "AUTH without a method", FIVE, |t| {
            then(t, &packet(AUTH, &[0x18, 0]));
        }),
        case("3.1.2.11.3", "a Receive Maximum of 0", FIVE, |t| {
            let mut hello = t.hello("a");
            hello.properties = vec![(packet::RECEIVE_MAXIMUM, Value::Two(0))];
            first(t, &hello.octets());
        }),
        case("3.1.2.11.4", "a Maximum Packet Size of 0", FIVE, |t| {
            let mut hello = t.hello("a");
            hello.properties = vec![(packet::MAXIMUM_PACKET, Value::Four(0))];
            first(t, &hello.octets());
        }),
        case("2.2.2.2", "a property twice in CONNECT", FIVE, |t| {
            let mut hello = t.hello("a");
            let one = (packet::SESSION_EXPIRY, Value::Four(10));
            hello.properties = vec![one.clone(), one];
            first(t, &hello.octets());
        }),
    ]
}
