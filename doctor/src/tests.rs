use super::machine::{Fit, fits};
use super::*;
use serde_json::json;

#[test]
fn a_program_for_the_wrong_arm_is_told() {
    let v6 = "arm-unknown-linux-musleabihf";
    let v7 = "armv7-unknown-linux-gnueabihf";
    let v8 = "aarch64-unknown-linux-gnu";
    assert_eq!(fits(v7, "armv6l", Some("armhf")), Fit::Not("armhf-armv6"));
    assert_eq!(fits(v6, "armv6l", Some("armhf")), Fit::Well);
    assert_eq!(fits(v6, "armv7l", Some("armhf")), Fit::Slow("armhf"));
    assert_eq!(
        fits(v7, "aarch64", Some("armhf")),
        Fit::Well,
        "a 32-bit system on a 64-bit kernel"
    );
    assert_eq!(fits(v7, "aarch64", Some("arm64")), Fit::Slow("arm64"));
    assert_eq!(fits(v8, "aarch64", Some("arm64")), Fit::Well);
    assert_eq!(fits("x86_64-unknown-linux-gnu", "x86_64", None), Fit::Well);
}

#[test]
fn what_looks_like_a_secret_is_taken_out_and_the_rest_stays() {
    let kid = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
    let redactor = Redactor::keeping([kid.to_owned()]);
    let seed = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
    let hex = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    for secret in [
        seed.to_owned(),
        format!("{}=", seed.replace('_', "/")),
        hex.to_owned(),
        format!("eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJmYXJtIn0.{seed}"),
    ] {
        for text in [
            secret.clone(),
            format!("a \"{secret}\", b"),
            format!("x={secret}"),
        ] {
            let out = redactor.text(&text);
            assert!(
                !out.contains(&secret) && out.contains("(redacted)"),
                "{text} -> {out}"
            );
        }
    }
    for secret in ["hunter2", "\"hunter2\""] {
        for form in [
            "password={}",
            "password: {}",
            "PASSWORD={} x",
            "the passphrase = {}",
            "token={}",
        ] {
            let out = redactor.text(&form.replace("{}", secret));
            assert!(!out.contains("hunter2"), "{form} -> {out}");
        }
    }
    for form in [
        "the passphrase: {}\nnext",
        "password={}\r\nnext",
        "passphrase = {}\nnext",
        "\"password\":{}\nnext",
        "PASSPHRASE ={}\nnext",
        "password:\n{}\nnext",
    ] {
        let out = redactor.text(&form.replace("{}", "correct horse battery"));
        let left = ["correct", "horse", "battery"].map(|word| out.contains(word));
        assert_eq!(left, [false; 3], "{form} -> {out}");
        assert!(out.ends_with("\nnext"), "{form} -> {out}");
    }
    let line = "token=abc seen at noon";
    assert_eq!(redactor.text(line), "token=(redacted) seen at noon");
    let kept = format!(
        "key {kid} in /var/lib/edgeseal/identity.pem, mqtts://broker.farm.example:8883 is up"
    );
    assert_eq!(redactor.text(&kept), kept);
    let value = json!({"password": "x", "list": [seed], "n": 5, "device": "pump-1"});
    let expected =
        json!({"password": "(redacted)", "list": ["(redacted)"], "n": 5, "device": "pump-1"});
    assert_eq!(redactor.value(value), expected);
}
