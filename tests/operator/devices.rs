//! One device's life: request, approval, suspension, revocation.

use crate::support::{Place, files, key};

#[test]
fn a_request_is_pending_until_its_words_are_compared() {
    let place = Place::farm();
    place.run("role add sensor").succeeded();
    let words = place.write_request("request", "shed-1", &key(1));
    let add = "device add shed-1 --request request --role sensor";
    let shown = place.run(add).succeeded();
    for word in words.split(' ') {
        assert!(shown.contains(&word.to_uppercase()), "{shown}");
    }
    let device = place.device("shed-1");
    assert_eq!(device["state"], "pending");
    assert_eq!(device["serial"], "10000000abcdef01");
    place.run(add).succeeded();
    let wrong = ["zoo"; 8].join(" ");
    place
        .args(&["device", "approve", "shed-1", "--words", &wrong])
        .refused(1, "words-differ");
    let typo = words.replacen(' ', " qqqq ", 1);
    let typo = place.args(&["device", "approve", "shed-1", "--words", &typo]);
    assert!(typo.code == 2 && typo.stderr.contains("[words-count]"));
    place
        .run("device approve shed-1")
        .refused(1, "not-confirmed");
    assert_eq!(place.device("shed-1")["state"], "pending");
    let approved = [
        "device",
        "approve",
        "shed-1",
        "--words",
        &words.to_uppercase(),
    ];
    place.args(&approved).succeeded();
    let device = place.device("shed-1");
    assert_eq!(device["state"], "active");
    assert_eq!(device["roles"][0], "sensor");
    assert!(device.get("request_words").is_none());
    assert!(place.args(&approved).succeeded().contains("active already"));
    assert!(place.run(add).succeeded().contains("nothing was changed"));
}

#[test]
fn words_given_with_the_request_or_a_yes_approve_it() {
    let place = Place::farm();
    let words = place.write_request("request", "shed-1", &key(1));
    let add = [
        "device",
        "add",
        "shed-1",
        "--request",
        "request",
        "--words",
        &words,
    ];
    assert!(place.args(&add).succeeded().contains("the words match"));
    assert_eq!(place.device("shed-1")["state"], "active");
    place.write_request("second", "shed-2", &key(2));
    place.run("device add shed-2 --request second").succeeded();
    place
        .answer(&["device", "approve", "shed-2"], "y\n")
        .succeeded();
    assert_eq!(place.device("shed-2")["state"], "active");
}

#[test]
fn requests_of_others_and_damaged_ones_are_refused() {
    let place = Place::farm();
    place.write_request("request", "shed-1", &key(1));
    place
        .run("device add shed-2 --request request")
        .refused(1, "device");
    place
        .run("domain init barn --registry barn --keys barn-keys --passphrase-file pass --no-passphrase")
        .succeeded();
    place
        .run("device add shed-1 --request request --registry barn")
        .refused(1, "domain");
    let request = place.read("request");
    let cut = &request[..request.len() - 30];
    place.write("cut", cut);
    assert_eq!(place.run("device add shed-1 --request cut").code, 1);
    place.write("long", "x".repeat(1 << 20));
    place
        .run("device add shed-1 --request long")
        .refused(1, "size");
    place
        .run("device add shed-1 --request absent")
        .refused(69, "file-missing");
    let altered = request.replacen("\"signature\":\"", "\"signature\":\"AAAA", 1);
    place.write("altered", altered);
    assert_eq!(place.run("device add shed-1 --request altered").code, 1);
    assert_eq!(files(&place.path("registry/devices")), []);
}

#[test]
fn another_key_never_slips_under_an_id() {
    let place = Place::farm();
    place.write_request("first", "shed-1", &key(1));
    place.write_request("second", "shed-1", &key(2));
    place.run("device add shed-1 --request first").succeeded();
    place
        .run("device add shed-1 --request second")
        .refused(1, "device-exists");
    place
        .run("device add shed-1 --request second --replace")
        .succeeded();
    assert_eq!(
        place.device("shed-1")["keys"][0]["jwk"]["kid"],
        key(2).public().id().to_string()
    );
    place.run("device approve shed-1 --yes").succeeded();
    place
        .run("device add shed-1 --request first --replace")
        .refused(1, "device-exists");
    place.write_jwk("jwk", &key(2));
    place
        .run("device add shed-2 --jwk jwk")
        .refused(1, "key-in-use");
    // The replaced key is free again.
    place.write_jwk("jwk", &key(1));
    place.run("device add shed-2 --jwk jwk").succeeded();
}

