//! Persistent sessions while gateways and broker end and start again in the middle of a stream: nothing lost, doubled or reordered.

use crate::client::{self, At, Client, Kind, Plan};
use crate::observer::Observer;
use crate::world::{End, World};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

#[test]
fn persistent_sessions_outlive_gateways_and_broker() {
    let mut world = World::new();
    if world.broker.mosquitto().is_none() {
        return; // the embedded broker keeps no sessions; CI has mosquitto
    }
    let observer = Observer::at(world.broker.port(), "site/#");
    let (subscriber_at, publisher_at) = (world.device("beta").port, world.device("alpha").port);
    let few = if world.is_direct() { FEW_DIRECT } else { FEW };
    let mut pairs: Vec<Pair> = std::thread::scope(|scope| {
        let started: Vec<_> = client::all()
            .into_iter()
            .map(|(name, kind, version, _)| {
                let start =
                    move || Pair::start(&name, kind, version, few, publisher_at, subscriber_at);
                scope.spawn(start)
            })
            .collect();
        let pairs = started.into_iter().map(|pair| pair.join().unwrap());
        pairs.collect()
    });
    for phase in PHASES {
        let started = Instant::now();
        for pair in &mut pairs {
            pair.publish(&format!("{}-before", phase.name));
        }
        phase.end(&mut world);
        for pair in &mut pairs {
            pair.publish(&format!("{}-while", phase.name));
        }
        phase.begin(&mut world);
        for pair in &pairs {
            for part in ["before", "while"] {
                pair.arrived(&format!("{}-{part}", phase.name));
            }
        }
        eprintln!("{}: {:?}", phase.name, started.elapsed());
    }
    let complaints: Vec<String> = pairs.iter().flat_map(Pair::judge).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    if !world.is_direct() {
        assert!(!observer.seen().is_empty());
        assert_eq!(observer.unsigned(), []);
    }
}

/// What ends and starts again while messages are on their way.
struct Phase {
    name: &'static str,
    publisher: Option<End>,
    broker: bool,
    subscriber: Option<End>,
}

impl Phase {
    fn end(&self, world: &mut World) {
        if let Some(end) = self.publisher {
            world.device("alpha").stop(end);
        }
        if let Some(end) = self.subscriber {
            world.device("beta").stop(end);
        }
        if self.broker {
            world.broker.mosquitto().unwrap().stop();
        }
    }

    fn begin(&self, world: &mut World) {
        // The gateways first: they must bear that there is no broker yet.
        if self.subscriber.is_some() {
            world.device("beta").start();
        }
        if self.publisher.is_some() {
            world.device("alpha").start();
        }
        if self.broker {
            world.broker.mosquitto().unwrap().start_again();
        }
    }
}

/// One library's publisher at `alpha` and subscriber at `beta`.
struct Pair {
    name: String,
    /// Messages at once, of each QoS.
    few: usize,
    publisher: Client,
    subscriber: Client,
}

impl Pair {
    fn start(
        name: &str,
        kind: Kind,
        version: u8,
        few: usize,
        publisher: u16,
        subscriber: u16,
    ) -> Self {
        let plan = |kind, port, role| {
            Plan::new(kind, version, At::Tcp(port), &format!("{name}-{role}")).persistent()
        };
        // mosquitto_pub ends with its connection, and a script that repeats it makes new messages.
        let publishes = match kind {
            Kind::Mosquitto => Kind::C,
            other => other,
        };
        // With more at once rumqttc's publisher waits for ever for an identifier in use, whatever is between it and the broker.
        let few = if publishes == Kind::Rust {
            few.min(FEW_DIRECT)
        } else {
            few
        };
        Self {
            name: name.to_owned(),
            few,
            subscriber: plan(kind, subscriber, "sub")
                .filter(&format!("site/alpha/{name}/#"), 2)
                .start(),
            publisher: plan(publishes, publisher, "pub").start(),
        }
    }

    fn publish(&mut self, prefix: &str) {
        for qos in [1, 2] {
            let topic = self.topic(qos);
            let prefix = format!("{qos}-{prefix}");
            self.publisher.publish(&topic, qos, self.few, &prefix);
        }
    }

