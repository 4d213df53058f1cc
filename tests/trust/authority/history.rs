//! Who changed what, when: the journal, and the signed manifests that prove it.

use super::place::Place;
use edgeseal_trust::document::{Document, DocumentType, Manifest, sign};
use edgeseal_trust::time::UnixTime;

#[test]
fn every_publish_says_who_changed_what_and_proves_it() {
    let place = Place::farm("");
    for number in [1, 2] {
        place.jwk_device(&format!("pump-{number}"), number);
    }
    place.publish("");
    place.run("role add sensor").succeeded();
    place
        .run("device suspend pump-1 --reason battery --no-publish")
        .succeeded();
    place.publish("");
    place.publish("--refresh");
    place
        .run("registrar rotate --keys keys --passphrase-file pass --no-passphrase --yes")
        .succeeded();
    place
        .run("device revoke pump-2 --yes --no-publish")
        .succeeded();
    place.publish("");
    let history = place.run("history --json").json();
    assert_eq!(history["problems"], serde_json::json!([]));
    let entries = history["entries"].as_array().unwrap();
    let said: Vec<String> = entries
        .iter()
        .map(|entry| {
            let (root, sequence) = (&entry["root_version"], &entry["sequence"]);
            assert_eq!(entry["verified"], true);
            format!("{root}/{sequence} {} {}", entry["tables"], entry["devices"])
        })
        .collect();
    assert_eq!(
        said,
        [
            r#"1/1 [] {"pump-1":"new, active","pump-2":"new, active"}"#,
            r#"1/2 ["role sensor: new"] {"pump-1":"active -> suspended (battery)"}"#,
            "1/3 [] {}",
            r#"2/4 ["root version 1 -> 2"] {"pump-2":"active -> revoked"}"#,
        ]
    );
    assert_eq!(entries[0]["signed_by"], entries[1]["signed_by"]);
    assert_ne!(entries[0]["signed_by"], entries[3]["signed_by"]);
    let shown = place.run("history").succeeded();
    assert!(shown.contains("the same content, signed again"), "{shown}");
    let one = place.run("history --device pump-2 --json").json();
    let sequences: Vec<u64> = one["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["sequence"].as_u64().unwrap())
        .collect();
    assert_eq!(sequences, [1, 4]);
}

#[test]
fn only_so_many_manifests_are_kept_and_their_shards_with_them() {
    let place = Place::farm("");
    place.run("history --keep 3").succeeded();
    for number in 1..=5 {
        place.jwk_device(&format!("pump-{number}"), number);
        place.publish("");
    }
    let count = |dir: &str| std::fs::read_dir(place.path(dir)).unwrap().count();
    assert_eq!(count("registry/published/history"), 3);
    assert_eq!(count("registry/published/shard"), 3, "one shard each");
    let history = place.run("history --json").json();
    let entries = history["entries"].as_array().unwrap();
    let verified: Vec<&serde_json::Value> = entries.iter().map(|e| &e["verified"]).collect();
    assert_eq!(verified, [false, false, true, true, true]);
    assert_eq!(entries[0]["devices"]["pump-1"], "new, active");
}

#[test]
fn where_journal_and_manifests_disagree_it_says_so() {
    let place = Place::farm("");
    place.jwk_device("pump-1", 1);
    place.publish("");
    place.run("device suspend pump-1 --no-publish").succeeded();
    place.publish("");
    let journal = String::from_utf8(place.read("registry/history.jsonl")).unwrap();
    let disagrees = |what: &str| {
        let said = place.run("history");
        assert_eq!(said.code, 1, "{}{}", said.stdout, said.stderr);
        assert!(said.stdout.contains(what), "{what}: {}", said.stdout);
    };
    let restore = || place.write("registry/history.jsonl", &journal);
    place.write(
        "registry/history.jsonl",
        journal.replace("active -> suspended", "active -> revoked"),
    );
    disagrees("sequence 2: the journal says other changes of devices than what was signed");
    let first = &journal[..=journal.find('\n').unwrap()];
    place.write("registry/history.jsonl", first);
    disagrees("sequence 2 is signed, and the journal does not have it");
    // The next publish makes the line up, also where a kill left the beginning of one.
    place.write("registry/history.jsonl", &journal[..journal.len() - 9]);
    place.publish("");
    let whole = place.run("history --json").json();
    assert_eq!(whole["entries"].as_array().unwrap().len(), 3);
    assert!(
        String::from_utf8(place.read("registry/history.jsonl"))
            .unwrap()
            .starts_with(&journal)
    );
    restore();
    disagrees("sequence 3 is signed, and the journal does not have it");
    place.publish("");
    let second = place.read("registry/published/history/1-2.json");
    // A manifest that nobody of the root signed.
    let mut content = Document::<Manifest>::load(&second)
        .unwrap()
        .content()
        .clone();
    content.issued_at = UnixTime::from_seconds(1);
    let payload = content.to_payload().unwrap();
    let key = edgeseal_trust::key::SigningKey::from_seed(&[9; 32]);
    place.write(
        "registry/published/history/1-2.json",
        sign(DocumentType::Manifest, &payload, &[&key]),
    );
    disagrees("the manifest is not signed as its root asks");
    std::fs::remove_file(place.path("registry/published/history/1-2.json")).unwrap();
    disagrees("sequence 2, and its signed manifest is not there");
    place.write("registry/published/history/1-2.json", second);
    place.run("history").succeeded();
}
