//! The claims of a status token as JSON.

use super::{Notice, Offered, Refused, StatusDraft};
use crate::clock::ClockState;
use crate::document::write;
use crate::id::{DeviceId, TrustDomain};
use crate::json::{self, ObjectError};
use crate::key::KeyId;
use crate::time::UnixTime;
use crate::token::{Part, Rejection, TokenId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The claims. What this version does not know at the top is ignored; below, it is refused.
#[derive(Deserialize, Serialize)]
pub(super) struct StatusText {
    pub(super) iss: TrustDomain,
    pub(super) sub: DeviceId,
    pub(super) aud: String,
    iat: UnixTime,
    exp: UnixTime,
    jti: String,
    seq: u64,
    root: u64,
    clk: String,
    ver: String,
    start: UnixTime,
    counts: BTreeMap<String, u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refused: Option<RefusedText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    offered: Option<OfferedText>,
    notices: Vec<NoticeText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    clone: Option<[String; 2]>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RefusedText {
    code: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sender: Option<DeviceId>,
    at: UnixTime,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct OfferedText {
    code: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    root: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct NoticeText {
    code: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kid: Option<KeyId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device: Option<DeviceId>,
    at: UnixTime,
}

impl StatusText {
    pub(super) fn write(draft: &StatusDraft, domain: &TrustDomain, device: &DeviceId) -> Vec<u8> {
        write(&Self {
            iss: domain.clone(),
            sub: device.clone(),
            aud: audience(domain),
            iat: draft.issued_at,
            exp: draft.expires_at,
            jti: draft.id.to_string(),
            seq: draft.sequence,
            root: draft.root_version,
            clk: draft.clock.as_str().to_owned(),
            ver: draft.version.clone(),
            start: draft.started_at,
            counts: draft.counts.clone(),
            refused: draft.last_refusal.as_ref().map(|refused| RefusedText {
                code: refused.code.clone(),
                sender: refused.sender.clone(),
                at: refused.at,
            }),
            offered: draft.offered.as_ref().map(|offered| OfferedText {
                code: offered.code.clone(),
                root: offered.root_version,
                seq: offered.sequence,
            }),
            notices: draft.notices.iter().map(NoticeText::of).collect(),
            clone: draft.clone.clone(),
        })
    }

    /// Reads claims: no member twice at any depth, every known one in its one form.
    pub(super) fn read(claims: &[u8]) -> Result<Self, Rejection> {
        let walked = json::read_object(claims, |_, _| Ok::<(), Rejection>(()));
        walked.map_err(|why| match why {
            ObjectError::Duplicate => Rejection::DuplicateMember(Part::Claims),
            ObjectError::Member(rejection) => rejection,
            ObjectError::Syntax => Rejection::ClaimsJson,
        })?;
        let unread = |_| Rejection::ClaimsJson;
        let text: Self = serde_json::from_slice(claims).map_err(unread)?;
        let tree: Value = serde_json::from_slice(claims).map_err(unread)?;
        let again = serde_json::to_value(&text).map_err(unread)?;
        // serde also takes an array for an object and null for a member left out; the form does not.
        let one_form = tree.as_object().into_iter().flatten().all(|(name, value)| {
            again
                .get(name)
                .map_or(!value.is_null(), |known| known == value)
        });
        one_form.then_some(text).ok_or(Rejection::ClaimsJson)
    }

    pub(super) fn content(&self) -> Result<StatusDraft, Rejection> {
        let id = TokenId::parse(&self.jti);
        Ok(StatusDraft {
            issued_at: self.iat,
            expires_at: self.exp,
            id: id.map_err(|_| Rejection::ClaimValue("jti"))?,
            sequence: self.seq,
            root_version: self.root,
            clock: clock(&self.clk).ok_or(Rejection::ClaimValue("clk"))?,
            version: self.ver.clone(),
            started_at: self.start,
            counts: self.counts.clone(),
            last_refusal: self.refused.as_ref().map(|refused| Refused {
                code: refused.code.clone(),
                sender: refused.sender.clone(),
                at: refused.at,
            }),
            offered: self.offered.as_ref().map(|offered| Offered {
                code: offered.code.clone(),
                root_version: offered.root,
                sequence: offered.seq,
            }),
            notices: self.notices.iter().map(NoticeText::notice).collect(),
            clone: self.clone.clone(),
        })
    }
}

impl NoticeText {
    fn of(notice: &Notice) -> Self {
        Self {
            code: notice.code.clone(),
            kid: notice.kid,
            device: notice.device.clone(),
            at: notice.at,
        }
    }

    fn notice(&self) -> Notice {
        Notice {
            code: self.code.clone(),
            kid: self.kid,
            device: self.device.clone(),
            at: self.at,
        }
    }
}

/// The one audience of a status.
pub(super) fn audience(domain: &TrustDomain) -> String {
    format!("domain:{domain}")
}

fn clock(word: &str) -> Option<ClockState> {
    let states = [
        ClockState::BehindFloor,
        ClockState::Synchronized,
        ClockState::Unsynchronized,
    ];
    states.into_iter().find(|state| state.as_str() == word)
}
