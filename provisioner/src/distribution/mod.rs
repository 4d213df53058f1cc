//! A broker as the distribution engine (DESIGN 4.3): roots, manifest and shards as retained messages, which any agent fetches.
//!
//! The order makes every moment a good one to be cut off: what may lie about on the broker is noted in the registry first, then
//! come roots and shards, which are read back, then the manifest that names them, and what no kept manifest names goes last.
//! The same publish again goes on where it stopped.

mod arrived;
mod found;
mod judge;
mod standing;

pub(crate) use arrived::{Arrived, wait};
pub(crate) use standing::{Expected, Standing};

use crate::command::reach;
use crate::error::{CommandError, Exit, Result};
use crate::mqtt::{Arrival, Connection, Endpoint, MqttError};
use crate::registry::{Carried, Registry};
use crate::render::{Style, notice, progress};
use edgeseal_trust::carrier::CarrierTopic;
use edgeseal_trust::document::{Digest, Document, Manifest, Root};
use edgeseal_trust::id::TrustDomain;
use found::Found;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// Puts what the registry published last on one broker.
pub(crate) struct Publisher {
    connection: Connection,
    url: String,
    style: Style,
}

/// What became of it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Published {
    /// The broker.
    pub(crate) url: String,
    /// Roots that were put there.
    pub(crate) roots: usize,
    /// Shards that were put there.
    pub(crate) shards: usize,
    /// Documents that were taken away.
    pub(crate) removed: usize,
    /// Octets of all documents that were put there.
    pub(crate) octets: usize,
}

/// Documents as a broker keeps them.
pub(crate) struct Kept {
    /// Roots, by the version that their topics state.
    pub(crate) roots: Vec<Vec<u8>>,
    /// The manifest.
    pub(crate) manifest: Option<Vec<u8>>,
}

/// How thorough to be.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Shards {
    /// Every shard, also those that the broker has had.
    All,
    /// Those that the manifest on the broker does not name.
    #[default]
    Changed,
}

/// Puts what the registry published last on the broker, and tries again when the connection is lost.
///
/// # Errors
/// As [`Publisher::publish`]. What is published stands in the registry whatever happens here.
pub(crate) fn publish(
    registry: &Registry,
    endpoint: &Endpoint,
    shards: Shards,
    style: Style,
) -> Result<Published> {
    let runtime = runtime()?;
    let mut pauses = PAUSES.iter();
    loop {
        let published = runtime.block_on(async {
            let mut publisher = Publisher::connect(endpoint, registry.domain(), style).await?;
            let published = publisher.publish(registry, shards).await;
            publisher.close().await;
            published
        });
        match (published, pauses.next()) {
            (Err(why), Some(pause)) if why.code == reach::CONNECTION_LOST => {
                notice(style, &format!("{}; once more", why.reason));
                std::thread::sleep(*pause);
            }
            (published, _) => return published,
        }
    }
}

/// Looks whether the broker is ahead of the registry, before anything is signed: a sequence must not be signed with two contents
/// because a registry came from a backup. A broker that cannot be reached is found out about later.
///
/// # Errors
/// `broker-ahead`.
pub(crate) fn judge(registry: &Registry, endpoint: &Endpoint, style: Style) -> Result<()> {
    let (roots, last) = (registry.roots()?, registry.manifest()?);
    let domain = registry.domain();
    let found = runtime()?.block_on(async {
        let mut publisher = Publisher::connect(endpoint, domain, style).await.ok()?;
        let found = Found::look(&mut publisher.connection, domain, &roots).await;
        publisher.close().await;
        found.ok()
    });
    match found {
        Some(found) => judge::before_signing(&found, &roots, last.as_ref()),
        None => Ok(()),
    }
}

