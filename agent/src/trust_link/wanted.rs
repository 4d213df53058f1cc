//! What the link asks a broker for.

use edgeseal_trust::carrier::CarrierTopic;
use edgeseal_trust::document::Digest;
use edgeseal_trust::id::TrustDomain;

/// A document on its retained topic.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Wanted {
    /// The manifest.
    Manifest,
    /// The root of this version.
    Root(u64),
    /// The shard with this SHA-256.
    Shard(Digest),
}

impl Wanted {
    /// The topic in this domain.
    pub fn topic(self, domain: &TrustDomain) -> String {
        let topic = match self {
            Self::Manifest => CarrierTopic::Manifest,
            Self::Root(version) => CarrierTopic::Root(version),
            Self::Shard(digest) => CarrierTopic::Shard(digest),
        };
        topic.name(domain)
    }

    /// What lies on this topic; nothing where it is no topic of a document of this domain.
    pub fn of(topic: &str, domain: &TrustDomain) -> Option<Self> {
        match CarrierTopic::parse(topic, domain)? {
            CarrierTopic::Manifest => Some(Self::Manifest),
            CarrierTopic::Root(version) => Some(Self::Root(version)),
            CarrierTopic::Shard(digest) => Some(Self::Shard(digest)),
            CarrierTopic::Answer(_) | CarrierTopic::Request(_) | CarrierTopic::Status(_) => None,
        }
    }
}
