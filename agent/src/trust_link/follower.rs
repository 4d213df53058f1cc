//! What is asked of a broker, and what of its answers is believed. Pure: what came and `now` in,
//! actions out; time counts from the start of the process.
//!
//! The manifest and the next root are subscribed to all the time. A manifest that is to be applied by
//! its signatures says which shards are lacking; those alone are fetched, each compared with its
//! SHA-256 as it comes and handed on, so that memory does not grow with the fleet. When none is lacking
//! everything is judged and committed at once, by the same way as a bundle file. A broker can hold
//! back, mix, repeat and forge what it likes: what is in force stays so.

use super::chain::Chain;
use super::fetch::{Fetch, Landed, Progress};
use super::pace::Pace;
use super::wanted::Wanted;
use bytes::Bytes;
use edgeseal_trust::document::{Digest, Document, Manifest};
use edgeseal_trust::store::HeldDocuments;
use std::collections::VecDeque;
use std::time::Duration;

/// Follows the trust data that a broker offers.
pub struct Follower {
    chain: Chain,
    connection: Option<Connection>,
    /// When the roots offered are applied without a manifest.
    settle_at: Option<Duration>,
    /// The manifest that was offered last and is not dealt with.
    manifest: Option<Bytes>,
    judge_at: Option<Duration>,
    /// The manifest dealt with last.
    dealt: Option<Digest>,
    fetch: Option<Fetch>,
    /// A bundle is being applied; the claims of its manifest.
    applying: Option<Claims>,
    offered: Option<Offered>,
    retry_at: Option<Duration>,
    retries: u32,
    news_at: Option<Duration>,
    news_asked: Pace,
    judgements: Pace,
    /// So that a fleet does not ask in step.
    chance: u32,
    actions: VecDeque<Action>,
}

/// Root version and sequence that a manifest claims; nothing where it is none.
pub(super) type Claims = Option<(u64, u64)>;

/// What is to be done, in this order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Action {
    /// Lets the broker send what it has retained there, and what comes.
    Subscribe(Wanted),
    /// Nothing of it is wanted any more.
    Unsubscribe(Wanted),
    /// A bundle begins; the one before it is of no use.
    Begin {
        /// Its root documents, oldest first.
        roots: Vec<Bytes>,
        /// Its manifest.
        manifest: Bytes,
        /// How many shards follow.
        shards: u32,
    },
    /// Its next shard.
    Shard(Bytes),
    /// It is whole: [`Follower::applied`] tells what became of it.
    Apply,
    /// It is of no use.
    GiveUp,
    /// A new connection, because of this.
    Reconnect(&'static str),
}

/// What a broker offers and this device does not take.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Offered {
    /// Why not.
    pub(super) code: &'static str,
    pub(super) reason: String,
    pub(super) claims: Claims,
}

/// What became of a bundle.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It is in force.
    Applied,
    /// Refused, or the store failed.
    Refused {
        /// The stable short code.
        code: &'static str,
        /// Why, as a sentence.
        reason: String,
        /// Another try may help.
        again: bool,
    },
}

struct Connection {
    keep_alive: Duration,
    /// When anything came last.
    moved: Duration,
    root: Option<u64>,
    unwanted: Pace,
}

impl Follower {
    /// `chance` is any random number.
    pub fn new(held: HeldDocuments, chance: u32) -> Self {
        Self {
            chain: Chain::new(held),
            connection: None,
            settle_at: None,
            manifest: None,
            judge_at: None,
            dealt: None,
            fetch: None,
            applying: None,
            offered: None,
            retry_at: None,
            retries: 0,
            news_at: None,
            news_asked: Pace::new(NEWS_EVERY, 1),
            judgements: Pace::new(JUDGEMENT_EVERY, JUDGEMENTS_AT_ONCE),
            chance,
            actions: VecDeque::new(),
        }
    }

    /// The broker said CONNACK; nothing is known of a session.
    pub fn connected(&mut self, keep_alive: Duration, now: Duration) {
        self.connection = Some(Connection {
            keep_alive,
            moved: now,
            root: None,
            unwanted: Pace::new(UNWANTED_UNIT_EVERY, UNWANTED_UNITS),
        });
        self.dealt = None;
        self.retry_at = None;
        self.ask(now);
    }

