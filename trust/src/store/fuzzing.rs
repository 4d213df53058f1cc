//! Doors for the fuzzer alone (`tests/fuzz.sh`): what this module reads back from the disk. Each
//! decodes and, where it succeeds, expects what it encodes to be read back the same.

use super::record::{decode_device, decode_key, encode_device, encode_key};
use super::state_file;
use crate::key::KeyId;

/// A record of a key: 32 octets of its `kid`, then the record.
pub fn key_record(octets: &[u8]) {
    let Some((kid, record)) = octets.split_first_chunk() else {
        return;
    };
    let kid = KeyId::from_octets(*kid);
    if let Ok(key) = decode_key(kid, record) {
        let again = decode_key(kid, &encode_key(&key));
        assert!(again.is_ok_and(|again| again.device == key.device && again.key == key.key));
    }
}

/// A record of a device: its id, an octet 0, then the record.
pub fn device_record(octets: &[u8]) {
    let mut parts = octets.splitn(2, |octet| *octet == 0);
    let (Some(id), Some(record)) = (parts.next(), parts.next()) else {
        return;
    };
    if let Ok((device, kids)) = decode_device(id, record) {
        let again = decode_device(id, &encode_device(&device, &kids));
        assert!(again.is_ok_and(|again| again == (device, kids)));
    }
}

/// A generation of the state file.
pub fn state_file(octets: &[u8]) {
    let _ = state_file::decode(octets);
}
