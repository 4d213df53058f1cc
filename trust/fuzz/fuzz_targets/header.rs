//! The header: what is let in has exactly three members, whatever other JSON reader is asked.
#![no_main]

use data_encoding::BASE64URL_NOPAD;
use edgeseal_trust::token::{Kind, Unverified};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|header: &[u8]| {
    let token = format!(
        "{}.e30.{}",
        BASE64URL_NOPAD.encode(header),
        BASE64URL_NOPAD.encode(&[7; 64])
    );
    let typ = Kind::Message.typ();
    if let Ok(token) = Unverified::parse(token.as_bytes(), typ) {
        let read: Value = serde_json::from_slice(header).expect("JSON");
        assert_eq!(read.as_object().expect("an object").len(), 3);
        assert_eq!(read["alg"], "EdDSA");
        assert_eq!(read["typ"], typ);
        assert_eq!(read["kid"], token.kid().to_string());
    }
});
