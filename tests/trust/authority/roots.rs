//! The next root: one version higher, signed by both thresholds, from machine to machine.

use super::place::Place;
use edgeseal_trust::document::{BundleReader, Document, DocumentType, Root, sign};
use edgeseal_trust::store::Store;
use edgeseal_trust::update::UpdateError;
use edgeseal_trust::words::Words;

const ROTATE: &str = "root rotate --keys keys --passphrase-file pass --yes";

#[test]
fn a_device_that_slept_through_several_roots_catches_up_one_by_one() {
    let place = Place::farm("");
    let words = first_words(&place);
    let awake = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(awake.path()).unwrap();
    let first = place.publish("");
    let _ = store.apply_bundle(&first[..], Some(&words)).unwrap();
    place.run(&format!("{ROTATE} --replace")).succeeded();
    place
        .run(&format!("{ROTATE} --new-root-keys 2 --root-threshold 2"))
        .succeeded();
    place
        .run("registrar rotate --keys keys --passphrase-file pass --no-passphrase --yes")
        .succeeded();
    let kept = place.run("root show --json").json();
    assert_eq!(kept["newest"], 4);
    let third = &kept["roots"][2]["root"];
    assert_eq!(
        (&third["threshold"], third["keys"].as_array().unwrap().len()),
        (&2.into(), 3)
    );
    assert_eq!(
        kept["roots"][3]["root"], *third,
        "a registrar's key changes no root key"
    );
    assert_ne!(kept["roots"][0]["registrar"], kept["roots"][3]["registrar"]);
    let last = place.publish("");
    let applied = store.apply_bundle(&last[..], None).unwrap();
    assert_eq!(applied.new_roots, 3);
    let trust = store.trust().unwrap();
    assert_eq!((trust.root_version, trust.sequence), (4, 2));
    drop(store);
    let (store, _) = Store::open(awake.path()).unwrap();
    assert_eq!(store.trust().unwrap().root_version, 4);
    // The file holds every root: a device that knows only the first words needs nothing else.
    let fresh = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(fresh.path()).unwrap();
    let _ = store.apply_bundle(&last[..], Some(&words)).unwrap();
    assert_eq!(store.trust().unwrap().root_version, 4);
    // Without the second root in between, nothing follows.
    let asleep = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(asleep.path()).unwrap();
    let _ = store.apply_bundle(&first[..], Some(&words)).unwrap();
    assert_eq!(refused(&store, &without_root(&last, 2)), "root-version");
}

#[test]
fn two_of_three_root_keys_sign_on_machines_of_their_own() {
    let place = Place::farm("--root-keys 3 --root-threshold 2");
    for (number, holder) in [(1, "anna"), (2, "ben"), (3, "carla")] {
        place.move_key(&format!("keys/root-{number}.pem"), holder);
    }
    place
        .run("root key --keys dora --to dora.jwk --passphrase-file pass")
        .succeeded();
    let shown = place.run("root show --json").json();
    let gone = shown["roots"][0]["root"]["keys"][2]
        .as_str()
        .unwrap()
        .to_owned();
    let rotate = format!(
        "root rotate --keys anna --passphrase-file pass --yes --to next \
         --add-root dora.jwk --remove-root {gone}"
    );
    let waits = place.run(&format!("{rotate} --json")).json();
    assert_eq!(
        (
            &waits["state"],
            &waits["missing_before"],
            &waits["missing_after"]
        ),
        (&"waits".into(), &1.into(), &1.into())
    );
    place
        .run("root accept next")
        .refused(75, "signatures-missing");
    // A key that is none of both signs nothing; a person who does not answer yes signs nothing.
    place
        .run("root key --keys eve --to eve.jwk --passphrase-file pass")
        .succeeded();
    let eve = "root sign next --keys eve --passphrase-file pass --yes";
    place.run(eve).refused(1, "threshold");
    let asked = place
        .run("root sign next --keys ben --passphrase-file pass")
        .refused(1, "not-confirmed");
    for said in [
        "root version 1 -> 2",
        &format!("REMOVES root key {gone}"),
        "ADDS    root key",
        "registrar keys: 1 of 1 must sign manifests, unchanged",
        &format!("the words: {}", first_words(&place)),
    ] {
        assert!(asked.contains(said), "{said}: {asked}");
    }
    place
        .run("root accept next")
        .refused(75, "signatures-missing");
    // Carla's key goes: her signature completes the old threshold, not the new one.
    let sign = |who: &str| {
        place
            .run(&format!(
                "root sign next --keys {who} --passphrase-file pass --yes --json"
            ))
            .json()
    };
    let said = sign("carla");
    assert_eq!(
        (
            &said["state"],
            &said["missing_before"],
            &said["missing_after"]
        ),
        (&"waits".into(), &0.into(), &1.into())
    );
    place
        .run("root accept next")
        .refused(75, "signatures-missing");
    assert_eq!(sign("dora")["state"], "signed");
    let accepted = place.run("root accept next --json").json();
    assert_eq!(accepted["root_version"], 2);
    let kept = place.read("registry/root/2.json");
    place.run("root accept next").succeeded();
    assert_eq!(place.read("registry/root/2.json"), kept);
    place.publish("");
}

