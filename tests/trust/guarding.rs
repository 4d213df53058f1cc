//! What keeps a rule of approval from cutting devices off: roots that name too few keys, approvals that were lost.

use crate::approving::{farm, farm_with_approval, farm_with_gate, give, kid, published};
use crate::operator::{Outcome, Place, key};
use serde_json::json;

/// The lines of `approvals.jsonl` without that of a device.
fn lose_line(place: &Place, id: &str) {
    let rows = place.read(FILE);
    let kept = rows
        .split_inclusive('\n')
        .filter(|row| !row.contains(&format!("{{\"device\":\"{id}\"")));
    let kept: String = kept.collect();
    assert_ne!(kept, rows);
    place.write(FILE, kept);
}

fn publish(place: &Place, more: &str) -> Outcome {
    place.run(&format!(
        "publish --keys keys --unsynchronized-clock --to bundle {more}"
    ))
}

/// A farm with `gate`, approved by two and published.
fn with_gate() -> Place {
    let place = farm_with_gate();
    give(&place, "gate", "keys");
    give(&place, "gate", "key-2");
    assert_eq!(published(&place)["gate"], "Active door");
    place
}

#[test]
fn no_root_is_made_under_which_a_rule_could_not_be_met() {
    let place = farm();
    let rotate = |remove: &str| {
        let rotate = "root rotate --keys keys --passphrase-file pass --yes --remove-registrar";
        place.run(&format!("{rotate} {remove}"))
    };
    rotate(&kid(&place)).succeeded();
    let said = rotate(&newest_kid(&place)).refused(1, "approvals-impossible");
    assert!(
        said.contains("the role door asks for 2 approvals"),
        "{said}"
    );
    assert!(said.contains("edgeseal role approvals door 1"), "{said}");
    let shown = place.run("root show --json").json();
    assert_eq!(shown["roots"].as_array().unwrap().len(), 2);
    // A key that goes for one that comes is no key less.
    place
        .run(&format!(
            "registrar rotate --keys keys --passphrase-file pass --no-passphrase --yes --replace {}",
            newest_kid(&place)
        ))
        .succeeded();
}

#[test]
fn a_root_that_was_prepared_before_the_rule_is_judged_when_it_is_accepted() {
    let place = Place::farm_with("--registrar-keys 2 --root-keys 2 --root-threshold 2");
    std::fs::create_dir(place.path("anna")).unwrap();
    let names = ["keys/root-2.pem", "anna/root-2.pem"].map(|name| place.path(name));
    std::fs::rename(&names[0], &names[1]).unwrap();
    let rotate = "root rotate --keys keys --passphrase-file pass --yes --to next";
    place
        .run(&format!("{rotate} --remove-registrar {}", kid(&place)))
        .succeeded();
    place.run("role add door").succeeded();
    place.run("role approvals door 2").succeeded();
    place
        .run("root sign next --keys anna --passphrase-file pass --yes")
        .succeeded();
    place
        .run("root accept next")
        .refused(1, "approvals-impossible");
    // Once the rule is there, no such root is prepared at all.
    let rotate = rotate.replace("next", "other");
    place
        .run(&format!("{rotate} --remove-registrar {}", kid(&place)))
        .refused(1, "approvals-impossible");
    assert!(!place.path("other").exists());
    let shown = place.run("root show --json").json();
    assert_eq!(shown["roots"].as_array().unwrap().len(), 1);
}

#[test]
fn whoever_was_published_is_not_dropped_because_its_approvals_were_lost() {
    let place = with_gate();
    let whole = place.read(FILE);
    for id in ["gate", "old-door"] {
        lose_line(&place, id);
        let said = publish(&place, "").refused(78, "approvals-lost");
        assert!(said.contains(&format!("{id} among them")), "{said}");
        assert!(said.contains("edgeseal approval give --all"), "{said}");
        let shown = place.run("status --json").json();
        assert_eq!(shown["unpublished"]["unapproved"], json!([id]));
        place.write(FILE, &whole);
        assert_eq!(published(&place)["gate"], "Active door");
    }
    // Approved anew it goes on, and not before the last of them.
    lose_line(&place, "gate");
    give(&place, "gate", "keys");
    publish(&place, "").refused(78, "approvals-lost");
    give(&place, "gate", "key-3");
    assert_eq!(published(&place)["gate"], "Active door");
    // Let go on purpose, it is pending, and nothing is said any more.
    lose_line(&place, "gate");
    publish(&place, "--drop-unapproved").succeeded();
    assert_eq!(published(&place)["gate"], "Pending");
    assert_eq!(published(&place)["old-door"], "Active door+sensor");
}

