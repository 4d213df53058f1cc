//! Approving: signatures of registrar keys come together until there are enough.

use super::{Given, Proposal, Waits};
use crate::error::{CommandError, Result};
use crate::registry::Registry;
use edgeseal_trust::document::{
    Digest, Document, DocumentRejection, DocumentType, Root, Unverified, add_signatures,
    join_signatures, sign, signers,
};
use edgeseal_trust::enrollment::{Approval, ApprovalSubject};
use edgeseal_trust::id::{DeviceId, RoleName};
use edgeseal_trust::key::{KeyId, SigningKey};
use edgeseal_trust::time::UnixTime;
use std::fmt;

/// What waits for approvals.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Matter {
    /// A change of a role, or of its rule.
    Role(RoleName),
    /// A device that comes to a role.
    Device(DeviceId),
}

/// How far it has come.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Progress {
    /// What is approved.
    pub(crate) approval: Approval,
    /// The registrar keys that have approved it.
    pub(crate) signed: Vec<KeyId>,
    /// The approval as far as it is signed.
    pub(crate) document: Vec<u8>,
}

impl Registry {
    /// What waits: rules, then devices.
    pub(crate) fn approvals_waiting(&self) -> Vec<Matter> {
        let rules = self.approvals.rules.iter();
        let rules = rules.filter(|(_, rule)| rule.proposal.is_some());
        let devices = self.devices.values();
        let devices = devices.filter(|device| self.approvals.missing(device).is_some());
        rules
            .map(|(name, _)| Matter::Role(name.clone()))
            .chain(devices.map(|device| Matter::Device(device.id.clone())))
            .collect()
    }

    /// How far a matter has come under the newest root.
    ///
    /// # Errors
    /// `approval-unneeded`: nothing about it waits.
    pub(crate) fn approval(&self, matter: &Matter, root: &Root) -> Result<Progress> {
        let (number, needed, subject, kept) = match matter {
            Matter::Device(id) => {
                let waits = self.waits(id).ok_or_else(|| unneeded(matter))?;
                let subject = ApprovalSubject::Device {
                    device: id.clone(),
                    kid: waits.kid,
                    roles: waits.roles.clone(),
                };
                let rules = waits.roles.iter().filter_map(|role| self.rule(role));
                let needed = rules.map(|rule| rule.approvals).max().unwrap_or(1);
                (waits.number, needed, subject, &waits.document)
            }
            Matter::Role(name) => {
                let (role, rule) = (self.role(name)?, self.rule(name));
                let rule = rule.ok_or_else(|| unneeded(matter))?;
                let wish = rule.proposal.as_ref().ok_or_else(|| unneeded(matter))?;
                let subject = ApprovalSubject::Role {
                    role: role.clone(),
                    approvals: wish.approvals,
                };
                (wish.number, rule.approvals, subject, &wish.document)
            }
        };
        let approval = Approval {
            domain: self.domain.domain.clone(),
            root_version: root.version,
            number,
            needed,
            subject,
        };
        let payload = approval.to_payload().map_err(|why| refused(&why))?;
        // What was signed under another root, or before the rule was changed, says something else: it is begun anew.
        let kept = kept.as_ref().map(|text| text.as_bytes());
        let kept = kept.filter(|kept| {
            Unverified::parse(kept, DocumentType::Approval)
                .is_ok_and(|kept| kept.claimed_payload() == payload)
        });
        let document = match kept {
            Some(kept) => kept.to_vec(),
            None => sign(DocumentType::Approval, &payload, &[]),
        };
        Progress::of(approval, document, root)
    }

    /// Approves it with a registrar key. Twice is the same as once. Nothing is on disk before [`Registry::save`].
    ///
    /// # Errors
    /// Nothing about it waits.
    pub(crate) fn approve(
        &mut self,
        matter: &Matter,
        key: &SigningKey,
        root: &Root,
        now: UnixTime,
    ) -> Result<Progress> {
        self.note_waiting(matter)?;
        let before = self.approval(matter, root)?;
        let signed = add_signatures(&before.document, DocumentType::Approval, &[key]);
        let signed = signed.map_err(|why| refused(&why))?;
        let progress = Progress::of(before.approval, signed, root)?;
        self.keep_approval(matter, &progress, now);
        Ok(progress)
    }

    /// Takes the signatures of an approval that was signed elsewhere; gives what it is about, and how many are new.
    ///
    /// # Errors
    /// It is of another domain, or says something else than what waits here.
    pub(crate) fn accept_approval(
        &mut self,
        octets: &[u8],
        root: &Root,
        now: UnixTime,
    ) -> Result<(Matter, Progress, usize)> {
        let document = Document::<Approval>::load(octets).map_err(|why| refused(&why))?;
        let content = document.content();
        let matter = Matter::of(content);
        if content.domain != self.domain.domain {
            let (other, own) = (&content.domain, &self.domain.domain);
            let reason = format!(
                "the approval of {matter} is for the domain {other}, this registry is of {own}"
            );
            return Err(
                CommandError::no("domain", reason).hint("name its registry with --registry")
            );
        }
        if let Some(settled) = self.settled(&matter, document.payload_digest(), root) {
            return settled.map(|progress| (matter, progress, 0));
        }
        self.note_waiting(&matter)?;
        let before = self.approval(&matter, root)?;
        if before.approval != *content {
            let reason = format!(
                "the approval of {matter} has number {} under root version {}, and what waits here is another decision",
                content.number, content.root_version
            );
            return Err(CommandError::no("approval-superseded", reason).hint(
                "roles, key, rule or root have changed since: begin anew with edgeseal approval give --to FILE",
            ));
        }
        let parsed = Unverified::parse(octets, DocumentType::Approval);
        let parsed = parsed.map_err(|why| refused(&why))?;
        let wanted = signers(&parsed, &root.registrar).map_err(|why| refused(&why))?;
        let joined = join_signatures(&before.document, octets, DocumentType::Approval, &wanted);
        let joined = joined.map_err(|why| refused(&why))?;
        let progress = Progress::of(before.approval, joined, root)?;
        let added = progress.signed.len().saturating_sub(before.signed.len());
        self.keep_approval(&matter, &progress, now);
        Ok((matter, progress, added))
    }

