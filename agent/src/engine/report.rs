//! The status token: what this device says of itself to its operator.

use super::resend::MessageHash;
use super::{Counts, Engine, SignBlock, SignFailure};
use edgeseal_trust::clock::Now;
use edgeseal_trust::id::{DeviceId, TrustDomain};
use edgeseal_trust::limits;
use edgeseal_trust::registry::{DeviceState, KeyState};
use edgeseal_trust::replay::CloneAlarm;
use edgeseal_trust::status::{Notice, Offered, StatusDraft};
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::token::{Failure, Stream};
use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

/// What a status says beside what the engine knows itself.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Report {
    /// When this process started.
    pub started_at: UnixTime,
    /// Trust data that is offered and refused.
    pub offered: Option<Offered>,
}

/// What was seen since the start that people must know of.
#[derive(Debug, Default)]
pub(super) struct Alarms {
    notices: VecDeque<Notice>,
    clone: Option<[String; 2]>,
    number: u64,
}

/// A status, and where it belongs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignedStatus {
    /// The domain.
    pub domain: TrustDomain,
    /// The device.
    pub device: DeviceId,
    /// The token.
    pub token: String,
}

impl Engine {
    /// Signs a status. Unlike a message it is signed whatever the clock and the age of the trust data:
    /// that they are not right is what it has to tell. Behind the floor it is dated at the floor.
    ///
    /// # Errors
    /// [`SignFailure`] where this device has no key in use in the manifest in force.
    pub fn sign_status(&mut self, report: &Report, now: &Now) -> Result<SignedStatus, SignFailure> {
        let in_force = self.in_force.as_ref().ok_or(Failure::NoManifest)?;
        let own = in_force.own.as_ref().ok_or(Failure::NotEnrolled)?;
        let in_use = matches!(own.key_state, KeyState::Active | KeyState::Retiring);
        if !in_use || own.device.state != DeviceState::Active {
            return Err(Failure::NotEnrolled.into());
        }
        let issued = self.signer.issued.of(Stream::Reliable);
        let (key, id) = self.signer.key_and_id(issued)?;
        let issued_at = now.time.max(now.floor);
        let mut draft = StatusDraft {
            issued_at,
            expires_at: issued_at.plus(LIFETIME_SECONDS),
            id,
            sequence: in_force.view.sequence,
            root_version: in_force.view.root_version,
            clock: now.clock,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: report.started_at,
            counts: self.counts.most(limits::STATUS_COUNTS),
            last_refusal: self.last_refusal.clone(),
            offered: report.offered.clone(),
            notices: self.alarms.notices.iter().cloned().collect(),
            clone: self.alarms.clone.clone(),
        };
        let (domain, device) = (&in_force.view.domain, &own.device.id);
        let mut token = draft.sign(key, domain, device);
        if token.is_err() {
            // Two tokens of the largest size may be too much with all the rest: they matter most.
            draft.notices.clear();
            draft.counts.clear();
            token = draft.sign(key, domain, device);
        }
        let token = token.map_err(|why| SignBlock::IdentityUnusable {
            what: format!("the status: {why}"),
            hint: "tell the authors".to_owned(),
        })?;
        let signed = SignedStatus {
            domain: domain.clone(),
            device: device.clone(),
            token,
        };
        let nothing = MessageHash::NONE; // the id of a status is never given again
        self.signer.issued.of_mut(Stream::Reliable).give(nothing);
        Ok(signed)
    }
}

impl Engine {
    /// Takes over what the replay memory has seen; a proof of a clone that is new comes back.
    pub fn gather_alarms(&mut self) -> Option<CloneAlarm> {
        let memory = self.memory.as_mut()?;
        let (notices, proof) = (memory.take_notices(), memory.take_clone_proof());
        for notice in notices {
            self.notice(Notice {
                code: notice.kind.code().to_owned(),
                kid: Some(notice.kid),
                device: Some(notice.device),
                at: notice.at,
            });
        }
        proof
    }

    /// A proof of a clone, as [`Engine::gather_alarms`] gave it, goes into every status from now on.
    pub fn alarm(&mut self, proof: &CloneAlarm, now: UnixTime) {
        if let Some(tokens) = &proof.tokens {
            self.alarms.clone = Some(tokens.clone());
        }
        self.notice(Notice {
            code: CLONE.to_owned(),
            kid: Some(proof.kid),
            device: Some(proof.device.clone()),
            at: now,
        });
    }

    /// Notes something that people may want to look at; at the bound the oldest leaves. What was said of
    /// this key before is said once.
    pub fn notice(&mut self, notice: Notice) {
        let Alarms {
            notices, number, ..
        } = &mut self.alarms;
        let known = |other: &Notice| other.code == notice.code && other.kid == notice.kid;
        let is_new = !notices.iter().any(known);
        notices.retain(|other| !known(other));
        if notices.len() >= limits::STATUS_NOTICES {
            notices.pop_front();
        }
        notices.push_back(notice);
        *number = number.saturating_add(u64::from(is_new));
    }

    /// How often there was anything new for [`Engine::notice`].
    pub const fn alarms(&self) -> u64 {
        self.alarms.number
    }
}

impl Counts {
    /// The highest of all counts, by code: what was signed and verified, and what was not.
    fn most(&self, limit: usize) -> BTreeMap<String, u64> {
        let tables = [&self.rejected, &self.failed, &self.refused];
        let mut by_code: BTreeMap<&str, u64> = BTreeMap::new();
        let refused = tables.into_iter().flatten();
        for (code, count) in refused.map(|(code, count)| (*code, *count)) {
            let sum = by_code.entry(code).or_default();
            *sum = sum.saturating_add(count);
        }
        let mut counts: Vec<(&str, u64)> = by_code.into_iter().collect();
        counts.sort_by_key(|(_, count)| Reverse(*count));
        let done = [("signed", self.signed), ("verified", self.verified)];
        let all = done.into_iter().chain(counts).take(limit);
        all.map(|(code, count)| (code.to_owned(), count)).collect()
    }
}

/// As the rejection's code.
const CLONE: &str = "clone-proven";
/// Long enough for a device that is put away for the winter to be remembered by.
const LIFETIME_SECONDS: u64 = 180 * 86_400;
