//! The desk: takes requests, decides in memory, writes in an order that survives a crash.

use super::{Decision, Judged, Refusal};
use crate::error::{CommandError, Result};
use crate::registry::{Pending, PendingRequest, Registry, Tokens};
use edgeseal_trust::document::{Authority, Digest, DocumentType};
use edgeseal_trust::enrollment::{EnrollmentRequest, kind_of};
use edgeseal_trust::id::DeviceId;
use edgeseal_trust::key::KeyId;
use edgeseal_trust::limits;
use edgeseal_trust::registry::{DeviceState, KeyState};
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::words::Words;

/// An open registry with its join tokens and waiting requests.
pub(crate) struct Desk {
    pub(super) registry: Registry,
    pub(super) tokens: Tokens,
    pub(super) pending: Pending,
    pub(super) registrar: Authority,
    pub(super) overlap_seconds: u64,
}

/// The parts of the registry, in the order in which [`Desk::commit`] writes them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Part {
    /// Uses of join tokens: before anything that follows from them.
    Tokens,
    /// Devices and their keys.
    Devices,
    /// Waiting requests: after the devices that came of them, so that none is lost in between.
    Pending,
}

impl Desk {
    /// Opens the desk of a registry. A key that is replaced stays `overlap_seconds` beside its successor.
    ///
    /// # Errors
    /// A file of the registry cannot be read.
    pub(crate) fn open(registry: Registry, overlap_seconds: u64) -> Result<Self> {
        let registrar = registry.root()?.content().registrar.clone();
        Ok(Self {
            tokens: registry.tokens()?,
            pending: registry.pending()?,
            registry,
            registrar,
            overlap_seconds,
        })
    }

    /// The registry, with what was decided so far.
    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The registry, to sign what was decided.
    pub(crate) fn registry_mut(&mut self) -> &mut Registry {
        &mut self.registry
    }

    /// What waits, and what was refused.
    pub(crate) fn pending(&self) -> &Pending {
        &self.pending
    }

    /// Judges one request at `now`, decides in memory, and counts a refusal. `addressed` is the key that the topic names it came on;
    /// a file has none.
    pub(crate) fn take(
        &mut self,
        octets: &[u8],
        addressed: Option<KeyId>,
        now: UnixTime,
    ) -> Judged {
        let mut judged = Judged {
            request: Digest::of(octets),
            kid: None,
            device: None,
            words: None,
            decision: Decision::Again,
        };
        judged.decision = match self.decide(octets, addressed, now, &mut judged) {
            Ok(decision) => decision,
            Err(refusal) => {
                if let Some(token) = &refusal.token {
                    self.tokens.count(token, refusal.code);
                }
                self.count(&refusal, now);
                Decision::Refused(refusal)
            }
        };
        judged
    }

    /// Counts a refusal that no request was judged for.
    pub(crate) fn count(&mut self, refusal: &Refusal, now: UnixTime) {
        self.pending.count(refusal.code, &refusal.reason, now);
    }

    /// Writes what was decided.
    ///
    /// # Errors
    /// The system refuses. What is written by then stands, and the same requests lead to the same end.
    pub(crate) fn commit(&mut self) -> Result<()> {
        for part in [Part::Tokens, Part::Devices, Part::Pending] {
            self.write(part)?;
        }
        Ok(())
    }

    /// Writes one part.
    ///
    /// # Errors
    /// The system refuses.
    pub(super) fn write(&mut self, part: Part) -> Result<()> {
        match part {
            Part::Tokens => self.registry.save_tokens(&mut self.tokens),
            Part::Devices => self.registry.save(),
            Part::Pending => self.registry.save_pending(&mut self.pending),
        }
    }

    fn decide(
        &mut self,
        octets: &[u8],
        addressed: Option<KeyId>,
        now: UnixTime,
        judged: &mut Judged,
    ) -> std::result::Result<Decision, Refusal> {
        if kind_of(octets)? == DocumentType::Rotation {
            return self.rotate(octets, addressed, now, judged);
        }
        let request = EnrollmentRequest::verify(octets)?;
        self.note(judged, request.key.id(), &request.words, request.digest);
        judged.device.clone_from(&request.draft.device);
        judge_topic(addressed, request.key.id())?;
        self.judge_domain(request.draft.domain.as_ref())?;
        if let Some(decision) = self.settled(&request)? {
            return Ok(decision);
        }
        if let Some(reason) = self.pending.rejection(request.digest) {
            let reason = reason.to_owned();
            return Ok(Decision::Rejected { reason });
        }
        if request.draft.join.is_some() {
            return self.join(&request, now);
        }
        let why = self.judge_asked_id(&request)?;
        self.wait(octets, judged, request.draft.serial, why, now)
    }

    pub(super) fn note(&self, judged: &mut Judged, kid: KeyId, words: &Words, request: Digest) {
        judged.kid = Some(kid);
        judged.words = Some(words.to_string());
        judged.request = request;
    }

    pub(super) fn judge_domain(
        &self,
        domain: Option<&edgeseal_trust::id::TrustDomain>,
    ) -> std::result::Result<(), Refusal> {
        let own = self.registry.domain();
        match domain.filter(|domain| *domain != own) {
            None => Ok(()),
            Some(other) => Err(Refusal::new(
                "domain",
                format!("the request is for the domain {other}, this registry is of {own}"),
            )),
        }
    }

