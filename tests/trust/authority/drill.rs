//! The compromise drill: a registrar key is stolen, and the thief has published as high as it goes.

use super::place::Place;
use super::roots::{first_words, refused};
use crate::broker::Broker;
use crate::retained::{put, retained};
use edgeseal_trust::document::{
    BundleReader, BundleWriter, Document, DocumentType, Manifest, Shard, sign,
};
use edgeseal_trust::key::SigningKey;
use edgeseal_trust::registry::DeviceState;
use edgeseal_trust::store::Store;
use edgeseal_trust::time::UnixTime;

/// 2100-01-01.
const YEAR_2100: u64 = 4_102_444_800;
const ROTATE: &str = "registrar rotate --keys keys --passphrase-file pass --no-passphrase \
     --compromised --unsynchronized-clock --yes";

#[test]
fn a_fleet_recovers_from_a_stolen_registrar_key() {
    let place = Place::farm("");
    place.enroll("pump-1");
    place.enroll("pump-2");
    let honest = place.publish("");
    let words = first_words(&place);
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path()).unwrap();
    let _ = store.apply_bundle(&honest[..], Some(&words)).unwrap();
    place
        .agent(
            "pump-1",
            &format!("trust apply bundle --root {}", spaced(&words)),
        )
        .succeeded();

    // The thief has the key and every bundle: as high as it goes, in the year 2100, pump-2 revoked.
    let stolen = place.key("keys/registrar-1.pem");
    let thief = forged(&honest, &stolen, |manifest| {
        manifest.sequence = u64::MAX;
        manifest.issued_at = UnixTime::from_seconds(YEAR_2100);
        manifest.expires_at = UnixTime::from_seconds(YEAR_2100 + 86_400);
    });
    let _ = store.apply_bundle(&thief[..], None).unwrap();
    assert_eq!(store.mark().unwrap().sequence, u64::MAX);
    place.write("thief", &thief);
    place.agent("pump-1", "trust apply thief").succeeded();
    // Under the old root the fleet is frozen: nothing honest is higher.
    place.publish("");
    place
        .agent("pump-1", "trust apply bundle")
        .refused_with(1, "rollback", "\n  hint: ");

    let said = place.run(&format!("{ROTATE} --json")).json();
    assert_eq!(said["root_version"], 2);
    assert_eq!(said["republished"]["honest_sequence"], 2);
    assert_eq!(said["unpublished_devices"], serde_json::json!([]));
    place.run("publish --again --to recovered").succeeded();
    let recovered = place.read("recovered");
    let _ = store.apply_bundle(&recovered[..], None).unwrap();
    let trust = store.trust().unwrap();
    assert_eq!((trust.root_version, trust.sequence), (2, 3));
    assert!(trust.issued_at < UnixTime::from_seconds(YEAR_2100));
    place.agent("pump-1", "trust apply recovered").succeeded();
    assert_eq!(states(&recovered), ["Active", "Active"]);

    // Whatever the stolen key signs is refused: again, newer, or as if under the new root.
    assert_eq!(refused(&store, &thief), "threshold");
    for root_version in [1, 2] {
        let next = forged(&recovered, &stolen, |manifest| {
            manifest.root_version = root_version;
            manifest.sequence = u64::MAX;
        });
        assert_eq!(refused(&store, &next), "threshold", "root {root_version}");
        place.write("next", &next);
        let said = place.agent("pump-1", "trust apply next");
        assert!(
            said.code == 1 && said.stderr.contains("threshold"),
            "{}",
            said.stderr
        );
    }
    // A device that slept through all of it, and one that the thief reached after the recovery.
    let late = tempfile::tempdir().unwrap();
    let (late, _) = Store::open(late.path()).unwrap();
    let _ = late.apply_bundle(&honest[..], Some(&words)).unwrap();
    let _ = late.apply_bundle(&thief[..], None).unwrap();
    let _ = late.apply_bundle(&recovered[..], None).unwrap();
    assert_eq!(late.trust().unwrap().sequence, 3);
    // The device that is enrolled after the theft believes no manifest of the thief from the start.
    let fresh = tempfile::tempdir().unwrap();
    let (fresh, _) = Store::open(fresh.path()).unwrap();
    let _ = fresh.apply_bundle(&recovered[..], Some(&words)).unwrap();
    assert_eq!(refused(&fresh, &thief), "threshold");
    place.publish("");
}

#[test]
fn the_last_honest_publish_is_named_where_the_registry_has_those_of_the_thief() {
    let place = Place::farm("");
    place.enroll("pump-1");
    place.enroll("pump-2");
    place.publish("");
    // On the operator's machine itself, before anybody noticed.
    for id in ["pump-1", "pump-2"] {
        let revoke = format!("device revoke {id} --yes --no-publish");
        place.run(&revoke).succeeded();
        place.publish("");
    }
    place
        .run(&format!("{ROTATE} --from 9"))
        .refused(1, "sequence-not-kept");
    assert_eq!(place.run("root show --json").json()["newest"], 1);
    let said = place.run(&format!("{ROTATE} --from 1 --json")).json();
    assert_eq!(said["republished"]["honest_sequence"], 1);
    assert_eq!(
        said["unpublished_devices"],
        serde_json::json!(["pump-1", "pump-2"])
    );
    place.run("publish --again --to recovered").succeeded();
    assert_eq!(states(&place.read("recovered")), ["Active", "Active"]);
    // The same without a new key, where somebody confirms it.
    let from = "publish --keys keys --unsynchronized-clock --refresh --from 2 --to second";
    place.run(from).refused(1, "not-confirmed");
    place.run(&format!("{from} --yes")).succeeded();
    assert_eq!(states(&place.read("second")), ["Revoked", "Active"]);
}

