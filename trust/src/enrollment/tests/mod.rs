//! Both sides of every rule of enrollment over MQTT and of rotation.

mod join;
mod join_file;
mod rotation;

use super::{JoinDraft, JoinId, RequestDraft, kind_of};
use crate::document::fixture::{ISSUED, authority, key};
use crate::document::{Authority, DocumentType};
use crate::id::{DeviceId, GroupName, RoleName, TrustDomain};
use crate::time::UnixTime;

/// The registrar keys of the fixture's root.
fn registrar() -> Authority {
    authority(1, &[11, 12])
}

fn farm() -> TrustDomain {
    TrustDomain::parse("farm").unwrap()
}

fn device(id: &str) -> DeviceId {
    DeviceId::parse(id).unwrap()
}

/// A token for `pump-1` on one board, and for the one-time key 31.
fn join() -> JoinDraft {
    JoinDraft {
        domain: farm(),
        id: JoinId::from_octets([7; 16]),
        one_time: key(31).public().id(),
        device: Some(device("pump-1")),
        roles: vec![RoleName::parse("sensor").unwrap()],
        groups: vec![GroupName::parse("shed").unwrap()],
        serial: Some("10000000abcdef01".into()),
        issued_at: ISSUED,
        expires_at: ISSUED.plus(7 * 86_400),
    }
}

/// The token signed by a registrar key.
fn token(draft: &JoinDraft) -> String {
    draft.sign(&key(11)).unwrap()
}

/// What `pump-1` asks with a token.
fn asked(token: &str) -> RequestDraft {
    RequestDraft {
        domain: Some(farm()),
        device: Some(device("pump-1")),
        serial: Some("10000000abcdef01".into()),
        issued_at: Some(UnixTime::from_seconds(3)), // its clock is in 1970: nobody judges it
        join: Some(token.to_owned()),
    }
}

/// One flipped bit, at every place.
fn altered(octets: &[u8]) -> impl Iterator<Item = (usize, Vec<u8>)> {
    (0..octets.len()).map(|place| {
        let mut altered = octets.to_vec();
        altered[place] ^= 1;
        (place, altered)
    })
}

#[test]
fn the_header_tells_which_request_it_is() {
    let request = RequestDraft::default().sign(&key(21)).unwrap();
    assert_eq!(kind_of(&request), Ok(DocumentType::Request));
    let draft = rotation::draft();
    let rotation = draft.sign(&key(21), &key(22)).unwrap();
    assert_eq!(kind_of(&rotation), Ok(DocumentType::Rotation));
    let root = crate::document::fixture::root(1);
    let root = crate::document::fixture::signed_root(&root, &[1, 2]);
    assert_eq!(kind_of(&root).unwrap_err().code(), "header-typ");
    assert_eq!(kind_of(b"{}").unwrap_err().code(), "malformed");
}
