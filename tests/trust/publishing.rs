//! `edgeseal publish` to a broker: what lies there afterwards, and what is refused.

use crate::broker::Broker;
use crate::operator::{Place, key};
use crate::retained::{put, retained};
use edgeseal_trust::document::{Digest, Document, Manifest};
use std::collections::{BTreeMap, BTreeSet};

/// A domain of 300 devices, in four shards, and its broker.
pub(crate) struct Farm {
    pub(crate) place: Place,
    pub(crate) broker: Broker,
}

impl Farm {
    pub(crate) fn start() -> Self {
        let place = Place::farm();
        let mut fleet = String::from("id,x\n");
        for number in 0..300 {
            let x = data_encoding::BASE64URL_NOPAD.encode(&key(number).public().octets());
            fleet.push_str(&format!("device-{number:03},{x}\n"));
        }
        place.write("fleet.csv", fleet);
        place.run("device add --csv fleet.csv").succeeded();
        let broker = Broker::start(&place.path("broker"), false);
        let farm = Self { place, broker };
        farm.set_broker(farm.broker.port());
        farm
    }

    pub(crate) fn set_broker(&self, port: u16) {
        self.place
            .run(&format!("domain broker mqtt://127.0.0.1:{port}"))
            .succeeded();
    }

    pub(crate) fn publish(&self, more: &str) -> serde_json::Value {
        self.place.run(&format!("{PUBLISH} --json {more}")).json()
    }

    pub(crate) fn retained(&self) -> BTreeMap<String, Vec<u8>> {
        retained(self.broker.port())
    }

    pub(crate) fn manifest(&self) -> Document<Manifest> {
        let path = self.place.path("registry/published/manifest.json");
        Document::load(&std::fs::read(path).unwrap()).unwrap()
    }

    /// The broker keeps the newest root and manifest, every shard that it names, and no shard but these and those of `before`.
    pub(crate) fn is_complete(&self, before: &BTreeSet<String>) {
        let there = self.retained();
        let manifest = self.manifest();
        assert_eq!(there["edgeseal/farm/manifest"], manifest.octets());
        let root = std::fs::read(self.place.path("registry/root/1.json")).unwrap();
        assert_eq!(there["edgeseal/farm/root/1"], root);
        assert_eq!(lacking(&there, &manifest), BTreeSet::new());
        let named = shards(&manifest);
        for topic in there.keys() {
            let known = named.contains(topic) || before.contains(topic);
            let other =
                ["edgeseal/farm/manifest", "edgeseal/farm/root/1"].contains(&topic.as_str());
            assert!(known || other, "{topic} is left over");
        }
    }
}

/// The topics of the shards that a manifest names.
pub(crate) fn shards(manifest: &Document<Manifest>) -> BTreeSet<String> {
    let digests = manifest.content().shards.iter();
    digests
        .map(|digest| format!("edgeseal/farm/shard/{digest}"))
        .collect()
}

/// Those that are not there, or not what they should be.
pub(crate) fn lacking(
    there: &BTreeMap<String, Vec<u8>>,
    manifest: &Document<Manifest>,
) -> BTreeSet<String> {
    let digests = manifest.content().shards.iter().copied();
    let is_there = |digest: &Digest| {
        let octets = there.get(&format!("edgeseal/farm/shard/{digest}"));
        octets.is_some_and(|octets| Digest::of(octets) == *digest)
    };
    let lacking = digests.filter(|digest| !is_there(digest));
    lacking
        .map(|digest| format!("edgeseal/farm/shard/{digest}"))
        .collect()
}

#[test]
fn what_was_published_lies_on_the_broker_and_only_what_changed_travels() {
    let farm = Farm::start();
    let first = farm.publish("");
    let sent = &first["broker"];
    assert_eq!(
        (&sent["shards_sent"], &sent["roots_sent"]),
        (&4.into(), &1.into())
    );
    assert_eq!(first["bundle"], serde_json::Value::Null);
    farm.is_complete(&BTreeSet::new());
    let mut before = farm.manifest();
    for state in ["suspend", "resume", "suspend"] {
        farm.place
            .run(&format!("device {state} device-007 --no-publish"))
            .succeeded();
        let next = farm.publish("");
        let sent = &next["broker"];
        assert_eq!(
            (&sent["shards_sent"], &sent["roots_sent"]),
            (&1.into(), &0.into())
        );
        farm.is_complete(&shards(&before));
        before = farm.manifest();
    }
    // Once more changes nothing, also what the manifest before it named.
    let there = farm.retained();
    let again = farm.place.run("publish --again --json").json();
    assert_eq!(again["broker"]["octets_sent"], 0);
    assert_eq!(farm.retained(), there);
}

#[test]
fn a_broker_that_forgot_gets_everything_again() {
    let farm = Farm::start();
    farm.publish("");
    let all: Vec<String> = farm.retained().into_keys().collect();
    let none: Vec<(&str, &[u8])> = all.iter().map(|topic| (topic.as_str(), &b""[..])).collect();
    put(farm.broker.port(), &none);
    assert_eq!(farm.retained(), BTreeMap::new());
    farm.place.run("publish --again").succeeded();
    farm.is_complete(&BTreeSet::new());
    // A shard alone is missed only by who looks at all of them.
    let shard = shards(&farm.manifest()).pop_first().unwrap();
    put(farm.broker.port(), &[(&shard, b"something else")]);
    let again = farm.place.run("publish --again --all-shards --json").json();
    assert_eq!(again["broker"]["shards_sent"], 4);
    farm.is_complete(&BTreeSet::new());
}