#[test]
fn a_thief_who_wrote_the_highest_sequence_into_the_registry_leaves_room_under_the_new_root() {
    let place = Place::farm("");
    place.publish("");
    place.publish(&format!("--sequence {}", u64::MAX - 1));
    let said = place.run(ROTATE).succeeded();
    // What is in the registry may be the thief's: the next step is not to publish it.
    assert!(!said.contains("Next: edgeseal publish --keys"), "{said}");
    assert!(said.contains("Next: edgeseal publish --again"), "{said}");
    let next = place.publish("");
    let reader = BundleReader::open(&next[..]).unwrap();
    let manifest = Document::<Manifest>::load(reader.manifest()).unwrap();
    let content = manifest.content();
    assert_eq!((content.root_version, content.sequence), (2, 2));
}

#[test]
fn the_thiefs_manifest_on_the_broker_stops_nobody_under_the_new_root() {
    let place = Place::farm("");
    place.jwk_device("pump-1", 1);
    let honest = place.publish("");
    let broker = Broker::start(&place.path("broker"), false);
    let url = format!("mqtt://127.0.0.1:{}", broker.port());
    place.run(&format!("domain broker {url}")).succeeded();
    let stolen = place.key("keys/registrar-1.pem");
    let thief = forged(&honest, &stolen, |manifest| manifest.sequence = u64::MAX);
    let thief = BundleReader::open(&thief[..]).unwrap();
    put(
        broker.port(),
        &[("edgeseal/farm/manifest", thief.manifest())],
    );
    let cut = "device suspend pump-1 --keys keys --unsynchronized-clock";
    place.run(cut).refused(1, "broker-ahead");
    place
        .run("registrar rotate --keys keys --passphrase-file pass --no-passphrase --yes")
        .succeeded();
    place.run(cut).succeeded();
    let kept = retained(broker.port());
    let manifest = Document::<Manifest>::load(&kept["edgeseal/farm/manifest"]).unwrap();
    assert_eq!(manifest.content().root_version, 2);
    assert!(kept.contains_key("edgeseal/farm/root/2"));
}

/// A bundle with the manifest of another one, altered, in which the last device of the first shard is revoked, signed by `key`.
fn forged(bundle: &[u8], key: &SigningKey, alter: impl FnOnce(&mut Manifest)) -> Vec<u8> {
    let mut reader = BundleReader::open(bundle).unwrap();
    let roots: Vec<Vec<u8>> = reader.roots().map(<[u8]>::to_vec).collect();
    let roots: Vec<&[u8]> = roots.iter().map(Vec::as_slice).collect();
    let mut manifest = Document::<Manifest>::load(reader.manifest())
        .unwrap()
        .content()
        .clone();
    let mut shards = shards(&mut reader);
    let mut devices = Shard::parse(&shards[0]).unwrap().into_devices();
    devices.last_mut().unwrap().state = DeviceState::Revoked;
    let count = manifest.shard_count();
    shards[0] = Shard::new(0, count, devices).unwrap().to_octets().unwrap();
    manifest.shards[0] = edgeseal_trust::document::Digest::of(&shards[0]);
    alter(&mut manifest);
    let payload = manifest.to_payload().unwrap();
    let manifest = sign(DocumentType::Manifest, &payload, &[key]);
    self::bundle(&roots, &manifest, &shards)
}

fn states(bundle: &[u8]) -> Vec<String> {
    let mut reader = BundleReader::open(bundle).unwrap();
    let shards = shards(&mut reader);
    let devices = shards
        .iter()
        .flat_map(|octets| Shard::parse(octets).unwrap().into_devices());
    devices
        .map(|device| format!("{:?}", device.state))
        .collect()
}

fn spaced(words: &edgeseal_trust::words::Words) -> String {
    words.to_string().replace(' ', "-")
}

pub(super) fn shards<R: std::io::BufRead>(reader: &mut BundleReader<R>) -> Vec<Vec<u8>> {
    let mut shards = Vec::new();
    while let Some(octets) = reader.next_shard().unwrap() {
        shards.push(octets.to_vec());
    }
    shards
}

pub(super) fn bundle(roots: &[&[u8]], manifest: &[u8], shards: &[Vec<u8>]) -> Vec<u8> {
    let count = u32::try_from(shards.len()).unwrap();
    let mut writer = BundleWriter::begin(Vec::new(), roots, manifest, count).unwrap();
    for shard in shards {
        writer.shard(shard).unwrap();
    }
    writer.finish().unwrap()
}
