//! Every library in both versions, at two devices: publish, subscribe, QoS 0 to 2, retained, deletion, overlapping filters, a will by kill.

use crate::client::{self, At, Client, Kind, Message, Plan};
use crate::observer::Observer;
use crate::packet::{self, Connect, Publish, Value};
use crate::process::{PATIENCE, until};
use crate::raw::{Heard, Raw};
use crate::world::{Upstream, Which, World};
use std::path::PathBuf;
use std::time::Duration;

#[test]
fn programs_of_every_library_talk_through_two_gateways() {
    let world = World::new();
    let observer = Observer::at(world.broker.port(), "site/#");
    let programs = client::all();
    let runs = programs.iter().map(|(name, kind, version, unix)| {
        let scene = Scene::new(&world, name, *kind, *version, *unix);
        move || scene.play()
    });
    at_once(runs);
    let seen = observer.seen().len();
    assert!(
        seen >= programs.len() * 6 * many(world.is_direct()),
        "{seen} messages"
    );
    if !world.is_direct() {
        assert_eq!(observer.unsigned(), []);
        a_stranger_is_not_heard(&world, &observer);
    }
}

#[test]
fn a_broker_of_3_1_1_only_serves_with_envelopes() {
    let world = World::with(Upstream::Only311, Which::Found);
    let observer = Observer::at(world.broker.port(), "site/#");
    let scenes = [(Kind::Rust, 4), (Kind::Paho2, 4), (Kind::C, 4)];
    let runs = scenes
        .into_iter()
        .filter(|(kind, _)| kind.is_here())
        .map(|(kind, version)| {
            let name = format!("{kind:?}{version}").to_lowercase();
            let scene = Scene::new(&world, &name, kind, version, false);
            move || scene.play()
        });
    at_once(runs);
    let seen = observer.seen();
    assert!(
        seen.len() >= 6 * many(world.is_direct()),
        "{} messages",
        seen.len()
    );
    if !world.is_direct() {
        // The bare empty payload that follows the envelope of a deletion is unsigned by design.
        let unsigned = seen.iter().filter(|at| !at.payload.starts_with(b"ES1 "));
        assert!(unsigned.clone().all(|at| at.payload.is_empty()));
    }
}

#[test]
fn the_embedded_broker_serves_as_well() {
    let world = World::with(Upstream::Five, Which::Embedded);
    at_once([4, 5].map(|version| {
        let scene = Scene::new(
            &world,
            &format!("rust{version}"),
            Kind::Rust,
            version,
            false,
        );
        move || scene.play()
    }));
}

#[test]
fn a_small_receive_maximum_is_kept() {
    let world = World::new();
    if world.is_direct() {
        return; // mosquitto sends more when it reads two acknowledgements at once
    }
    let mut hello = Connect::new(5, "small");
    hello.properties = vec![(packet::RECEIVE_MAXIMUM, Value::Two(2))];
    let (mut small, _) = Raw::connect(world.devices[1].port, &hello);
    assert_eq!(small.subscribe(1, &[("site/alpha/small", 1)]), [1]);
    let mut alpha = Raw::connect(world.devices[0].port, &Connect::new(5, "large")).0;
    let sent: Vec<String> = (1..=20).map(|number| number.to_string()).collect();
    for (id, payload) in (1..).zip(&sent) {
        alpha.publish(&Publish::new("site/alpha/small", payload).qos(1, id));
        alpha.expect(packet::PUBACK);
    }
    let mut got = Vec::new();
    while got.len() < sent.len() {
        let mut acks = Vec::new();
        for _ in 0..2 {
            let message = small.expect(packet::PUBLISH).publish(5).unwrap();
            got.push(String::from_utf8(message.payload).unwrap());
            acks.extend(packet::ack(packet::PUBACK, message.id));
        }
        // A third one is not sent before an acknowledgement; the ping's answer comes behind whatever was.
        small.send(&packet::packet(packet::PINGREQ, &[]));
        match small.next(PATIENCE) {
            Heard::Packet(at) => assert_eq!(at.kind(), packet::PINGRESP, "{}", at.describe(5)),
            other => panic!("{other:?}"),
        }
        small.send(&acks);
    }
    assert_eq!(got, sent);
}