/// What is lost of a line is lost too, and what somebody took is not.
#[test]
fn an_approval_that_was_taken_back_is_not_lost() {
    let place = with_gate();
    let whole = place.read(FILE);
    let gate = whole.lines().find(|row| row.contains("\"gate\"")).unwrap();
    let mut row: serde_json::Value = serde_json::from_str(gate).unwrap();
    row.as_object_mut().unwrap().remove("given").unwrap();
    place.write(FILE, whole.replace(gate, &row.to_string()));
    publish(&place, "").refused(78, "approvals-lost");
    place.write(FILE, &whole);
    place.run("role unassign door gate").succeeded();
    place.run("role assign door gate").succeeded();
    assert_eq!(published(&place)["gate"], "Active");
}

/// Whatever a file of approvals has become on its way, the registry is as before, and says why.
#[test]
fn a_file_of_approvals_that_is_damaged_or_of_another_domain_is_refused() {
    let place = farm_with_approval("good");
    place
        .run("approval sign good --keys key-2 --registry none --yes")
        .succeeded();
    let (good, before) = (place.read("good"), place.read(FILE));
    let half = &good[..good.len() / 2];
    for damaged in [half, "{}", "", "\n\n", &format!("{good}{half}")] {
        place.write("damaged", damaged);
        let code = match damaged.trim() {
            "" => "approvals-none",
            _ => "malformed",
        };
        place.run("approval accept damaged").refused(1, code);
        let sign = "approval sign damaged --keys key-2 --registry none --yes";
        place.run(sign).refused(1, code);
        assert_eq!(place.read("damaged"), damaged);
    }
    // An octet of the second signature.
    let at = good.rfind("\"signature\":\"").unwrap() + 20;
    let other = if &good[at..=at] == "A" { "B" } else { "A" };
    place.write(
        "damaged",
        format!("{}{other}{}", &good[..at], &good[at + 1..]),
    );
    let said = place.run("approval accept damaged");
    assert_eq!(said.code, 1);
    assert!(said.stdout.contains("[signature]"), "{}", said.stdout);
    for line in [
        "domain init barn --registry barn --keys barn-keys --registrar-keys 2 --no-passphrase --passphrase-file pass",
        "role add door --registry barn",
        "role approvals door 2 --registry barn",
        "device add gate --jwk jwk --role door --registry barn",
        "approval give gate --registry barn --keys barn-keys --yes --to of-barn",
    ] {
        place.run(line).succeeded();
    }
    let said = place.run("approval accept of-barn");
    assert_eq!(said.code, 1);
    assert!(said.stdout.contains("[domain]"), "{}", said.stdout);
    place
        .run("approval sign of-barn --keys keys --yes")
        .refused(1, "domain");
    assert_eq!(place.read(FILE), before);
    assert_eq!(published(&place)["gate"], "Pending");
}

#[test]
fn one_damaged_approval_among_many_is_found() {
    let place = farm();
    let mut csv = "id,x,roles\n".to_owned();
    for number in 0..150 {
        let x = data_encoding::BASE64URL_NOPAD.encode(&key(number + 100).public().octets());
        csv.push_str(&format!("door-{number:03},{x},door\n"));
    }
    place.write("fleet.csv", csv);
    for line in [
        "device add --csv fleet.csv",
        "approval give --all --keys keys --yes",
        "approval give --all --keys key-2 --yes",
    ] {
        place.run(line).succeeded();
    }
    assert_eq!(published(&place)["door-149"], "Active door");
    let whole = place.read(FILE);
    for id in ["door-000", "door-070", "door-149"] {
        let row = whole.lines().find(|row| row.contains(id)).unwrap();
        let damaged = row.replacen(r#"\"signature\":\""#, r#"\"signature\":\"AA"#, 1);
        assert_ne!(damaged, row);
        place.write(FILE, whole.replace(row, &damaged));
        let said = publish(&place, "").refused(78, "registry-corrupt");
        assert!(said.contains(&format!("the approval of {id}:")), "{said}");
    }
}

fn newest_kid(place: &Place) -> String {
    let shown = place.run("root show --json").json();
    let newest = shown["roots"].as_array().unwrap().iter();
    let newest = newest.max_by_key(|root| root["version"].as_u64()).unwrap();
    newest["registrar"]["keys"][0].as_str().unwrap().to_owned()
}

const FILE: &str = "registry/approvals.jsonl";