#[test]
fn a_root_is_refused_that_was_altered_or_has_a_rival() {
    let place = Place::farm("--root-keys 2 --root-threshold 2");
    place.move_key("keys/root-2.pem", "ben");
    let rotate = |days: u32, to: &str| {
        place
            .run(&format!("{ROTATE} --days {days} --to {to}"))
            .succeeded();
    };
    rotate(100, "one");
    rotate(200, "two");
    // Another root is not written over one that people sign.
    place
        .run(&format!("{ROTATE} --days 300 --to one"))
        .refused(1, "file-exists");
    for file in ["one", "two"] {
        place
            .run(&format!(
                "root sign {file} --keys ben --passphrase-file pass --yes"
            ))
            .succeeded();
    }
    let text = String::from_utf8(place.read("one")).unwrap();
    place.write("cut", &text[..text.len() / 2]);
    place
        .run("root accept cut")
        .refused(1, "not-a-prepared-root");
    place.run("root accept bundle").refused(69, "file-missing");
    // Signatures of the other root under this payload.
    let (one, two) = (inner(&place, "one"), inner(&place, "two"));
    let mut mixed: serde_json::Value = serde_json::from_slice(&one).unwrap();
    let other: serde_json::Value = serde_json::from_slice(&two).unwrap();
    mixed["signatures"] = other["signatures"].clone();
    let mut file: serde_json::Value = serde_json::from_str(&text).unwrap();
    file["root"] = mixed.to_string().into();
    place.write("mixed", file.to_string());
    place
        .run("root accept mixed")
        .refused(75, "signatures-missing");
    place.run("root accept one").succeeded();
    place.run("root accept two").refused(1, "root-conflict");
    place.run("root accept one").succeeded();
    let shown = place.run("root show").succeeded();
    assert!(shown.contains("root version 2, newest"), "{shown}");
    place
        .run("root show --version 3")
        .refused(1, "root-unknown");
}

