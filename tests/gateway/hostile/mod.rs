//! A broker that does what it likes. Never: an unverified message handed on, a hang, growth, an end; and after it an honest broker serves.

mod acts;
mod server;
mod table;

use crate::broker::Broker;
use crate::observer::Observer;
use crate::packet::{CONNACK, Connect, Publish};
use crate::process::{PATIENCE, free_port};
use crate::raw::{Heard, Raw};
use crate::world::{Device, Setup, is_direct};
use server::{Hostile, Server};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A device that signs at an honest broker, and two whose broker is hostile: in MQTT 5 and in 3.1.1.
struct Scene {
    alpha: Device,
    victims: [Victim; 2],
    observer: Observer,
    broker: Broker,
    _place: TempDir,
}

/// A device behind a hostile broker.
struct Victim {
    device: Device,
    hostile: Hostile,
    /// 4 is MQTT 3.1.1, on both sides of the gateway.
    version: u8,
}

/// What a program heard while its broker was hostile.
#[derive(Debug, Default)]
struct Ordeal {
    connack: Option<u8>,
    messages: Vec<Publish>,
    /// Everything but messages.
    others: Vec<String>,
}

#[test]
fn a_hostile_broker_gets_nothing_past_a_gateway() {
    if is_direct() {
        return; // nobody stands between then
    }
    let mut scene = Scene::new();
    let signed = scene.signed(12);
    let port = scene.broker.port();
    let alpha = &scene.alpha;
    std::thread::scope(|scope| {
        for victim in &mut scene.victims {
            let signed = &signed;
            scope.spawn(move || {
                let begun = Instant::now();
                table::play(victim);
                victim.is_served_again(port, alpha);
                eprintln!("table of {}: {:?}", victim.version, begun.elapsed());
                acts::play(victim, signed);
                victim.is_served_again(port, alpha);
                eprintln!("all of {}: {:?}", victim.version, begun.elapsed());
            });
        }
    });
}

impl Scene {
    fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("edgeseal-gw-").tempdir();
        let directory = directory.unwrap();
        let broker = Broker::start(&directory.path().join("broker"), false);
        let port = broker.port();
        let hostile = [Hostile::at(free_port()), Hostile::at(free_port())];
        let url = |port: u16| format!("url = \"mqtt://127.0.0.1:{port}\"\n");
        // What the broker plays is played to one connection: that of the program.
        let plans = [
            ("alpha", url(port)),
            ("beta", url(hostile[0].port)),
            ("gamma", url(hostile[1].port) + "version = \"3.1.1\"\n"),
        ];
        let plans = plans.map(|(name, upstream)| {
            let mut setup = Setup::new(upstream);
            setup.trust_link = false;
            (name, setup)
        });
        let mut devices = Device::set_up(directory.path(), plans.into()).into_iter();
        let alpha = devices.next().unwrap();
        let victims = [5, 4].into_iter().zip(devices.zip(hostile));
        let victims: Vec<Victim> = victims
            .map(|(version, (device, hostile))| Victim {
                device,
                hostile,
                version,
            })
            .collect();
        let Ok(victims) = victims.try_into() else {
            unreachable!("two of them");
        };
        Self {
            alpha,
            victims,
            observer: Observer::at(port, "site/#"),
            broker,
            _place: directory,
        }
    }

    /// Messages that `alpha` really signed, as they passed its broker.
    fn signed(&self, count: usize) -> Vec<Publish> {
        let mut raw = Raw::connect(self.alpha.port, &Connect::new(5, "signer")).0;
        for number in 0..count {
            raw.publish(&Publish::new("site/alpha/real", number.to_string()));
        }
        crate::process::until("the observer sees them", || {
            self.observer.seen().len() >= count
        });
        self.observer.seen()
    }
}

impl Victim {
    /// A program that subscribes to everything, while the broker plays `script`. Ends when the gateway has closed on it.
    fn suffers(&self, what: &str, script: impl Fn(&mut Server) + Send + Sync + 'static) -> Ordeal {
        self.publishes(what, &[], script)
    }

    /// The same with a program that also publishes.
    fn publishes(
        &self,
        what: &str,
        messages: &[Publish],
        script: impl Fn(&mut Server) + Send + Sync + 'static,
    ) -> Ordeal {
        let served = self.hostile.plays(script);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut ordeal = Ordeal::default();
            let mut raw = Raw::open(self.device.port, self.version);
            raw.send(&Connect::new(self.version, "victim").octets());
            let is_over = self.listens(&mut raw, messages, &mut ordeal, deadline);
            assert!(is_over, "{what}: the gateway holds on: {ordeal:?}");
            // Without the broker a program is told so, or just closed on, and comes again.
            if self.hostile.served() > served {
                self.hostile.has_ended();
                return ordeal;
            }
            assert!(Instant::now() < deadline, "{what}: the broker is not asked");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Hears everything until the end. False: there was none.
    fn listens(
        &self,
        raw: &mut Raw,
        messages: &[Publish],
        ordeal: &mut Ordeal,
        deadline: Instant,
    ) -> bool {
        loop {
            match raw.next(deadline.saturating_duration_since(Instant::now())) {
                Heard::Closed => return true,
                Heard::Nothing => return false,
                Heard::Packet(at) if at.kind() == CONNACK => {
                    ordeal.connack = at.body.get(1).copied();
                    if ordeal.connack == Some(0) {
                        let filter = [("#", 2)];
                        let octets =
                            crate::packet::subscribe(self.version, 1, &filter, &Vec::new());
                        raw.send(&octets);
                        for message in messages {
                            raw.publish(message);
                        }
                    }
                }
                Heard::Packet(at) => match at.publish(self.version) {
                    Some(publish) => ordeal.messages.push(publish),
                    None => ordeal.others.push(at.describe(self.version)),
                },
            }
        }
    }

    /// With an honest broker a new program is served within five seconds.
    fn is_served_again(&self, broker: u16, alpha: &Device) {
        self.hostile.is_honest(broker);
        let deadline = Instant::now() + Duration::from_secs(5);
        let (mut raw, _) = Raw::connect(self.device.port, &Connect::new(self.version, "after"));
        assert!(Instant::now() < deadline, "no connection within 5 s");
        assert_eq!(raw.subscribe(1, &[("site/#", 0)]), [0]);
        let mut signer = Raw::connect(
            alpha.port,
            &Connect::new(5, &format!("signer-{}", self.version)),
        )
        .0;
        // Behind a broker of 3.1.1 a message travels in an envelope, which the rule of this topic says.
        let topic = if self.version == 5 {
            "site/alpha/real"
        } else {
            "site/alpha/envelope"
        };
        signer.publish(&Publish::new(topic, "after"));
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match raw.next(left) {
                Heard::Packet(at) => {
                    let publish = at.publish(self.version).unwrap();
                    if publish.topic == topic {
                        assert_eq!(publish.payload, b"after");
                        return;
                    }
                }
                other => panic!("{other:?}: no message within 5 s"),
            }
        }
    }
}