    /// The connection has ended.
    pub fn disconnected(&mut self) {
        self.connection = None;
        // What is whole is still applied.
        self.actions.retain(|action| {
            matches!(
                action,
                Action::Begin { .. } | Action::Shard(_) | Action::Apply
            )
        });
        if self.fetch.take().is_some() {
            self.actions.push_back(Action::GiveUp);
        }
        self.manifest = None;
        self.judge_at = None;
        self.news_at = None;
        self.retry_at = None;
    }

    /// Anything came, be it an answer to a ping.
    pub fn moved(&mut self, now: Duration) {
        if let Some(connection) = &mut self.connection {
            connection.moved = now;
        }
    }

    /// A message came on the topic of a document.
    pub fn received(&mut self, what: Wanted, payload: Bytes, now: Duration) {
        if payload.is_empty() {
            return; // removed: what was there before counts no less
        }
        match what {
            Wanted::Manifest => self.take_manifest(payload, now),
            Wanted::Root(version) => self.take_root(version, payload, now),
            Wanted::Shard(digest) => self.take_shard(digest, payload, now),
        }
    }

    /// A message came that nobody asked for.
    pub(super) fn unwanted(&mut self, octets: usize, now: Duration) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        let units = octets.checked_div(UNWANTED_UNIT).unwrap_or_default();
        let units = u32::try_from(units).unwrap_or(u32::MAX).saturating_add(1);
        if !connection.unwanted.take_many(units, now) {
            self.actions.push_back(Action::Reconnect("flood"));
        }
    }

    /// The bundle was applied, or not. `held` is what the store has now.
    pub fn applied(&mut self, outcome: Outcome, held: Option<HeldDocuments>, now: Duration) {
        let claims = self.applying.take().flatten();
        self.stop_fetch();
        match outcome {
            Outcome::Applied => {
                self.offered = None;
                self.retries = 0;
                self.retry_at = None;
            }
            Outcome::Refused {
                code,
                reason,
                again,
            } => {
                self.refuse(code, reason, claims);
                if again {
                    self.retry_later(now);
                }
            }
        }
        if let Some(held) = held {
            self.hold(held);
        }
        self.judge(now);
    }

    /// The store has other documents now, by whatever way.
    pub(super) fn held_changed(&mut self, held: HeldDocuments, now: Duration) {
        if self.applying.is_some() {
            return; // the end of it brings them
        }
        self.hold(held);
        self.judge(now);
    }

    /// Somebody saw a key that is not known here, or an operator asks. At most every 10 seconds.
    pub(super) fn news_wanted(&mut self, now: Duration) {
        if self.connection.is_none() || self.news_at.is_some() {
            return;
        }
        if self.news_asked.take(now) {
            self.ask(now);
        } else {
            let free_at = self.news_asked.free_at();
            self.news_at = Some(free_at.saturating_add(self.jitter(NEWS_JITTER)));
        }
    }

    /// Does what is due. To be called at [`Follower::deadline`] at the latest.
    pub fn tick(&mut self, now: Duration) {
        let is_due = |at: Option<Duration>| at.is_some_and(|at| at <= now);
        if let Some(connection) = &self.connection
            && connection.wedged_at() <= now
        {
            self.actions.push_back(Action::Reconnect("wedged"));
            return;
        }
        if is_due(self.news_at) {
            self.news_at = None;
            self.news_asked.take(now);
            self.ask(now);
        }
        if is_due(self.judge_at) {
            self.judge_at = None;
            self.judge(now);
        }
        if is_due(self.retry_at) {
            self.retry_at = None;
            self.dealt = None;
            self.ask(now);
        }
        if is_due(self.fetch.as_ref().map(Fetch::missing_at)) {
            self.missing(now);
        }
        if is_due(self.settle_at) {
            self.settle();
        }
    }

    /// When [`Follower::tick`] has something to do.
    pub fn deadline(&self) -> Option<Duration> {
        let fetch = self.fetch.as_ref().map(Fetch::missing_at);
        let wedged = self.connection.as_ref().map(Connection::wedged_at);
        let all = [
            self.settle_at,
            self.judge_at,
            self.retry_at,
            self.news_at,
            fetch,
            wedged,
        ];
        all.into_iter().flatten().min()
    }

    /// What is to be done next, until there is nothing.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// What is offered and not taken.
    pub(super) const fn offered(&self) -> Option<&Offered> {
        self.offered.as_ref()
    }

    /// Shards on their way.
    pub(super) fn progress(&self) -> Option<Progress> {
        self.fetch.as_ref().map(Fetch::progress)
    }

    /// Lets the broker send again what it has retained.
    fn ask(&mut self, now: Duration) {
        if let Some(connection) = &mut self.connection {
            connection.root = None;
            self.news_asked.take(now);
            self.actions.push_back(Action::Subscribe(Wanted::Manifest));
            self.follow_roots();
        }
    }

    fn take_manifest(&mut self, payload: Bytes, now: Duration) {
        if self.dealt == Some(Digest::of(&payload)) {
            return self.unwanted(payload.len(), now);
        }
        self.manifest = Some(payload);
        self.judge(now);
    }

    fn take_root(&mut self, version: u64, payload: Bytes, now: Duration) {
        let subscribed = self.connection.as_ref().and_then(|open| open.root);
        if subscribed != Some(version) || self.applying.is_some() {
            return self.unwanted(payload.len(), now);
        }
        let octets = payload.len();
        if let Err(why) = self.chain.push(payload) {
            self.refuse(why.code(), format!("root {version}: {why}"), None);
            return self.unwanted(octets, now);
        }
        self.settle_at = Some(now.saturating_add(ROOT_SETTLES));
        self.dealt = None;
        self.actions
            .push_back(Action::Unsubscribe(Wanted::Root(version)));
        self.follow_roots();
        self.stop_fetch();
        self.judge(now);
    }

    fn take_shard(&mut self, digest: Digest, payload: Bytes, now: Duration) {
        let fetch = self.fetch.as_mut();
        match fetch.map_or(Landed::Unwanted, |fetch| fetch.land(digest, &payload, now)) {
            Landed::Right => {
                self.actions.push_back(Action::Shard(payload));
                self.actions
                    .push_back(Action::Unsubscribe(Wanted::Shard(digest)));
                self.fetch_more();
            }
            Landed::Unwanted => self.unwanted(payload.len(), now),
            Landed::Wrong => {
                let claims = self.manifest.as_deref().and_then(claims);
                let reason = format!("what lies at shard/{digest} has another SHA-256");
                self.refuse("shard-hash", reason, claims);
                self.unwanted(payload.len(), now);
            }
        }
    }

    /// Judges the manifest that was offered last, under the roots that were offered.
    fn judge(&mut self, now: Duration) {
        let Some(manifest) = self.manifest.clone() else {
            return;
        };
        if self.applying.is_some() {
            return;
        }
        let digest = Digest::of(&manifest);
        let claims = claims(&manifest);
        // Its root may be on the way: the broker need not keep the order.
        let newest = self.chain.newest();
        let is_ahead = claims.is_some_and(|(root_version, _)| root_version > newest);
        if is_ahead && self.dealt != Some(digest) {
            self.dealt = Some(digest);
            self.judge_at = Some(now.saturating_add(ROOT_PATIENCE));
            return;
        }
        if !self.judgements.take(now) {
            self.judge_at = Some(self.judgements.free_at());
            return;
        }
        self.judge_at = None;
        self.dealt = Some(digest);
        self.stop_fetch();
        let lacking = match self.chain.lacking(&manifest) {
            Err(why) => return self.refuse(why.code(), why.to_string(), claims),
            Ok(lacking) => lacking,
        };
        let Some(lacking) = lacking else {
            self.manifest = None;
            self.offered = None;
            return;
        };
        self.settle_at = None;
        let fetch = Fetch::new(lacking, now);
        self.actions.push_back(Action::Begin {
            roots: self.chain.offered().to_vec(),
            manifest,
            shards: fetch.progress().shards,
        });
        self.fetch = Some(fetch);
        self.fetch_more();
    }

    fn fetch_more(&mut self) {
        let Some(fetch) = &mut self.fetch else { return };
        while let Some(digest) = fetch.next() {
            let wanted = Wanted::Shard(digest);
            self.actions.push_back(Action::Subscribe(wanted));
        }
        if fetch.is_done() {
            self.fetch = None;
            let claims = self.manifest.take().as_deref().and_then(claims);
            self.apply(claims);
        }
    }

    fn apply(&mut self, claims: Claims) {
        self.applying = Some(claims);
        self.settle_at = None;
        self.actions.push_back(Action::Apply);
    }

    /// A root counts although no manifest under it has come: its keys may be why.
    fn settle(&mut self) {
        self.settle_at = None;
        let roots = self.chain.offered();
        if roots.is_empty() || self.applying.is_some() || self.fetch.is_some() {
            return;
        }
        let Some(manifest) = self.chain.manifest() else {
            return; // they wait for the first manifest
        };
        self.actions.push_back(Action::Begin {
            roots: self.chain.offered().to_vec(),
            manifest,
            shards: 0,
        });
        self.apply(None);
    }

    fn missing(&mut self, now: Duration) {
        let Some(fetch) = &self.fetch else { return };
        let claims = self.manifest.as_deref().and_then(claims);
        let (code, reason) = fetch.missing();
        self.stop_fetch();
        self.refuse(code, reason, claims);
        self.manifest = None;
        if !self.chain.offered().is_empty() {
            self.settle_at = Some(now);
        }
        self.retry_later(now);
    }

    fn stop_fetch(&mut self) {
        if let Some(fetch) = self.fetch.take() {
            let flying = fetch.into_flying();
            self.actions
                .extend(flying.map(|digest| Action::Unsubscribe(Wanted::Shard(digest))));
            self.actions.push_back(Action::GiveUp);
        }
    }

    fn retry_later(&mut self, now: Duration) {
        let wait = RETRY_FIRST.saturating_mul(1 << self.retries.min(RETRY_DOUBLINGS));
        self.retries = self.retries.saturating_add(1);
        let jitter = self.jitter(wait);
        self.retry_at = Some(now.saturating_add(wait).saturating_add(jitter));
    }

    fn refuse(&mut self, code: &'static str, reason: String, claims: Claims) {
        self.offered = Some(Offered {
            code,
            reason,
            claims,
        });
    }

    fn hold(&mut self, held: HeldDocuments) {
        if !self.chain.hold(held) {
            return;
        }
        // What was collected under the old root may not fit; what is missing comes again.
        self.stop_fetch();
        self.settle_at = None;
        self.dealt = None;
        self.follow_roots();
    }

    /// Up to `most`, another one each time.
    fn jitter(&mut self, most: Duration) -> Duration {
        // A step of xorshift (Marsaglia 2003): spread is all that is asked of it.
        let mut next = self.chance.max(1);
        next ^= next << 13;
        next ^= next >> 17;
        next ^= next << 5;
        self.chance = next;
        most.mul_f64(f64::from(next) / f64::from(u32::MAX))
    }

    /// Waits for the root after the newest one known, and for no other.
    fn follow_roots(&mut self) {
        let next = self.chain.newest().saturating_add(1);
        let Some(connection) = &mut self.connection else {
            return;
        };
        if connection.root == Some(next) || self.chain.is_full() {
            return;
        }
        if let Some(old) = connection.root.replace(next)
            && old > next
        {
            self.actions
                .push_back(Action::Unsubscribe(Wanted::Root(old)));
        }
        self.actions
            .push_back(Action::Subscribe(Wanted::Root(next)));
    }
}

