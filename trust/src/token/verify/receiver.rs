//! What a receiver expects of trust data, sender and time.

use super::{Receiver, Refusal, Unsynchronized};
use crate::clock::{ClockState, Now};
use crate::id::TrustDomain;
use crate::limits;
use crate::registry::{DeviceState, KeyState, PeerKey, Staleness};
use crate::time::UnixTime;
use crate::token::{Claims, Failure, Kind, Rejection};

impl Receiver<'_> {
    pub(super) fn leeway(&self) -> u64 {
        self.leeway_seconds.min(limits::LEEWAY_CEILING_SECONDS)
    }

    pub(super) fn expect_trust(&self, now: &Now) -> Result<Staleness, Failure> {
        match self.trust.staleness(now.time, self.grace_seconds) {
            Staleness::PastGrace { expired_seconds } => {
                Err(Failure::TrustStale { expired_seconds })
            }
            staleness => Ok(staleness),
        }
    }

    pub(super) fn expect_sender(
        &self,
        peer: &PeerKey,
        claims: &Claims<'_>,
        kind: Kind,
    ) -> Result<(), Refusal> {
        let who = Claimed {
            issuer: &claims.issuer,
            subject: &claims.subject,
            issued_at: claims.issued_at,
        };
        Ok(expect_owner(
            &self.trust.domain,
            peer,
            &who,
            kind == Kind::Retained,
        )?)
    }

    /// Expired by the floor whatever the clock says; then the clock must count; then the window.
    pub(super) fn expect_time(
        &self,
        claims: &Claims<'_>,
        ceiling_seconds: u64,
        now: &Now,
    ) -> Result<(), Refusal> {
        let (issued_at, expired_at) = (claims.issued_at, claims.expires_at);
        let leeway_seconds = self.leeway();
        if expired_at < now.floor {
            let by_seconds = now.floor.since(expired_at);
            return Err(Rejection::Expired {
                by_seconds,
                expired_at,
                leeway_seconds,
            }
            .into());
        }
        self.expect_clock(now)?;
        if now.time.plus(leeway_seconds) < issued_at {
            let by_seconds = issued_at.since(now.time);
            return Err(Rejection::IssuedInFuture {
                by_seconds,
                issued_at,
                leeway_seconds,
            }
            .into());
        }
        if now.time >= expired_at.plus(leeway_seconds) {
            let by_seconds = now.time.since(expired_at);
            return Err(Rejection::Expired {
                by_seconds,
                expired_at,
                leeway_seconds,
            }
            .into());
        }
        let lifetime_seconds = expired_at.since(issued_at);
        if !(1..=ceiling_seconds).contains(&lifetime_seconds) {
            return Err(Rejection::Lifetime {
                lifetime_seconds,
                ceiling_seconds,
            }
            .into());
        }
        Ok(())
    }

    /// Whether this receiver's clock counts, for accepting as for signing.
    ///
    /// # Errors
    /// [`Failure::ClockBehindFloor`] and [`Failure::ClockUnsynchronized`].
    pub fn expect_clock(&self, now: &Now) -> Result<(), Failure> {
        match now.clock {
            ClockState::BehindFloor => {
                let Now { time, floor, .. } = *now;
                Err(Failure::ClockBehindFloor { time, floor })
            }
            ClockState::Unsynchronized if self.unsynchronized == Unsynchronized::Refuse => {
                Err(Failure::ClockUnsynchronized)
            }
            ClockState::Synchronized | ClockState::Unsynchronized => Ok(()),
        }
    }

    pub(super) fn expect_manifest_age(&self, peer: &PeerKey, now: &Now) -> Result<(), Failure> {
        let age_seconds = now.time.since(self.trust.issued_at);
        for role in self.trust.roles_of(&peer.device) {
            if let Some(allowed_seconds) = role.manifest_age_seconds
                && age_seconds > allowed_seconds
            {
                let role = role.name.clone();
                return Err(Failure::ManifestTooOld {
                    role,
                    age_seconds,
                    allowed_seconds,
                });
            }
        }
        Ok(())
    }
}

/// Who a token says made it, and when.
pub(crate) struct Claimed<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) issued_at: UnixTime,
}

/// Domain, device state, key state and `not before`, subject. A `statement` of a key that was retired
/// later still counts.
pub(crate) fn expect_owner(
    domain: &TrustDomain,
    peer: &PeerKey,
    claims: &Claimed<'_>,
    statement: bool,
) -> Result<(), Rejection> {
    if claims.issuer != domain.as_str() {
        let expected = domain.to_string();
        let found = claims.issuer.to_string();
        return Err(Rejection::Domain { expected, found });
    }
    let id = || peer.device.id.clone();
    match peer.device.state {
        DeviceState::Active => {}
        DeviceState::Pending => return Err(Rejection::DevicePending(id())),
        DeviceState::Revoked => return Err(Rejection::DeviceRevoked(id())),
        DeviceState::Suspended => return Err(Rejection::DeviceSuspended(id())),
    }
    let kid = peer.key.id();
    let issued_at = claims.issued_at;
    match peer.state {
        KeyState::Active | KeyState::Retiring => {}
        KeyState::Retired if statement && peer.retired_at.is_some_and(|at| issued_at < at) => {}
        KeyState::Retired => return Err(Rejection::KeyRetired(kid)),
        KeyState::Revoked => return Err(Rejection::KeyRevoked(kid)),
    }
    if issued_at < peer.not_before {
        let not_before = peer.not_before;
        return Err(Rejection::KeyNotYetValid {
            issued_at,
            not_before,
        });
    }
    if claims.subject != peer.device.id.as_str() {
        let found = claims.subject.to_string();
        return Err(Rejection::Subject { owner: id(), found });
    }
    Ok(())
}
