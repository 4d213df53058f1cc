//! Roles that no person gives alone: whatever way a device comes to one, it is published with it only once enough registrar keys
//! have approved it.

use crate::cards;
use crate::operator::{Place, key};
use crate::publishing::copy;
use edgeseal_trust::document::{BundleReader, DeviceEntry, Shard};
use edgeseal_trust::update::{Current, InForce, Nothing, read_bundle};
use edgeseal_trust::words::Words;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A domain with three registrar keys, each in a directory of its own, any of which publishes; doors need two approvals. `old-door`
/// was one before.
pub(crate) fn farm() -> Place {
    let place = Place::farm_with("--registrar-keys 3");
    for number in [2, 3] {
        let to = format!("key-{number}");
        std::fs::create_dir(place.path(&to)).unwrap();
        let name = format!("registrar-{number}.pem");
        let from = place.path(&format!("keys/{name}"));
        std::fs::rename(from, place.path(&format!("{to}/{name}"))).unwrap();
    }
    for line in [
        "role add sensor",
        "role add door",
        "role grant door --publish door/{device}/open --audience domain",
        "domain broker mqtt://127.0.0.1:9",
    ] {
        place.run(line).succeeded();
    }
    place.write_jwk("jwk", &key(1));
    place
        .run("device add old-door --jwk jwk --role door --role sensor")
        .succeeded();
    let said = place.run("role approvals door 2").succeeded();
    assert!(
        said.contains("1 devices have it already and remain, without approvals: old-door"),
        "{said}"
    );
    place
}

/// The farm with `gate`, which waits for its approvals.
pub(crate) fn farm_with_gate() -> Place {
    let place = farm();
    place.write_jwk("jwk", &key(20));
    place
        .run("device add gate --jwk jwk --role door")
        .succeeded();
    place
}

/// The same, with one approval of it in a file.
pub(crate) fn farm_with_approval(file: &str) -> Place {
    let place = farm_with_gate();
    place
        .run(&format!("approval give gate --keys keys --yes --to {file}"))
        .succeeded();
    place
}

/// Publishes with one key, and gives each device as agents see it: state and roles.
pub(crate) fn published(place: &Place) -> BTreeMap<String, String> {
    place
        .run("publish --keys keys --unsynchronized-clock --to bundle")
        .succeeded();
    let entries = entries(place);
    let shown = |entry: &DeviceEntry| {
        let roles: Vec<&str> = entry.roles.iter().map(|role| role.as_str()).collect();
        format!("{:?} {}", entry.state, roles.join("+"))
            .trim_end()
            .to_owned()
    };
    let entries = entries.iter();
    entries
        .map(|entry| (entry.id.to_string(), shown(entry)))
        .collect()
}

fn entries(place: &Place) -> Vec<DeviceEntry> {
    let file = std::fs::read(place.path("bundle")).unwrap();
    let words = Words::of_root(&std::fs::read(place.path("registry/root/1.json")).unwrap());
    let mut bundle = BundleReader::open(file.as_slice()).unwrap();
    let mut entries = Vec::new();
    let keep = |shard: &Shard, _: &[u8]| {
        entries.extend(shard.devices().iter().cloned());
        Ok(())
    };
    let (current, words) = (Current::default(), Some(&words));
    let update = read_bundle(&mut bundle, current, words, &Nothing, keep).unwrap();
    assert!(matches!(update.in_force, InForce::Manifest(_)));
    entries
}

pub(crate) fn give(place: &Place, what: &str, keys: &str) -> Value {
    place
        .run(&format!("approval give {what} --keys {keys} --yes --json"))
        .json()["approvals"][0]
        .clone()
}

/// Devices come to the role by card, request, key, words, approval of a request, list, and a change of roles.
fn come_by_every_way(place: &Place) {
    let card = cards::create(place, "cards", "--role door").remove(0);
    place.write("joining", cards::request(&card, "by-card", &key(10)));
    place.write("asking", cards::plain("by-request").sign(&key(11)).unwrap());
    place.write_jwk("jwk", &key(12));
    let words = place.write_request("request", "by-words", &key(13));
    place.write_request("waiting", "by-approval", &key(14));
    let x = data_encoding::BASE64URL_NOPAD.encode(&key(15).public().octets());
    place.write("fleet.csv", format!("id,x,roles\nby-csv,{x},door sensor\n"));
    place.write_jwk("plain", &key(16));
    let run = |line: &str| place.run(line).succeeded();
    let said = place
        .run("registrar accept joining --unsynchronized-clock")
        .succeeded();
    assert!(
        said.contains("waits for the operator [approvals]"),
        "{said}"
    );
    run("registrar accept asking --unsynchronized-clock");
    run("device approve by-request --yes --role door");
    let said = run("device add by-jwk --jwk jwk --role door");
    assert!(said.contains("0 of 2 approvals"), "{said}");
    assert!(
        said.contains("edgeseal approval give by-jwk --keys DIR"),
        "{said}"
    );
    let line = [
        "device",
        "add",
        "by-words",
        "--request",
        "request",
        "--role",
        "door",
        "--words",
    ];
    let said = place
        .args(&[line.as_slice(), &[&words, "--json"]].concat())
        .json();
    assert_eq!(said["state"], "pending");
    run("device add by-approval --request waiting --role door");
    run("device approve by-approval --yes");
    let said = run("device add --csv fleet.csv");
    assert!(said.contains("1 of them wait for approvals"), "{said}");
    run("device add by-change --jwk plain --role sensor");
    let said = run("role assign door by-change");
    assert!(
        said.contains("published without the role until then"),
        "{said}"
    );
}

