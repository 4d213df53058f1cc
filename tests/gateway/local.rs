//! Programs that misbehave on their own device: bounded, and the others do not notice.

use crate::client::{At, Event, Kind, Plan};
use crate::packet::{self, CONNACK, Connect, PINGREQ, PINGRESP, PUBLISH, Publish};
use crate::process::PATIENCE;
use crate::raw::{Heard, Raw};
use crate::world::{World, is_direct};
use std::time::Duration;

#[test]
fn a_bad_program_does_not_harm_the_others() {
    if is_direct() {
        return; // a broker of its own makes other promises
    }
    let world = World::new();
    let (alpha, beta) = (&world.devices[0], &world.devices[1]);
    let mut good = Good::start(alpha.port, beta.port);
    let before = beta.resident_kibibytes();
    garbage(beta.port);
    good.talks("garbage");
    let _many = many_connections(beta.port);
    good.talks("a thousand connections");
    let _deaf = deaf(beta.port, alpha.port, &mut good);
    flood(alpha.port, &mut good);
    let after = beta.resident_kibibytes();
    // 16 MiB is the bound of what all connections together may have buffered.
    assert!(after < before + 32_768, "from {before} to {after} KiB");
    if let (Some(socket), true) = (&beta.socket, Kind::Mosquitto.is_here()) {
        takes_an_id(&world, At::Unix(socket.clone()));
    }
    good.talks("a taken client id");
}

/// A publisher and a subscriber that only want to work.
struct Good {
    publisher: Raw,
    subscriber: Raw,
    number: u32,
}

impl Good {
    fn start(publisher: u16, subscriber: u16) -> Self {
        let mut subscriber = Raw::connect(subscriber, &Connect::new(5, "good")).0;
        assert_eq!(subscriber.subscribe(1, &[("site/alpha/good", 1)]), [1]);
        Self {
            publisher: Raw::connect(publisher, &Connect::new(5, "good-publisher")).0,
            subscriber,
            number: 0,
        }
    }

    /// A message gets through, and a ping is answered.
    fn talks(&mut self, during: &str) {
        self.number += 1;
        let payload = format!("{during} {}", self.number);
        self.publisher
            .publish(&Publish::new("site/alpha/good", &payload).qos(1, 1));
        self.publisher.expect(packet::PUBACK);
        let got = self.subscriber.expect(PUBLISH).publish(5).unwrap();
        assert_eq!(String::from_utf8_lossy(&got.payload), payload);
        self.subscriber.send(&packet::ack(packet::PUBACK, got.id));
        self.subscriber.send(&packet::packet(PINGREQ, &[]));
        self.subscriber.expect(PINGRESP);
    }
}

/// What is no MQTT is closed on.
fn garbage(port: u16) {
    let flavours: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        &[0xff; 64],
        &[0x10, 0xff, 0xff, 0xff, 0xff, 0x7f],
        &[0x10, 0x00],
        &[0x00; 64],
    ];
    for octets in flavours {
        let mut raw = Raw::open(port, 5);
        raw.send(octets);
        loop {
            match raw.next(PATIENCE) {
                Heard::Closed => break,
                Heard::Packet(at) => assert_ne!(at.body.get(1), Some(&0), "accepted: {octets:?}"),
                Heard::Nothing => panic!("not closed on {octets:?}"),
            }
        }
    }
}

/// More than `max_connections`: the surplus is refused, and what is open stays.
fn many_connections(port: u16) -> Vec<Raw> {
    let mut open = Vec::new();
    let mut refused = 0;
    for number in 0..1_000 {
        let mut raw = Raw::open(port, 5);
        raw.send(&Connect::new(5, &format!("many-{number}")).octets());
        match raw.next(PATIENCE) {
            Heard::Packet(at) if at.kind() == CONNACK && at.body[1] == 0 => open.push(raw),
            Heard::Nothing => panic!("neither accepted nor refused"),
            _ => refused += 1,
        }
    }
    assert!(
        open.len() < 64 && open.len() > 32,
        "{} accepted",
        open.len()
    );
    assert_eq!(open.len() + refused, 1_000);
    // Room for the others of this test.
    open.truncate(20);
    open
}

/// A subscriber that never reads, while 20 MiB come for it.
fn deaf(port: u16, publisher: u16, good: &mut Good) -> Raw {
    let mut deaf = Raw::connect(port, &Connect::new(5, "deaf")).0;
    deaf.subscribe(1, &[("site/alpha/much", 0)]);
    let mut loud = Raw::connect(publisher, &Connect::new(5, "loud")).0;
    let message = Publish::new("site/alpha/much", vec![b'x'; 20_000]).octets(5);
    for round in 0..10 {
        loud.send(&message.repeat(100));
        good.talks(&format!("a deaf program {round}"));
    }
    deaf
}

/// A publisher that never waits.
fn flood(port: u16, good: &mut Good) {
    let mut loud = Raw::connect(port, &Connect::new(5, "flood")).0;
    let message = Publish::new("site/alpha/unheard", "x").octets(5);
    let refused = Publish::new("site/beta/forbidden", "x").octets(5);
    for round in 0..10 {
        loud.send(&message.repeat(300));
        loud.send(&refused.repeat(300));
        good.talks(&format!("a flood {round}"));
    }
}

/// The client identifier of a program of another identity is refused.
fn takes_an_id(world: &World, socket: At) {
    let mut owner = Raw::connect(world.devices[1].port, &Connect::new(5, "owned")).0;
    let thief = Plan::new(Kind::Mosquitto, 5, socket, "owned").filter("site/#", 0);
    let thief = thief.start_unready();
    thief.wait("refused", |events| {
        let refused = |event: &Event| matches!(event, Event::Refused(_));
        events.iter().any(refused)
    });
    let accepted = |event: &Event| matches!(event, Event::Connected { .. });
    assert!(!thief.log.events().iter().any(accepted));
    thief.kill();
    owner.send(&packet::packet(PINGREQ, &[]));
    assert!(
        matches!(owner.next(Duration::from_secs(10)), Heard::Packet(at) if at.kind() == PINGRESP)
    );
}
