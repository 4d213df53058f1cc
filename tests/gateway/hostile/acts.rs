//! What a hostile broker does with well-formed packets.

use super::server::Server;
use super::{Ordeal, Victim};
use crate::packet::{self, Publish};

pub(super) fn play(victim: &Victim, signed: &[Publish]) {
    let own: Vec<Publish> = signed
        .iter()
        .map(|at| as_travels(at, victim.version))
        .collect();
    forged(victim);
    taken_from_others(victim, &own);
    acknowledgements(victim);
    never_acknowledged(victim);
    out_of_order(victim);
    too_many(victim);
    redirects(victim);
    oversized(victim);
    flood(victim);
    dripping(victim, &own[8]);
    closing(victim, &own[9]);
}

/// In 3.1.1 nothing but an envelope can carry the token.
fn as_travels(publish: &Publish, version: u8) -> Publish {
    if version == 5 {
        return publish.clone();
    }
    let token = publish.values("edgeseal")[0].to_owned();
    let payload = [b"ES1 ", token.as_bytes(), b"\n", &publish.payload].concat();
    Publish::new(&publish.topic, payload)
}

/// Sends these messages, and ends with an answered ping, so that all were judged before the close.
fn sends(victim: &Victim, what: &str, messages: Vec<Publish>) -> Ordeal {
    let version = victim.version;
    victim.suffers(what, move |server| {
        server.raw.version = version;
        server.serves();
        for message in &messages {
            server.raw.publish(message);
        }
        finish(server);
    })
}

/// The gateway acknowledges in order: when it has done so, everything before is judged.
fn finish(server: &mut Server) {
    let last = Publish::new("site/alpha/real", "no token").qos(1, 65_535);
    server.raw.publish(&last);
    while let crate::raw::Heard::Packet(at) = server.raw.next(std::time::Duration::from_secs(10)) {
        if at.kind() == packet::PUBACK {
            return;
        }
    }
    panic!("a refused message is not acknowledged");
}

fn forged(victim: &Victim) {
    let forge = |topic: &str| {
        let forged = Publish::new(topic, "evil").user("edgeseal-sender", "alpha");
        let forged = forged.user("edgeseal-verdict", "verified");
        forged.user("edgeseal-anything", "else").user("own", "kept")
    };
    let topics = [
        "site/alpha/real",
        "plain/x",
        "watch/x",
        "edgeseal/farm/manifest",
        "verified/alpha/x",
    ];
    let ordeal = sends(
        victim,
        "forged",
        topics.iter().map(|at| forge(at)).collect(),
    );
    for message in &ordeal.messages {
        assert!(
            !message.topic.starts_with("site/"),
            "handed on: {message:?}"
        );
        let verdicts = message.values("edgeseal-verdict");
        let is_watched = message.topic.starts_with("watch/") && victim.version == 5;
        let wanted: &[&str] = if is_watched { &["unverified"] } else { &[] };
        assert_eq!(verdicts, wanted, "{message:?}");
        assert_eq!(message.values("edgeseal-sender"), [""; 0], "{message:?}");
        assert_eq!(message.values("edgeseal-anything"), [""; 0], "{message:?}");
        if victim.version == 5 {
            assert_eq!(message.values("own"), ["kept"], "{message:?}");
        }
    }
    let topics: Vec<&str> = ordeal.messages.iter().map(|at| at.topic.as_str()).collect();
    assert_eq!(topics, ["plain/x", "watch/x"]);
}