#[test]
fn by_no_way_does_a_device_come_to_the_role_with_less_approvals() {
    let place = farm();
    come_by_every_way(&place);
    let run = |line: &str| place.run(line).succeeded();
    let waiting = [
        "by-approval",
        "by-card",
        "by-csv",
        "by-jwk",
        "by-request",
        "by-words",
    ];
    let before = published(&place);
    for id in waiting {
        let expected = if id == "by-csv" {
            "Pending sensor"
        } else {
            "Pending"
        };
        assert_eq!(before[id], expected, "{id}");
    }
    assert_eq!(before["by-change"], "Active sensor");
    assert_eq!(before["old-door"], "Active door+sensor");
    let listed = run("device list --role door");
    assert_eq!(listed.matches("pending").count(), waiting.len(), "{listed}");
    // One person, twice and by refreshing, is one person.
    for keys in ["keys", "keys"] {
        let said = run(&format!("approval give --all --keys {keys} --yes"));
        assert!(said.contains("by-card: 1 of 2 approvals"), "{said}");
    }
    assert_eq!(published(&place), before);
    let shown = run("device show by-card");
    assert!(shown.starts_with("by-card: pending\n"), "{shown}");
    assert!(shown.contains("1 of 2 approvals (by "), "{shown}");
    let said = run("device pending");
    assert!(said.contains("7 devices wait for approvals"), "{said}");
    run("approval give --all --keys key-2 --yes");
    let after = published(&place);
    for id in waiting {
        let expected = if id == "by-csv" {
            "Active door+sensor"
        } else {
            "Active door"
        };
        assert_eq!(after[id], expected, "{id}");
    }
    assert_eq!(after["by-change"], "Active door+sensor");
    place
        .run("approval give by-card --keys key-3 --yes")
        .refused(1, "approval-unneeded");
}

