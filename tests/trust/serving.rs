//! `edgeseal registrar serve` over a real broker: unattended, killed, restarted, flooded.

use crate::broker::Broker;
use crate::cards::{create, plain, request, topic};
use crate::operator::{Place, key};
use crate::process::{Running, until};
use crate::retained::{expiry, put, retained};
use edgeseal_trust::carrier::{Answer, AnswerState};
use edgeseal_trust::document::{Document, Manifest, Shard};
use edgeseal_trust::enrollment::RotationDraft;
use edgeseal_trust::id::{DeviceId, TrustDomain};
use edgeseal_trust::registry::KeyState;
use std::collections::BTreeMap;
use std::fs::File;
use std::net::TcpListener;
use std::time::{Duration, Instant};

const SERVE: [&str; 5] = [
    "registrar",
    "serve",
    "--keys",
    "keys",
    "--unsynchronized-clock",
];

/// A domain, its broker, and what both programs write.
struct Site {
    place: Place,
    broker: Broker,
}

impl Site {
    fn start() -> Self {
        Self::of(Place::farm())
    }

    fn of(place: Place) -> Self {
        let broker = with_sensors(&place);
        Self { place, broker }
    }

    fn serve(&self) -> Running {
        Running::start(
            &mut self.place.command(&SERVE),
            &self.place.path("serve.log"),
        )
    }

    fn retained(&self) -> BTreeMap<String, Vec<u8>> {
        retained(self.broker.port())
    }

    fn put(&self, messages: &[(String, Vec<u8>)]) {
        let messages: Vec<(&str, &[u8])> = messages
            .iter()
            .map(|(topic, payload)| (topic.as_str(), payload.as_slice()))
            .collect();
        put(self.broker.port(), &messages);
    }

    /// What the registrar has answered to the key, if anything.
    fn answer(&self, number: u32) -> Option<Answer> {
        let octets = self.retained().remove(&topic("answer", number))?;
        Some(Answer::read(&octets).unwrap())
    }

    fn state(&self, number: u32) -> Option<AnswerState> {
        self.answer(number).map(|answer| answer.state)
    }

    fn log(&self) -> String {
        self.place.read("serve.log")
    }

    /// The keys of every device in the manifest that the broker keeps.
    fn published(&self) -> BTreeMap<String, Vec<KeyState>> {
        let there = self.retained();
        let Some(manifest) = there.get("edgeseal/farm/manifest") else {
            return BTreeMap::new();
        };
        let manifest = Document::<Manifest>::load(manifest).unwrap();
        let mut devices = BTreeMap::new();
        for digest in &manifest.content().shards {
            let shard = Shard::reload(&there[&format!("edgeseal/farm/shard/{digest}")]).unwrap();
            for entry in shard.into_devices() {
                let states = entry.keys.iter().map(|key| key.state).collect();
                devices.insert(entry.id.to_string(), states);
            }
        }
        devices
    }
}

/// A role for sensors, and a broker that the domain has.
pub(crate) fn with_sensors(place: &Place) -> Broker {
    place.run("role add sensor").succeeded();
    let broker = Broker::start(&place.path("broker"), false);
    let port = broker.port();
    place
        .run(&format!("domain broker mqtt://127.0.0.1:{port}"))
        .succeeded();
    broker
}

#[test]
fn devices_enroll_unattended_and_whatever_else_comes_is_refused_counted_and_shown() {
    let site = Site::start();
    let cards = create(&site.place, "cards", "--role sensor --count 4");
    let ask = |number: u32| {
        let card = &cards[number as usize];
        let id = format!("sensor-{number}");
        (topic("request", number), request(card, &id, &key(number)))
    };
    site.put(&[ask(0), ask(1)]); // before the registrar runs
    let registrar = site.serve();
    until("the first two", || {
        site.state(1) == Some(AnswerState::Approved)
    });
    site.put(&[ask(2)]);
    until("the third", || site.state(2) == Some(AnswerState::Approved));
    assert_eq!(site.published().len(), 3);
    assert_eq!(
        site.answer(2).unwrap().request,
        edgeseal_trust::document::Digest::of(&ask(2).1)
    );

    // A second use of a token, the request of another on one's own topic, a waiting one, rubbish.
    let copy = request(&cards[0], "sensor-9", &key(9));
    let waiting = plain("pump-1").sign(&key(20)).unwrap();
    site.put(&[
        (topic("request", 9), copy),
        (topic("request", 30), ask(3).1),
        (topic("request", 31), b"rubbish".to_vec()),
        (topic("request", 20), waiting),
    ]);
    until("refusal", || site.state(9) == Some(AnswerState::Rejected));
    until("waiting", || site.state(20) == Some(AnswerState::Pending));
    assert_eq!(site.answer(30), None);
    let refused = site.place.run("join list --json").json()["refused"].clone();
    for code in ["join-used", "request-topic", "malformed"] {
        assert_eq!(refused[code]["count"], 1, "{code}: {refused}");
        assert!(site.log().contains(&format!("[{code}]")), "{}", site.log());
    }
    let pending = site.place.run("device pending --json").json();
    assert_eq!(pending["pending"][0]["device"], "pump-1");
    assert_eq!(
        pending["pending"][0]["words"],
        site.answer(20).unwrap().words.unwrap().to_string()
    );

    // Whatever becomes of this registrar: the broker forgets its answers after a day.
    let forgotten = expiry(site.broker.port(), &topic("answer", 20)).unwrap();
    assert!((86_000..=86_400).contains(&forgotten), "{forgotten}");

    // A device that is enrolled clears its request; its answer goes with it.
    site.put(&[(topic("request", 1), Vec::new())]);
    until("answer taken back", || site.answer(1).is_none());
    assert!(registrar.terminate().success());
    assert!(site.log().contains("served farm: "), "{}", site.log());
    assert_eq!(site.published().len(), 3);
}