/// What somebody publishes past the gateways reaches no program behind one, and the observer knows it from a signed message.
fn a_stranger_is_not_heard(world: &World, observer: &Observer) {
    let topic = "site/alpha/stranger";
    let mut watcher = Raw::connect(world.devices[1].port, &Connect::new(5, "watcher")).0;
    assert_eq!(watcher.subscribe(1, &[(topic, 0)]), [0]);
    let mut stranger = Raw::connect(world.broker.port(), &Connect::new(5, "stranger")).0;
    stranger.publish(&Publish::new(topic, "unsigned").qos(1, 1));
    stranger.expect(packet::PUBACK);
    let mut alpha = Raw::connect(world.devices[0].port, &Connect::new(5, "alpha")).0;
    alpha.publish(&Publish::new(topic, "signed"));
    let heard = watcher.expect(packet::PUBLISH).publish(5).unwrap();
    assert_eq!(String::from_utf8_lossy(&heard.payload), "signed");
    until("the observer sees the stranger", || {
        observer.unsigned() == [(topic.to_owned(), "unsigned".to_owned())]
    });
}

/// Runs them concurrently, and fails when one of them does.
fn at_once<F: FnOnce() + Send>(runs: impl IntoIterator<Item = F>) {
    std::thread::scope(|scope| {
        for run in runs {
            scope.spawn(run);
        }
    });
}

/// One library's two programs, at `alpha` and at `beta`.
struct Scene {
    name: String,
    kind: Kind,
    version: u8,
    ends: [At; 2],
    broker: u16,
    is_direct: bool,
}

impl Scene {
    fn new(world: &World, name: &str, kind: Kind, version: u8, unix: bool) -> Self {
        let end = |at: usize| {
            let device = &world.devices[at];
            match &device.socket {
                Some(socket) if unix => At::Unix(PathBuf::from(socket)),
                _ => At::Tcp(device.port),
            }
        };
        Self {
            name: name.to_owned(),
            kind,
            version,
            ends: [end(0), end(1)],
            broker: world.broker.port(),
            is_direct: world.is_direct(),
        }
    }

    fn play(&self) {
        let alpha = self.plan(0, "a").filter(&self.topic("beta", "#"), 2);
        let mut alpha = alpha
            .will(&self.topic("alpha", "will"), "gone", 1, false)
            .start();
        let beta = self.plan(1, "b").filter(&self.topic("alpha", "#"), 2);
        let mut beta = beta.start();
        self.hundreds(&mut alpha, &mut beta);
        self.retained(&mut alpha, &beta);
        self.overlapping(&mut alpha);
        alpha.kill();
        let will = beta.message("the will", |at| at.topic.ends_with("/will"));
        assert_eq!((will.payload.as_str(), will.retain), ("gone", false));
        self.is_marked(&will, "will");
        beta.quit();
    }

    /// A hundred messages each way at each QoS.
    fn hundreds(&self, alpha: &mut Client, beta: &mut Client) {
        let many = many(self.is_direct);
        for qos in 0..=2_u8 {
            let prefix = format!("q{qos}");
            alpha.publish(&self.topic("alpha", &prefix), qos, many, &prefix);
            beta.publish(&self.topic("beta", &prefix), qos, many, &prefix);
        }
        for (publisher, subscriber, device) in [(&*alpha, &*beta, "alpha"), (beta, alpha, "beta")] {
            for qos in 0..=2_u8 {
                publisher.acked(&format!("q{qos}"));
                let topic = self.topic(device, &format!("q{qos}"));
                let of_topic = |at: &&Message| at.topic == topic;
                let what = format!("{many} messages on {topic}");
                subscriber.wait(&what, |events| {
                    client::messages_of(events).filter(of_topic).count() >= many
                });
                let got = subscriber.messages();
                let got: Vec<_> = got.iter().filter(of_topic).collect();
                let payloads: Vec<_> = got.iter().map(|at| at.payload.clone()).collect();
                let sent: Vec<_> = (0..many).map(|number| format!("q{qos}-{number}")).collect();
                assert_eq!(payloads, sent, "{}: {topic}", self.name);
                for message in got {
                    assert_eq!(message.qos, u64::from(qos), "{}: {message:?}", self.name);
                    assert!(!message.retain && !message.dup, "{message:?}");
                    self.is_marked(message, "verified");
                    self.has_property_of(message, &publisher.plan.id);
                }
            }
        }
    }