#[test]
fn nonsense_of_others_is_replaced_and_tidied_away() {
    let farm = Farm::start();
    farm.publish("");
    let other = Place::farm();
    let other_bundle = other.publish();
    assert_eq!(other_bundle["sequence"], 1);
    let forged = std::fs::read(other.path("registry/published/manifest.json")).unwrap();
    let root = std::fs::read(other.path("registry/root/1.json")).unwrap();
    for manifest in [forged.as_slice(), b"nonsense", &[0; 200_000]] {
        put(
            farm.broker.port(),
            &[
                ("edgeseal/farm/manifest", manifest),
                ("edgeseal/farm/root/1", &root),
                ("edgeseal/farm/root/2", &root),
                ("edgeseal/farm/root/99999999999999999999", &root),
                ("edgeseal/farm/root/02", b"x"),
            ],
        );
        farm.publish("");
        farm.is_complete(&shards(&farm.manifest()));
    }
}

#[test]
fn a_registry_that_is_behind_signs_nothing() {
    let farm = Farm::start();
    farm.publish("");
    copy(&farm.place, "registry", "backup");
    farm.place
        .run("device suspend device-001 --no-publish")
        .succeeded();
    farm.publish("");
    let there = farm.retained();
    let behind = format!("{PUBLISH} --registry backup");
    let before = farm.place.read("backup/domain.json");
    let said = farm.place.run(&behind).refused(1, "broker-ahead");
    assert!(said.contains("--sequence 3"), "{said}");
    farm.place
        .run("publish --again --registry backup")
        .refused(1, "broker-ahead");
    let revoke =
        "device revoke device-002 --yes --registry backup --keys keys --unsynchronized-clock";
    let said = farm.place.run(revoke).refused(1, "broker-ahead");
    assert!(
        said.contains("device-002 is revoked; not published"),
        "{said}"
    );
    assert_eq!(
        farm.place.read("backup/domain.json"),
        before,
        "no sequence was used"
    );
    assert_eq!(farm.retained(), there);
    // Who forces a sequence that was used in the other copy is found out.
    farm.place
        .run(&format!("{behind} --sequence 2"))
        .refused(1, "broker-conflict");
    farm.place
        .run(&format!("{behind} --sequence 3"))
        .succeeded();
    farm.place.run(PUBLISH).refused(1, "broker-ahead");
}

#[test]
fn tls_is_judged_by_the_authorities_that_are_named() {
    let farm = Farm::start();
    let Some((port, ca)) = farm.broker.tls() else {
        return;
    };
    let to = format!("{PUBLISH} --to mqtts://localhost:{port}");
    farm.place.run(&to).refused(69, "no-broker");
    let ca = ca.display();
    farm.place
        .run(&format!(
            "publish --again --to mqtts://localhost:{port} --ca {ca}"
        ))
        .succeeded();
    farm.is_complete(&BTreeSet::new());
    farm.place
        .run(&format!(
            "domain broker mqtts://localhost:{port} --ca {ca} --username operator"
        ))
        .succeeded();
    let settings: serde_json::Value =
        serde_json::from_str(&farm.place.read("registry/broker.json")).unwrap();
    assert_eq!(settings["username"], "operator");
    assert!(
        settings["ca"]
            .as_str()
            .unwrap()
            .contains("BEGIN CERTIFICATE")
    );
    let published = farm.publish("");
    assert_eq!(
        published["broker"]["url"],
        format!("mqtts://localhost:{port}")
    );
    farm.place
        .run("domain broker nonsense")
        .refused(2, "broker-url");
}

#[test]
fn a_refresh_signs_what_was_published_and_leaves_the_rest_for_later() {
    let farm = Farm::start();
    farm.place
        .run(&format!("{PUBLISH} --refresh"))
        .refused(1, "never-published");
    farm.publish("");
    let first = farm.manifest();
    farm.place
        .run("device suspend device-001 --no-publish")
        .succeeded();
    farm.place.run("role add hand").succeeded();
    let refreshed = farm.publish("--refresh --days 30");
    assert_eq!(
        (&refreshed["sequence"], &refreshed["shards_changed"]),
        (&2.into(), &0.into())
    );
    assert_eq!(refreshed["broker"]["shards_sent"], 0);
    let second = farm.manifest();
    assert_eq!(first.content().shards, second.content().shards);
    assert!(second.content().roles.is_empty());
    assert!(second.content().expires_at > first.content().expires_at);
    farm.is_complete(&BTreeSet::new());
    let left = farm.place.run("status --json").json();
    assert_eq!(left["unpublished"]["devices"][0], "device-001");
}

/// A copy of a registry beside it.
pub(crate) fn copy(place: &Place, from: &str, to: &str) {
    crate::process::finished(
        std::process::Command::new("cp")
            .arg("-a")
            .args([place.path(from), place.path(to)]),
    );
}

pub(crate) const PUBLISH: &str = "publish --keys keys --unsynchronized-clock";