/// A signal that is listened to between two batches alone is lost when it comes at another time: the registrar never ended.
#[test]
fn told_to_stop_at_any_time_it_ends() {
    let site = Site::start();
    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let broker = format!("mqtt://{}", silent.local_addr().unwrap());
    let mut args = SERVE.to_vec();
    args.extend(["--broker", &broker]);
    let mut command = site.place.command(&args);
    let registrar = Running::start(&mut command, &site.place.path("serve.log"));
    drop(silent.accept().unwrap()); // it pauses, and has listened to signals by then
    let _connected = silent.accept().unwrap();
    registrar.terminate();
}

/// A registrar that begins while another program works on the registry for a moment waits for it.
#[test]
fn it_begins_when_the_registry_is_free() {
    let site = Site::start();
    let lock = File::open(site.place.path("registry/.lock")).unwrap();
    lock.lock().unwrap();
    let registrar = site.serve();
    std::thread::sleep(Duration::from_millis(500));
    lock.unlock().unwrap();
    until("it serves", || site.log().contains("serving farm"));
    registrar.terminate();
}

#[test]
fn killed_at_any_moment_the_registrar_enrolls_every_card_once() {
    let site = Site::start();
    let rounds: u32 = std::env::var("EDGESEAL_TEST_KILLS").map_or(12, |text| text.parse().unwrap());
    let cards = create(
        &site.place,
        "cards",
        &format!("--role sensor --count {rounds}"),
    );
    let begun = Instant::now();
    let registrar = site.serve();
    until("serving", || site.log().contains("serving farm"));
    let start = begun.elapsed();
    registrar.kill();
    for number in 0..rounds {
        let card = &cards[number as usize];
        let id = format!("sensor-{number}");
        // The honest device and a copy of its card, at the same time.
        site.put(&[
            (topic("request", number), request(card, &id, &key(number))),
            (
                topic("request", 500 + number),
                request(card, &format!("copy-{number}"), &key(500 + number)),
            ),
        ]);
        let registrar = site.serve();
        // From before it has connected until after it has answered.
        let moment = start.mul_f64(0.5 + 1.5 * f64::from(number) / f64::from(rounds));
        std::thread::sleep(moment);
        registrar.kill();
    }
    let registrar = site.serve();
    let settled = |number: u32| site.state(number).is_some() && site.state(500 + number).is_some();
    until("all are answered", || (0..rounds).all(settled));
    assert!(registrar.terminate().success());
    let published = site.published();
    assert_eq!(published.len(), rounds as usize, "{published:?}");
    assert!(published.values().all(|keys| keys.len() == 1));
    for number in 0..rounds {
        let honest = published.contains_key(&format!("sensor-{number}"));
        let copy = published.contains_key(&format!("copy-{number}"));
        assert!(honest != copy, "card {number} was used by both or none");
        let winner = if honest { number } else { 500 + number };
        assert_eq!(site.state(winner), Some(AnswerState::Approved));
    }
    let rows = site.place.run("join list --json").json();
    let rows = rows["tokens"].as_array().unwrap();
    assert!(rows.iter().all(|row| row["state"] == "used"));
}

#[test]
fn a_rotation_is_approved_and_the_old_key_is_retired_by_a_later_manifest() {
    let site = Site::start();
    let cards = create(&site.place, "cards", "--role sensor");
    let overlap = ["--overlap", "1s"];
    let mut command = site.place.command(&SERVE);
    let log = site.place.path("serve.log");
    let registrar = Running::start(command.args(overlap), &log);
    let enrolls = request(&cards[0], "sensor-0", &key(0));
    site.put(&[(topic("request", 0), enrolls)]);
    until("enrolled", || site.state(0) == Some(AnswerState::Approved));
    let draft = RotationDraft {
        domain: TrustDomain::parse("farm").unwrap(),
        device: DeviceId::parse("sensor-0").unwrap(),
        issued_at: None,
    };
    site.put(&[(topic("request", 1), draft.sign(&key(0), &key(1)).unwrap())]);
    until("rotated", || site.state(1) == Some(AnswerState::Approved));
    let both = [KeyState::Retiring, KeyState::Active];
    assert_eq!(site.published()["sensor-0"], both);
    // Another one while this is open waits for the operator.
    site.put(&[(topic("request", 2), draft.sign(&key(1), &key(2)).unwrap())]);
    until("waits", || site.state(2) == Some(AnswerState::Pending));
    assert!(registrar.terminate().success());
    std::thread::sleep(Duration::from_secs(1));
    site.place
        .run("publish --keys keys --unsynchronized-clock")
        .succeeded();
    let one = [KeyState::Retired, KeyState::Active];
    assert_eq!(site.published()["sensor-0"], one);
}

