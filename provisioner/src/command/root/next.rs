//! The content of the next root: the last one with a few things changed, judged before anything is
//! written.

use crate::error::{CommandError, Result};
use edgeseal_trust::document::{Authority, Root};
use edgeseal_trust::key::{KeyId, VerifyingKey};
use edgeseal_trust::limits;
use edgeseal_trust::time::UnixTime;

/// What changes in one authority.
#[derive(Default)]
pub(crate) struct Change {
    /// Keys that come.
    pub(crate) add: Vec<VerifyingKey>,
    /// Keys that go.
    pub(crate) remove: Vec<KeyId>,
    /// How many must sign; by default as many as before, or all that are left where that is fewer.
    pub(crate) threshold: Option<u32>,
}

/// The root after `before`. It can be succeeded: a root without keys, or with a threshold that they
/// cannot reach, is refused here as by every device.
///
/// # Errors
/// A key to remove that is not there, one to add that is; no key left; an unreachable threshold; more
/// roots than a bundle can carry.
pub(crate) fn next_root(
    before: &Root,
    root: &Change,
    registrar: &Change,
    now: UnixTime,
    days: u64,
) -> Result<Root> {
    let version = before.version.saturating_add(1);
    if usize::try_from(version).unwrap_or(usize::MAX) > limits::BUNDLE_ROOTS {
        let most = limits::BUNDLE_ROOTS;
        return Err(CommandError::no(
            "too-many",
            format!("a bundle file carries {most} roots, and this would be one more"),
        )
        .hint("begin a new domain before its last root expires"));
    }
    Ok(Root {
        domain: before.domain.clone(),
        version,
        issued_at: now,
        expires_at: now.plus(days.saturating_mul(DAY)),
        root: apply("root", &before.root, root)?,
        registrar: apply("registrar", &before.registrar, registrar)?,
    })
}

fn apply(name: &str, before: &Authority, change: &Change) -> Result<Authority> {
    for kid in &change.remove {
        if before.key(*kid).is_none() {
            let reason = format!("{kid} is no {name} key of the last root");
            return Err(
                CommandError::no("key-unknown", reason).hint("edgeseal root show lists the keys")
            );
        }
    }
    for key in &change.add {
        if before.key(key.id()).is_some() {
            let reason = format!("{} is a {name} key of the last root already", key.id());
            return Err(
                CommandError::no("key-in-use", reason).hint("edgeseal root show lists the keys")
            );
        }
    }
    let kept = before.keys().iter();
    let kept = kept.filter(|key| !change.remove.contains(&key.id()));
    let keys: Vec<VerifyingKey> = kept.chain(&change.add).cloned().collect();
    if keys.is_empty() {
        let reason = format!("that takes away the last {name} key: nothing could follow this root");
        return Err(CommandError::no("last-key", reason).hint("add a key in the same step"));
    }
    let threshold = change.threshold.unwrap_or_else(|| {
        let most = u32::try_from(keys.len()).unwrap_or(u32::MAX);
        before.threshold().min(most)
    });
    Authority::new(threshold, keys).map_err(|why| {
        CommandError::no(why.code(), format!("the {name} keys: {why}")).hint(format!(
            "--{name}-threshold is 1 to the number of {name} keys that the new root names"
        ))
    })
}

const DAY: u64 = 86_400;

#[cfg(test)]
mod tests {
    use super::{Change, next_root};
    use crate::keys::generate;
    use edgeseal_trust::document::{Authority, Root};
    use edgeseal_trust::key::VerifyingKey;
    use edgeseal_trust::time::UnixTime;

    fn key() -> VerifyingKey {
        generate().unwrap().public().clone()
    }

    fn first(keys: usize, threshold: u32) -> Root {
        let authority = |count: usize, threshold| {
            Authority::new(threshold, (0..count).map(|_| key()).collect()).unwrap()
        };
        Root {
            domain: edgeseal_trust::id::TrustDomain::parse("farm").unwrap(),
            version: 1,
            issued_at: UnixTime::from_seconds(100),
            expires_at: UnixTime::from_seconds(200),
            root: authority(keys, threshold),
            registrar: authority(1, 1),
        }
    }

    #[test]
    fn no_root_is_made_that_nothing_could_follow() {
        let before = first(2, 2);
        let kids: Vec<_> = before.root.keys().iter().map(VerifyingKey::id).collect();
        let made = |change: Change| {
            let now = UnixTime::from_seconds(1000);
            next_root(&before, &change, &Change::default(), now, 1)
        };
        let code = |change| made(change).unwrap_err().code;
        let remove = kids.clone();
        assert_eq!(
            code(Change {
                remove,
                ..Change::default()
            }),
            "last-key"
        );
        for threshold in [0, 3] {
            assert_eq!(
                code(Change {
                    threshold: Some(threshold),
                    ..Change::default()
                }),
                "threshold-impossible"
            );
        }
        assert_eq!(
            code(Change {
                add: vec![before.root.keys()[0].clone()],
                ..Change::default()
            }),
            "key-in-use"
        );
        assert_eq!(
            code(Change {
                remove: vec![key().id()],
                ..Change::default()
            }),
            "key-unknown"
        );
        let one_less = made(Change {
            remove: vec![kids[0]],
            ..Change::default()
        })
        .unwrap();
        assert_eq!((one_less.version, one_less.root.threshold()), (2, 1));
        let mut last = before.clone();
        last.version = 256;
        let now = UnixTime::from_seconds(1000);
        let change = Change::default();
        let refused = next_root(&last, &change, &change, now, 1).unwrap_err();
        assert_eq!(refused.code, "too-many");
    }
}
