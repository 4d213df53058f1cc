//! Requests that come with a join token: approved unattended, under the rules in the token.

use super::desk::{judge_serial, taken};
use super::{Decision, Desk, Refusal};
use crate::registry::{DeviceRecord, TokenRecord, TokenUse};
use edgeseal_trust::enrollment::{EnrollmentRequest, JoinToken};
use edgeseal_trust::id::DeviceId;
use edgeseal_trust::key::KeyId;
use edgeseal_trust::registry::DeviceState;
use edgeseal_trust::time::UnixTime;

impl Desk {
    /// Enrolls the device that a token was made for, once.
    pub(super) fn join(
        &mut self,
        request: &EnrollmentRequest,
        now: UnixTime,
    ) -> Result<Decision, Refusal> {
        let kid = request.key.id();
        // A token that this key has used is judged by the time of that use: a crash may lie in between.
        let used_at = self
            .tokens
            .used_by(kid)
            .and_then(|token| token.used.as_ref());
        let judged_at = used_at.map_or(now, |used| used.at);
        let token = request
            .judge_join(&self.registrar, self.registry.domain(), judged_at)
            .map_err(|why| self.count_with(request, Refusal::new(why.code(), why.to_string())))?;
        let known = self.known(&token)?;
        let allowed = self.judge_use(request, &known);
        let device = allowed.map_err(|refusal| refusal.of_token(&known.id))?;
        let id = device.id.clone();
        self.registry
            .put_device(device)
            .map_err(|why| Refusal::from(why).of_token(&known.id))?;
        if known.used.is_none() {
            let used = Some(TokenUse {
                kid,
                device: id.clone(),
                at: now,
            });
            self.tokens.put(TokenRecord { used, ..known });
        }
        self.pending.remove(kid);
        Ok(self.unless_held(&id, Decision::Enrolled))
    }

    /// The refusal, with the token that the request came with, if it is one at all.
    fn count_with(&self, request: &EnrollmentRequest, refusal: Refusal) -> Refusal {
        let text = request.draft.join.as_deref().unwrap_or_default();
        match JoinToken::verify(text, &self.registrar) {
            Ok(token) if self.known(&token).is_ok() => refusal.of_token(&token.id),
            _ => refusal,
        }
    }

    /// The token as it was handed out. A registrar key alone makes no token: it has to be in the registry.
    fn known(&self, token: &JoinToken) -> Result<TokenRecord, Refusal> {
        let known = self.tokens.get(&token.id);
        let known = known.filter(|known| known.is_of(token));
        known.cloned().ok_or_else(|| {
            let reason = format!(
                "the registry has no join token {} like this one: it was made elsewhere, or since the backup that was restored",
                token.id
            );
            Refusal::new("join-unknown", reason)
        })
    }

    /// The device as it will be, where the token may be used for it.
    fn judge_use(
        &self,
        request: &EnrollmentRequest,
        token: &TokenRecord,
    ) -> Result<DeviceRecord, Refusal> {
        let kid = request.key.id();
        let Some(id) = &request.draft.device else {
            return Err(Refusal::new("device", "the request names no device"));
        };
        judge_once(token, kid, id)?;
        let mut device = match self.registry.devices().get(id) {
            None => DeviceRecord::new(id.clone(), request.key.clone(), DeviceState::Active),
            Some(present) => {
                let is_its_own = present.state == DeviceState::Pending
                    && present.keys.iter().all(|key| key.key.id() == kid);
                if !is_its_own {
                    return Err(taken(id));
                }
                judge_gain(present, token)?;
                judge_serial(present.serial.as_deref(), &request.draft.serial)?;
                present.approved(request.key.clone())
            }
        };
        device.roles.extend(token.roles.iter().cloned());
        device.groups.extend(token.groups.iter().cloned());
        device.tidy();
        device.join = Some(token.id);
        if request.draft.serial.is_some() {
            device.serial.clone_from(&request.draft.serial);
        }
        Ok(device)
    }
}

impl TokenRecord {
    /// Whether this is what was handed out under that id.
    fn is_of(&self, token: &JoinToken) -> bool {
        self.one_time == token.one_time
            && self.device == token.device
            && self.roles == token.roles
            && self.groups == token.groups
            && self.serial == token.serial
            && self.expires_at == token.expires_at
    }
}

/// A token for any device gives what it says and no more: a serial is no secret, so whoever has the card of a sensor
/// could else become the door that is expected.
fn judge_gain(expected: &DeviceRecord, token: &TokenRecord) -> Result<(), Refusal> {
    let roles = expected.roles.iter().all(|role| token.roles.contains(role));
    let groups = expected
        .groups
        .iter()
        .all(|group| token.groups.contains(group));
    if token.device.is_some() || (roles && groups) {
        return Ok(());
    }
    let reason = format!(
        "{} is expected with roles or groups that the join token {} does not give: one made with --device or --expected does",
        expected.id, token.id
    );
    Err(Refusal::new("join-gain", reason))
}

fn judge_once(token: &TokenRecord, kid: KeyId, id: &DeviceId) -> Result<(), Refusal> {
    match &token.used {
        Some(used) if used.kid == kid && used.device == *id => Ok(()),
        Some(used) => Err(Refusal::new(
            "join-used",
            format!(
                "the join token {} was used by {} on {}, and is asked for again by the key {kid}",
                token.id,
                used.device,
                used.at.date()
            ),
        )),
        None if token.revoked_at.is_some() => Err(Refusal::new(
            "join-revoked",
            format!("the join token {} is revoked", token.id),
        )),
        None => Ok(()),
    }
}