#[test]
fn bad_public_keys_are_refused_by_code() {
    let place = Place::farm();
    place.write_jwk("jwk", &key(1));
    let good = place.read("jwk");
    let small_order = format!(
        r#"{{"kty":"OKP","crv":"Ed25519","x":"AQ{}"}}"#,
        "A".repeat(41)
    );
    for (jwk, code) in [
        ("{".to_owned(), "key-malformed"),
        (good.replace("OKP", "EC"), "key-kty"),
        (good.replace("Ed25519", "X25519"), "key-crv"),
        (good.replacen('{', r#"{"d":"x","#, 1), "key-private"),
        (small_order, "key-small-order"),
    ] {
        place.write("bad", &jwk);
        let refused = place.run("device add shed-1 --jwk bad");
        assert!(
            refused.stderr.contains(&format!("[{code}]")),
            "{jwk}: {}",
            refused.stderr
        );
        refused.refused(1, code);
    }
    assert_eq!(files(&place.path("registry/devices")), []);
}

#[test]
fn suspension_is_reversible_and_resuming_fences_off_the_past() {
    let place = Place::farm();
    place.write_jwk("jwk", &key(1));
    place.run("device add shed-1 --jwk jwk").succeeded();
    assert_eq!(place.device("shed-1")["keys"][0]["not_before"], 0);
    place
        .args(&[
            "device",
            "suspend",
            "shed-1",
            "--reason",
            "battery",
            "--no-publish",
        ])
        .succeeded();
    let device = place.device("shed-1");
    assert_eq!(
        (&device["state"], &device["reason"]),
        (&"suspended".into(), &"battery".into())
    );
    place
        .run("device approve shed-1")
        .refused(1, "device-not-pending");
    place.run("device suspend shed-1 --no-publish").succeeded();
    assert_eq!(place.device("shed-1")["reason"], "battery");
    place.run("device resume shed-1 --no-publish").succeeded();
    let device = place.device("shed-1");
    assert_eq!(device["state"], "active");
    assert!(device.get("reason").is_none());
    assert!(device["keys"][0]["not_before"].as_u64().unwrap() > 1_700_000_000);
    place.run("device resume shed-1 --no-publish").succeeded();
    place
        .run("device suspend shed-9")
        .refused(1, "device-unknown");
}

#[test]
fn revoking_asks_and_is_final() {
    let place = Place::farm();
    place.write_jwk("jwk", &key(1));
    place.run("device add shed-1 --jwk jwk").succeeded();
    for answer in ["", "n\n", "perhaps\n"] {
        let said = place
            .answer(&["device", "revoke", "shed-1", "--no-publish"], answer)
            .refused(1, "not-confirmed");
        assert!(said.contains("Revoke shed-1 (active) for good?"), "{said}");
        assert_eq!(place.device("shed-1")["state"], "active");
    }
    let long = "x".repeat(300);
    let long = place.args(&["device", "revoke", "shed-1", "--yes", "--reason", &long]);
    assert!(
        long.code == 1 && long.stderr.contains("[text]"),
        "{}",
        long.stderr
    );
    place
        .args(&[
            "device",
            "revoke",
            "shed-1",
            "--yes",
            "--reason",
            "stolen",
            "--no-publish",
        ])
        .succeeded();
    place.run("device revoke shed-1 --no-publish").succeeded();
    for verb in ["resume", "suspend", "approve"] {
        assert_eq!(place.run(&format!("device {verb} shed-1")).code, 1);
    }
    let device = place.device("shed-1");
    assert_eq!(
        (&device["state"], &device["reason"]),
        (&"revoked".into(), &"stolen".into())
    );
    let second = Place::farm();
    second.write_jwk("jwk", &key(1));
    second.run("device add shed-1 --jwk jwk").succeeded();
    second
        .answer(&["device", "revoke", "shed-1", "--no-publish"], "yes\n")
        .succeeded();
    assert_eq!(second.device("shed-1")["state"], "revoked");
}