impl Connection {
    /// Pings go out at every keep-alive, so that something comes as often.
    fn wedged_at(&self) -> Duration {
        let half = self.keep_alive.checked_div(2).unwrap_or_default();
        let patience = self.keep_alive.saturating_mul(2).saturating_add(half);
        self.moved.saturating_add(patience)
    }
}

/// Nothing of it is believed.
fn claims(manifest: &[u8]) -> Claims {
    let document = Document::<Manifest>::load(manifest).ok()?;
    let content = document.content();
    Some((content.root_version, content.sequence))
}

/// A manifest under a root that is not here yet waits so long for it.
const ROOT_PATIENCE: Duration = Duration::from_secs(3);
/// A root waits so long for a manifest under it.
const ROOT_SETTLES: Duration = Duration::from_secs(5);
const NEWS_EVERY: Duration = Duration::from_secs(10);
const NEWS_JITTER: Duration = Duration::from_secs(2);
const JUDGEMENT_EVERY: Duration = Duration::from_secs(1);
const JUDGEMENTS_AT_ONCE: u32 = 8;
/// Unwanted octets: 8 MiB at once, 128 KiB a second.
const UNWANTED_UNIT: usize = 16 << 10;
const UNWANTED_UNITS: u32 = 512;
const UNWANTED_UNIT_EVERY: Duration = Duration::from_millis(125);
const RETRY_FIRST: Duration = Duration::from_secs(30);
/// Up to 16 minutes.
const RETRY_DOUBLINGS: u32 = 5;

#[cfg(test)]
mod tests;
