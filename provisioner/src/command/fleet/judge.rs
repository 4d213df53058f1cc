//! What of a fleet wants attention: pure, so that time is an argument.

use super::clones::{self, Claim};
use super::heard::Heard;
use super::snapshot::Snapshot;
use edgeseal_trust::clock::ClockState;
use edgeseal_trust::clone::CloneProof;
use edgeseal_trust::id::DeviceId;
use edgeseal_trust::registry::DeviceState;
use edgeseal_trust::status::{Notice, StatusDraft, VerifiedStatus};
use edgeseal_trust::time::UnixTime;
use std::collections::BTreeMap;

/// The fleet as it looks now.
pub(super) struct View {
    /// One for each active device.
    pub(super) rows: Vec<Row>,
    /// Refusals that the agents counted, by code.
    pub(super) counts: BTreeMap<String, u64>,
    /// The last refusal of each agent: by code and sender, how many agents.
    pub(super) senders: BTreeMap<(String, Option<DeviceId>), u64>,
    /// Clones that are proven, judged here.
    pub(super) clones: Vec<CloneProof>,
    /// What agents noticed, newest first, with who says so.
    pub(super) notices: Vec<(DeviceId, Notice)>,
    /// Claims of clones that their tokens do not prove: who claims, and why not.
    pub(super) unproven: Vec<(DeviceId, &'static str)>,
}

/// A device.
pub(super) struct Row {
    /// Its id.
    pub(super) device: DeviceId,
    /// Its status, if one was heard.
    pub(super) status: Option<StatusDraft>,
    /// Manifests between what it applied and what was published; nothing where the roots differ.
    pub(super) lag: Option<u64>,
    /// Seconds since its status was made.
    pub(super) age_seconds: Option<u64>,
    /// What wants attention.
    pub(super) attention: Vec<Attention>,
}

/// Why somebody should look at a device.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Attention {
    /// It applied something newer than this registry published.
    Ahead,
    /// It has not applied what was published last.
    Behind,
    /// It reports a clone that is proven.
    Clone,
    /// Its clock is not synchronized, or ahead of this one.
    Clock,
    /// No status was ever heard.
    NeverSeen,
    /// It noticed something within the last day.
    Notice,
    /// It is offered trust data that it refuses.
    Offered,
    /// What lies on its topic is not its status.
    Refused,
    /// Its status is old.
    Silent,
}

impl Attention {
    /// As words for people and programs.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Ahead => "ahead",
            Self::Behind => "behind",
            Self::Clone => "clone",
            Self::Clock => "clock",
            Self::NeverSeen => "never-seen",
            Self::Notice => "notice",
            Self::Offered => "offered",
            Self::Refused => "refused",
            Self::Silent => "silent",
        }
    }

    /// All of them, for the command line.
    pub(super) const ALL: [Self; 9] = [
        Self::Ahead,
        Self::Behind,
        Self::Clone,
        Self::Clock,
        Self::NeverSeen,
        Self::Notice,
        Self::Offered,
        Self::Refused,
        Self::Silent,
    ];
}

impl View {
    /// Judges what was heard.
    pub(super) fn of(
        heard: &Heard,
        snapshot: &Snapshot,
        now: UnixTime,
        silent_after_seconds: u64,
    ) -> Self {
        let mut view = Self {
            rows: Vec::new(),
            counts: BTreeMap::new(),
            senders: BTreeMap::new(),
            clones: Vec::new(),
            notices: Vec::new(),
            unproven: Vec::new(),
        };
        let active = snapshot.devices.iter();
        for (device, _) in active.filter(|(_, state)| **state == DeviceState::Active) {
            let status = heard.statuses.get(device).map(|status| &status.content);
            let mut row = Row {
                device: device.clone(),
                status: status.cloned(),
                lag: lag(status, snapshot.published),
                age_seconds: status.map(|status| now.since(status.issued_at)),
                attention: Vec::new(),
            };
            row.look(snapshot.published, now, silent_after_seconds);
            if heard.refused.contains_key(device) {
                row.attention.push(Attention::Refused);
            }
            if let Some(status) = heard.statuses.get(device) {
                view.gather(status, snapshot, &mut row);
            }
            row.attention.sort();
            view.rows.push(row);
        }
        view.notices
            .sort_by_key(|(_, notice)| std::cmp::Reverse(notice.at));
        view
    }

