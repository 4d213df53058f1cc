//! A JWK: what is let in is a public Ed25519 key that comes back the same.
#![no_main]

use edgeseal_trust::key::{VerifyingKey, parse_jwk, public_jwk};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|text: &[u8]| {
    if let Ok(key) = parse_jwk(text) {
        let read: Value = serde_json::from_slice(text).expect("JSON");
        assert_eq!((&read["kty"], &read["crv"]), (&"OKP".into(), &"Ed25519".into()));
        assert!(read.get("d").is_none());
        let written = serde_json::to_vec(&public_jwk(&key)).expect("JSON");
        assert_eq!(parse_jwk(&written).as_ref(), Ok(&key));
        assert_eq!(VerifyingKey::import(&key.octets()).as_ref(), Ok(&key));
    }
    if let Ok(octets) = <[u8; 32]>::try_from(text) {
        let _ = VerifyingKey::import(&octets);
    }
});
