//! Who waits for the operator: requests, cards, lagging devices, and the backup.

use super::facts::Facts;
use super::{in_registry, readable};
use crate::registry::TokenRecord;
use edgeseal_doctor::Finding;

pub(super) fn requests(facts: &Facts) -> Vec<Finding> {
    in_registry(facts, |registry| {
        readable(&registry.waiting, |waiting| {
            let count = waiting.requests;
            let since = waiting.since;
            let since = since.map_or(String::new(), |at| {
                format!(", the oldest since {}", at.date())
            });
            let repair = "edgeseal device pending, then edgeseal device approve ID, or edgeseal device reject ID --reason TEXT";
            match count {
                0 => Finding::ok("no device waits"),
                count if count >= waiting.most => Finding::broken(
                    format!(
                        "{count} requests wait{since}: there is no room for more, and new ones are refused"
                    ),
                    repair,
                ),
                1 => Finding::warning(format!("1 request waits{since}"), repair),
                count => Finding::warning(format!("{count} requests wait{since}"), repair),
            }
        })
    })
}

pub(super) fn approvals(facts: &Facts) -> Vec<Finding> {
    in_registry(facts, |registry| {
        readable(&registry.root, |root| {
            let (waiting, keys) = (registry.approvals.waiting, root.registrar.keys().len());
            let strictest = registry.approvals.strictest.as_ref();
            let impossible = strictest
                .filter(|(_, needed)| usize::try_from(*needed).is_ok_and(|needed| needed > keys));
            if let Some((role, needed)) = impossible {
                return Finding::broken(
                    format!(
                        "the role {role} asks for {needed} approvals, and the root names {keys} registrar keys: no device can come to it"
                    ),
                    "edgeseal approval list; a registrar key more: edgeseal registrar rotate --keep-old --keys DIR",
                );
            }
            match waiting {
                0 => Finding::ok("nothing waits for approvals"),
                waiting => Finding::warning(
                    format!("{waiting} wait for approvals by several persons"),
                    "edgeseal approval list",
                ),
            }
        })
    })
}

pub(super) fn tokens(facts: &Facts) -> Vec<Finding> {
    let now = facts.clock.time;
    in_registry(facts, |registry| {
        readable(&registry.tokens, |tokens| {
            let used = tokens.iter().filter(|token| token.used.is_some()).count();
            let unused = |token: &&TokenRecord| token.used.is_none() && token.revoked_at.is_none();
            let valid: Vec<&TokenRecord> = tokens
                .iter()
                .filter(unused)
                .filter(|token| token.expires_at > now)
                .collect();
            let tried = tokens
                .iter()
                .filter(|token| token.refused.contains_key(USED))
                .count();
            let soon = valid
                .iter()
                .filter(|token| token.expires_at.since(now) < SOON_SECONDS);
            let what = format!("{} unused, {used} used", valid.len());
            match (tried, soon.count()) {
                (0, 0) => Finding::ok(what),
                (0, soon) => Finding::warning(
                    format!("{what}; {soon} of the unused end within two days"),
                    "edgeseal join list --state unused; new cards: edgeseal join create --keys DIR --role ROLE --out DIR",
                ),
                (tried, _) => Finding::warning(
                    format!(
                        "{what}; of {tried} a second use was tried: a card was copied, or read by others"
                    ),
                    "edgeseal join list --state used; is each the device that you expect? edgeseal device show ID",
                ),
            }
        })
    })
}

pub(super) fn fleet(facts: &Facts) -> Vec<Finding> {
    let glance = match &facts.fleet {
        None => return Finding::unknown("no broker could be asked", "edgeseal fleet status"),
        Some(Err(why)) => return Finding::unknown(&why.reason, "edgeseal fleet status"),
        Some(Ok(glance)) => glance,
    };
    let said: Vec<String> = glance
        .attention
        .iter()
        .map(|(why, devices)| format!("{} {why}", devices.len()))
        .collect();
    let what = format!("of {} active devices {}", glance.active, said.join(", "));
    if said.is_empty() {
        return Finding::ok(format!(
            "{} active devices, and none wants attention",
            glance.active
        ));
    }
    let alarm = ALARMS.iter().any(|why| glance.attention.contains_key(why));
    match alarm {
        true => Finding::broken(what, "edgeseal fleet status --only ahead,clone"),
        false => Finding::warning(what, "edgeseal fleet status --only all"),
    }
}

pub(super) fn backup(facts: &Facts) -> Vec<Finding> {
    let now = facts.clock.time;
    in_registry(facts, |registry| {
        readable(&registry.backed_up, |last| match last {
            Some(last) => {
                let what = format!(
                    "the last one is of {}, at sequence {}",
                    last.at.date(),
                    last.sequence
                );
                match now.since(last.at) > OLD_SECONDS {
                    true => Finding::warning(what, BACK_UP),
                    false => Finding::ok(what),
                }
            }
            None if facts.place.is_in_git => {
                Finding::ok("it lies in a git work tree; is that pushed somewhere?")
            }
            None => Finding::warning("none was made from this copy", BACK_UP),
        })
    })
}

const BACK_UP: &str = "edgeseal backup FILE, and take the file elsewhere";
/// The code of a join token that is used a second time.
const USED: &str = "join-used";
/// What a fleet must not be silent about.
const ALARMS: [&str; 2] = ["ahead", "clone"];
const SOON_SECONDS: u64 = 2 * 86_400;
const OLD_SECONDS: u64 = 30 * 86_400;