#[test]
fn requests_are_fetched_once_and_published_later() {
    let site = Site::start();
    let cards = create(&site.place, "cards", "--role sensor");
    site.put(&[
        (topic("request", 0), request(&cards[0], "sensor-0", &key(0))),
        (topic("request", 1), plain("pump-1").sign(&key(1)).unwrap()),
    ]);
    let fetch = "registrar fetch --unsynchronized-clock --json";
    let fetched = site.place.run(fetch).json();
    assert_eq!(fetched["account"]["decisions"]["enrolled"], 1);
    assert_eq!(fetched["account"]["decisions"]["pending"], 1);
    assert_eq!(site.state(1), Some(AnswerState::Pending));
    assert_eq!((site.state(0), site.published().len()), (None, 0));
    site.place
        .run("publish --keys keys --unsynchronized-clock")
        .succeeded();
    assert_eq!(site.published()["sensor-0"], [KeyState::Active]);
}

#[test]
fn where_the_root_asks_for_two_signatures_the_registrar_prepares_and_waits() {
    let place = Place::empty();
    let init = "domain init farm --keys keys --no-passphrase --passphrase-file pass";
    place
        .run(&format!(
            "{init} --registrar-keys 2 --registrar-threshold 2"
        ))
        .succeeded();
    std::fs::create_dir(place.path("other")).unwrap();
    let moved = |dir: &str| place.path(dir).join("registrar-2.pem");
    std::fs::rename(moved("keys"), moved("other")).unwrap();
    let site = Site::of(place);
    let cards = create(&site.place, "cards", "--role sensor");
    site.put(&[(topic("request", 0), request(&cards[0], "sensor-0", &key(0)))]);
    let prepared = site.place.path("registry/prepared/manifest.json");
    let registrar = site.serve();
    until("prepared", || site.log().contains("waits in"));
    assert!(registrar.terminate().success());
    let first = std::fs::read(&prepared).unwrap();
    let registrar = site.serve();
    until("looked again", || site.log().contains("1 again"));
    assert_eq!(std::fs::read(&prepared).unwrap(), first);
    assert_eq!((site.state(0), site.published().len()), (None, 0));
    assert!(registrar.terminate().success());
    site.place
        .run("publish sign registry/prepared/manifest.json --keys other --yes")
        .succeeded();
    site.place
        .run("publish --signed registry/prepared/manifest.json")
        .succeeded();
    let registrar = site.serve();
    until("answered", || site.state(0) == Some(AnswerState::Approved));
    assert!(registrar.terminate().success());
    assert_eq!(site.published()["sensor-0"], [KeyState::Active]);
}

#[test]
fn hundreds_of_requests_make_few_manifests() {
    let site = Site::start();
    let count: u32 =
        std::env::var("EDGESEAL_TEST_REQUESTS").map_or(300, |text| text.parse().unwrap());
    let cards = create(
        &site.place,
        "cards",
        &format!("--role sensor --count {count}"),
    );
    let requests: Vec<(String, Vec<u8>)> = (0..count)
        .map(|number| {
            let card = &cards[number as usize];
            let request = request(card, &format!("sensor-{number}"), &key(number));
            (topic("request", number), request)
        })
        .collect();
    site.put(&requests);
    let begun = Instant::now();
    let registrar = site.serve();
    until("all are answered", || {
        let there = site.retained();
        let answers = there.keys().filter(|topic| topic.contains("/answer/"));
        answers.count() == count as usize
    });
    let took = begun.elapsed();
    assert!(registrar.terminate().success());
    assert_eq!(site.published().len(), count as usize);
    let sequence = site.place.run("status --json").json()["published"]["sequence"].clone();
    assert!(
        sequence.as_u64().unwrap() <= 1 + u64::from(count) / 20,
        "{sequence}"
    );
    println!(
        "{count} join requests in {took:.2?} with {sequence} manifests, from the start of the program to the last answer: \
         {:.0} a second",
        f64::from(count) / took.as_secs_f64()
    );
    let log = site.log();
    for line in log.lines().filter(|line| !line.contains(": enrolled")) {
        println!("{line}");
    }
}
