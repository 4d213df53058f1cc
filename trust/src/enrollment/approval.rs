//! Approvals: several registrar keys say that a device may have roles which no person gives alone, or
//! that such a rule itself is changed.
//!
//! They stay with the operator: no device reads one. How many keys must sign, and that each is a registrar
//! key of the root that the approval names, is judged by whoever lays out the fleet.

use crate::document::{
    DocumentRejection, DocumentType, FORMAT, Signed, Versioned, at_most, malformed, once_each,
    read, write,
};
use crate::id::{DeviceId, RoleName, TrustDomain};
use crate::key::KeyId;
use crate::limits;
use crate::registry::Role;
use serde::{Deserialize, Serialize};

/// The content of an approval.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Approval {
    /// The trust domain.
    pub domain: TrustDomain,
    /// The version of the root whose registrar keys approve.
    pub root_version: u64,
    /// The number of the decision in its registry, from 1. Each is used once: what was approved, and
    /// taken back, cannot be shown again.
    pub number: u64,
    /// How many of these keys must sign, from 1.
    pub needed: u32,
    /// What is approved.
    pub subject: ApprovalSubject,
}

/// What is approved.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ApprovalSubject {
    /// A device has roles.
    Device {
        /// The device.
        device: DeviceId,
        /// Its key.
        kid: KeyId,
        /// The roles, sorted, each once; at least one.
        roles: Vec<RoleName>,
    },
    /// A role grants this, and from now on so many keys approve the devices that get it.
    Role {
        /// The role, with all that it grants.
        role: Role,
        /// How many keys; 0 ends the rule.
        approvals: u32,
    },
}

impl Approval {
    /// The payload to sign.
    ///
    /// # Errors
    /// [`DocumentRejection`] when the content breaks a rule that every reader applies.
    pub fn to_payload(&self) -> Result<Vec<u8>, DocumentRejection> {
        self.check()?;
        let (device, rule) = match &self.subject {
            ApprovalSubject::Device { device, kid, roles } => (
                Some(DeviceText {
                    id: device.clone(),
                    kid: *kid,
                    roles: roles.clone(),
                }),
                None,
            ),
            ApprovalSubject::Role { role, approvals } => (
                None,
                Some(RuleText {
                    role: role.clone(),
                    approvals: *approvals,
                }),
            ),
        };
        Ok(write(&ApprovalText {
            format: FORMAT,
            domain: self.domain.clone(),
            root_version: self.root_version,
            number: self.number,
            needed: self.needed,
            device,
            rule,
        }))
    }

    fn check(&self) -> Result<(), DocumentRejection> {
        if self.root_version == 0 {
            return Err(DocumentRejection::Zero("root_version"));
        }
        if self.number == 0 {
            return Err(DocumentRejection::Zero("number"));
        }
        if self.needed == 0 {
            return Err(DocumentRejection::Zero("needed"));
        }
        match &self.subject {
            ApprovalSubject::Device { roles, .. } => {
                at_most(limits::MEMBERSHIPS, "roles", roles.len())?;
                once_each("role", roles)?;
                if roles.is_empty() || !roles.is_sorted() {
                    return Err(malformed("the roles are none, or not sorted"));
                }
                Ok(())
            }
            ApprovalSubject::Role { role, .. } => {
                at_most(limits::GRANTS, "grants", role.grants.len())
            }
        }
    }
}

impl Signed for Approval {
    const TYPE: DocumentType = DocumentType::Approval;

