//! Topics of the documents (DESIGN 4.3).

use edgeseal_trust::document::Digest;
use edgeseal_trust::id::TrustDomain;

/// A topic that carries a document.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum CarrierTopic {
    /// The manifest in force.
    Manifest,
    /// A root by its version.
    Root(u64),
    /// A shard by its SHA-256.
    Shard(Digest),
}

impl CarrierTopic {
    /// Its name.
    pub(super) fn name(self, domain: &TrustDomain) -> String {
        match self {
            Self::Manifest => format!("edgeseal/{domain}/manifest"),
            Self::Root(version) => format!("edgeseal/{domain}/root/{version}"),
            Self::Shard(digest) => format!("edgeseal/{domain}/shard/{digest}"),
        }
    }

    /// The topic of this name, where the name is exactly what [`CarrierTopic::name`] gives; shards are not asked for here.
    pub(super) fn parse(name: &str, domain: &TrustDomain) -> Option<Self> {
        let rest = name.strip_prefix(&format!("edgeseal/{domain}/"))?;
        let topic = match rest.strip_prefix("root/") {
            Some(version) => Self::Root(version.parse().ok()?),
            None => Self::Manifest,
        };
        (topic.name(domain) == name).then_some(topic)
    }
}