/// Real messages of `alpha`: replayed, altered, moved, joined with others' tokens.
fn taken_from_others(victim: &Victim, own: &[Publish]) {
    let change = |at: &Publish, to: &dyn Fn(&mut Publish)| {
        let mut changed = at.clone();
        to(&mut changed);
        changed
    };
    let messages = vec![
        own[0].clone(),
        own[0].clone(),
        change(&own[1], &|at| at.payload.push(b'!')),
        change(&own[2], &|at| at.topic = "site/alpha/other".into()),
        change(&own[3], &|at| {
            at.topic = "site/beta/real".into();
        }),
        change(&own[4], &|at| at.properties = own[5].properties.clone()),
        change(&own[6], &|at| {
            let token = at.properties.clone();
            at.properties.extend(token);
        }),
        own[7].clone(),
        own[0].clone(),
    ];
    let ordeal = sends(victim, "taken", messages);
    let mut payloads: Vec<&[u8]> = ordeal
        .messages
        .iter()
        .map(|at| at.payload.as_slice())
        .collect();
    payloads.dedup();
    // In 3.1.1 the token is part of the payload: those of 4 and 6 have not been touched.
    let wanted: &[&[u8]] = if victim.version == 5 {
        &[b"0", b"7"]
    } else {
        &[b"0", b"4", b"6", b"7"]
    };
    assert_eq!(payloads, wanted, "{ordeal:?}");
    assert_eq!(ordeal.messages.len(), wanted.len(), "a replay is handed on");
}

/// Acknowledgements for nothing, twice, of the wrong kind. The gateway may bear them or close; it must not fall.
fn acknowledgements(victim: &Victim) {
    let version = victim.version;
    let sequences: [&[(u8, u16)]; 6] = [
        &[(packet::PUBACK, 7)],
        &[(packet::PUBREC, 7), (packet::PUBREC, 7)],
        &[(packet::PUBCOMP, 7)],
        &[(packet::PUBREL, 7), (packet::PUBREL, 7)],
        &[
            (packet::PUBACK, 1),
            (packet::PUBCOMP, 1),
            (packet::PUBREC, 1),
        ],
        &[
            (packet::SUBACK, 1),
            (packet::UNSUBACK, 9),
            (packet::SUBACK, 500),
        ],
    ];
    for sequence in sequences {
        let ordeal = victim.suffers("acknowledgements", move |server| {
            server.raw.version = version;
            server.serves();
            for (kind, id) in sequence {
                let octets = match *kind {
                    packet::SUBACK => packet::suback(version, *id, &[0]),
                    packet::UNSUBACK if version == 5 => {
                        packet::packet(packet::UNSUBACK, &[0, 9, 0, 0])
                    }
                    kind => packet::ack(kind, *id),
                };
                server.raw.send(&octets);
            }
        });
        assert_eq!(ordeal.messages, []);
    }
}

/// What the broker has not acknowledged, the program must not believe to be there.
fn never_acknowledged(victim: &Victim) {
    let version = victim.version;
    let own = format!("site/{}/x", victim.device.name);
    let messages = [
        Publish::new(&own, "signed").qos(1, 11),
        Publish::new("plain/x", "passed").qos(1, 12),
        Publish::new(&own, "signed").qos(2, 13),
        Publish::new("plain/x", "passed").qos(2, 14),
    ];
    let ordeal = victim.publishes("never acknowledged", &messages, move |server| {
        server.raw.version = version;
        server.serves();
        let mut left = 4;
        while left > 0 {
            server.raw.expect(packet::PUBLISH);
            left -= 1;
        }
    });
    let acks = ["PUBACK", "PUBREC"];
    let told = ordeal.others.iter();
    let told: Vec<_> = told
        .filter(|at| acks.iter().any(|ack| at.starts_with(ack)))
        .collect();
    assert_eq!(told, [""; 0], "{ordeal:?}");
}

/// Acknowledged in another order, twice, and by another packet: each message is acknowledged once at the most, and by the right one.
fn out_of_order(victim: &Victim) {
    let version = victim.version;
    let messages: Vec<Publish> = (1..=3)
        .map(|id| Publish::new("plain/x", "one").qos(1, id))
        .collect();
    let ordeal = victim.publishes("out of order", &messages, move |server| {
        server.raw.version = version;
        server.serves();
        for _ in 0..3 {
            server.raw.expect(packet::PUBLISH);
        }
        for (kind, id) in [
            (packet::PUBACK, 3),
            (packet::PUBREC, 1),
            (packet::PUBACK, 2),
            (packet::PUBACK, 2),
        ] {
            server.raw.send(&packet::ack(kind, id));
        }
    });
    for id in 1..=3 {
        let ack = format!("PUBACK #{id} ");
        let count = ordeal.others.iter().filter(|at| at.starts_with(&ack));
        assert!(count.count() <= 1, "{ordeal:?}");
    }
    assert!(
        !ordeal.others.iter().any(|at| at.starts_with("PUBACK #1 ")),
        "{ordeal:?}"
    );
}

