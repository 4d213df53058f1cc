//! The registry's directory, its roots, its history.

use super::facts::{Facts, RegistryFacts};
use super::{broken, in_registry, readable};
use edgeseal_doctor::{Finding, Space, State};
use edgeseal_trust::document::Root;
use std::path::{Path, PathBuf};

pub(super) fn opens(facts: &Facts) -> Vec<Finding> {
    let dir = facts.place.dir.display();
    readable(&facts.registry, |registry| {
        let RegistryFacts {
            domain, devices, ..
        } = registry;
        Finding::ok(format!("{dir}: {domain}, {devices} devices"))
    })
}

pub(super) fn files(facts: &Facts) -> Vec<Finding> {
    let dir = &facts.place.dir;
    match facts.place.open.first() {
        None => Finding::ok("nobody else may write it"),
        Some(first) => Finding::broken(
            format!(
                "others than its owner may write {}",
                shown(first, &facts.place.open)
            ),
            format!("chmod -R go-w {}", dir.display()),
        ),
    }
}

pub(super) fn keys_inside(facts: &Facts) -> Vec<Finding> {
    let (root, other): (Vec<PathBuf>, Vec<PathBuf>) =
        facts.place.keys.iter().cloned().partition(|path| {
            let name = path.file_name().unwrap_or_default();
            name.to_string_lossy().starts_with("root-")
        });
    let each = [
        ("root", &root, REPLACE_ROOT),
        ("private", &other, REPLACE_REGISTRAR),
    ];
    let found = each.into_iter().filter_map(|(kind, paths, replace)| {
        let first = paths.first()?;
        let (all, first) = (shown(first, paths), first.display());
        Some(Finding::new(
            State::Broken,
            format!("a {kind} key lies in it: {all}"),
            format!("mv {first} elsewhere; where the registry was shared with it: {replace}"),
        ))
    });
    let found: Vec<Finding> = found.collect();
    match found.is_empty() {
        true => Finding::ok("no private key lies in it"),
        false => found,
    }
}

pub(super) fn writable(facts: &Facts) -> Vec<Finding> {
    on_place(facts, |path, space| {
        if space.read_only {
            Finding::warning(
                format!("{path} lies on a file system that is mounted read-only"),
                format!("sudo mount -o remount,rw \"$(findmnt -nT {path} -o TARGET)\""),
            )
        } else {
            Finding::ok("mounted writable")
        }
    })
}

pub(super) fn space(facts: &Facts) -> Vec<Finding> {
    on_place(facts, |path, space| space.judge(&path))
}

pub(super) fn chain(facts: &Facts) -> Vec<Finding> {
    in_registry(facts, |registry| {
        readable(&registry.chain, |()| {
            Finding::ok("every root is signed as it and the one before it ask")
        })
    })
}

pub(super) fn threshold(facts: &Facts) -> Vec<Finding> {
    on_root(facts, |root| {
        let needed = usize::try_from(root.root.threshold()).unwrap_or(usize::MAX);
        let there = root.root.keys().len();
        let registrars = root.registrar.keys().len();
        let what = format!(
            "{needed} of {there} root keys sign roots, {} of {registrars} registrar keys sign manifests",
            root.registrar.threshold()
        );
        // With one key its copies are the reserve; with several, each is in other hands.
        if needed == there && there > 1 {
            return Finding::warning(
                format!("{what}: the loss of one root key is final"),
                "edgeseal root rotate --keys DIR --new-root-keys 1",
            );
        }
        Finding::ok(what)
    })
}

pub(super) fn root_age(facts: &Facts) -> Vec<Finding> {
    let now = facts.clock.time;
    on_root(facts, |root| {
        let (version, until) = (root.version, root.expires_at.date());
        let repair = "edgeseal root rotate --keys DIR, then edgeseal publish --keys DIR";
        if root.expires_at <= now {
            return Finding::broken(format!("root version {version} expired on {until}"), repair);
        }
        let what = format!("root version {version}, valid until {until}");
        if root.expires_at.since(now) < SOON_SECONDS {
            return Finding::warning(what, repair);
        }
        Finding::ok(what)
    })
}

pub(super) fn history(facts: &Facts) -> Vec<Finding> {
    in_registry(facts, |registry| {
        readable(&registry.history, |problems| match problems.as_slice() {
            [] => Finding::ok("journal and signed manifests agree"),
            [first, rest @ ..] => Finding::broken(
                format!("{first}{}", more(rest.len())),
                "edgeseal history, then restore what is missing (git checkout, or your backup)",
            ),
        })
    })
}

fn on_root(facts: &Facts, judge: impl FnOnce(&Root) -> Vec<Finding>) -> Vec<Finding> {
    in_registry(facts, |registry| match &registry.root {
        Ok(root) => judge(root),
        Err(why) => broken(why),
    })
}

fn on_place(facts: &Facts, judge: impl FnOnce(String, Space) -> Vec<Finding>) -> Vec<Finding> {
    let path = facts.place.dir.display().to_string();
    match facts.place.space {
        Some(space) => judge(path, space),
        None => Finding::unknown(format!("{path} cannot be seen"), format!("ls -ld {path}")),
    }
}

fn shown(first: &Path, all: &[PathBuf]) -> String {
    format!("{}{}", first.display(), more(all.len().saturating_sub(1)))
}

fn more(count: usize) -> String {
    match count {
        0 => String::new(),
        count => format!(", and {count} more"),
    }
}

/// Whoever has a root key makes roots: only another root ends that.
const REPLACE_ROOT: &str =
    "edgeseal root rotate --replace --keys ROOTDIR; then edgeseal publish --keys DIR";
const REPLACE_REGISTRAR: &str = "edgeseal registrar rotate --compromised --keys DIR --keys ROOTDIR";
/// A root is exchanged by several people who must meet: two months.
const SOON_SECONDS: u64 = 60 * 86_400;
