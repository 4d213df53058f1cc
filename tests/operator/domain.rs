//! `domain init`: keys that OpenSSL reads, in a safe place, never overwritten.

use crate::support::{PASSPHRASE, Place, files};
use edgeseal_trust::document::{Document, Root};
use edgeseal_trust::words::Words;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

#[test]
fn a_domain_is_made_with_the_words_of_its_root() {
    let place = Place::empty();
    let shown = place
        .run("domain init farm --keys keys --passphrase-file pass")
        .succeeded();
    let octets = std::fs::read(place.path("registry/root/1.json")).unwrap();
    let root = Document::<Root>::load(&octets).unwrap();
    root.verify(&root.content().root).unwrap();
    assert_eq!(root.content().version, 1);
    assert_eq!(root.content().domain.as_str(), "farm");
    let words = Words::of_root(&octets).to_string();
    assert!(shown.contains(&format!("--root \"{words}\"")), "{shown}");
    for word in words.split(' ') {
        assert!(shown.contains(&word.to_uppercase()), "{shown}");
    }
    for name in ["keys/root-1.pem", "keys/registrar-1.pem"] {
        let mode = std::fs::metadata(place.path(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
        let pem = place.read(name);
        assert!(
            pem.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"),
            "{name}"
        );
    }
    let mode = std::fs::metadata(place.path("keys"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
    for (path, content) in files(&place.path("registry")) {
        assert!(
            !String::from_utf8_lossy(&content).contains("PRIVATE"),
            "{path:?}"
        );
    }
}

#[test]
fn openssl_reads_the_keys() {
    if Command::new("openssl").arg("version").output().is_err() {
        eprintln!("openssl is not here: its reading of the keys was not tested");
        return;
    }
    let place = Place::farm();
    place
        .run("domain init shed --registry shed --keys shed-keys --passphrase-file pass")
        .succeeded();
    let openssl = |name: &str, passphrase: &str| {
        let output = Command::new("openssl")
            .args(["pkey", "-noout", "-text", "-in"])
            .arg(place.path(name))
            .args(["-passin", &format!("pass:{passphrase}")])
            .output()
            .unwrap();
        (
            output.status.success(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    for name in [
        "keys/root-1.pem",
        "keys/registrar-1.pem",
        "shed-keys/registrar-1.pem",
    ] {
        let (read, text) = openssl(name, PASSPHRASE);
        assert!(
            read && text.to_lowercase().contains("ed25519"),
            "{name}: {text}"
        );
    }
    assert!(!openssl("keys/root-1.pem", "another one").0);
}

#[test]
fn several_keys_and_thresholds_are_in_the_root() {
    let place = Place::empty();
    place
        .run(
            "domain init farm --keys keys --passphrase-file pass --no-passphrase --root-keys 3 \
             --root-threshold 2 --registrar-keys 2 --registrar-threshold 2 --root-days 10",
        )
        .succeeded();
    let octets = std::fs::read(place.path("registry/root/1.json")).unwrap();
    let root = Document::<Root>::load(&octets).unwrap().content().clone();
    assert_eq!((root.root.threshold(), root.root.keys().len()), (2, 3));
    assert_eq!(
        (root.registrar.threshold(), root.registrar.keys().len()),
        (2, 2)
    );
    assert_eq!(root.expires_at.since(root.issued_at), 10 * 86_400);
    for (line, code) in [
        ("--root-keys 2 --root-threshold 3", "threshold-impossible"),
        ("--registrar-threshold 0", "threshold-impossible"),
        ("--root-keys 17", "key-count"),
    ] {
        let refused = place.run(&format!(
            "domain init other --registry other --keys other-keys --passphrase-file pass {line}"
        ));
        assert_eq!(refused.code, 2);
        assert!(refused.stderr.contains(code), "{}", refused.stderr);
        assert!(!place.path("other-keys").exists() && !place.path("other").exists());
    }
}

#[test]
fn existing_keys_and_registries_are_not_overwritten() {
    let place = Place::farm();
    let before = files(&place.path("keys"));
    place
        .run("domain init farm --keys keys --registry second --passphrase-file pass")
        .refused(1, "keys-exist");
    place
        .run("domain init farm --keys other --passphrase-file pass")
        .refused(1, "registry-exists");
    assert_eq!(files(&place.path("keys")), before);
    assert!(!place.path("second").exists() && !place.path("other").exists());
}

#[test]
fn keys_may_not_lie_in_a_git_work_tree_or_in_the_registry() {
    let place = Place::empty();
    std::fs::create_dir_all(place.path("tree/.git")).unwrap();
    std::fs::create_dir_all(place.path("linked/below")).unwrap();
    place.write("linked/.git", "gitdir: /elsewhere\n");
    std::os::unix::fs::symlink(place.path("tree"), place.path("link")).unwrap();
    for (keys, code) in [
        ("tree/keys", "keys-in-git"),
        ("tree", "keys-in-git"),
        ("linked/below/keys", "keys-in-git"),
        ("link/keys", "keys-in-git"),
        ("registry/keys", "keys-in-registry"),
        ("registry", "keys-in-registry"),
    ] {
        place
            .run(&format!(
                "domain init farm --keys {keys} --passphrase-file pass"
            ))
            .refused(78, code);
    }
    assert!(!place.path("registry").exists() && !place.path("tree/keys").exists());
}

#[test]
fn passphrases_are_asked_for_or_come_from_a_private_file() {
    let place = Place::empty();
    let init = "domain init farm --keys keys --passphrase-file";
    place.write("loose", "correct horse battery\n");
    place
        .run(&format!("{init} loose"))
        .refused(77, "passphrase-file-open");
    place.write_private("short", "short\n");
    place
        .run(&format!("{init} short"))
        .refused(2, "passphrase-short");
    place.write_private("none", "\n");
    place
        .run(&format!("{init} none"))
        .refused(2, "passphrase-empty");
    place
        .run(&format!("{init} absent"))
        .refused(69, "file-missing");
    assert!(!place.path("keys").exists() && !place.path("registry").exists());
}

#[test]
fn root_keys_always_have_a_passphrase_but_in_the_demonstration() {
    let place = Place::farm();
    let begin = "-----BEGIN PRIVATE KEY-----\n";
    assert!(place.read("keys/registrar-1.pem").starts_with(begin));
    assert!(!place.read("keys/root-1.pem").starts_with(begin));
    let init = "domain init farm --registry demo --keys demo-keys --demo";
    assert_eq!(place.run(init).code, 2);
    place.run(&format!("{init} --no-passphrase")).succeeded();
    assert!(place.read("demo-keys/root-1.pem").starts_with(begin));
    place.write_private("other", "of the registrars\n");
    place
        .run(
            "domain init barn --registry barn --keys barn-keys --passphrase-file pass \
             --registrar-passphrase-file other",
        )
        .succeeded();
    let publish = "publish --registry barn --keys barn-keys --unsynchronized-clock";
    place
        .run(&format!("{publish} --passphrase-file pass"))
        .refused(77, "passphrase-wrong");
    place
        .run(&format!("{publish} --passphrase-file other"))
        .succeeded();
}