    fn retained(&self, alpha: &mut Client, beta: &Client) {
        let topic = self.topic("alpha", "state");
        alpha.retain(&topic, 1, "on");
        alpha.acked("on");
        beta.message("the state", |at| at.topic == topic && at.payload == "on-0");
        let later = self.plan(1, "later").filter(&topic, 1).start();
        let state = later.message("the retained state", |at| at.topic == topic);
        assert_eq!((state.payload.as_str(), state.retain), ("on-0", true));
        self.is_marked(&state, "retained");
        later.quit();
        alpha.delete(&topic, 1);
        alpha.acked("deleted");
        beta.message("the deletion", |at| {
            at.topic == topic && at.payload.is_empty()
        });
        let last = self.plan(1, "last").filter(&self.topic("alpha", "#"), 1);
        let last = last.start();
        alpha.publish(&self.topic("alpha", "mark"), 1, 1, "mark");
        last.message("a message after the deletion", |at| at.payload == "mark-0");
        let states = last.messages().into_iter().filter(|at| at.topic == topic);
        assert_eq!(states.collect::<Vec<_>>(), [], "{}", self.name);
        last.quit();
    }

    /// As many copies as the broker makes of each; a gateway cannot tell those without a subscription identifier from a replay.
    fn overlapping(&self, alpha: &mut Client) {
        let topic = self.topic("alpha", "over");
        let filters = [self.topic("alpha", "#"), self.topic("+", "over")];
        let mut measure = Connect::new(self.version, &format!("{}-measure", self.name));
        measure.keep_alive = 0;
        let (mut measure, _) = Raw::connect(self.broker, &measure);
        let plan = filters
            .iter()
            .fold(self.plan(1, "over"), |plan, at| plan.filter(at, 1));
        let over = plan.start();
        measure.subscribe(1, &[(&filters[0], 0), (&filters[1], 0)]);
        alpha.publish(&topic, 1, FEW, "over");
        alpha.publish(&self.topic("alpha", "mark"), 1, 1, "end");
        over.message("the mark", |at| at.payload == "end-0");
        let got = over.messages();
        let got: Vec<_> = got.iter().filter(|at| at.topic == topic).collect();
        let mut copies = 0;
        while let Heard::Packet(packet) = measure.next(Duration::from_secs(5)) {
            let publish = packet.publish(self.version).unwrap();
            copies += usize::from(publish.topic == topic);
            if publish.topic.ends_with("/mark") {
                break;
            }
        }
        let wanted = if self.is_direct { copies / FEW } else { 1 };
        for number in 0..FEW {
            let payload = format!("over-{number}");
            let of_it = got.iter().filter(|at| at.payload == payload).count();
            assert_eq!(of_it, wanted, "{}: {payload} of {copies}", self.name);
        }
        over.quit();
    }

    /// A program of version 5 sees who sent it, and no token.
    fn is_marked(&self, message: &Message, verdict: &str) {
        if self.is_direct || self.version == 4 {
            return;
        }
        let value = |name: &str| {
            let mut found = message.user.iter().filter(|(at, _)| at == name);
            let value = found.next().map(|(_, value)| value.as_str());
            assert!(found.next().is_none(), "{}: {message:?}", self.name);
            value
        };
        assert_eq!(value("edgeseal-verdict"), Some(verdict), "{message:?}");
        let sender = message.topic.split('/').nth(1);
        assert_eq!(value("edgeseal-sender"), sender, "{message:?}");
        assert_eq!(value("edgeseal"), None, "{message:?}");
    }

    /// The program's own user property arrives.
    fn has_property_of(&self, message: &Message, id: &str) {
        if self.version == 5 {
            let own = ("from".to_owned(), id.to_owned());
            assert!(message.user.contains(&own), "{}: {message:?}", self.name);
        }
    }

    fn plan(&self, device: usize, role: &str) -> Plan {
        let id = format!("{}-{role}", self.name);
        Plan::new(self.kind, self.version, self.ends[device].clone(), &id)
    }

    fn topic(&self, device: &str, rest: &str) -> String {
        format!("site/{device}/{}/{rest}", self.name)
    }
}

/// Without a gateway that holds them back, mosquitto's limit of 20 unfinished messages must not be passed.
fn many(is_direct: bool) -> usize {
    if is_direct { 10 } else { 100 }
}

const FEW: usize = 10;
