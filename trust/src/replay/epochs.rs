//! Notices about epochs. They prove nothing: a restored backup, a clock that was set back, or a copy
//! of the key may be behind them; a person decides.

use crate::id::DeviceId;
use crate::key::KeyId;
use crate::limits;
use crate::time::UnixTime;
use crate::token::TokenId;
use std::collections::VecDeque;

/// Something about the epochs of a key that people may want to look at.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EpochNotice {
    /// What was seen.
    pub kind: EpochNoticeKind,
    /// The key.
    pub kid: KeyId,
    /// Its owner.
    pub device: DeviceId,
    /// The epoch of the token that showed it.
    pub epoch: u64,
    /// The highest epoch seen before.
    pub newest: u64,
    /// When it was seen.
    pub at: UnixTime,
}

/// What was seen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EpochNoticeKind {
    /// A token of a lower epoch says that it was issued after a higher epoch had begun: a restored
    /// backup, a clock that was set back, or a copy.
    Back,
    /// Afterwards the higher epoch went on: two agents take turns with one key.
    Interleaved,
}

impl EpochNoticeKind {
    /// The stable short code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Back => "epoch-back",
            Self::Interleaved => "epoch-interleaved",
        }
    }
}

/// What is known of the newest epoch of one key.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Epochs {
    /// The highest epoch in which anything was accepted by this process.
    newest: u64,
    /// The earliest `iat` in it.
    begun_at: UnixTime,
    /// The latest `iat` of a lower epoch that was issued after that.
    back_at: Option<UnixTime>,
    interleaved: bool,
}

/// A token whose signature and sender are right.
#[derive(Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) kid: KeyId,
    pub(super) device: &'a DeviceId,
    pub(super) id: TokenId,
    pub(super) issued_at: UnixTime,
    pub(super) leeway_seconds: u64,
    pub(super) now: UnixTime,
}

/// The notices that wait to be taken; at the bound the oldest leaves.
#[derive(Debug, Default)]
pub(super) struct Notices(VecDeque<EpochNotice>);

impl Epochs {
    /// A token was accepted.
    pub(super) fn accepted(&mut self, seen: &Seen<'_>) -> Option<EpochNotice> {
        if seen.id.epoch > self.newest {
            *self = Self {
                newest: seen.id.epoch,
                begun_at: seen.issued_at,
                back_at: None,
                interleaved: false,
            };
            return None;
        }
        if seen.id.epoch < self.newest {
            return self.lower(seen);
        }
        self.begun_at = self.begun_at.min(seen.issued_at);
        let back_at = self.back_at?;
        let after = back_at.plus(seen.leeway_seconds);
        let first = !self.interleaved && seen.issued_at > after;
        self.interleaved |= first;
        first.then(|| self.notice(seen, EpochNoticeKind::Interleaved))
    }

    /// A token was refused because its epoch is over.
    pub(super) fn refused(&mut self, seen: &Seen<'_>) -> Option<EpochNotice> {
        (seen.id.epoch < self.newest).then(|| self.lower(seen))?
    }

    fn lower(&mut self, seen: &Seen<'_>) -> Option<EpochNotice> {
        if seen.issued_at <= self.begun_at.plus(seen.leeway_seconds) {
            return None; // it waited somewhere while its sender started anew
        }
        let first = self.back_at.is_none();
        self.back_at = self.back_at.max(Some(seen.issued_at));
        first.then(|| self.notice(seen, EpochNoticeKind::Back))
    }

    fn notice(&self, seen: &Seen<'_>, kind: EpochNoticeKind) -> EpochNotice {
        EpochNotice {
            kind,
            kid: seen.kid,
            device: seen.device.clone(),
            epoch: seen.id.epoch,
            newest: self.newest,
            at: seen.now,
        }
    }
}

impl Notices {
    pub(super) fn add(&mut self, notice: EpochNotice) {
        if self.0.len() >= limits::EPOCH_NOTICES {
            self.0.pop_front();
        }
        self.0.push_back(notice);
    }

    pub(super) fn take(&mut self) -> Vec<EpochNotice> {
        self.0.drain(..).collect()
    }
}