    fn arrived(&self, prefix: &str) {
        for qos in [1, 2] {
            let prefix = format!("{qos}-{prefix}");
            self.publisher.acked(&prefix);
            let wanted: BTreeSet<String> = self.payloads(&prefix).collect();
            self.subscriber.wait(&prefix, |events| {
                let had = client::messages_of(events).map(|at| &at.payload);
                let had: BTreeSet<&String> = had.filter(|at| wanted.contains(*at)).collect();
                had.len() == wanted.len()
            });
        }
    }

    /// What is wrong with what the subscriber got.
    fn judge(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        let got = self.subscriber.messages();
        for qos in [1, 2] {
            let topic = self.topic(qos);
            let of_topic = got.iter().filter(|at| at.topic == topic);
            let mut times: BTreeMap<&str, usize> = BTreeMap::new();
            let mut first_times = Vec::new();
            for message in of_topic {
                let count = times.entry(&message.payload).or_default();
                *count += 1;
                if *count == 1 {
                    first_times.push(message.payload.clone());
                    continue;
                }
                let is_allowed = qos == 1 && (message.dup || may_send_again(&message.payload));
                if !is_allowed {
                    complaints.push(format!("{}: doubled: {message:?}", self.name));
                }
            }
            let mut sent: Vec<String> = PHASES
                .iter()
                .flat_map(|phase| ["before", "while"].map(|part| format!("{}-{part}", phase.name)))
                .flat_map(|prefix| {
                    self.payloads(&format!("{qos}-{prefix}"))
                        .collect::<Vec<_>>()
                })
                .collect();
            if qos == 2 && self.publisher.plan.kind == Kind::Rust {
                // On a new connection it sends unfinished messages of QoS 2 from the last PUBACK's place on.
                sent.sort();
                first_times.sort();
            }
            if first_times != sent {
                let at = first_times.iter().zip(&sent).position(|(a, b)| a != b);
                complaints.push(format!(
                    "{}: q{qos} differs at {at:?}: {first_times:?}",
                    self.name
                ));
            }
        }
        complaints
    }

    fn payloads(&self, prefix: &str) -> impl Iterator<Item = String> {
        (0..self.few).map(move |number| format!("{prefix}-{number}"))
    }

    fn topic(&self, qos: u8) -> String {
        format!("site/alpha/{}/q{qos}", self.name)
    }
}

/// Did the publisher's own connection end, so that it sent its unacknowledged messages again?
fn may_send_again(payload: &str) -> bool {
    let of_it = |phase: &&Phase| payload[2..].starts_with(phase.name);
    let phase = PHASES.iter().find(of_it).unwrap();
    phase.publisher.is_some() || phase.broker
}

const PHASES: &[Phase] = &[
    Phase {
        name: "nothing",
        publisher: None,
        broker: false,
        subscriber: None,
    },
    Phase {
        name: "subscriber-clean",
        publisher: None,
        broker: false,
        subscriber: Some(End::Clean),
    },
    Phase {
        name: "subscriber-kill",
        publisher: None,
        broker: false,
        subscriber: Some(End::Kill),
    },
    Phase {
        name: "publisher-clean",
        publisher: Some(End::Clean),
        broker: false,
        subscriber: None,
    },
    Phase {
        name: "publisher-kill",
        publisher: Some(End::Kill),
        broker: false,
        subscriber: None,
    },
    Phase {
        name: "broker",
        publisher: None,
        broker: true,
        subscriber: None,
    },
    Phase {
        name: "all-clean",
        publisher: Some(End::Clean),
        broker: true,
        subscriber: Some(End::Clean),
    },
    Phase {
        name: "all-kill",
        publisher: Some(End::Kill),
        broker: true,
        subscriber: Some(End::Kill),
    },
];
const FEW: usize = 25;
/// Mosquitto's limit is 20 unfinished messages, and here nobody holds back what is more.
const FEW_DIRECT: usize = 5;
