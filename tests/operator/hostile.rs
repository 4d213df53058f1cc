//! What strangers send an operator, damaged in every way: refused by code, with the registry as it was,
//! and no harm to what comes after.

use crate::bounded::{Ended, is_code, run};
use crate::damage::damages;
use crate::support::{Place, files, key};
use edgeseal_trust::words::Words;
use std::ffi::OsStr;
use std::fs::Permissions;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

#[test]
fn enrollment_requests() {
    let place = Place::farm();
    place.write_request("good", "shed-1", &key(1));
    withstands(&place, "good", "device add shed-1 --request FILE");
    place.run("device add shed-1 --request good").succeeded();
}

#[test]
fn public_keys() {
    let place = Place::farm();
    place.write_jwk("good", &key(1));
    withstands(&place, "good", "device add shed-1 --jwk FILE");
    place.run("device add shed-1 --jwk good").succeeded();
}

#[test]
fn device_lists() {
    let place = Place::farm();
    place.run("role add sensor").succeeded();
    place.write("good", crate::fleet::csv(0..20));
    // A list that ends early is a shorter list.
    let is_list = |how: &str| how.starts_with("cut at");
    withstands_but(&place, "good", "device add --csv FILE", is_list);
    place.run("device add --csv good").succeeded();
}

#[test]
fn public_keys_in_device_lists() {
    let place = Place::farm();
    place.write_jwk("jwk", &key(1));
    for damage in damages(place.read("jwk").as_bytes()) {
        let line = [b"id,jwk\nshed-1,", &quoted(&damage.octets)[..], b"\n"].concat();
        place.write("damaged", line);
        let ended = attempt(
            &place,
            &["device", "add", "--csv", "damaged", "--dry-run", "--json"],
        );
        judge(&ended, damage.is_wrong, &damage.how);
    }
    let line = [
        b"id,jwk\nshed-1,",
        &quoted(place.read("jwk").as_bytes())[..],
        b"\n",
    ]
    .concat();
    place.write("good", line);
    place.run("device add --csv good").succeeded();
}

#[test]
fn what_is_inspected() {
    let place = Place::farm();
    place.write_jwk("jwk", &key(1));
    place.run("device add shed-1 --jwk jwk").succeeded();
    place.write_request("request", "shed-2", &key(2));
    place.publish();
    std::fs::copy(place.path("bundle.edgeseal"), place.path("bundle")).unwrap();
    std::fs::copy(place.path("registry/root/1.json"), place.path("root")).unwrap();
    std::fs::copy(
        place.path("registry/published/manifest.json"),
        place.path("manifest"),
    )
    .unwrap();
    for name in ["root", "manifest", "request"] {
        withstands(&place, name, "inspect FILE");
        place.run(&format!("inspect {name}")).succeeded();
    }
    // Without the words of its root nobody judges a bundle.
    let root = std::fs::read(place.path("root")).unwrap();
    let words = Words::of_root(&root).to_string();
    for damage in damages(place.read("bundle").as_bytes()) {
        place.write("damaged", &damage.octets);
        for more in [&[][..], &["--root", &words]] {
            let ended = attempt(&place, &[&["inspect", "damaged", "--json"], more].concat());
            judge(&ended, damage.is_wrong && !more.is_empty(), &damage.how);
        }
    }
    let verified = place.args(&["inspect", "bundle", "--root", &words, "--json"]);
    assert_eq!(verified.json()["verified"], true);
}

