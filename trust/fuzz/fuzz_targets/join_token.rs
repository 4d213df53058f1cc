//! A join token: no panic, and what a registrar key signed is what was signed here.
#![no_main]
#[allow(dead_code)]
#[path = "../../../tests/support/mod.rs"]
mod support;

use edgeseal_trust::document::Authority;
use edgeseal_trust::enrollment::{JoinId, JoinToken};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use support::domain::key;

static REGISTRAR: LazyLock<Authority> = LazyLock::new(|| {
    Authority::new(1, vec![key(3).public().clone()]).expect("an authority")
});

fuzz_target!(|octets: &[u8]| {
    let Ok(text) = std::str::from_utf8(octets) else {
        return;
    };
    if let Ok(token) = JoinToken::verify(text, &REGISTRAR) {
        assert_eq!(token.registrar, key(3).public().id());
        assert_eq!(JoinToken::verify(text, &REGISTRAR).expect("the same again"), token);
    }
    if let Ok(id) = JoinId::parse(text) {
        assert_eq!(id.to_string(), text);
    }
});