    /// Whether anything wants attention.
    pub(super) fn wants_attention(&self) -> bool {
        self.rows.iter().any(|row| !row.attention.is_empty())
    }

    fn gather(&mut self, status: &VerifiedStatus, snapshot: &Snapshot, row: &mut Row) {
        let (device, content) = (&status.device, &status.content);
        for (code, count) in &content.counts {
            let sum = self.counts.entry(code.clone()).or_default();
            *sum = sum.saturating_add(*count);
        }
        if let Some(refused) = &content.last_refusal {
            let named = (refused.code.clone(), refused.sender.clone());
            let agents = self.senders.entry(named).or_default();
            *agents = agents.saturating_add(1);
        }
        let notices = content.notices.iter();
        let notices = notices.filter(|notice| notice.code != CLONE_PROVEN);
        self.notices
            .extend(notices.map(|notice| (device.clone(), notice.clone())));
        match content
            .clone
            .as_ref()
            .map(|claim| clones::judge(claim, snapshot))
        {
            None | Some(Claim::Settled) => {}
            Some(Claim::Unproven(code)) => self.unproven.push((device.clone(), code)),
            Some(Claim::Proven(proof)) => {
                row.attention.push(Attention::Clone);
                if self.clones.iter().all(|known| known.kid != proof.kid) {
                    self.clones.push(*proof);
                }
            }
        }
    }
}

impl Row {
    fn look(&mut self, published: Option<(u64, u64)>, now: UnixTime, silent_after_seconds: u64) {
        let Some(status) = &self.status else {
            self.attention.push(Attention::NeverSeen);
            return;
        };
        let has = (status.root_version, status.sequence);
        let recent = |at: UnixTime| now.since(at) <= NOTICE_SECONDS;
        let noticed = status
            .notices
            .iter()
            .any(|notice| notice.code != CLONE_PROVEN && recent(notice.at));
        let is_ahead = status.issued_at.since(now) > CLOCK_SECONDS;
        for (is_so, attention) in [
            (
                published.is_none_or(|last| has > last) && has != (0, 0),
                Attention::Ahead,
            ),
            (published.is_some_and(|last| has < last), Attention::Behind),
            (
                status.clock != ClockState::Synchronized || is_ahead,
                Attention::Clock,
            ),
            (noticed, Attention::Notice),
            (status.offered.is_some(), Attention::Offered),
            (
                now.since(status.issued_at) > silent_after_seconds,
                Attention::Silent,
            ),
        ] {
            if is_so {
                self.attention.push(attention);
            }
        }
    }

    /// The sum of what it refused.
    pub(super) fn refusals(&self) -> u64 {
        let counts = self.status.iter().flat_map(|status| status.counts.values());
        counts.fold(0, |sum: u64, count| sum.saturating_add(*count))
    }
}

fn lag(status: Option<&StatusDraft>, published: Option<(u64, u64)>) -> Option<u64> {
    let (status, (root_version, sequence)) = (status?, published?);
    let same = status.root_version == root_version;
    same.then(|| sequence.saturating_sub(status.sequence))
}

/// What a notice may mean, for people.
pub(super) fn meaning(code: &str) -> &'static str {
    match code {
        "epoch-back" => {
            "an older state of this device speaks: a card restored from a backup, or a copy of it"
        }
        "epoch-interleaved" => {
            "two states of this device speak in turn: a copied card, or an old program that still runs"
        }
        "session-taken-over" => {
            "somebody else logged in as this agent: a copied card, or a client with the same id"
        }
        _ => "see docs/operating.md",
    }
}

/// The agent's own word that goes with the two tokens; these are judged instead.
const CLONE_PROVEN: &str = "clone-proven";
/// So much a device's clock may be ahead of this one, in seconds.
const CLOCK_SECONDS: u64 = 60;
/// So long a notice wants attention, in seconds.
const NOTICE_SECONDS: u64 = 86_400;