#[test]
fn words_and_names() {
    let place = Place::farm();
    let words = place.write_request("request", "shed-1", &key(1));
    place.run("device add shed-1 --request request").succeeded();
    let before = files(&place.path("registry"));
    let long = "ability ".repeat(10_000);
    let bad: [&[u8]; 9] = [
        b"",
        b" ",
        b"\xff\xfe",
        b"../../etc/passwd",
        b"\x1b[2J",
        b"a\nb",
        b"\xe2\x80\xaepump",
        b"ability ability ability ability ability ability ability ability",
        long.as_bytes(),
    ];
    for octets in bad {
        let text = OsStr::from_bytes(octets);
        let word = |word| OsStr::new(word);
        for line in [
            ["device", "approve", "shed-1", "--words"]
                .map(word)
                .as_slice(),
            &["device", "add", "--jwk", "request"].map(word),
            &["device", "revoke", "--yes"].map(word),
            &["group", "add"].map(word),
            &["role", "add"].map(word),
            &["device", "show"].map(word),
        ] {
            let mut command = place.command(&[]);
            command.args(line).arg(text).arg("--json");
            run(&command, b"").refusal();
            assert_eq!(files(&place.path("registry")), before, "{command:?}");
        }
    }
    place
        .args(&["device", "approve", "shed-1", "--words", &words])
        .succeeded();
}

/// The registry itself, as a broken disk or a merge gone wrong leaves it.
#[test]
fn files_of_the_registry_and_keys() {
    let place = Place::farm();
    place.write_jwk("jwk", &key(1));
    place.run("role add sensor").succeeded();
    place.run("group add pumps").succeeded();
    place
        .run("device add shed-1 --jwk jwk --role sensor")
        .succeeded();
    place.publish();
    let own: Vec<PathBuf> = files(&place.path("registry"))
        .into_iter()
        .map(|(path, _)| path)
        .filter(|path| !path.to_string_lossy().contains("/registry/."))
        .chain([place.path("keys/registrar-1.pem")])
        .collect();
    assert!(own.len() >= 7, "{own:?}");
    for path in own {
        let good = std::fs::read(&path).unwrap();
        let shown = path.to_string_lossy();
        let is_read = !shown.contains("published")
            && !shown.contains("history")
            && !path.starts_with(place.path("keys"));
        for (number, damage) in damages(&good).into_iter().enumerate() {
            std::fs::write(&path, &damage.octets).unwrap();
            let before = files(&place.path("registry"));
            let how = format!("{path:?} {}", damage.how);
            let status = attempt(&place, &["status", "--json"]);
            // A file without a device is one; what was published is missed then, also by `publish`.
            judge(
                &status,
                is_read && damage.is_wrong && !damage.octets.is_empty(),
                &how,
            );
            // Every few of them: it takes longer, and may well repair what was published.
            if number % 4 == 0 {
                let publish = "publish --keys keys --unsynchronized-clock --to out --json";
                let ended = attempt(&place, &publish.split(' ').collect::<Vec<_>>());
                judge(&ended, is_read && damage.is_wrong, &how);
                if ended.exit != 0 {
                    assert_eq!(files(&place.path("registry")), before, "{how}");
                }
                restore(&place, &before);
            }
            assert_eq!(files(&place.path("registry")), before, "{how}");
        }
        std::fs::write(&path, good).unwrap();
        place.run("status").succeeded();
    }
}

/// A source without end, and one that is none.
#[test]
fn no_files_at_all() {
    let place = Place::farm();
    let before = files(&place.path("registry"));
    for line in [
        "device add shed-1 --request",
        "device add shed-1 --jwk",
        "device add --csv",
        "inspect",
    ] {
        for source in [
            "/dev/zero",
            "/dev/null",
            "registry",
            "absent",
            "/proc/self/mem",
        ] {
            let words: Vec<&str> = line.split(' ').chain([source, "--json"]).collect();
            let code = attempt(&place, &words).refusal();
            assert!(source != "/dev/zero" || code != "io", "{words:?} {code}");
        }
    }
    assert_eq!(files(&place.path("registry")), before);
}