    /// The decision about a key that is in the registry already.
    fn settled(
        &self,
        request: &EnrollmentRequest,
    ) -> std::result::Result<Option<Decision>, Refusal> {
        let kid = request.key.id();
        let Some(owner) = self.registry.owner(kid) else {
            return Ok(None);
        };
        let id = &owner.id;
        if let Some(other) = request.draft.device.as_ref().filter(|other| *other != id) {
            let reason = format!("the key {kid} belongs to {id}, and asks to be {other}");
            return Err(Refusal::new("key-in-use", reason));
        }
        let state = owner.keys.iter().find(|key| key.key.id() == kid);
        let state = state.map(|key| key.state);
        match (owner.state, state) {
            (DeviceState::Active, Some(KeyState::Active | KeyState::Retiring)) => {
                Ok(Some(self.unless_held(id, Decision::Again)))
            }
            // Added by hand from its request: a join token, or the operator's approval, is still to come.
            (DeviceState::Pending, _) => Ok(None),
            (DeviceState::Active, _) => {
                let reason = format!("{kid} is an old key of {id}: an old request is replayed");
                Err(Refusal::new("request-replayed", reason))
            }
            (DeviceState::Suspended, _) => Err(Refusal::new(
                "device-suspended",
                format!("{id} is suspended: resume it, or leave it"),
            )),
            (DeviceState::Revoked, _) => Err(Refusal::new(
                "device-revoked",
                format!("{id} is revoked: an old request is replayed, or it is asked for again"),
            )),
        }
    }

    /// A device that comes to a role which several persons give is told that it waits: until they have approved it, no manifest
    /// calls it active.
    pub(super) fn unless_held(&self, id: &DeviceId, decision: Decision) -> Decision {
        let device = self.registry.devices().get(id);
        let missing = device.and_then(|device| self.registry.missing_approvals(device));
        match missing {
            Some(missing) if missing.whole => Decision::Pending { why: "approvals" },
            _ => decision,
        }
    }

    /// Why a request without a token waits; refused where the id it asks for is another's.
    fn judge_asked_id(
        &self,
        request: &EnrollmentRequest,
    ) -> std::result::Result<&'static str, Refusal> {
        let asked = request.draft.device.as_ref();
        let Some(present) = asked.and_then(|id| self.registry.devices().get(id)) else {
            return Ok("approval");
        };
        if present.is_expected() {
            judge_serial(present.serial.as_deref(), &request.draft.serial)?;
            return Ok("preauthorized");
        }
        let has_key = present.keys.iter();
        if has_key
            .map(|key| key.key.id())
            .any(|kid| kid == request.key.id())
        {
            return Ok("approval");
        }
        Err(taken(&present.id))
    }

    /// Puts a request among those that wait; nothing changes where it waits there already.
    pub(super) fn wait(
        &mut self,
        octets: &[u8],
        judged: &Judged,
        serial: Option<String>,
        why: &'static str,
        now: UnixTime,
    ) -> std::result::Result<Decision, Refusal> {
        let (Some(kid), Some(words)) = (judged.kid, judged.words.clone()) else {
            return Ok(Decision::Pending { why });
        };
        let text = String::from_utf8_lossy(octets);
        let request = text.trim_end_matches(['\r', '\n']).to_owned();
        if self
            .pending
            .get(kid)
            .is_some_and(|waiting| waiting.request == request)
        {
            return Ok(Decision::Pending { why });
        }
        if request.len() > LONGEST_WAITING_OCTETS {
            let reason = format!(
                "a request that waits has {LONGEST_WAITING_OCTETS} octets at most, this one {}",
                request.len()
            );
            return Err(Refusal::new("size", reason));
        }
        let row = PendingRequest {
            kid,
            device: judged.device.clone(),
            serial,
            words,
            why: why.to_owned(),
            since: now,
            request,
        };
        if self.pending.put(row) {
            return Ok(Decision::Pending { why });
        }
        Err(Refusal::new(
            "pending-full",
            "so many requests wait already that this one finds no room: \
             edgeseal device pending, and device reject --all",
        ))
    }
}

/// Refuses a request that came on the topic of another key.
pub(super) fn judge_topic(
    addressed: Option<KeyId>,
    kid: KeyId,
) -> std::result::Result<(), Refusal> {
    match addressed.filter(|addressed| *addressed != kid) {
        None => Ok(()),
        Some(_) => Err(Refusal::new(
            "request-topic",
            format!("a request of the key {kid} came on the topic of another key"),
        )),
    }
}

/// Refuses another board than the one that is expected.
pub(super) fn judge_serial(
    expected: Option<&str>,
    stated: &Option<String>,
) -> std::result::Result<(), Refusal> {
    match expected.filter(|expected| Some(*expected) != stated.as_deref()) {
        None => Ok(()),
        Some(expected) => Err(Refusal::new(
            "serial",
            format!(
                "the board with the serial {expected} is expected, the request is of {}",
                stated.as_deref().unwrap_or("a board without one")
            ),
        )),
    }
}

/// The id belongs to another key.
pub(super) fn taken(id: &DeviceId) -> Refusal {
    let reason = format!("{id} is in the registry with another key");
    Refusal::new("device-exists", reason)
}

impl From<Refusal> for CommandError {
    fn from(refusal: Refusal) -> Self {
        Self::no(refusal.code, refusal.reason)
    }
}

/// Three times what an honest request has.
const LONGEST_WAITING_OCTETS: usize = limits::REQUEST_OCTETS / 4;
