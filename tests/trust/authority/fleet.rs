//! The fleet in view: statuses over a broker, judged with the registry's keys.

use super::place::{Outcome, Place};
use crate::broker::Broker;
use crate::process::{Running, until};
use crate::retained::put;
use data_encoding::BASE64URL_NOPAD;
use edgeseal_trust::carrier::CarrierTopic;
use edgeseal_trust::clock::ClockState;
use edgeseal_trust::document::{Document, Manifest};
use edgeseal_trust::id::{DeviceId, TrustDomain};
use edgeseal_trust::key::SigningKey;
use edgeseal_trust::status::{Notice, Offered, Refused, StatusDraft};
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::token::{PayloadHash, TokenId};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

#[test]
fn who_lags_is_silent_or_has_a_wrong_clock_is_seen() {
    let fleet = Fleet::of(5);
    fleet.place.publish("");
    fleet.say(1, |_| {});
    fleet.say(2, |status| status.sequence = 1);
    fleet.say(3, |status| status.clock = ClockState::Unsynchronized);
    fleet.say(4, |status| {
        status.issued_at = status.issued_at.minus(7200);
        status.offered = Some(Offered {
            root_version: Some(1),
            sequence: Some(1),
            code: "rollback".into(),
        });
    });
    let said = fleet.status("--json", 1);
    assert_eq!(
        said["published"],
        json!({ "root_version": 1, "sequence": 2 })
    );
    assert_eq!(
        attention(&said),
        [
            "pump-1 []",
            r#"pump-2 ["behind"]"#,
            r#"pump-3 ["clock"]"#,
            r#"pump-4 ["offered","silent"]"#,
            r#"pump-5 ["never-seen"]"#,
        ]
    );
    assert_eq!(said["devices"][1]["lag"], 1);
    let only = fleet.status("--only behind,silent --sort seen --json", 1);
    assert_eq!(
        attention(&only),
        [r#"pump-4 ["offered","silent"]"#, r#"pump-2 ["behind"]"#]
    );
    let text = fleet.run("").stdout;
    for line in [
        "pump-2  1/1 (-1)  synchronized ",
        "4 of 5 active devices want attention; published: root version 1, sequence 2",
        "pump-4 is offered root version 1 sequence 1, and refuses it: rollback",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    // Everybody is well, or cut off.
    for number in 2..=4 {
        fleet.say(number, |_| {});
    }
    fleet
        .place
        .run("device revoke pump-5 --yes --no-publish")
        .succeeded();
    let said = fleet.status("--json", 0);
    assert_eq!(said["attention"], false);
}

#[test]
fn only_the_devices_own_newest_word_counts() {
    let fleet = Fleet::of(3);
    let now = now();
    fleet.say(1, |_| {});
    // An older one that a hostile broker kept, a stranger's, another device's on this topic, nonsense.
    fleet.say(2, |status| status.sequence = 1);
    let stale = fleet.token(2, |status| {
        status.issued_at = now.minus(60);
        status.sequence = 0;
    });
    let others = fleet.token(1, |_| {});
    let mut watching = fleet.watch();
    until("the first picture", || watching.lines().last().is_some());
    fleet.put(2, stale.as_bytes());
    fleet.put(3, others.as_bytes());
    fleet.put_topic("pump-99", others.as_bytes());
    until("what is not its status", || {
        let seen = watching.lines().pop().unwrap_or_default();
        seen["devices"][2]["refused"] == "subject"
    });
    let seen = watching.lines().pop().unwrap();
    assert_eq!(
        attention(&seen),
        [
            "pump-1 []",
            "pump-2 []",
            r#"pump-3 ["never-seen","refused"]"#
        ]
    );
    fleet.put(3, &[b'x'; 30_000]);
    fleet.say(2, |status| status.sequence = 7);
    until("news", || {
        let seen = watching.lines().pop().unwrap_or_default();
        seen["devices"][1]["sequence"] == 7
    });
    let seen = watching.lines().pop().unwrap();
    assert_eq!(attention(&seen)[1], r#"pump-2 ["ahead"]"#);
    watching.process.kill();
    let said = fleet.status("--json", 1);
    assert_eq!(said["not_active"], 1);
}

#[test]
fn refusals_are_counted_by_code_and_sender() {
    let fleet = Fleet::of(2);
    for (number, count) in [(1, 3), (2, 4)] {
        fleet.say(number, |status| {
            status.counts = BTreeMap::from([("replay".to_owned(), count)]);
            status.last_refusal = Some(Refused {
                code: "replay".into(),
                sender: Some(DeviceId::parse("pump-1").unwrap()),
                at: now(),
            });
        });
    }
    let said = fleet.status("--json", 0);
    assert_eq!(said["counts"], json!({ "replay": 7 }));
    assert_eq!(
        said["refusals"],
        json!([{ "code": "replay", "sender": "pump-1", "agents": 2 }])
    );
    let text = fleet.run("").stdout;
    assert!(
        text.contains("last refused by 2 agents: replay, from pump-1"),
        "{text}"
    );
}

#[test]
fn nobody_is_suspended_by_a_lie() {
    let fleet = Fleet::of(3);
    for number in [1, 2] {
        fleet.say(number, |_| {});
    }
    let suspend = "edgeseal device suspend pump-2 --reason";
    let lied = [
        // One message, signed twice; two ids; a token of nobody; nonsense.
        [fleet.message(2, 9, "a"), fleet.message(2, 9, "a")],
        [fleet.message(2, 9, "a"), fleet.message(2, 10, "b")],
        [fleet.message(77, 9, "a"), fleet.message(77, 9, "b")],
        [fleet.message(2, 9, "a"), fleet.message(1, 9, "b")],
        ["x".to_owned(), "y".to_owned()],
    ];
    let codes = [
        "clone-same-content",
        "clone-different-ids",
        "unknown-key",
        "clone-different-keys",
        "unknown-key",
    ];
    for (claim, code) in lied.into_iter().zip(codes) {
        fleet.say(3, |status| {
            status.clone = Some(claim.clone());
            status.notices = vec![notice("clone-proven", "pump-2")];
        });
        let said = fleet.status("--json", 0);
        assert_eq!(said["clones"], json!([]), "{code}");
        assert_eq!(
            said["unproven_clones"],
            json!([{ "says": "pump-3", "code": code }])
        );
        let text = fleet.run("").stdout;
        assert!(!text.contains(suspend), "{text}");
    }
    // Notices are shown with what they may mean, and without a command.
    fleet.say(3, |status| {
        status.notices = vec![notice("epoch-interleaved", "pump-2")]
    });
    let text = fleet.run("");
    assert_eq!(text.code, 1);
    assert!(
        text.stdout.contains("notice of pump-3 about pump-2"),
        "{}",
        text.stdout
    );
    assert!(text.stdout.contains("a copied card"), "{}", text.stdout);
    assert!(!text.stdout.contains(suspend), "{}", text.stdout);
    // A proof.
    let proof = [fleet.message(2, 9, "a"), fleet.message(2, 9, "b")];
    fleet.say(3, |status| status.clone = Some(proof.clone()));
    let text = fleet.run("");
    assert_eq!(text.code, 1);
    assert!(text.stdout.contains(suspend), "{}", text.stdout);
    let said = fleet.status("--json", 1);
    assert_eq!(said["clones"][0]["device"], "pump-2");
    assert_eq!(said["clones"][0]["tokens"], json!(proof));
    // Done: the alarm ends although the agent keeps saying it.
    fleet
        .place
        .run("device suspend pump-2 --reason clone --no-publish")
        .succeeded();
    let said = fleet.status("--json", 0);
    assert_eq!(said["clones"], json!([]));
}

#[test]
fn without_a_broker_it_says_what_to_do() {
    let place = Place::farm("");
    place.run("fleet status").refused(2, "no-broker");
    place
        .run("fleet status --broker mqtt://127.0.0.1:1")
        .refused(69, "no-broker");
}

/// Devices `pump-1` and on in a published registry, and a broker.
struct Fleet {
    place: Place,
    broker: Broker,
}

struct Watching {
    process: Running,
    log: std::path::PathBuf,
}

impl Watching {
    fn lines(&mut self) -> Vec<Value> {
        assert!(!self.process.has_ended(), "{}", self.process.said());
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let lines = whole
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        lines.collect()
    }
}

impl Fleet {
    fn of(count: u8) -> Self {
        let place = Place::farm("");
        let broker = Broker::start(&place.path("broker"), false);
        for number in 1..=count {
            place.jwk_device(&format!("pump-{number}"), number);
        }
        place.publish("");
        let port = broker.port();
        place
            .run(&format!("domain broker mqtt://127.0.0.1:{port}"))
            .succeeded();
        Self { place, broker }
    }

    fn run(&self, options: &str) -> Outcome {
        self.place.run(&format!("fleet status {options}"))
    }

    fn status(&self, options: &str, code: i32) -> Value {
        let ended = self.run(options);
        assert_eq!(ended.code, code, "{}{}", ended.stdout, ended.stderr);
        serde_json::from_str(&ended.stdout).unwrap()
    }

    fn watch(&self) -> Watching {
        let log = self.place.path("watch.log");
        let mut command = self.place.command("fleet status --watch --json");
        let process = Running::start(&mut command, &log);
        Watching { process, log }
    }

    fn token(&self, number: u8, alter: impl FnOnce(&mut StatusDraft)) -> String {
        let manifest = self.place.read("registry/published/manifest.json");
        let manifest = Document::<Manifest>::load(&manifest);
        let mut draft = StatusDraft {
            issued_at: now(),
            expires_at: now().plus(86_400),
            id: TokenId::parse("1.1.1").unwrap(),
            sequence: manifest.unwrap().content().sequence,
            root_version: 1,
            clock: ClockState::Synchronized,
            version: "0.1.0".into(),
            started_at: now(),
            counts: BTreeMap::new(),
            last_refusal: None,
            offered: None,
            notices: Vec::new(),
            clone: None,
        };
        alter(&mut draft);
        let device = DeviceId::parse(&format!("pump-{number}")).unwrap();
        draft.sign(&key(number), &farm(), &device).unwrap()
    }

    /// A status on the topic of its device.
    fn say(&self, number: u8, alter: impl FnOnce(&mut StatusDraft)) {
        let token = self.token(number, alter);
        self.put(number, token.as_bytes());
    }

    fn put(&self, number: u8, payload: &[u8]) {
        self.put_topic(&format!("pump-{number}"), payload);
    }

    fn put_topic(&self, device: &str, payload: &[u8]) {
        let device = DeviceId::parse(device).unwrap();
        let topic = CarrierTopic::Status(device).name(&farm());
        put(self.broker.port(), &[(&topic, payload)]);
    }

    /// A message token of a device.
    fn message(&self, number: u8, counter: u64, payload: &str) -> String {
        let key = key(number);
        let encode = |text: String| BASE64URL_NOPAD.encode(text.as_bytes());
        let hash = PayloadHash::of(payload.as_bytes());
        let hash = BASE64URL_NOPAD.encode(hash.octets());
        let header = json!({
            "alg": "EdDSA", "typ": "edgeseal-msg+jwt", "kid": key.public().id().to_string(),
        });
        let claims = json!({
            "iss": "farm", "sub": format!("pump-{number}"), "aud": "domain:farm", "iat": 1000, "exp": 1060,
            "jti": format!("1.1.{counter}"), "top": "a/b", "phs": hash, "tsq": 1,
        });
        let input = format!(
            "{}.{}",
            encode(header.to_string()),
            encode(claims.to_string())
        );
        let signature = BASE64URL_NOPAD.encode(&key.sign(input.as_bytes()));
        format!("{input}.{signature}")
    }
}

fn attention(said: &Value) -> Vec<String> {
    let rows = said["devices"].as_array().unwrap().iter();
    rows.map(|row| {
        let device = row["device"].as_str().unwrap();
        format!("{device} {}", row["attention"])
    })
    .collect()
}

fn notice(code: &str, device: &str) -> Notice {
    Notice {
        code: code.into(),
        kid: None,
        device: Some(DeviceId::parse(device).unwrap()),
        at: now(),
    }
}

fn key(number: u8) -> SigningKey {
    SigningKey::from_seed(&[number; 32])
}

fn farm() -> TrustDomain {
    TrustDomain::parse("farm").unwrap()
}

fn now() -> UnixTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    UnixTime::from_seconds(since.as_secs())
}