    fn from_payload(payload: &[u8]) -> Result<Self, DocumentRejection> {
        let text: ApprovalText = read(payload, Versioned::Yes)?;
        let subject = match (text.device, text.rule) {
            (Some(DeviceText { id, kid, roles }), None) => ApprovalSubject::Device {
                device: id,
                kid,
                roles,
            },
            (None, Some(RuleText { role, approvals })) => ApprovalSubject::Role { role, approvals },
            _ => return Err(malformed("an approval is of a device or of a rule")),
        };
        let approval = Self {
            domain: text.domain,
            root_version: text.root_version,
            number: text.number,
            needed: text.needed,
            subject,
        };
        approval.check()?;
        Ok(approval)
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct ApprovalText {
    format: u64,
    domain: TrustDomain,
    root_version: u64,
    number: u64,
    needed: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device: Option<DeviceText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rule: Option<RuleText>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct DeviceText {
    id: DeviceId,
    kid: KeyId,
    roles: Vec<RoleName>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RuleText {
    role: Role,
    approvals: u32,
}

#[cfg(test)]
mod tests {
    use super::{Approval, ApprovalSubject};
    use crate::document::fixture::{key, signed};
    use crate::document::{
        Authority, Document, DocumentType, Unverified, join_signatures, sign, signers,
    };
    use crate::id::{DeviceId, RoleName, TrustDomain};
    use crate::registry::Role;

    fn approval() -> Approval {
        Approval {
            domain: TrustDomain::parse("farm").unwrap(),
            root_version: 1,
            number: 7,
            needed: 2,
            subject: ApprovalSubject::Device {
                device: DeviceId::parse("door-1").unwrap(),
                kid: key(21).public().id(),
                roles: vec![RoleName::parse("door").unwrap()],
            },
        }
    }

    fn rule() -> Approval {
        Approval {
            subject: ApprovalSubject::Role {
                role: Role {
                    name: RoleName::parse("door").unwrap(),
                    grants: Vec::new(),
                    manifest_age_seconds: None,
                },
                approvals: 0,
            },
            ..approval()
        }
    }

    fn code(payload: &str) -> &'static str {
        let octets = signed(DocumentType::Approval, payload.as_bytes(), &[21]);
        let read = Document::<Approval>::load(&octets);
        read.err().map_or("accepted", |why| why.code())
    }

    #[test]
    fn an_approval_is_read_back_as_it_was_written() {
        for approval in [approval(), rule()] {
            let payload = approval.to_payload().unwrap();
            let octets = sign(DocumentType::Approval, &payload, &[&key(1)]);
            let read = Document::<Approval>::load(&octets).unwrap();
            assert_eq!(*read.content(), approval);
        }
    }

    #[test]
    fn an_approval_is_strict_in_form_and_is_of_one_thing() {
        let payload = String::from_utf8(approval().to_payload().unwrap()).unwrap();
        let rule = String::from_utf8(rule().to_payload().unwrap()).unwrap();
        let rule = rule.split_once(r#""rule":"#).unwrap().1.to_owned();
        assert_eq!(code(&payload), "accepted");
        for (altered, expected) in [
            (
                payload.replace(r#""format":1"#, r#""format":2"#),
                "format-unknown",
            ),
            (payload.replace(r#""number":7"#, r#""number":0"#), "zero"),
            (payload.replace(r#""needed":2"#, r#""needed":0"#), "zero"),
            (payload.replace(r#"["door"]"#, "[]"), "malformed"),
            (
                payload.replace(r#"["door"]"#, r#"["door","barn"]"#),
                "malformed",
            ),
            (
                payload.replace(r#"["door"]"#, r#"["door","door"]"#),
                "duplicate-name",
            ),
            (payload.replacen('{', r#"{"by":"anna","#, 1), "malformed"),
            (
                payload.replacen(
                    '{',
                    &format!(r#"{{"rule":{},"#, rule.strip_suffix('}').unwrap()),
                    1,
                ),
                "malformed",
            ),
        ] {
            assert_eq!(code(&altered), expected, "{altered}");
        }
    }

    #[test]
    fn signatures_from_two_places_come_together_and_strangers_do_not() {
        let payload = approval().to_payload().unwrap();
        let one = |seed: u8| sign(DocumentType::Approval, &payload, &[&key(seed)]);
        let authority = Authority::new(2, vec![key(1).public().clone(), key(2).public().clone()]);
        let authority = authority.unwrap();
        let wanted = [key(1).public().id(), key(2).public().id()];
        let join = |a: &[u8], b: &[u8]| join_signatures(a, b, DocumentType::Approval, &wanted);
        let both = join(&join(&one(1), &one(2)).unwrap(), &one(3)).unwrap();
        assert_eq!(join(&both, &one(1)).unwrap(), both);
        let document = Unverified::parse(&both, DocumentType::Approval).unwrap();
        assert_eq!(document.kids().count(), 2);
        assert_eq!(signers(&document, &authority).unwrap(), wanted);
        let other = Approval {
            number: 8,
            ..approval()
        };
        let other = sign(
            DocumentType::Approval,
            &other.to_payload().unwrap(),
            &[&key(2)],
        );
        assert_eq!(join(&one(1), &other).unwrap_err().code(), "malformed");
    }
}