#[test]
fn a_root_that_nothing_could_follow_is_refused_and_no_key_is_left() {
    let place = Place::farm("");
    let shown = place.run("root show --json").json();
    let only = shown["roots"][0]["root"]["keys"][0]
        .as_str()
        .unwrap()
        .to_owned();
    let registrar = shown["roots"][0]["registrar"]["keys"][0]
        .as_str()
        .unwrap()
        .to_owned();
    for (change, code) in [
        (format!("--remove-root {only}"), "last-key"),
        (format!("--remove-registrar {registrar}"), "last-key"),
        ("--root-threshold 2".to_owned(), "threshold-impossible"),
        (
            "--new-root-keys 1 --root-threshold 3".to_owned(),
            "threshold-impossible",
        ),
        ("--registrar-threshold 0".to_owned(), "threshold-impossible"),
        (format!("--remove-root {}", "A".repeat(43)), "key-unknown"),
    ] {
        place.run(&format!("{ROTATE} {change}")).refused(1, code);
    }
    place
        .run(&format!("{ROTATE} --new-root-keys 17"))
        .refused(2, "key-count");
    place
        .run("root rotate --keys keys --new-root-keys 1 --new-keys registry/keys --yes")
        .refused(78, "keys-in-registry");
    place.write_private("wrong", "another passphrase\n");
    place
        .run("root rotate --keys keys --passphrase-file wrong --replace --yes")
        .refused(77, "passphrase-wrong");
    // Nobody confirms: nothing is made.
    place
        .run("root rotate --keys keys --passphrase-file pass --replace")
        .refused(1, "not-confirmed");
    let mut left: Vec<_> = std::fs::read_dir(place.path("keys"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["registrar-1.pem", "root-1.pem"]);
    assert!(!place.path("registry/root/2.json").exists());
}

#[test]
fn a_registrar_key_is_exchanged_or_joined_by_another() {
    let place = Place::farm("");
    place.publish("");
    let rotate = "registrar rotate --keys keys --passphrase-file pass --no-passphrase --yes";
    place.run(&format!("{rotate} --keep-old")).succeeded();
    place.run(rotate).refused(2, "key-not-named");
    let shown = place.run("root show --version 2 --json").json();
    let keys = shown["roots"][0]["registrar"]["keys"]
        .as_array()
        .unwrap()
        .clone();
    assert_eq!(keys.len(), 2);
    let old = keys[0].as_str().unwrap();
    place.run(&format!("{rotate} --replace {old}")).succeeded();
    // The old key alone signs nothing any more; the two others are both good.
    place.move_key("keys/registrar-1.pem", "old");
    place
        .run("publish --keys old --unsynchronized-clock --to b")
        .refused(1, "threshold");
    place.publish("");
    place.move_key("keys/registrar-3.pem", "third");
    place.publish("");
}

/// The words of the first root.
pub(super) fn first_words(place: &Place) -> Words {
    Words::of_root(&place.read("registry/root/1.json"))
}

/// The code with which a store refuses a bundle.
pub(super) fn refused(store: &Store, bundle: &[u8]) -> &'static str {
    match store.apply_bundle(bundle, None).unwrap_err() {
        UpdateError::Rejected(why) => why.code(),
        other => panic!("{other}"),
    }
}

fn inner(place: &Place, file: &str) -> Vec<u8> {
    let file: serde_json::Value = serde_json::from_slice(&place.read(file)).unwrap();
    file["root"].as_str().unwrap().as_bytes().to_vec()
}

fn without_root(bundle: &[u8], version: u64) -> Vec<u8> {
    let mut reader = BundleReader::open(bundle).unwrap();
    let manifest = reader.manifest().to_vec();
    let roots: Vec<Vec<u8>> = reader.roots().map(<[u8]>::to_vec).collect();
    let kept: Vec<&[u8]> = roots
        .iter()
        .map(Vec::as_slice)
        .filter(|octets| Document::<Root>::load(octets).unwrap().content().version != version)
        .collect();
    super::drill::bundle(&kept, &manifest, &super::drill::shards(&mut reader))
}

#[test]
fn an_unsigned_root_is_only_a_proposal() {
    // What `root rotate` starts from: a document without signatures is read, and believed by nobody.
    let place = Place::farm("");
    let root = Document::<Root>::load(&place.read("registry/root/1.json")).unwrap();
    let payload = root.content().to_payload().unwrap();
    let bare = sign(DocumentType::Root, &payload, &[]);
    let read = Document::<Root>::load(&bare).unwrap();
    assert!(read.verify(&root.content().root).is_err());
}