/// Files far larger than memory where a key, a passphrase, a certificate or the registry should be.
#[test]
fn files_without_an_end() {
    let place = Place::farm();
    place.publish();
    let registry = files(&place.path("registry"));
    place.write("endless", "");
    let endless = std::fs::File::options()
        .write(true)
        .open(place.path("endless"));
    endless.unwrap().set_len(1 << 40).unwrap();
    std::fs::set_permissions(place.path("endless"), Permissions::from_mode(0o600)).unwrap();
    let init = "domain init other --keys k --registry r --passphrase-file endless --json";
    let ended = attempt(&place, &init.split(' ').collect::<Vec<_>>());
    assert_eq!(ended.refusal(), "size");
    let demo = "demo --broker mqtts://localhost:1 --ca endless";
    let ended = attempt(&place, &demo.split(' ').collect::<Vec<_>>());
    assert_eq!(ended.exit, 69, "{ended:?}");
    assert!(ended.err.contains("more than"), "{ended:?}");
    let read = registry.iter().filter(|(path, _)| {
        let name = path.strip_prefix(place.path("registry")).unwrap();
        let shown = name.to_string_lossy();
        name.extension().is_some() && !shown.starts_with('.') && !shown.contains("/history/")
    });
    let mut seen = 0;
    for (path, octets) in read {
        std::fs::remove_file(path).unwrap();
        std::os::unix::fs::symlink("/dev/zero", path).unwrap();
        let again = match path.ends_with("history.jsonl") {
            true => "history --json",
            false => "publish --again --json",
        };
        let ended = attempt(&place, &again.split(' ').collect::<Vec<_>>());
        assert_eq!(ended.refusal(), "registry-corrupt", "{path:?}");
        std::fs::remove_file(path).unwrap();
        std::fs::write(path, octets).unwrap();
        seen += 1;
    }
    assert!(seen >= 6, "{seen}");
    let key = place.path("keys/registrar-1.pem");
    std::fs::rename(place.path("endless"), &key).unwrap();
    let words = "publish --keys keys --unsynchronized-clock --passphrase-file pass --json";
    let ended = attempt(&place, &words.split(' ').collect::<Vec<_>>());
    assert_eq!(ended.refusal(), "key-file-damaged");
}

/// Every damage to a file is refused when the verb reads it, and changes nothing.
fn withstands(place: &Place, good: &str, verb: &str) {
    withstands_but(place, good, verb, |_| false);
}

/// The same, but some damages may leave it right.
fn withstands_but(place: &Place, good: &str, verb: &str, is_right: impl Fn(&str) -> bool) {
    let before = files(&place.path("registry"));
    let verb = format!("{verb} --json");
    for damage in damages(place.read(good).as_bytes()) {
        place.write("damaged", &damage.octets);
        let words: Vec<&str> = verb
            .split(' ')
            .map(|word| if word == "FILE" { "damaged" } else { word })
            .collect();
        let ended = attempt(place, &words);
        let is_wrong = damage.is_wrong && !is_right(&damage.how);
        judge(&ended, is_wrong, &damage.how);
        if ended.exit == 0 {
            restore(place, &before);
        }
        assert_eq!(
            files(&place.path("registry")),
            before,
            "{verb} {}",
            damage.how
        );
    }
}

fn attempt(place: &Place, words: &[&str]) -> Ended {
    run(&place.command(words), b"")
}

fn judge(ended: &Ended, is_wrong: bool, how: &str) {
    if ended.exit == 0 {
        assert!(!is_wrong, "{how}: {ended:?}");
        return;
    }
    let said = ended.json();
    match said["bad"].as_array() {
        None => drop(ended.refusal()),
        // A list whose lines were judged one by one.
        Some(bad) => {
            assert_eq!((ended.exit, &said["applied"]), (1, &false.into()), "{how}");
            let codes = bad.iter().map(|line| line["code"].as_str().unwrap());
            assert!(codes.into_iter().all(is_code), "{how}: {said}");
        }
    }
}

fn restore(place: &Place, registry: &[(PathBuf, Vec<u8>)]) {
    for (path, _) in files(&place.path("registry")) {
        std::fs::remove_file(path).unwrap();
    }
    for (path, content) in registry {
        std::fs::write(path, content).unwrap();
    }
}

/// A field as CSV quotes it (RFC 4180).
fn quoted(field: &[u8]) -> Vec<u8> {
    let twice = |octet: &u8| match octet {
        b'"' => vec![b'"'; 2],
        octet => vec![*octet],
    };
    let inner: Vec<u8> = field.iter().flat_map(twice).collect();
    [b"\"", &inner[..], b"\""].concat()
}
