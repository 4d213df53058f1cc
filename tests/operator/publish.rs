//! `publish`: what is signed, by whom, in which order, and what a kill leaves.

use crate::fleet::csv;
use crate::support::{Place, files, key};
use edgeseal_trust::document::{BundleReader, Document, Manifest};
use edgeseal_trust::registry::DeviceState;
use edgeseal_trust::update::{Current, InForce, Nothing, read_bundle};
use edgeseal_trust::words::Words;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const PUBLISH: &str = "publish --keys keys --unsynchronized-clock";

#[test]
fn what_is_published_is_what_a_device_believes() {
    let place = Place::farm();
    place.run("group add pumps").succeeded();
    place.run("role add sensor").succeeded();
    place
        .run("role grant sensor --publish a/# --audience domain")
        .succeeded();
    for number in 1..=3 {
        place.write_jwk("jwk", &key(number));
        place
            .run(&format!("device add d-{number} --jwk jwk --role sensor"))
            .succeeded();
    }
    place
        .run("device revoke d-2 --yes --no-publish")
        .succeeded();
    let said = place
        .run("publish --keys keys --unsynchronized-clock --days 30")
        .succeeded();
    assert!(said.starts_with("published farm sequence 1: 3 devices, 1 of 1 shards changed\n"));
    let file = std::fs::read(place.path("bundle.edgeseal")).unwrap();
    let words = Words::of_root(&std::fs::read(place.path("registry/root/1.json")).unwrap());
    let mut bundle = BundleReader::open(file.as_slice()).unwrap();
    let mut states = BTreeMap::new();
    let keep = |shard: &edgeseal_trust::document::Shard, _: &[u8]| {
        for device in shard.devices() {
            states.insert(device.id.to_string(), device.state);
        }
        Ok(())
    };
    let update = read_bundle(
        &mut bundle,
        Current::default(),
        Some(&words),
        &Nothing,
        keep,
    );
    let InForce::Manifest(view) = update.unwrap().in_force else {
        panic!("no manifest in force");
    };
    assert_eq!((view.sequence, view.root_version), (1, 1));
    assert_eq!(view.expires_at.since(view.issued_at), 30 * 86_400);
    assert_eq!(view.roles.len(), 1);
    assert_eq!(states["d-1"], DeviceState::Active);
    assert_eq!(states["d-2"], DeviceState::Revoked);
    assert_eq!(states.len(), 3);
}

#[test]
fn status_says_what_devices_do_not_know_yet() {
    let place = Place::farm();
    let unpublished = || place.run("status --json").json()["unpublished"].clone();
    assert_eq!(unpublished()["tables"], true);
    place.publish();
    assert_eq!(
        unpublished(),
        serde_json::json!({ "devices": [], "lost": [], "unapproved": [], "tables": false })
    );
    assert!(
        place
            .run("status")
            .succeeded()
            .contains("Everything is published.")
    );
    place.write_jwk("jwk", &key(1));
    place.run("device add shed-1 --jwk jwk").succeeded();
    assert_eq!(unpublished()["devices"], serde_json::json!(["shed-1"]));
    place.publish();
    place.run("group add pumps").succeeded();
    assert_eq!(unpublished()["tables"], true);
    assert_eq!(unpublished()["devices"], serde_json::json!([]));
    place.publish();
    place.run("device suspend shed-1 --no-publish").succeeded();
    let said = place.run("status").succeeded();
    assert!(
        said.contains("Not published yet: 1 devices shed-1"),
        "{said}"
    );
    assert_eq!(place.publish()["sequence"], 4);
}

#[test]
fn the_threshold_of_registrar_keys_is_needed() {
    let place = Place::empty();
    place
        .run(
            "domain init farm --keys keys --passphrase-file pass --registrar-keys 3 \
             --registrar-threshold 2",
        )
        .succeeded();
    std::fs::create_dir(place.path("elsewhere")).unwrap();
    for number in [2, 3] {
        let name = format!("registrar-{number}.pem");
        let (from, to) = (format!("keys/{name}"), format!("elsewhere/{name}"));
        std::fs::rename(place.path(&from), place.path(&to)).unwrap();
    }
    let publish = "publish --unsynchronized-clock --passphrase-file pass --keys keys";
    place.run(publish).refused(75, "signatures-missing");
    // One key twice is one key.
    std::fs::copy(
        place.path("keys/registrar-1.pem"),
        place.path("keys/registrar-9.pem"),
    )
    .unwrap();
    place.run(publish).refused(75, "signatures-missing");
    assert!(!place.path("bundle.edgeseal").exists());
    let both = format!("{publish} --keys elsewhere --json");
    let published = place.run(&both).json();
    assert_eq!(
        published["sequence"], 3,
        "what was prepared has used up two"
    );
    place.write_private("wrong", "another passphrase\n");
    let wrong = both.replace("passphrase-file pass", "passphrase-file wrong");
    let refused = place.run(&wrong);
    assert!(refused.code == 77 && refused.stderr.contains("passphrase-wrong"));
    std::fs::create_dir(place.path("none")).unwrap();
    place
        .run("publish --unsynchronized-clock --keys none")
        .refused(69, "no-keys");
    place
        .run("domain init barn --registry barn --keys barn-keys --passphrase-file pass --no-passphrase")
        .succeeded();
    place
        .run("publish --unsynchronized-clock --keys barn-keys")
        .refused(1, "threshold");
}

