//! Why an update is refused.

use crate::document::{Digest, DocumentRejection};
use std::fmt;

/// Which document a refusal speaks of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DocumentName {
    /// The manifest.
    Manifest,
    /// A root, by its place in the offer, from 1.
    Root(usize),
    /// A shard, by its index.
    Shard(u32),
}

/// Why an update is refused as a whole: the state before it stays in force.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[must_use]
pub enum UpdateRejection {
    /// Another manifest with the sequence of one that was applied.
    #[error(
        "conflict: another manifest with root version {root_version}, sequence {sequence} was \
         applied before. Two registries publish, or a registrar key is in other hands: find out, \
         then publish a higher sequence"
    )]
    Conflict {
        /// The root version of both.
        root_version: u64,
        /// The sequence of both.
        sequence: u64,
    },
    /// A document is refused by itself.
    #[error("{document}: {why}")]
    Document {
        /// Which.
        document: DocumentName,
        /// Why.
        why: DocumentRejection,
    },
    /// A document of another trust domain.
    #[error(
        "{document} is of the domain {found}, not of {expected}: take the bundle of {expected}"
    )]
    Domain {
        /// Which.
        document: DocumentName,
        /// The domain of the root.
        expected: String,
        /// The document's domain.
        found: String,
    },
    /// There is no root yet, and nobody vouched for one.
    #[error(
        "no root is pinned on this device: run `edgeseal-agent trust apply FILE --root WORDS` with \
         the words that `edgeseal domain init` showed"
    )]
    FirstRootNotPinned,
    /// The manifest does not name the newest root.
    #[error(
        "the manifest was made under root {found}, the newest root here is {newest}: bring the \
         missing root, or publish again under the newest"
    )]
    ManifestRootVersion {
        /// The version of the newest root.
        newest: u64,
        /// The version that the manifest names.
        found: u64,
    },
    /// A manifest older than one that was applied.
    #[error(
        "rollback: the manifest has root version {}, sequence {}, but {}, {} was applied before: \
         take the newest bundle", found.0, found.1, applied.0, applied.1
    )]
    Rollback {
        /// Root version and sequence of the high-water mark.
        applied: (u64, u64),
        /// Root version and sequence of the manifest.
        found: (u64, u64),
    },
    /// Another root of a version that was applied.
    #[error(
        "conflict: another root of version {version} was applied before. Root keys are in other \
         hands, or two registries have one name: find out before anything else"
    )]
    RootConflict {
        /// The version of both.
        version: u64,
    },
    /// A root whose version is not exactly the next.
    #[error("root {expected} belongs here, this is root {found}: bring every root in between")]
    RootVersion {
        /// The version that belongs there.
        expected: u64,
        /// The version found.
        found: u64,
    },
    /// No root in the offer has the words that were typed.
    #[error(
        "no root in the file has these words: compare them again where the root was made; if they \
         are right, the file is not from there"
    )]
    RootWords,
    /// Octets that are no shard of the manifest.
    #[error("a shard has the SHA-256 {found}, which the manifest does not name: copy it again")]
    ShardHash {
        /// Their SHA-256.
        found: Digest,
    },
    /// A shard that is neither held nor offered.
    #[error("shard {index} is missing: bring a bundle that has it ({digest})")]
    ShardMissing {
        /// Its index.
        index: u32,
        /// Its SHA-256.
        digest: Digest,
    },
}

impl UpdateRejection {
    /// The stable short code; of a document refused by itself, [`DocumentRejection::code`].
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Conflict { .. } => "conflict",
            Self::Document { why, .. } => why.code(),
            Self::Domain { .. } => "domain",
            Self::FirstRootNotPinned => "first-root-not-pinned",
            Self::ManifestRootVersion { .. } => "manifest-root-version",
            Self::Rollback { .. } => "rollback",
            Self::RootConflict { .. } => "root-conflict",
            Self::RootVersion { .. } => "root-version",
            Self::RootWords => "root-words",
            Self::ShardHash { .. } => "shard-hash",
            Self::ShardMissing { .. } => "shard-missing",
        }
    }

    /// Every code of its own, in alphabetical order; those of documents are
    /// [`DocumentRejection::CODES`].
    pub const CODES: [&'static str; 10] = [
        "conflict",
        "domain",
        "first-root-not-pinned",
        "manifest-root-version",
        "rollback",
        "root-conflict",
        "root-version",
        "root-words",
        "shard-hash",
        "shard-missing",
    ];
}

impl fmt::Display for DocumentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manifest => f.write_str("the manifest"),
            Self::Root(place) => write!(f, "root document {place}"),
            Self::Shard(index) => write!(f, "shard {index}"),
        }
    }
}