/// Far more unfinished messages than the gateway allowed it.
fn too_many(victim: &Victim) {
    if victim.version == 4 {
        return; // 3.1.1 knows no limit
    }
    let ordeal = victim.suffers("too many", |server| {
        server.serves();
        for id in 1..=600 {
            server
                .raw
                .publish(&Publish::new("plain/x", "one").qos(1, id));
        }
        server.is_left();
    });
    assert_eq!(ordeal.messages.len(), 256);
}

/// No program learns of another server that it could be led to.
fn redirects(victim: &Victim) {
    if victim.version == 4 {
        return; // 3.1.1 knows none
    }
    for code in [0x9c, 0x9d] {
        let ordeal = victim.suffers("redirect", move |server| {
            server.connect();
            let body = [&[0, code, 14, 0x1c][..], &packet::text("evil.net:80")].concat();
            server.raw.send(&packet::packet(packet::CONNACK, &body));
            server.is_left();
        });
        assert!(ordeal.connack != Some(code), "{ordeal:?}");
        let ordeal = victim.suffers("redirect", move |server| {
            server.serves();
            let body = [&[code, 14, 0x1c][..], &packet::text("evil.net:80")].concat();
            server.raw.send(&packet::packet(packet::DISCONNECT, &body));
            server.is_left();
        });
        let told = ordeal.others.join(" ");
        assert!(
            !told.contains("evil") && !told.contains(&format!("{code:02x}")),
            "{told}"
        );
    }
}

/// What is larger than `max_message` is thrown away and acknowledged, and the connection goes on.
fn oversized(victim: &Victim) {
    let large = Publish::new("plain/x", vec![b'x'; 3 << 20]).qos(1, 9);
    let small = Publish::new("plain/x", "after");
    let ordeal = sends(victim, "oversized", vec![large, small]);
    let payloads: Vec<usize> = ordeal.messages.iter().map(|at| at.payload.len()).collect();
    assert_eq!(payloads, [5]);
}

/// A hundred thousand retained messages that nobody signed, and no growth.
fn flood(victim: &Victim) {
    let version = victim.version;
    let before = victim.device.resident_kibibytes();
    let one = Publish::new("site/alpha/a/state", "evil")
        .retain()
        .octets(version);
    let ordeal = victim.suffers("flood", move |server| {
        server.raw.version = version;
        server.serves();
        let thousand = one.repeat(1_000);
        for _ in 0..100 {
            server.raw.send(&thousand);
        }
        finish(server);
    });
    assert_eq!(ordeal.messages, []);
    let after = victim.device.resident_kibibytes();
    assert!(after < before + 20_000, "from {before} to {after} KiB");
}

/// One octet at a time.
fn dripping(victim: &Victim, real: &Publish) {
    let version = victim.version;
    let octets = real.octets(version);
    let ordeal = victim.suffers("drip", move |server| {
        server.raw.version = version;
        server.serves();
        for octet in &octets {
            server.raw.send(&[*octet]);
        }
        finish(server);
    });
    assert_eq!(ordeal.messages.len(), 1, "{ordeal:?}");
}

/// Closes after each octet of a conversation: half a packet is no packet.
fn closing(victim: &Victim, real: &Publish) {
    let version = victim.version;
    let ack = packet::connack(version, false, 0, &Vec::new());
    let message = real.octets(version);
    for end in 0..ack.len() + message.len() {
        // Every octet of what has a meaning of its own, and some of the token.
        let in_token = end.saturating_sub(ack.len());
        if (40..message.len() - 4).contains(&in_token) && in_token % 16 != 0 {
            continue;
        }
        let (ack, message) = (ack.clone(), message.clone());
        let ordeal = victim.suffers("close", move |server| {
            server.raw.version = version;
            server.connect();
            if end <= ack.len() {
                server.raw.send(&ack[..end]);
                return;
            }
            server.raw.send(&ack);
            server.grants();
            server.raw.send(&message[..end - ack.len()]);
        });
        assert_eq!(ordeal.messages, [], "after {end} octets");
    }
}
