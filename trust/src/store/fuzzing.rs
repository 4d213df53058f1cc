//! Doors for the fuzzer alone (`tests/fuzz.sh`): what this module reads back from the disk. Each
//! decodes and, where it succeeds, expects what it encodes to be read back the same.

use super::record::{decode, encode};
use super::state_file;
use crate::key::KeyId;

/// A record of a key: 32 octets of its `kid`, then the record.
pub fn key_record(octets: &[u8]) {
    let Some((kid, record)) = octets.split_first_chunk() else {
        return;
    };
    let kid = KeyId::from_octets(*kid);
    if let Ok(key) = decode(kid, record) {
        let again = decode(kid, &encode(&key));
        assert!(again.is_ok_and(|again| again.device == key.device && again.key == key.key));
    }
}

/// A generation of the state file.
pub fn state_file(octets: &[u8]) {
    let _ = state_file::decode(octets);
}
