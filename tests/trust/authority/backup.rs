//! The operator's machine is lost: a backup comes back, and never behind what devices have.

use super::place::Place;
use crate::broker::Broker;

const BACKUP: &str = "backup farm.backup --passphrase-file pass";
const RESTORE: &str = "restore farm.backup --passphrase-file pass --registry back";

#[test]
fn a_lost_machine_comes_back_from_its_backup_and_keys() {
    let place = Place::farm("");
    place.jwk_device("pump-1", 1);
    place.publish("");
    let said = place
        .run(&format!("{BACKUP} --with-keys keys --json"))
        .json();
    assert_eq!((&said["sequence"], &said["keys"]), (&1.into(), &2.into()));
    let sealed = place.read("farm.backup");
    for hint in [&b"pump-1"[..], b"PRIVATE KEY", b"farm"] {
        let is_there = sealed.windows(hint.len()).any(|octets| octets == hint);
        assert!(!is_there, "{}", String::from_utf8_lossy(hint));
    }
    let before = place.run("device list --json").json();
    std::fs::remove_dir_all(place.path("registry")).unwrap();
    std::fs::rename(place.path("keys"), place.path("lost")).unwrap();
    let restored = place
        .run("restore farm.backup --passphrase-file pass --keys keys --json")
        .json();
    assert_eq!(
        (&restored["behind"], &restored["keys"]),
        (&false.into(), &2.into())
    );
    assert_eq!(place.run("device list --json").json(), before);
    assert_eq!(place.read("keys/root-1.pem"), place.read("lost/root-1.pem"));
    place.publish("");
    place.run("history").succeeded();
    // Nothing is overwritten: not a registry, not a key, not a file that is no backup.
    place
        .run("restore farm.backup --passphrase-file pass")
        .refused(1, "restore-behind");
    place
        .run(&format!("{RESTORE} --keys keys"))
        .refused(1, "keys-exist");
    place
        .run("backup bundle --passphrase-file pass")
        .refused(1, "file-exists");
    place
        .run(&format!("{RESTORE} --keys back/keys"))
        .refused(78, "keys-in-registry");
    assert!(!place.path("back").exists());
}

#[test]
fn a_wrong_passphrase_or_a_damaged_backup_restores_nothing() {
    let place = Place::farm("");
    place.publish("");
    place.run(BACKUP).succeeded();
    let good = place.read("farm.backup");
    place.write_private("wrong", "another passphrase\n");
    place
        .run(&RESTORE.replace("pass ", "wrong "))
        .refused(77, "passphrase-wrong");
    for at in [0, 20, good.len() / 2, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        place.write("farm.backup", &bad);
        let code = if at == 0 {
            (1, "not-a-backup")
        } else {
            (77, "passphrase-wrong")
        };
        place.run(RESTORE).refused(code.0, code.1);
    }
    for length in [0, 30, good.len() / 2] {
        place.write("farm.backup", &good[..length]);
        let ended = place.run(RESTORE);
        assert!([1, 77].contains(&ended.code), "{}", ended.stderr);
    }
    assert!(!place.path("back").exists());
    let left = std::fs::read_dir(place.path("")).unwrap();
    let left = left.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().starts_with(".edgeseal")
    });
    assert_eq!(left.count(), 0);
    place.write("farm.backup", &good);
    place.run(RESTORE).succeeded();
}

#[test]
fn a_backup_that_is_behind_says_so_and_catches_up() {
    let place = Place::farm("");
    place.jwk_device("pump-1", 1);
    place.publish("");
    place.run(BACKUP).succeeded();
    place
        .run("device revoke pump-1 --yes --no-publish")
        .succeeded();
    place
        .run("registrar rotate --keys keys --passphrase-file pass --no-passphrase --yes")
        .succeeded();
    place.publish("");
    place.publish("");
    // The registry that is there, a device's bundle, the broker: each of them knows.
    let said = place
        .run("restore farm.backup --passphrase-file pass")
        .refused(1, "restore-behind");
    assert!(said.contains("root version 2 sequence 3"), "{said}");
    std::fs::rename(place.path("registry"), place.path("gone")).unwrap();
    place
        .run(&format!("{RESTORE} --bundle bundle"))
        .refused(1, "restore-behind");
    let broker = Broker::start(&place.path("broker"), false);
    let url = format!("mqtt://127.0.0.1:{}", broker.port());
    place
        .run(&format!("publish --again --registry gone --to {url}"))
        .succeeded();
    place
        .run(&format!("{RESTORE} --broker {url}"))
        .refused(1, "restore-behind");
    place
        .run(&format!("{RESTORE} --broker mqtt://127.0.0.1:1"))
        .refused(69, "no-broker");
    let said = place
        .run(&format!("{RESTORE} --broker {url} --catch-up --json"))
        .json();
    assert_eq!(
        (&said["behind"], &said["next_sequence"]),
        (&true.into(), &4.into())
    );
    // The newer root came along; what the restored registry signs is above everything.
    let shown = place.run("root show --registry back --json").json();
    assert_eq!(shown["newest"], 2);
    place
        .run("publish --registry back --keys keys --unsynchronized-clock --sequence 3 --to late")
        .refused(1, "sequence-used");
    let next = place
        .run("publish --registry back --keys keys --unsynchronized-clock --to late --json")
        .json();
    assert_eq!(
        (&next["root_version"], &next["sequence"]),
        (&2.into(), &4.into())
    );
}