    /// The same approval, where it is complete and still stands: it is accepted twice.
    fn settled(&self, matter: &Matter, payload: Digest, root: &Root) -> Option<Result<Progress>> {
        let Matter::Device(id) = matter else {
            return None;
        };
        let row = self.approvals.row(self.devices.get(id)?)?;
        row.given.iter().find_map(|given| {
            let document = Document::<Approval>::load(given.document.as_bytes()).ok()?;
            let is_it = document.payload_digest() == payload;
            let octets = document.octets().to_vec();
            is_it.then(|| Progress::of(document.content().clone(), octets, root))
        })
    }

    fn waits(&self, id: &DeviceId) -> Option<&Waits> {
        let row = self.approvals.row(self.devices.get(id)?)?;
        row.waits.as_ref()
    }

    /// Gives a device that came into the registry by hand its line, which it has otherwise.
    ///
    /// # Errors
    /// No such device.
    pub(crate) fn note_waiting(&mut self, matter: &Matter) -> Result<()> {
        if let Matter::Device(id) = matter {
            let device = self.device(id)?.clone();
            let missing = self.approvals.missing(&device);
            let waiting = self.waits(id).map(|waits| &waits.roles);
            if missing.as_ref().map(|missing| &missing.roles) != waiting {
                self.approvals.note(None, &device);
            }
        }
        Ok(())
    }

    fn keep_approval(&mut self, matter: &Matter, progress: &Progress, now: UnixTime) {
        let document = String::from_utf8_lossy(&progress.document).into_owned();
        match matter {
            Matter::Device(id) => {
                let Some(row) = self.approvals.devices.get_mut(id) else {
                    return;
                };
                if let Some(waits) = row.waits.as_mut() {
                    waits.document = Some(document.clone());
                }
                if progress.is_complete()
                    && let Some(waits) = row.waits.take()
                {
                    row.given.push(Given {
                        roles: waits.roles,
                        kid: waits.kid,
                        at: now,
                        document,
                    });
                }
                self.approvals.devices_changed = true;
            }
            Matter::Role(name) => {
                let wished = self.roles.get(name).cloned();
                let (Some(rule), Some(wished)) = (self.approvals.rules.get_mut(name), wished)
                else {
                    return;
                };
                match rule.proposal.as_mut() {
                    Some(Proposal { approvals: 0, .. }) if progress.is_complete() => {
                        self.approvals.rules.remove(name);
                    }
                    Some(wish) if progress.is_complete() => {
                        rule.approvals = wish.approvals;
                        rule.role = wished;
                        rule.proposal = None;
                    }
                    Some(wish) => wish.document = Some(document),
                    None => {}
                }
                self.changed.roles = true;
            }
        }
    }
}

impl Progress {
    fn of(approval: Approval, document: Vec<u8>, root: &Root) -> Result<Self> {
        let parsed = Unverified::parse(&document, DocumentType::Approval);
        let parsed = parsed.map_err(|why| refused(&why))?;
        let signed = signers(&parsed, &root.registrar).map_err(|why| refused(&why))?;
        Ok(Self {
            approval,
            signed,
            document,
        })
    }

    /// Whether enough keys have approved it.
    pub(crate) fn is_complete(&self) -> bool {
        u32::try_from(self.signed.len()).is_ok_and(|signed| signed >= self.approval.needed)
    }

    /// How far it has come, in words.
    pub(crate) fn count(&self) -> String {
        let by: Vec<String> = self.signed.iter().map(ToString::to_string).collect();
        let by = match by.is_empty() {
            true => String::new(),
            false => format!(" (by {})", by.join(", ")),
        };
        format!(
            "{} of {} approvals{by}",
            self.signed.len(),
            self.approval.needed
        )
    }
}

impl Matter {
    /// What an approval is about.
    pub(crate) fn of(approval: &Approval) -> Self {
        match &approval.subject {
            ApprovalSubject::Device { device, .. } => Self::Device(device.clone()),
            ApprovalSubject::Role { role, .. } => Self::Role(role.name.clone()),
        }
    }
}

impl fmt::Display for Matter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(id) => write!(f, "{id}"),
            Self::Role(name) => write!(f, "the role {name}"),
        }
    }
}

fn unneeded(matter: &Matter) -> CommandError {
    let reason = format!("nothing about {matter} waits for approvals");
    CommandError::no("approval-unneeded", reason).hint("edgeseal approval list")
}

fn refused(why: &DocumentRejection) -> CommandError {
    CommandError::no(why.code(), format!("the approval is refused: {why}"))
}
