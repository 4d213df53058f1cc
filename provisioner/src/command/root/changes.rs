//! What a root changes, in words: a person reads it before a key signs.

use edgeseal_trust::document::{Authority, Root};
use edgeseal_trust::key::VerifyingKey;

/// One line for each thing that `after` changes, and for what stays.
pub(crate) fn changes(before: &Root, after: &Root) -> Vec<String> {
    let mut lines = vec![
        format!("domain {}", after.domain),
        format!("root version {} -> {}", before.version, after.version),
    ];
    lines.extend(authority("root", "roots", &before.root, &after.root));
    let (old, new) = (&before.registrar, &after.registrar);
    lines.extend(authority("registrar", "manifests", old, new));
    lines.push(format!(
        "valid until {} -> {}",
        before.expires_at.date(),
        after.expires_at.date()
    ));
    lines
}

fn authority(name: &str, signs: &str, before: &Authority, after: &Authority) -> Vec<String> {
    let count = |authority: &Authority| {
        let (needed, keys) = (authority.threshold(), authority.keys().len());
        format!("{needed} of {keys}")
    };
    let (old, new) = (count(before), count(after));
    let mut lines = vec![if before == after {
        format!("{name} keys: {new} must sign {signs}, unchanged")
    } else {
        format!("{name} keys: {old} -> {new} must sign {signs}")
    }];
    let keys = |sign: &str, keys: &[VerifyingKey], others: &Authority, in_others: bool| {
        let chosen = keys
            .iter()
            .filter(|key| others.key(key.id()).is_some() == in_others);
        let lines: Vec<String> = chosen
            .map(|key| format!("  {sign} {name} key {}", key.id()))
            .collect();
        lines
    };
    lines.extend(keys("keeps  ", before.keys(), after, true));
    lines.extend(keys("REMOVES", before.keys(), after, false));
    lines.extend(keys("ADDS   ", after.keys(), before, false));
    lines
}