#[test]
fn an_approval_is_of_one_device_key_and_time() {
    let place = farm_with_approval("first");
    // Elsewhere, without a registry; then here.
    let sign = "approval sign first --keys key-2 --registry none --yes --json";
    let signed = place.run(sign).json();
    assert_eq!(
        signed["approvals"][0]["signed_by"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let said = place.run("approval accept first").succeeded();
    assert!(said.contains("gate: 1 new, 2 of 2 approvals"), "{said}");
    place.run("approval accept first").succeeded();
    assert_eq!(published(&place)["gate"], "Active door");
    let shown = place.run("device show gate").succeeded();
    assert!(shown.contains("role door: approved on "), "{shown}");
    let shown = place.run("device show old-door").succeeded();
    assert!(
        shown.contains("role door: had it before its rule was set"),
        "{shown}"
    );
    // Taken away and given anew: what was approved before counts no more.
    place.run("role unassign door gate").succeeded();
    place.run("role assign door gate").succeeded();
    let said = place.run("approval accept first");
    assert_eq!(said.code, 1);
    assert!(
        said.stdout.contains("[approval-superseded]"),
        "{}",
        said.stdout
    );
    assert_eq!(published(&place)["gate"], "Active");
}

#[test]
fn an_approval_that_is_altered_or_by_a_stranger_counts_for_nothing() {
    let place = farm_with_approval("first");
    let first = place.read("first");
    place
        .run("approval sign first --keys key-2 --registry none --yes")
        .succeeded();
    let approved = place.read("first");
    // Altered: for another device, key, role, or with a signature of somebody else.
    place.write_jwk("jwk", &key(21));
    place
        .run("device add other --jwk jwk --role door")
        .succeeded();
    let mut document: Value = serde_json::from_str(approved.trim()).unwrap();
    let payload = data_encoding::BASE64URL_NOPAD
        .decode(document["payload"].as_str().unwrap().as_bytes())
        .unwrap();
    let payload: Value = serde_json::from_slice(&payload).unwrap();
    let waiting = place.run("approval list --json").json()["waiting"].clone();
    let row = waiting
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["device"] == "other")
        .unwrap();
    let mut forged = payload.clone();
    forged["device"]["id"] = json!("other");
    forged["device"]["kid"] = row["kid"].clone();
    forged["number"] = row["number"].clone();
    document["payload"] = data_encoding::BASE64URL_NOPAD
        .encode(&serde_json::to_vec(&forged).unwrap())
        .into();
    place.write("forged", document.to_string());
    let said = place.run("approval accept forged");
    assert_eq!(said.code, 1);
    assert!(said.stdout.contains("[signature]"), "{}", said.stdout);
    assert_eq!(published(&place)["other"], "Pending");
    // A key that the root does not name.
    let stranger = Place::farm();
    copy(&stranger, "keys", "stolen");
    std::fs::rename(stranger.path("stolen"), place.path("stranger")).unwrap();
    place
        .run("approval give other --keys stranger --yes")
        .refused(1, "no-registrar-key");
    place.write("first", &first);
    place
        .run("approval sign first --keys stranger --registry none --yes")
        .succeeded();
}

/// A damaged approval is a refusal, never a member less or more.
#[test]
fn a_damaged_approval_is_a_refusal() {
    let place = farm();
    place.write_jwk("jwk", &key(21));
    place
        .run("device add other --jwk jwk --role door")
        .succeeded();
    place
        .run("approval give other --keys keys --yes")
        .succeeded();
    place
        .run("approval give other --keys key-3 --yes")
        .succeeded();
    let rows = place.read("registry/approvals.jsonl");
    let rows = rows.replacen(r#"\"payload\":\"eyJ"#, r#"\"payload\":\"eyK"#, 1);
    place.write("registry/approvals.jsonl", rows);
    place
        .run("publish --keys keys --unsynchronized-clock --to bundle")
        .refused(78, "registry-corrupt");
    std::fs::remove_file(place.path("registry/approvals.jsonl")).unwrap();
    place.run("status").refused(78, "registry-corrupt");
}

#[test]
fn the_rule_is_weakened_and_the_role_widened_by_as_many() {
    let place = farm();
    let run = |line: &str| place.run(line).succeeded();
    let grants = |place: &Place| {
        published(place);
        let path = place.path("registry/published/manifest.json");
        let document: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let payload = document["payload"].as_str().unwrap().as_bytes();
        let payload = data_encoding::BASE64URL_NOPAD.decode(payload).unwrap();
        let manifest: Value = serde_json::from_slice(&payload).unwrap();
        let roles = manifest["roles"].as_array().unwrap().iter();
        let door = roles.clone().find(|role| role["name"] == "door").unwrap();
        door["grants"].as_array().map_or(0, Vec::len)
    };
    place
        .run("role approvals door 4")
        .refused(1, "approvals-impossible");
    place.run("role remove door").refused(1, "role-guarded");
    let said = run("role grant door --publish lock/# --audience domain");
    assert!(said.contains("approval give --change door"), "{said}");
    assert_eq!(grants(&place), 1);
    let said = run("role list");
    assert!(said.contains("(waits for approvals)"), "{said}");
    give(&place, "--change door", "keys");
    assert_eq!(grants(&place), 1);
    assert_eq!(give(&place, "--change door", "key-2")["complete"], true);
    assert_eq!(grants(&place), 2);
    // What the role loses, it loses at once.
    run("role withdraw door 1");
    assert_eq!(grants(&place), 1);
    let said = run("role approvals door 0");
    assert!(said.contains("the rule of door stands until"), "{said}");
    place.write_jwk("jwk", &key(20));
    run("device add gate --jwk jwk --role door");
    give(&place, "--change door", "keys");
    assert_eq!(published(&place)["gate"], "Pending");
    give(&place, "--change door", "key-3");
    assert_eq!(published(&place)["gate"], "Active door");
    // Set again, those that have the role remain, and the approval of the end is worth nothing.
    let said = place.run("role approvals door 2 --json").json();
    assert_eq!(said["exempt"], json!(["gate", "old-door"]));
    run("role approvals door 3");
    place.write_jwk("jwk", &key(21));
    run("device add third --jwk jwk --role door");
    give(&place, "third", "keys");
    give(&place, "third", "key-2");
    assert_eq!(published(&place)["third"], "Pending");
    give(&place, "third", "key-3");
    assert_eq!(published(&place)["third"], "Active door");
}

/// What was published before is published again only where it is approved today, by whatever verb.
#[test]
fn an_older_publish_gives_no_role_that_is_not_approved_any_more() {
    let place = farm();
    let run = |line: &str| place.run(line).succeeded();
    place.write_jwk("jwk", &key(20));
    run("device add gate --jwk jwk --role door");
    give(&place, "gate", "keys");
    give(&place, "gate", "key-2");
    assert_eq!(published(&place)["gate"], "Active door");
    let again = "publish --keys keys --unsynchronized-clock --to bundle --refresh --from 1 --yes";
    run("role unassign door gate");
    assert_eq!(published(&place)["gate"], "Active");
    let said = place.run(again).refused(1, "approvals-missing");
    assert!(said.contains("gate"), "{said}");
    assert!(!said.contains("old-door"), "{said}");
    run("role assign door gate");
    place.run(again).refused(1, "approvals-missing");
    place
        .run(&format!(
            "registrar rotate --keys keys --keys key-2 --keys key-3 --replace {} --compromised --from 1 --unsynchronized-clock --no-passphrase --yes",
            kid(&place)
        ))
        .refused(1, "approvals-missing");
    assert_eq!(published(&place)["gate"], "Active");
    // Approved anew, it is given by the older publish as well.
    give(&place, "gate", "keys");
    give(&place, "gate", "key-2");
    run(again);
    // A role that did more then, does no more than was approved since.
    run("role withdraw door 1");
    published(&place);
    let said = place.run(again).refused(1, "approvals-missing");
    assert!(said.contains("the role door may do more"), "{said}");
}

/// A manifest that was signed in part before a rule was set is not published after it.
#[test]
fn a_prepared_manifest_gives_no_role_that_is_not_approved() {
    let place = Place::farm_with("--registrar-keys 2 --registrar-threshold 2");
    std::fs::create_dir(place.path("key-2")).unwrap();
    let name = "registrar-2.pem";
    std::fs::rename(
        place.path("keys").join(name),
        place.path("key-2").join(name),
    )
    .unwrap();
    let run = |line: &str| place.run(line).succeeded();
    run("role add door");
    place.write_jwk("jwk", &key(20));
    run("device add gate --jwk jwk --role door");
    place
        .run("publish --keys keys --unsynchronized-clock --to bundle")
        .refused(75, "signatures-missing");
    let prepared = std::fs::read_dir(place.path("registry/prepared")).unwrap();
    let mut files = prepared.map(|entry| entry.unwrap().path());
    let file = files.find(|path| path.is_file()).unwrap();
    std::fs::copy(file, place.path("prepared")).unwrap();
    run("publish sign prepared --keys key-2 --yes");
    run("role unassign door gate");
    run("role approvals door 2");
    run("role assign door gate");
    let said = place
        .run("publish --signed prepared --to bundle")
        .refused(1, "approvals-missing");
    assert!(said.contains("gate"), "{said}");
    assert!(!place.path("registry/published/manifest.json").exists());
}

#[test]
fn a_person_is_shown_all_that_they_approve_and_no_number_is_used_twice() {
    let place = farm();
    let run = |line: &str| place.run(line).succeeded();
    let mut csv = "id,x,roles\n".to_owned();
    for number in 20..65 {
        let x = data_encoding::BASE64URL_NOPAD.encode(&key(number).public().octets());
        csv.push_str(&format!("door-{number},{x},door\n"));
    }
    place.write("fleet.csv", csv);
    run("device add --csv fleet.csv");
    run("role grant door --publish lock/# --audience domain");
    run("approval give --all --change door --keys keys --yes --to file");
    let sign = [
        "approval",
        "sign",
        "file",
        "--keys",
        "key-2",
        "--registry",
        "none",
    ];
    let said = place.answer(&sign, "n\n");
    let rule = said.stderr.find("the role door: ").unwrap();
    for number in 20..65 {
        let device = said.stderr.find(&format!("door-{number} gets"));
        assert!(device.unwrap() > rule, "{number}: {}", said.stderr);
    }
    // As if a crash had come between the two files of a decision.
    let path = place.path("registry/roles.json");
    let mut roles: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let next = roles["approvals"]["next"].as_u64().unwrap();
    roles["approvals"]["next"] = json!(1);
    std::fs::write(&path, roles.to_string()).unwrap();
    place.write_jwk("jwk", &key(70));
    run("device add late --jwk jwk --role door");
    assert_eq!(give(&place, "late", "keys")["number"], next + 1);
    // Where a registry is at hand, what it does not wait for is not signed.
    run("role unassign door door-20");
    place
        .run("approval sign file --keys key-2 --yes")
        .refused(1, "approval-superseded");
}

/// The kid of a registrar key.
pub(crate) fn kid(place: &Place) -> String {
    let shown = place.run("root show --json").json();
    shown["roots"][0]["registrar"]["keys"][0]
        .as_str()
        .unwrap()
        .to_owned()
}