/// The roots and the manifest that the broker keeps, of which nothing is believed.
///
/// # Errors
/// No connection.
pub(crate) fn kept(registry: &Registry, endpoint: &Endpoint) -> Result<Kept> {
    let id = format!(
        "edgeseal-restore-{}-{}",
        registry.domain(),
        std::process::id()
    );
    let roots = registry.roots()?;
    let found = runtime()?.block_on(async {
        let mut connection = Connection::open(endpoint, &id, &[]).await?;
        let found = Found::look(&mut connection, registry.domain(), &roots).await?;
        connection.close().await;
        Ok::<Found, MqttError>(found)
    });
    let found = found.map_err(|why| reach::failed(&why))?;
    Ok(Kept {
        roots: found.roots.into_values().collect(),
        manifest: found.manifest,
    })
}

/// The runtime of a verb that speaks to a broker.
///
/// # Errors
/// The system refuses.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.map_err(|why| CommandError::io("start the runtime in", "/".as_ref(), &why))
}

impl Publisher {
    /// Connects.
    ///
    /// # Errors
    /// No connection.
    pub(crate) async fn connect(
        endpoint: &Endpoint,
        domain: &TrustDomain,
        style: Style,
    ) -> Result<Self> {
        let id = format!("edgeseal-publish-{domain}-{}", std::process::id());
        let connection = Connection::open(endpoint, &id, &[]).await;
        Ok(Self {
            connection: connection.map_err(|why| reach::failed(&why))?,
            url: endpoint.url(),
            style,
        })
    }

    /// Says goodbye.
    pub(crate) async fn close(self) {
        self.connection.close().await;
    }

    /// Puts roots, shards and manifest there, reads back what it put, and removes what is left over. Whoever calls it holds the
    /// registry for editing.
    ///
    /// # Errors
    /// `broker-ahead` and `broker-conflict` where the broker has a manifest of this domain that is not lower; `broker-differs`
    /// where it gives back something else than it was given; the connection; the registry.
    pub(crate) async fn publish(
        &mut self,
        registry: &Registry,
        shards: Shards,
    ) -> Result<Published> {
        let roots = registry.roots()?;
        let manifest = registry.manifest()?;
        let manifest = manifest.ok_or_else(crate::command::publish::never_published)?;
        let found = Found::look(&mut self.connection, registry.domain(), &roots).await;
        let found = found.map_err(|why| reach::failed(&why))?;
        let before = judge::not_ahead(&found, &roots, &manifest, self.style)?;
        let mut work = Work {
            publisher: self,
            registry,
            published: Published::default(),
            carried: registry.carried()?,
        };
        work.published.url.clone_from(&work.publisher.url);
        let before = before.as_ref().map(Document::content);
        let lacking = work.note(before, manifest.content(), shards)?;
        work.put_roots(&found, &roots).await?;
        work.put_shards(&lacking).await?;
        if found.manifest.as_deref() != Some(manifest.octets()) {
            let topic = topic(registry.domain(), CarrierTopic::Manifest);
            work.put(&topic, manifest.octets()).await?;
        }
        work.read_back(&roots, &manifest).await?;
        work.remove(&found, &roots, before, manifest.content())
            .await?;
        Ok(work.published)
    }
}

/// One publish under way.
struct Work<'a> {
    publisher: &'a mut Publisher,
    registry: &'a Registry,
    published: Published,
    carried: BTreeMap<String, Carried>,
}