#[test]
fn only_a_bundle_is_replaced() {
    let place = Place::farm();
    place.write("notes.txt", "keep me");
    place
        .run(&format!("{PUBLISH} --to notes.txt"))
        .refused(1, "file-exists");
    assert_eq!(place.read("notes.txt"), "keep me");
    place
        .run("domain init barn --registry barn --keys barn-keys --passphrase-file pass --no-passphrase")
        .succeeded();
    let barn = "publish --registry barn --keys barn-keys --unsynchronized-clock";
    place.run(&format!("{barn} --to barn.edgeseal")).succeeded();
    let said = place
        .run(&format!("{PUBLISH} --to barn.edgeseal"))
        .refused(1, "file-exists");
    assert!(said.contains("a bundle of the domain barn"), "{said}");
    place.run("publish --again").refused(1, "never-published");
    place.run(PUBLISH).succeeded();
    let first = place.read("bundle.edgeseal");
    place.run(PUBLISH).succeeded();
    let second = place.read("bundle.edgeseal");
    assert_ne!(first, second);
    place.run("publish --again --to copy.edgeseal").succeeded();
    assert_eq!(place.read("copy.edgeseal"), second);
    place
        .run(&format!("{PUBLISH} --to absent/b"))
        .refused(69, "file-missing");
}

#[test]
fn a_sequence_is_never_signed_twice_even_from_an_old_registry() {
    let place = Place::farm();
    place.run(PUBLISH).succeeded();
    place
        .run(&format!("{PUBLISH} --sequence 1"))
        .refused(1, "sequence-used");
    let far = place.run(&format!("{PUBLISH} --sequence 40 --json")).json();
    assert_eq!(far["sequence"], 40);
    // published/ is lost, as by `git clean`: what is left still knows the sequence.
    std::fs::remove_dir_all(place.path("registry/published")).unwrap();
    assert_eq!(place.publish()["sequence"], 41);
}

#[test]
fn a_clock_before_the_last_manifest_is_asked_about() {
    let place = Place::farm();
    place.run(PUBLISH).succeeded();
    // The operator's registrar signs a manifest of next year, as with a clock that was wrong.
    let path = place.path("registry/published/manifest.json");
    let manifest = Document::<Manifest>::load(&std::fs::read(&path).unwrap()).unwrap();
    let mut content = manifest.content().clone();
    content.issued_at = content.issued_at.plus(365 * 86_400);
    content.expires_at = content.expires_at.plus(365 * 86_400);
    let key = edgeseal_trust::key::SigningKey::from_pkcs8_pem(&place.read("keys/registrar-1.pem"));
    let payload = content.to_payload().unwrap();
    let kind = edgeseal_trust::document::DocumentType::Manifest;
    let document = edgeseal_trust::document::sign(kind, &payload, &[&key.unwrap()]);
    std::fs::write(&path, document).unwrap();
    let said = place.run(PUBLISH).refused(1, "not-confirmed");
    assert!(said.contains("before the last manifest"), "{said}");
    let args: Vec<&str> = PUBLISH.split(' ').collect();
    place.answer(&args, "y\n").succeeded();
    place.run(PUBLISH).succeeded();
}

#[test]
fn a_damaged_last_publish_is_refused_or_repaired() {
    let place = Place::farm();
    place.write("fleet.csv", csv(0..5).replace("sensor", ""));
    place.run("device add --csv fleet.csv").succeeded();
    place.run(PUBLISH).succeeded();
    let shards = files(&place.path("registry/published/shard"));
    // The shard is as before: it is written again, not believed to be there.
    std::fs::write(&shards[0].0, "damaged").unwrap();
    place.run("publish --again").refused(78, "registry-corrupt");
    assert_eq!(place.publish()["shards_changed"], 1);
    assert_eq!(files(&place.path("registry/published/shard")), shards);
    place.write("registry/published/manifest.json", "{}");
    place.run(PUBLISH).refused(78, "registry-corrupt");
}

#[test]
fn killed_at_any_moment_no_sequence_has_two_contents_and_the_next_run_works() {
    let place = Place::farm();
    place.run("role add sensor").succeeded();
    place.write("fleet.csv", csv(0..400));
    place.run("device add --csv fleet.csv").succeeded();
    let started = Instant::now();
    place.publish();
    let whole = started.elapsed();
    let mut seen: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    let mut look = |octets: &[u8]| {
        let manifest = Document::<Manifest>::load(octets).unwrap();
        let sequence = manifest.content().sequence;
        let first = seen.entry(sequence).or_insert_with(|| octets.to_vec());
        assert_eq!(
            first, octets,
            "sequence {sequence} was signed with two contents"
        );
        sequence
    };
    let rounds: u32 = 24;
    for round in 0..rounds {
        let verb = if round % 2 == 0 { "suspend" } else { "resume" };
        place
            .run(&format!("device {verb} device-00001 --no-publish"))
            .succeeded();
        let args: Vec<&str> = PUBLISH.split(' ').collect();
        let mut child = place.command(&args).spawn().unwrap();
        std::thread::sleep(whole.mul_f64(f64::from(round) / f64::from(rounds)));
        child.kill().unwrap();
        child.wait().unwrap();
        let kept = std::fs::read(place.path("registry/published/manifest.json")).unwrap();
        let kept = look(&kept);
        let file = std::fs::read(place.path("bundle.edgeseal")).unwrap();
        let bundle = BundleReader::open(file.as_slice()).unwrap();
        assert!(
            look(bundle.manifest()) <= kept,
            "a bundle was handed out before it was kept"
        );
        place.run("publish --again --to again.edgeseal").succeeded();
    }
    let last = place.publish();
    assert!(last["sequence"].as_u64().unwrap() > *seen.keys().last().unwrap());
    let left: Vec<_> = files(&place.path("registry/published"))
        .into_iter()
        .filter(|(path, _)| path.extension().is_some_and(|e| e == "tmp"))
        .collect();
    assert_eq!(left, []);
    assert!(whole < Duration::from_secs(60));
}
