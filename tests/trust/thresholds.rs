//! Several registrars: a manifest is prepared, signed on separate machines, and published once it has its signatures.

use crate::operator::Place;
use crate::publishing::copy;

/// A domain whose manifests need two of three registrar keys, each in a directory of its own.
fn two_of_three() -> Place {
    let place = Place::empty();
    place
        .run(
            "domain init farm --keys keys --no-passphrase --passphrase-file pass --registrar-keys 3 \
             --registrar-threshold 2",
        )
        .succeeded();
    for number in [2, 3] {
        let to = format!("key-{number}");
        std::fs::create_dir(place.path(&to)).unwrap();
        let name = format!("registrar-{number}.pem");
        let from = place.path(&format!("keys/{name}"));
        std::fs::rename(from, place.path(&format!("{to}/{name}"))).unwrap();
    }
    place.write_jwk("shed-1.jwk", &crate::operator::key(1));
    place.run("device add shed-1 --jwk shed-1.jwk").succeeded();
    place
}

#[test]
fn signatures_are_collected_by_file() {
    let place = two_of_three();
    place.run(&format!("{PUBLISH} --keys key-2")).succeeded();
    let revoke =
        "device revoke shed-1 --yes --keys keys --unsynchronized-clock --broker mqtt://127.0.0.1:9";
    let said = place.run(revoke).refused(75, "signatures-missing");
    assert!(
        said.contains("shed-1 is revoked; sequence 2 waits in registry/prepared/manifest.json"),
        "{said}"
    );
    assert!(said.contains("1 of the 2 signatures"), "{said}");
    let prepared = place.read("registry/prepared/manifest.json");
    place
        .run("publish --signed registry/prepared/manifest.json")
        .refused(1, "threshold");
    let status = place.run("status").succeeded();
    assert!(
        status.contains(
            "WAITS for signatures: sequence 2 in registry/prepared/manifest.json, 1 of 2 (by "
        ),
        "{status}"
    );
    assert!(
        status.contains("edgeseal publish sign registry/prepared/manifest.json --keys DIR")
            && status.ends_with("The manifest that waits has these devices.\n"),
        "{status}"
    );
    let status = place.run("status --json").json()["prepared"].clone();
    assert_eq!(
        (&status["needed"], &status["has_all_devices"]),
        (&2.into(), &true.into())
    );
    // A timer does not take the place of what waits.
    let refresh = format!("{PUBLISH} --refresh");
    let said = place.run(&refresh).refused(75, "signatures-missing");
    assert!(said.contains("sequence 2 waits"), "{said}");
    assert_eq!(place.read("registry/prepared/manifest.json"), prepared);
    // Elsewhere, with a copy of the registry: it shows what changes, and asks.
    std::fs::create_dir(place.path("elsewhere")).unwrap();
    copy(&place, "registry", "elsewhere/registry");
    place.write("manifest.json", &prepared);
    let sign = [
        "publish",
        "sign",
        "manifest.json",
        "--keys",
        "key-2",
        "--registry",
        "elsewhere/registry",
    ];
    let no = place.answer(&sign, "n\n");
    assert_eq!(no.code, 1);
    assert!(
        no.stderr.contains("shed-1: active -> revoked"),
        "{}",
        no.stderr
    );
    assert_eq!(place.read("manifest.json"), prepared);
    let yes = place.answer(&sign, "y\n");
    assert!(
        yes.stdout.contains("2 of 2 signatures"),
        "{}{}",
        yes.stdout,
        yes.stderr
    );
    let done = place.run("publish --signed manifest.json --json").json();
    assert_eq!(
        (&done["sequence"], &done["shards_changed"]),
        (&2.into(), &1.into())
    );
    assert!(!place.path("registry/prepared").exists());
    assert_eq!(
        place.run("status --json").json()["prepared"],
        serde_json::Value::Null
    );
    place
        .run("publish --signed manifest.json")
        .refused(1, "prepared-superseded");
    place.run("publish --again --to again.edgeseal").succeeded();
}

#[test]
fn without_a_registry_a_signature_is_given_for_what_the_manifest_says() {
    let place = two_of_three();
    place.run(PUBLISH).refused(75, "signatures-missing");
    let prepared = place.read("registry/prepared/manifest.json");
    place.write("manifest.json", &prepared);
    let line = "publish sign manifest.json --keys key-3 --registry none --yes --json";
    let signed = place.run(line).json();
    assert_eq!(signed["signed_by"].as_array().unwrap().len(), 2);
    // A second time adds nothing.
    assert_eq!(place.run(line).json(), signed);
    place.run("publish --signed manifest.json").succeeded();
    // An older one is not published over a newer one.
    let refresh = format!("{PUBLISH} --refresh");
    place.run(&refresh).refused(75, "signatures-missing");
    copy(&place, "registry/prepared/manifest.json", "older.json");
    place.run(&format!("{PUBLISH} --keys key-3")).succeeded();
    place
        .run("publish sign older.json --keys key-2 --yes")
        .succeeded();
    place
        .run("publish --signed older.json")
        .refused(1, "prepared-superseded");
}

const PUBLISH: &str = "publish --keys keys --unsynchronized-clock";
