//! What was published, and what was not yet.

use super::facts::{Facts, RegistryFacts};
use super::{in_registry, readable};
use edgeseal_doctor::Finding;
use edgeseal_trust::document::Manifest;
use edgeseal_trust::time::UnixTime;

pub(super) fn whole(facts: &Facts) -> Vec<Finding> {
    on_last(facts, |registry, last| match last {
        None => Finding::ok("nothing yet"),
        Some(last) => readable(&registry.whole, |()| {
            let (sequence, shards) = (last.sequence, last.shards.len());
            Finding::ok(format!(
                "sequence {sequence} with {shards} shards, signed as its root asks"
            ))
        }),
    })
}

pub(super) fn age(facts: &Facts) -> Vec<Finding> {
    let now = facts.clock.time;
    on_last(facts, |registry, last| match last {
        None => Finding::warning("nothing was published yet", "edgeseal publish --keys DIR"),
        Some(last) => {
            let newest = registry.root.as_ref().map_or(0, |root| root.version);
            of_manifest(last, newest, now)
        }
    })
}

pub(super) fn changes(facts: &Facts) -> Vec<Finding> {
    in_registry(facts, |registry| {
        readable(&registry.unpublished, |unpublished| {
            if let Some(first) = unpublished.lost.first() {
                let count = unpublished.lost.len();
                return Finding::broken(
                    format!(
                        "{count} devices that were published are not in the registry any more, {first} among them"
                    ),
                    "restore the files below devices/ (git checkout, or your backup)",
                );
            }
            if let Some(first) = unpublished.unapproved.first() {
                let count = unpublished.unapproved.len();
                return Finding::broken(
                    format!(
                        "the approvals of {count} devices that were published are not in the registry any more, {first} among them"
                    ),
                    "restore approvals.jsonl (git checkout, or your backup), or edgeseal approval give --all --keys DIR",
                );
            }
            let devices = match unpublished.devices.as_slice() {
                [] => String::new(),
                [only] => format!(" {only}"),
                [first, rest @ ..] => format!(" {first} and {} devices more", rest.len()),
            };
            let tables = match (unpublished.tables, devices.is_empty()) {
                (false, _) => "",
                (true, true) => " roles, groups or root",
                (true, false) => "; roles, groups or root",
            };
            if devices.is_empty() && tables.is_empty() {
                return Finding::ok("everything is published");
            }
            Finding::warning(
                format!("not published yet:{devices}{tables}"),
                "edgeseal publish --keys DIR",
            )
        })
    })
}

pub(super) fn prepared(facts: &Facts) -> Vec<Finding> {
    in_registry(facts, |registry| {
        readable(&registry.prepared, |prepared| {
            let Some(prepared) = prepared else {
                return Finding::ok("no manifest waits for signatures");
            };
            let (path, sequence) = (prepared.path.display(), prepared.sequence);
            match &prepared.next {
                Some(next) => Finding::warning(
                    format!(
                        "sequence {sequence} in {path} has {} of {} signatures",
                        next.signed_by.len(),
                        next.needed
                    ),
                    next.next(),
                ),
                None => Finding::warning(
                    format!(
                        "sequence {sequence} in {path} is out of date: it can no more be published"
                    ),
                    "edgeseal publish --keys DIR",
                ),
            }
        })
    })
}

fn of_manifest(last: &Manifest, newest_root: u64, now: UnixTime) -> Vec<Finding> {
    let (sequence, until) = (last.sequence, last.expires_at.date());
    let refresh = "edgeseal publish --refresh --keys DIR; every day: sudo systemctl enable --now edgeseal-refresh.timer";
    if last.root_version < newest_root {
        return Finding::broken(
            format!(
                "sequence {sequence} is under root version {}, and the newest is {newest_root}: devices that have that one refuse it",
                last.root_version
            ),
            "edgeseal publish --keys DIR",
        );
    }
    if last.expires_at <= now {
        return Finding::broken(format!("sequence {sequence} expired on {until}"), refresh);
    }
    let what = format!("sequence {sequence}, valid until {until}");
    let lifetime = last.expires_at.since(last.issued_at);
    if last.expires_at.since(now) < lifetime / 3 {
        return Finding::warning(format!("{what}: a refresh is due"), refresh);
    }
    Finding::ok(what)
}

fn on_last(
    facts: &Facts,
    judge: impl FnOnce(&RegistryFacts, Option<&Manifest>) -> Vec<Finding>,
) -> Vec<Finding> {
    in_registry(facts, |registry| {
        readable(&registry.last, |last| judge(registry, last.as_ref()))
    })
}