impl Work<'_> {
    /// Notes in the registry what may lie about on the broker from now on, and gives the shards that it lacks.
    fn note(
        &mut self,
        before: Option<&Manifest>,
        manifest: &Manifest,
        shards: Shards,
    ) -> Result<BTreeSet<Digest>> {
        let wanted = set(manifest);
        let there = before.map(set).unwrap_or_default();
        let lacking: BTreeSet<Digest> = match shards {
            Shards::All => wanted.clone(),
            Shards::Changed => wanted.difference(&there).copied().collect(),
        };
        let carried = self.carried.entry(self.publisher.url.clone());
        let carried = carried.or_default();
        let was = carried.clone();
        if there != wanted {
            let previous: BTreeSet<Digest> = there.difference(&wanted).copied().collect();
            let older = std::mem::replace(&mut carried.previous, previous);
            carried.aside.extend(older);
        }
        carried.aside.extend(&lacking);
        if shards == Shards::All {
            carried.put.clear();
        }
        carried.put.retain(|digest| lacking.contains(digest));
        if *carried != was {
            self.registry.keep_carried(&self.carried)?;
        }
        Ok(lacking)
    }

    async fn put_roots(&mut self, found: &Found, roots: &[Document<Root>]) -> Result<()> {
        for root in roots {
            let version = root.content().version;
            if found.roots.get(&version).map(Vec::as_slice) != Some(root.octets()) {
                let topic = topic(self.registry.domain(), CarrierTopic::Root(version));
                self.put(&topic, root.octets()).await?;
                self.published.roots = self.published.roots.saturating_add(1);
            }
        }
        Ok(())
    }

    /// Puts the shards that are not there yet, then looks whether all of them are.
    async fn put_shards(&mut self, lacking: &BTreeSet<Digest>) -> Result<()> {
        let done = self.carried().put.clone();
        self.send_shards(lacking.difference(&done).copied().collect())
            .await?;
        let lost = self.lost(lacking).await?;
        // An earlier attempt put them there, and the broker has forgotten them.
        let (forgotten, wrong): (Vec<_>, Vec<_>) =
            lost.into_iter().partition(|digest| done.contains(digest));
        self.send_shards(forgotten.clone()).await?;
        let lost = self.lost(&forgotten.into_iter().collect()).await?;
        match wrong.first().or(lost.first()) {
            None => Ok(()),
            Some(digest) => Err(self.differs(&format!("the shard {digest}"))),
        }
    }

    async fn send_shards(&mut self, digests: Vec<Digest>) -> Result<()> {
        let bar = progress(self.publisher.style, digests.len(), "shards sent");
        let mut under_way = VecDeque::new();
        for digest in digests {
            if under_way.len() >= UNDER_WAY {
                self.settle(under_way.pop_front()).await?;
            }
            let octets = self.registry.shard(digest)?;
            let topic = topic(self.registry.domain(), CarrierTopic::Shard(digest));
            let message = Arrival::retained(topic, octets);
            let octets = message.payload.len();
            let receipt = self.publisher.connection.send(&message).await;
            under_way.push_back((digest, receipt.map_err(|why| reach::failed(&why))?));
            self.published.octets = self.published.octets.saturating_add(octets);
            bar.inc(1);
        }
        while let Some(first) = under_way.pop_front() {
            self.settle(Some(first)).await?;
        }
        bar.finish_and_clear();
        Ok(())
    }

    async fn settle(&mut self, sent: Option<(Digest, crate::mqtt::Receipt)>) -> Result<()> {
        let Some((digest, receipt)) = sent else {
            return Ok(());
        };
        let acknowledged = self.publisher.connection.acknowledged(receipt).await;
        acknowledged.map_err(|why| reach::failed(&why))?;
        self.published.shards = self.published.shards.saturating_add(1);
        let put = &mut self.carried().put;
        put.insert(digest);
        if put.len().is_multiple_of(NOTED_EVERY) {
            self.registry.keep_carried(&self.carried)?;
        }
        Ok(())
    }

    /// Those of the shards that the broker does not keep as they are.
    async fn lost(&mut self, digests: &BTreeSet<Digest>) -> Result<Vec<Digest>> {
        let digests: Vec<Digest> = digests.iter().copied().collect();
        let bar = progress(self.publisher.style, digests.len(), "shards read back");
        let mut lost = Vec::new();
        for batch in digests.chunks(READ_AT_ONCE) {
            let topics: Vec<String> = batch
                .iter()
                .map(|digest| topic(self.registry.domain(), CarrierTopic::Shard(*digest)))
                .collect();
            let got = self.fetch(&topics).await?;
            for (digest, topic) in batch.iter().zip(&topics) {
                let same = got.get(topic).map(|octets| Digest::of(octets));
                if same != Some(*digest) {
                    lost.push(*digest);
                }
            }
            bar.inc(u64::try_from(batch.len()).unwrap_or(0));
        }
        bar.finish_and_clear();
        Ok(lost)
    }

    async fn read_back(
        &mut self,
        roots: &[Document<Root>],
        manifest: &Document<Manifest>,
    ) -> Result<()> {
        let domain = self.registry.domain();
        let mut wanted = vec![(
            topic(domain, CarrierTopic::Manifest),
            manifest.octets(),
            "the manifest",
        )];
        if let Some(root) = roots.last() {
            let version = root.content().version;
            let topic = topic(domain, CarrierTopic::Root(version));
            wanted.push((topic, root.octets(), "the root"));
        }
        let topics: Vec<String> = wanted.iter().map(|(topic, ..)| topic.clone()).collect();
        let got = self.fetch(&topics).await?;
        for (topic, octets, what) in wanted {
            if got.get(&topic).map(Vec::as_slice) != Some(octets) {
                return Err(self.differs(what));
            }
        }
        Ok(())
    }

    /// Takes away what neither this manifest nor the one before it names, and roots that are none.
    async fn remove(
        &mut self,
        found: &Found,
        roots: &[Document<Root>],
        before: Option<&Manifest>,
        manifest: &Manifest,
    ) -> Result<()> {
        let domain = self.registry.domain().clone();
        let (kept, there) = (set(manifest), before.map(set).unwrap_or_default());
        let carried = self.carried();
        let named = |digest: &Digest| {
            kept.contains(digest) || there.contains(digest) || carried.previous.contains(digest)
        };
        let left = carried.aside.iter().filter(|digest| !named(digest));
        let shards = left.map(|digest| topic(&domain, CarrierTopic::Shard(*digest)));
        let newest = roots.last().map_or(0, |root| root.content().version);
        let later = found.roots.keys().filter(|version| **version > newest);
        let later = later.map(|version| topic(&domain, CarrierTopic::Root(*version)));
        let topics: Vec<String> = shards.chain(later).chain(found.strange.clone()).collect();
        for topic in &topics {
            self.put(topic, b"").await?;
        }
        self.published.removed = topics.len();
        let carried = self.carried();
        if !carried.aside.is_empty() || !carried.put.is_empty() {
            carried.aside.clear();
            carried.put.clear();
            self.registry.keep_carried(&self.carried)?;
        }
        Ok(())
    }

    async fn put(&mut self, topic: &str, octets: &[u8]) -> Result<()> {
        let message = Arrival::retained(topic, octets);
        let put = self.publisher.connection.publish(&message).await;
        put.map_err(|why| reach::failed(&why))?;
        self.published.octets = self.published.octets.saturating_add(octets.len());
        Ok(())
    }

    /// What the broker keeps on these topics.
    async fn fetch(&mut self, topics: &[String]) -> Result<BTreeMap<String, Vec<u8>>> {
        let fetched = found::fetch(&mut self.publisher.connection, topics).await;
        fetched.map_err(|why: MqttError| reach::failed(&why))
    }

    fn carried(&mut self) -> &mut Carried {
        self.carried.entry(self.publisher.url.clone()).or_default()
    }

    fn differs(&self, what: &str) -> CommandError {
        let url = &self.publisher.url;
        let reason = format!("{url} acknowledged {what}, and does not keep it as it was sent");
        CommandError::new(Exit::TemporaryFailure, "broker-differs", reason).hint(
            "does it keep retained messages of 1 MiB, and does nobody else publish below edgeseal/? Then: edgeseal publish --again",
        )
    }
}

fn topic(domain: &TrustDomain, topic: CarrierTopic) -> String {
    topic.name(domain)
}

fn set(manifest: &Manifest) -> BTreeSet<Digest> {
    manifest.shards.iter().copied().collect()
}

/// Between attempts.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];
/// Shards that may be unacknowledged: 16 MiB at most.
const UNDER_WAY: usize = 16;
/// Shards that are read back at one time.
const READ_AT_ONCE: usize = 8;
/// Shards between two notes of what is there.
const NOTED_EVERY: usize = 64;
