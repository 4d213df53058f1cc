//! `inspect`: what is shown, and what is said of its worth.

use crate::support::{Place, key};
use data_encoding::BASE64URL_NOPAD;
use edgeseal_trust::key::SigningKey;

fn published() -> (Place, String) {
    let place = Place::farm();
    place.write_jwk("jwk", &key(1));
    place.run("device add shed-1 --jwk jwk").succeeded();
    place.publish();
    let shown = place.run("inspect bundle.edgeseal --json").json();
    let words = shown["content"]["root_words"][0]
        .as_str()
        .unwrap()
        .to_owned();
    (place, words)
}

/// A token of this key, with claims that only its signature is judged of.
fn token(key: &SigningKey) -> String {
    let header = format!(
        r#"{{"alg":"EdDSA","typ":"edgeseal-msg+jwt","kid":"{}"}}"#,
        key.public().id()
    );
    let part = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
    let signed = format!(
        "{}.{}",
        part(&header),
        part(r#"{"sub":"shed-1","iat":1900000000}"#)
    );
    format!(
        "{signed}.{}",
        BASE64URL_NOPAD.encode(&key.sign(signed.as_bytes()))
    )
}

#[test]
fn a_bundle_is_unverified_without_the_words_of_its_root() {
    let (place, words) = published();
    let shown = place.run("inspect bundle.edgeseal").succeeded();
    assert!(shown.starts_with("UNVERIFIED"), "{shown}");
    assert!(
        shown.contains("domain farm, root version 1, sequence 1"),
        "{shown}"
    );
    assert!(shown.contains("devices: 1 active 0 pending"), "{shown}");
    let args = ["inspect", "bundle.edgeseal", "--root", &words];
    assert!(
        place
            .args(&args)
            .succeeded()
            .starts_with("VERIFIED by the root")
    );
    let other = ["zoo"; 8].join(" ");
    let refused = place.args(&["inspect", "bundle.edgeseal", "--root", &other]);
    assert_eq!((refused.code, refused.stdout.as_str()), (1, ""));
    let file = place.read("bundle.edgeseal");
    let device = BASE64URL_NOPAD.encode(&key(1).public().octets());
    let foreign = BASE64URL_NOPAD.encode(&key(2).public().octets());
    place.write("altered", file.replace(&device, &foreign));
    let refused = place.args(&["inspect", "altered", "--root", &words]);
    assert_eq!(refused.code, 1, "{}", refused.stdout);
    place.write("cut", &file[..file.len() - 10]);
    let refused = place.run("inspect cut");
    assert!(refused.code == 1 && refused.stderr.contains("[bundle-truncated]"));
}

#[test]
fn single_documents_are_told_apart() {
    let (place, words) = published();
    let manifest = "registry/published/manifest.json";
    let shown = place.args(&["inspect", manifest, "--json"]).json();
    assert_eq!(
        (&shown["kind"], &shown["verified"]),
        (&"manifest".into(), &false.into())
    );
    assert_eq!(shown["content"]["sequence"], 1);
    let verified = [
        "inspect",
        manifest,
        "--trust",
        "bundle.edgeseal",
        "--root",
        &words,
        "--json",
    ];
    assert_eq!(place.args(&verified).json()["verified"], true);
    let root = [
        "inspect",
        "registry/root/1.json",
        "--root",
        &words,
        "--json",
    ];
    let root = place.args(&root).json();
    assert_eq!(
        (&root["kind"], &root["verified"]),
        (&"root".into(), &true.into())
    );
    let asked = place.write_request("request", "shed-2", &key(2));
    let shown = place.run("inspect request").succeeded();
    assert!(
        shown.starts_with("UNVERIFIED") && shown.contains(&asked),
        "{shown}"
    );
    place.write("junk", "hello");
    let junk = place.run("inspect junk");
    assert!(junk.code == 1 && junk.stderr.contains("[unknown-content]"));
    place.write("long", vec![b'{'; 3 << 20]);
    assert_eq!(place.run("inspect long").code, 1);
    assert_eq!(place.run("inspect absent").code, 69);
    let output = place
        .command(&["inspect", "-"])
        .stdin(std::fs::File::open(place.path("request")).unwrap())
        .output()
        .unwrap();
    assert!(output.status.success());
}

#[test]
fn a_token_is_judged_by_its_signature_alone() {
    let (place, words) = published();
    let good = token(&key(1));
    let shown = place.args(&["inspect", &good]).succeeded();
    assert!(shown.starts_with("UNVERIFIED"), "{shown}");
    assert!(shown.contains("\"sub\": \"shed-1\"") && shown.contains("issued 2030-03-17"));
    let trust = ["--trust", "bundle.edgeseal", "--root", &words];
    let shown = place
        .args(&[&["inspect", &good], &trust[..]].concat())
        .succeeded();
    assert!(
        shown.starts_with("VERIFIED in its signature alone"),
        "{shown}"
    );
    let unsure = place
        .args(&["inspect", &good, "--trust", "bundle.edgeseal"])
        .succeeded();
    assert!(unsure.contains(&format!(
        "only if these are the words of your root: {words}"
    )));
    for (bad, code) in [
        (token(&key(2)), "unknown-key"),
        (good.replacen(".ey", ".eyJhIjoxfQ", 1), "malformed"),
        (good[..good.len() - 4].to_owned() + "AAAA", "signature"),
    ] {
        let refused = place.args(&[&["inspect", &bad], &trust[..]].concat());
        assert!(refused.code == 1, "{bad}: {}", refused.stdout);
        assert!(
            refused.stderr.contains(&format!("[{code}]")),
            "{bad}: {}",
            refused.stderr
        );
    }
    place.write("token", format!("{good}\n"));
    place.run("inspect token").succeeded();
}
