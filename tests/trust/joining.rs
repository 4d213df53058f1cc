//! Join files and requests, wholly by file: what a site without a network does.

use crate::cards::{create, files, plain, request};
use crate::operator::{Place, key};
use std::os::unix::fs::PermissionsExt;

fn farm() -> Place {
    let place = Place::farm();
    place.run("role add sensor").succeeded();
    place.run("domain broker mqtt://127.0.0.1:1883").succeeded();
    place
}

const ACCEPT: &str = "registrar accept --unsynchronized-clock --json";

#[test]
fn cards_are_made_one_file_each_and_enroll_one_device_each() {
    let place = farm();
    let cards = create(&place, "cards", "--role sensor --count 5");
    assert_eq!(files(&place, "cards").len(), 5);
    for path in files(&place, "cards") {
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    assert!(
        place
            .read("cards/README.txt")
            .contains("edgeseal/join.json")
    );
    let mut lines = Vec::new();
    for (number, card) in (0_u32..).zip(&cards) {
        let id = format!("sensor-{number}");
        lines.extend(request(card, &id, &key(number)));
        lines.push(b'\n');
    }
    place.write("requests", &lines);
    let accepted = place.run(&format!("{ACCEPT} requests")).json();
    assert_eq!(accepted["account"]["decisions"]["enrolled"], 5);
    let accepted = place.run(&format!("{ACCEPT} requests")).json();
    assert_eq!(accepted["account"]["decisions"]["again"], 5);
    assert_eq!(place.device("sensor-3")["roles"][0], "sensor");
    let published = place.run("publish --keys keys --unsynchronized-clock --to bundle --json");
    assert_eq!(published.json()["devices"], 5);

    // A copy of a card, in another device.
    place.write("copy", request(&cards[2], "sensor-9", &key(9)));
    let refused = place.run("registrar accept --unsynchronized-clock copy");
    assert_eq!(refused.code, 1);
    assert!(refused.stdout.contains("[join-used]"), "{}", refused.stdout);
    let listed = place.run("join list --json").json();
    let rows = listed["tokens"].as_array().unwrap();
    assert!(rows.iter().all(|row| row["state"] == "used"));
    let refused = rows.iter().filter(|row| row["refused"]["join-used"] == 1);
    assert_eq!(refused.count(), 1);
    assert_eq!(listed["refused"]["join-used"]["count"], 1);
    let text = place.run("join list").succeeded();
    assert!(text.contains("; refused 1 times [join-used]"), "{text}");
}

#[test]
fn tokens_are_bound_revoked_and_run_out() {
    let place = farm();
    let bound = create(
        &place,
        "bound",
        "--role sensor --device pump-1 --serial serial-of-pump-1",
    );
    place.write("wrong", request(&bound[0], "pump-2", &key(2)));
    place
        .run("registrar accept --unsynchronized-clock wrong")
        .stdout
        .contains("[join-device]");
    let revoked = create(&place, "revoked", "--role sensor");
    let id = revoked[0].join.id;
    place.run(&format!("join revoke {id}")).succeeded();
    let again = place.run(&format!("join revoke {id}")).succeeded();
    assert!(again.contains("already"), "{again}");
    place.write("revoked.request", request(&revoked[0], "pump-3", &key(3)));
    let said = place.run("registrar accept --unsynchronized-clock revoked.request");
    assert!(said.stdout.contains("[join-revoked]"), "{}", said.stdout);
    let short = create(&place, "short", "--role sensor --expires 1s");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    place.write("late", request(&short[0], "pump-4", &key(4)));
    let said = place.run("registrar accept --unsynchronized-clock late");
    assert!(said.stdout.contains("[join-expired]"), "{}", said.stdout);
    place.write("right", request(&bound[0], "pump-1", &key(1)));
    place.run(&format!("{ACCEPT} right")).json();
    place
        .run(&format!("join revoke {}", bound[0].join.id))
        .refused(1, "join-used");
    assert_eq!(place.device("pump-1")["state"], "active");
}

#[test]
fn join_files_never_lie_in_the_registry_or_in_git_and_need_a_broker() {
    let place = Place::farm();
    place.run("role add sensor").succeeded();
    let create = "join create --role sensor --keys keys --unsynchronized-clock --out";
    place
        .run(&format!("{create} cards"))
        .refused(1, "no-broker");
    place.run("domain broker mqtt://127.0.0.1:1883").succeeded();
    place
        .run(&format!("{create} registry/cards"))
        .refused(78, "keys-in-registry");
    std::fs::create_dir_all(place.path("tree/.git")).unwrap();
    place
        .run(&format!("{create} tree/cards"))
        .refused(78, "keys-in-git");
    place
        .run("join create --role pump --keys keys --unsynchronized-clock --out cards")
        .refused(1, "role-unknown");
    assert!(!place.path("cards").exists());
    assert_eq!(
        place.run("join list --json").json()["tokens"],
        serde_json::json!([])
    );
}

#[test]
fn requests_wait_are_shown_with_their_words_and_decided() {
    let place = farm();
    let mut words = Vec::new();
    let mut lines = Vec::new();
    for number in 0..3 {
        let octets = plain(&format!("pump-{number}")).sign(&key(number)).unwrap();
        words.push(edgeseal_trust::words::Words::of_request(&octets).to_string());
        lines.extend(octets);
        lines.push(b'\n');
    }
    place.write("requests", lines);
    let accepted = place.run(&format!("{ACCEPT} requests")).json();
    assert_eq!(accepted["account"]["decisions"]["pending"], 3);
    let shown = place.run("device pending").succeeded();
    for words in &words {
        assert!(shown.contains(words), "{shown}");
    }
    place
        .args(&[
            "device", "approve", "pump-0", "--words", &words[1], "--role", "sensor",
        ])
        .refused(1, "words-differ");
    place
        .args(&[
            "device", "approve", "pump-0", "--words", &words[0], "--role", "sensor",
        ])
        .succeeded();
    assert_eq!(place.device("pump-0")["roles"][0], "sensor");
    place
        .answer(&["device", "approve", "pump-1"], "y\n")
        .succeeded();
    assert_eq!(place.device("pump-1")["state"], "active");
    place
        .args(&["device", "reject", "pump-2", "--reason", "not one of ours"])
        .succeeded();
    place
        .args(&["device", "reject", "pump-2", "--reason", "again"])
        .refused(1, "request-unknown");
    let pending = place.run("device pending --json").json();
    assert_eq!(pending["pending"], serde_json::json!([]));
    assert_eq!(pending["rejected"][0]["reason"], "not one of ours");
    let again = place.run(&format!("{ACCEPT} requests")).json();
    assert_eq!(again["account"]["decisions"]["again"], 2);
    assert_eq!(again["account"]["decisions"]["rejected"], 1);
    place
        .run("device approve pump-2 --yes")
        .refused(1, "device-unknown");
}

#[test]
fn thousands_are_preauthorized_by_serial_and_get_a_card_each() {
    let place = farm();
    let mut csv = "id,x,roles,serial\n".to_owned();
    for number in 0..200 {
        csv.push_str(&format!("pump-{number},,sensor,serial-of-pump-{number}\n"));
    }
    place.write("fleet.csv", &csv);
    let dry = place
        .run("device add --csv fleet.csv --dry-run --json")
        .json();
    assert_eq!(
        (&dry["expected"], &dry["applied"]),
        (&200.into(), &false.into())
    );
    assert_eq!(
        place.run("device list --json").json()["devices"],
        serde_json::json!([])
    );
    let first = place.run("device add --csv fleet.csv --json").json();
    assert_eq!(first["expected"], 200);
    let again = place.run("device add --csv fleet.csv --json").json();
    assert_eq!(
        (&again["expected"], &again["present"]),
        (&0.into(), &200.into())
    );
    place
        .run("device approve pump-7 --yes")
        .refused(1, "request-unknown");
    let cards = create(&place, "cards", "--expected");
    assert_eq!(cards.len(), 200);
    assert_eq!(create(&place, "cards", "--expected").len(), 0);
    let mut lines = Vec::new();
    for (number, card) in (0_u32..).zip(&cards) {
        let id = card.join.device.clone().unwrap();
        lines.extend(request(card, id.as_str(), &key(number)));
        lines.push(b'\n');
    }
    place.write("requests", lines);
    let accepted = place.run(&format!("{ACCEPT} requests")).json();
    assert_eq!(accepted["account"]["decisions"]["enrolled"], 200);
    assert_eq!(place.device("pump-7")["state"], "active");
    assert_eq!(place.device("pump-7")["roles"][0], "sensor");
    // The list once more: everything is there.
    let again = place.run("device add --csv fleet.csv --json").json();
    assert_eq!(again["present"], 200);
    // A keyless line beside one with a key, and one with neither.
    place.write("mixed.csv", "id,x,serial\nold-1,,\n");
    let mixed = place.run("device add --csv mixed.csv");
    assert!(mixed.stdout.contains("[key-length]"), "{}", mixed.stdout);
}
