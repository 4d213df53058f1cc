//! The registrar keys, and root keys that lie where they should not.

use super::facts::{Facts, KeyFacts, KeysFacts};
use super::{in_registry, readable, repair};
use edgeseal_doctor::{Finding, State};
use edgeseal_trust::key::KeyId;

pub(super) fn present(facts: &Facts) -> Vec<Finding> {
    on_keys(facts, |keys| {
        readable(&keys.registrar, |found| {
            let bad = found
                .iter()
                .filter_map(|key| key.is_encrypted.as_ref().err());
            let bad: Vec<Finding> = bad
                .map(|why| Finding::new(State::Broken, &why.reason, repair(why)))
                .collect();
            match bad.is_empty() {
                true => Finding::ok(format!("{} in {}", found.len(), dirs(keys))),
                false => bad,
            }
        })
    })
}

pub(super) fn place(facts: &Facts) -> Vec<Finding> {
    on_keys(facts, |keys| {
        readable(&keys.place, |()| Finding::ok(dirs(keys)))
    })
}

pub(super) fn passphrase(facts: &Facts) -> Vec<Finding> {
    on_found(facts, |found| {
        let bare = found
            .iter()
            .filter(|key| matches!(key.is_encrypted, Ok(false)));
        let bare: Vec<Finding> = bare.map(without_passphrase).collect();
        match bare.is_empty() {
            true => Finding::ok("each is under one"),
            false => bare,
        }
    })
}

pub(super) fn named(facts: &Facts) -> Vec<Finding> {
    on_found(facts, |found| {
        in_registry(facts, |registry| {
            readable(&registry.root, |root| {
                let mut kids: Vec<KeyId> = Vec::new();
                for key in found {
                    match &key.kid {
                        Some(Ok(kid)) => kids.push(*kid),
                        Some(Err(why)) => return Finding::unknown(&why.reason, repair(why)),
                        None => {}
                    }
                }
                let (version, needed) = (root.version, root.registrar.threshold());
                let is_named = |kid: &KeyId| root.registrar.key(*kid).is_some();
                let count = kids.iter().filter(|kid| is_named(kid)).count();
                let locked = found.iter().any(|key| key.kid.is_none());
                match count {
                    0 if locked => Finding::unknown(
                        "which keys they are cannot be told without their passphrase",
                        "edgeseal doctor --keys DIR --passphrase-file FILE",
                    ),
                    0 => Finding::broken(
                        format!("none of them is one that root version {version} names"),
                        "see which it names: edgeseal root show; name their directory with --keys",
                    ),
                    _ => Finding::ok(format!(
                        "{count} of them in root version {version}, which asks for {needed}"
                    )),
                }
            })
        })
    })
}

pub(super) fn root(facts: &Facts) -> Vec<Finding> {
    on_keys(facts, |keys| match keys.root.first() {
        None => Finding::ok("none lies beside the registrar keys"),
        Some(first) => Finding::warning(
            format!(
                "{} lies where registrar keys are looked for",
                first.display()
            ),
            format!(
                "two copies on media that are kept offline, then: shred -u {}",
                first.with_file_name("root-*.pem").display()
            ),
        ),
    })
}

fn without_passphrase(key: &KeyFacts) -> Finding {
    let path = key.path.display();
    Finding::new(
        State::Warning,
        format!("{path} is under none"),
        format!(
            "(umask 077; openssl pkcs8 -topk8 -scrypt -in {path} -out {path}.new && mv {path}.new {path})"
        ),
    )
}

fn on_found(facts: &Facts, judge: impl FnOnce(&[KeyFacts]) -> Vec<Finding>) -> Vec<Finding> {
    on_keys(facts, |keys| match &keys.registrar {
        Ok(found) => judge(found),
        Err(_) => Finding::unknown("no key was found", "edgeseal doctor --keys DIR"),
    })
}

fn on_keys(facts: &Facts, judge: impl FnOnce(&KeysFacts) -> Vec<Finding>) -> Vec<Finding> {
    match &facts.keys {
        Some(keys) => judge(keys),
        None => Finding::unknown("no directory was named", "edgeseal doctor --keys DIR"),
    }
}

fn dirs(keys: &KeysFacts) -> String {
    let dirs = keys.dirs.iter().map(|dir| dir.display().to_string());
    dirs.collect::<Vec<_>>().join(", ")
}
