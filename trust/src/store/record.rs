//! The record of a key in the index: compact, versioned, read back without trust in the disk.

use crate::id::{DeviceId, Name};
use crate::key::{KeyId, VerifyingKey};
use crate::limits;
use crate::registry::{Device, DeviceState, KeyState, PeerKey};
use crate::time::UnixTime;
use std::sync::Arc;

/// Why octets are no record.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum BadRecord {
    /// Cut off, or something behind its end.
    #[error("a record has the wrong length")]
    Length,
    /// A name is none.
    #[error("a record holds something that is no name")]
    Name,
    /// The public key is not the one of its thumbprint.
    #[error("a record holds another key than its kid")]
    PublicKey,
    /// A state that does not exist.
    #[error("a record holds an unknown state")]
    State,
    /// A version that this program does not know.
    #[error("a record has format version {0}")]
    Version(u8),
}

/// The record of one key: all that a verification needs.
pub(super) fn encode(key: &PeerKey) -> Vec<u8> {
    let mut octets = vec![VERSION];
    octets.extend_from_slice(&key.key.octets());
    octets.push(match key.state {
        KeyState::Active => 0,
        KeyState::Retired => 1,
        KeyState::Retiring => 2,
        KeyState::Revoked => 3,
    });
    octets.extend_from_slice(&key.not_before.seconds().to_be_bytes());
    // No key is retired at the end of time.
    let retired_at = key.retired_at.map_or(u64::MAX, UnixTime::seconds);
    octets.extend_from_slice(&retired_at.to_be_bytes());
    push_name(&mut octets, &key.device.id);
    push_device(&mut octets, &key.device);
    octets
}

/// Reads the record of the key `kid`.
pub(super) fn decode(kid: KeyId, octets: &[u8]) -> Result<PeerKey, BadRecord> {
    let mut fields = Fields::of_version(octets)?;
    let public = fields.take::<32>()?;
    let state = match fields.octet()? {
        0 => KeyState::Active,
        1 => KeyState::Retired,
        2 => KeyState::Retiring,
        3 => KeyState::Revoked,
        _ => return Err(BadRecord::State),
    };
    let not_before = UnixTime::from_seconds(fields.number()?);
    let retired_at = Some(fields.number()?).filter(|at| *at != u64::MAX);
    let id = fields.name()?;
    let device = fields.device(id)?;
    fields.end()?;
    Ok(PeerKey {
        key: VerifyingKey::reload(public, kid).map_err(|_| BadRecord::PublicKey)?,
        state,
        not_before,
        retired_at: retired_at.map(UnixTime::from_seconds),
        device: Arc::new(device),
    })
}

fn push_device(octets: &mut Vec<u8>, device: &Device) {
    octets.push(match device.state {
        DeviceState::Active => 0,
        DeviceState::Pending => 1,
        DeviceState::Revoked => 2,
        DeviceState::Suspended => 3,
    });
    octets.push(small(device.roles.len()));
    device.roles.iter().for_each(|name| push_name(octets, name));
    octets.push(small(device.groups.len()));
    device
        .groups
        .iter()
        .for_each(|name| push_name(octets, name));
}

fn push_name<K>(octets: &mut Vec<u8>, name: &Name<K>) {
    let text = name.as_str();
    octets.push(small(text.len()));
    octets.extend_from_slice(text.as_bytes());
}

/// A count that the limits of documents keep far below 256.
fn small(count: usize) -> u8 {
    u8::try_from(count).unwrap_or(u8::MAX)
}

struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn of_version(octets: &'a [u8]) -> Result<Self, BadRecord> {
        match octets.split_first() {
            Some((&VERSION, rest)) => Ok(Self(rest)),
            Some((version, _)) => Err(BadRecord::Version(*version)),
            None => Err(BadRecord::Length),
        }
    }

    fn take<const N: usize>(&mut self) -> Result<&'a [u8; N], BadRecord> {
        let (field, rest) = self.0.split_first_chunk().ok_or(BadRecord::Length)?;
        self.0 = rest;
        Ok(field)
    }

    fn octet(&mut self) -> Result<u8, BadRecord> {
        self.take::<1>().map(|[octet]| *octet)
    }

    fn number(&mut self) -> Result<u64, BadRecord> {
        self.take().map(|octets| u64::from_be_bytes(*octets))
    }

    fn name<K>(&mut self) -> Result<Name<K>, BadRecord> {
        let length = usize::from(self.octet()?);
        let (name, rest) = self.0.split_at_checked(length).ok_or(BadRecord::Length)?;
        self.0 = rest;
        name_of(name)
    }

    fn names<K>(&mut self) -> Result<Box<[Name<K>]>, BadRecord> {
        let count = usize::from(self.octet()?);
        if count > limits::MEMBERSHIPS {
            return Err(BadRecord::Length);
        }
        (0..count).map(|_| self.name()).collect()
    }

    fn device(&mut self, id: DeviceId) -> Result<Device, BadRecord> {
        let state = match self.octet()? {
            0 => DeviceState::Active,
            1 => DeviceState::Pending,
            2 => DeviceState::Revoked,
            3 => DeviceState::Suspended,
            _ => return Err(BadRecord::State),
        };
        Ok(Device {
            id,
            state,
            roles: self.names()?,
            groups: self.names()?,
        })
    }

    fn end(self) -> Result<(), BadRecord> {
        self.0.is_empty().then_some(()).ok_or(BadRecord::Length)
    }
}

fn name_of<K>(octets: &[u8]) -> Result<Name<K>, BadRecord> {
    let text = std::str::from_utf8(octets).map_err(|_| BadRecord::Name)?;
    Name::parse(text).map_err(|_| BadRecord::Name)
}

/// First octet of every record. Another one makes the index unfit: it is rebuilt.
const VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]

    use super::{BadRecord, decode, encode};
    use crate::id::{DeviceId, GroupName, RoleName};
    use crate::key::SigningKey;
    use crate::registry::{Device, DeviceState, KeyState, PeerKey};
    use crate::time::UnixTime;
    use std::sync::Arc;

    fn key() -> PeerKey {
        let device = Device {
            id: DeviceId::parse("pump-1").unwrap(),
            state: DeviceState::Suspended,
            roles: [RoleName::parse("pump").unwrap()].into(),
            groups: ["a", "b"]
                .map(|name| GroupName::parse(name).unwrap())
                .into(),
        };
        PeerKey {
            key: SigningKey::from_seed(&[7; 32]).public().clone(),
            state: KeyState::Retired,
            not_before: UnixTime::from_seconds(1_700_000_000),
            retired_at: Some(UnixTime::from_seconds(1_800_000_000)),
            device: Arc::new(device),
        }
    }

    #[test]
    fn records_come_back_as_they_were() {
        let key = key();
        let kid = key.key.id();
        let back = decode(kid, &encode(&key)).unwrap();
        assert_eq!(back.key.octets(), key.key.octets());
        assert_eq!((back.state, back.not_before), (key.state, key.not_before));
        assert_eq!(
            (back.retired_at, &back.device),
            (key.retired_at, &key.device)
        );
    }

    #[test]
    fn another_length_version_or_key_is_refused() {
        let key = key();
        let kid = key.key.id();
        let record = encode(&key);
        for length in 0..record.len() {
            decode(kid, &record[..length]).unwrap_err();
        }
        let longer = [record.as_slice(), &[0]].concat();
        assert_eq!(decode(kid, &longer).unwrap_err(), BadRecord::Length);
        let other = SigningKey::from_seed(&[8; 32]).public().id();
        assert_eq!(decode(other, &record).unwrap_err(), BadRecord::PublicKey);
        let mut newer = record;
        newer[0] = 2;
        assert_eq!(decode(kid, &newer).unwrap_err(), BadRecord::Version(2));
    }

    #[test]
    fn damaged_octets_never_panic() {
        let key = key();
        let kid = key.key.id();
        let key_record = encode(&key);
        for place in 0..key_record.len() {
            for octet in 0..=255 {
                let mut damaged = key_record.clone();
                damaged[place] = octet;
                let _ = decode(kid, &damaged);
            }
        }
    }
}
