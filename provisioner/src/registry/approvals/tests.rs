use super::{Approvals, Given, OCTETS, Row};
use crate::keys::generate;
use edgeseal_trust::document::{DocumentType, sign};
use edgeseal_trust::enrollment::{Approval, ApprovalSubject};
use edgeseal_trust::id::{DeviceId, RoleName, TrustDomain};
use edgeseal_trust::time::UnixTime;

/// One device, approved by two; all names have so many characters.
fn approved(characters: usize) -> Approvals {
    let (name, kid) = ("x".repeat(characters), generate().unwrap().public().id());
    let device = DeviceId::parse(&name).unwrap();
    let roles = vec![RoleName::parse(&name).unwrap()];
    let approval = Approval {
        domain: TrustDomain::parse(&name).unwrap(),
        root_version: 256,
        number: u64::MAX,
        needed: 2,
        subject: ApprovalSubject::Device {
            device: device.clone(),
            kid,
            roles: roles.clone(),
        },
    };
    let keys = [generate().unwrap(), generate().unwrap()];
    let payload = approval.to_payload().unwrap();
    let document = sign(DocumentType::Approval, &payload, &[&keys[0], &keys[1]]);
    let row = Row {
        device: device.clone(),
        keys: vec![kid],
        exempt: Vec::new(),
        given: vec![Given {
            roles,
            kid,
            at: UnixTime::from_seconds(1_800_000_000),
            document: String::from_utf8(document).unwrap(),
        }],
        waits: None,
    };
    let mut approvals = Approvals::default();
    approvals.devices.insert(device, row);
    approvals
}

#[test]
fn a_hundred_thousand_devices_that_two_persons_approved_fit() {
    for (characters, most) in [(8, 1200), (64, 2000)] {
        let line = approved(characters).lines().unwrap().len();
        assert!(line <= most && line > most / 2, "{line} octets");
        assert!(line * 100_000 <= OCTETS, "{line} octets");
    }
}

#[test]
fn more_than_is_read_again_is_not_written() {
    let approvals = approved(8);
    let octets = approvals.lines().unwrap().len();
    assert!(approvals.lines_within(octets).is_ok());
    let refused = approvals.lines_within(octets - 1).unwrap_err();
    assert_eq!(refused.code, "too-many");
}
