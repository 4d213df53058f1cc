//! Join tokens that were handed out, one a line in `join-tokens.jsonl`: what each allows, and who used it.
//!
//! A use is on disk before the manifest or answer that follows from it, so that a token is used once whatever happens in between.

use super::{Registry, atomic, load, unwritable};
use crate::error::Result;
use edgeseal_trust::enrollment::{JoinDraft, JoinId};
use edgeseal_trust::id::{DeviceId, GroupName, RoleName};
use edgeseal_trust::key::KeyId;
use edgeseal_trust::time::UnixTime;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

/// A join token that was handed out.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenRecord {
    /// Its id.
    pub(crate) id: JoinId,
    /// The one-time key that it names.
    pub(crate) one_time: KeyId,
    /// The only device that may use it, where it names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) device: Option<DeviceId>,
    /// Roles of the device that uses it.
    pub(crate) roles: Vec<RoleName>,
    /// Groups of the device that uses it.
    pub(crate) groups: Vec<GroupName>,
    /// The only board that may use it, where it names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) serial: Option<String>,
    /// When it was made.
    pub(crate) issued_at: UnixTime,
    /// When it ends.
    pub(crate) expires_at: UnixTime,
    /// Who used it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) used: Option<TokenUse>,
    /// When the operator revoked it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) revoked_at: Option<UnixTime>,
    /// How many requests with it were refused, by code.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) refused: BTreeMap<String, u64>,
}

/// The one use of a join token.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenUse {
    /// The key that was enrolled by it.
    pub(crate) kid: KeyId,
    /// The device that has the key.
    pub(crate) device: DeviceId,
    /// When.
    pub(crate) at: UnixTime,
}

/// All of them.
#[derive(Default)]
pub(crate) struct Tokens {
    by_id: BTreeMap<JoinId, TokenRecord>,
    by_user: HashMap<KeyId, JoinId>,
    is_changed: bool,
}

impl TokenRecord {
    /// The row of a token that nobody has used yet.
    pub(crate) fn new(draft: JoinDraft) -> Self {
        Self {
            id: draft.id,
            one_time: draft.one_time,
            device: draft.device,
            roles: draft.roles,
            groups: draft.groups,
            serial: draft.serial,
            issued_at: draft.issued_at,
            expires_at: draft.expires_at,
            used: None,
            revoked_at: None,
            refused: BTreeMap::new(),
        }
    }
}

impl Tokens {
    /// A token.
    pub(crate) fn get(&self, id: &JoinId) -> Option<&TokenRecord> {
        self.by_id.get(id)
    }

    /// The token that this key used.
    pub(crate) fn used_by(&self, kid: KeyId) -> Option<&TokenRecord> {
        self.by_id.get(self.by_user.get(&kid)?)
    }

    /// All tokens in the order of their ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &TokenRecord> {
        self.by_id.values()
    }

    /// Adds a token, or replaces it. Nothing is on disk before [`Registry::save_tokens`].
    pub(crate) fn put(&mut self, token: TokenRecord) {
        if let Some(used) = &token.used {
            self.by_user.insert(used.kid, token.id);
        }
        self.by_id.insert(token.id, token);
        self.is_changed = true;
    }

    /// Counts a refused request with a token.
    pub(crate) fn count(&mut self, id: &JoinId, code: &str) {
        if let Some(token) = self.by_id.get_mut(id) {
            let count = token.refused.entry(code.to_owned()).or_default();
            *count = count.saturating_add(1);
            self.is_changed = true;
        }
    }
}

impl Registry {
    /// The join tokens.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn tokens(&self) -> Result<Tokens> {
        let mut tokens = Tokens::default();
        load::each_line(
            &self.dir.join(FILE),
            load::FILE_OCTETS,
            |token: TokenRecord| {
                if tokens.by_id.contains_key(&token.id) {
                    return Err(format!("{} occurs twice", token.id));
                }
                tokens.put(token);
                Ok(())
            },
        )?;
        tokens.is_changed = false;
        Ok(tokens)
    }

    /// Writes the join tokens, where something changed.
    ///
    /// # Errors
    /// The system refuses; the file is as before.
    pub(crate) fn save_tokens(&self, tokens: &mut Tokens) -> Result<()> {
        if tokens.is_changed {
            let mut lines = String::new();
            for token in tokens.iter() {
                let line = serde_json::to_string(token).map_err(|why| unwritable(&why))?;
                let _ = writeln!(lines, "{line}"); // a String takes everything
            }
            atomic::write(&self.dir, FILE, lines.as_bytes())?;
            tokens.is_changed = false;
        }
        Ok(())
    }
}

const FILE: &str = "join-tokens.jsonl";
