//! A bundle file.

use super::Finding;
use super::trust::{Bundle, Trust};
use crate::error::{CommandError, Result};
use crate::registry::state_word;
use edgeseal_trust::document::{
    BundleError, BundleReader, Document, DocumentRejection, Manifest, Shard,
};
use edgeseal_trust::registry::DeviceState;
use edgeseal_trust::words::Words;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, Read};

/// Shows a bundle: roots with their words, the manifest, devices by state.
pub(crate) fn inspect(mut source: Box<dyn BufRead>, trust: &Trust) -> Result<Finding> {
    let Some(words) = &trust.words else {
        return survey(source, None);
    };
    // Judged as a whole first, then shown: both need the octets, and standard input comes once.
    let mut octets = Vec::new();
    let limit = edgeseal_trust::limits::BUNDLE_OCTETS.saturating_add(1);
    source
        .by_ref()
        .take(limit)
        .read_to_end(&mut octets)
        .map_err(|why| CommandError::io("read", "-".as_ref(), &why))?;
    let bundle = Bundle::read(octets.as_slice(), Some(words))?;
    survey(octets.as_slice(), Some(bundle.vouched_by))
}

fn survey(source: impl BufRead, verified_by: Option<String>) -> Result<Finding> {
    let mut reader = BundleReader::open(source).map_err(|why| unreadable(&why))?;
    let roots: Vec<String> = reader
        .roots()
        .map(|r| Words::of_root(r).to_string())
        .collect();
    let manifest = Document::<Manifest>::load(reader.manifest()).map_err(|why| refused(&why))?;
    let manifest = manifest.content();
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for state in [
        DeviceState::Active,
        DeviceState::Pending,
        DeviceState::Suspended,
        DeviceState::Revoked,
    ] {
        counts.insert(state_word(state), 0);
    }
    let shards = reader.shards();
    while let Some(octets) = reader.next_shard().map_err(|why| unreadable(&why))? {
        let shard = Shard::reload(octets).map_err(|why| refused(&why))?;
        for device in shard.devices() {
            let count = counts.entry(state_word(device.state)).or_default();
            *count = count.saturating_add(1);
        }
    }
    let mut summary = format!(
        "domain {}, root version {}, sequence {}\nissued {}, valid until {}\n",
        manifest.domain,
        manifest.root_version,
        manifest.sequence,
        manifest.issued_at.date(),
        manifest.expires_at.date(),
    );
    for (version, words) in (1_u64..).zip(&roots) {
        let _ = writeln!(summary, "root document {version}: {words}");
    }
    let _ = write!(summary, "{shards} shards; devices:");
    for (state, count) in &counts {
        let _ = write!(summary, " {count} {state}");
    }
    let (roles, groups) = (manifest.roles.len(), manifest.groups.len());
    let _ = write!(summary, "; {roles} roles, {groups} groups");
    Ok(Finding {
        kind: "bundle",
        verified_by,
        summary,
        content: content(manifest, &roots, &counts),
    })
}

fn content(manifest: &Manifest, roots: &[String], devices: &BTreeMap<&str, u64>) -> Value {
    json!({
        "domain": manifest.domain,
        "root_version": manifest.root_version,
        "sequence": manifest.sequence,
        "iat": manifest.issued_at,
        "exp": manifest.expires_at,
        "root_words": roots,
        "roles": manifest.roles,
        "groups": manifest.groups,
        "shards": manifest.shards.len(),
        "devices": devices,
    })
}

fn unreadable(why: &BundleError) -> CommandError {
    let code = match why {
        BundleError::Read(_) => "io",
        BundleError::Rejected(why) => why.code(),
    };
    CommandError::no(code, format!("the bundle cannot be read: {why}"))
}

fn refused(why: &DocumentRejection) -> CommandError {
    CommandError::no(why.code(), format!("the bundle cannot be read: {why}"))
}
