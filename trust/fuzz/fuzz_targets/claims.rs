//! Claims that the sender itself signed: what is accepted holds what the profile promises, by
//! another JSON reader's word.
#![no_main]
#[allow(dead_code)]
#[path = "../../../tests/support/mod.rs"]
mod support;

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use std::sync::LazyLock;
use support::domain::{self, NOW};
use support::forge::{Forge, TOPIC, object, sign};
use support::generate::{Honest, honest};
use support::judge::Judge;

static HONEST: LazyLock<Vec<Honest>> = LazyLock::new(honest);
static HEADER: LazyLock<Vec<u8>> = LazyLock::new(|| object(&Forge::honest().header));

thread_local! {
    static JUDGE: std::cell::RefCell<Judge> = std::cell::RefCell::new(Judge::forgetful());
}

fuzz_target!(|claims: &[u8]| {
    let token = sign(&HEADER, claims, &domain::key_of("sensor"));
    let line = &HONEST[0].line;
    let verdict = JUDGE.with_borrow_mut(|judge| judge.judge_token(token.as_bytes(), line));
    if verdict == "verified" {
        let read: Value = serde_json::from_slice(claims).expect("JSON");
        for (name, text) in [("iss", "farm"), ("sub", "sensor"), ("aud", "domain:farm"), ("top", TOPIC)] {
            assert_eq!(read[name], text);
        }
        let (iat, exp) = (read["iat"].as_u64().expect("iat"), read["exp"].as_u64().expect("exp"));
        assert!((1..=300).contains(&(exp - iat)) && iat <= NOW + 10 && exp + 10 > NOW);
        assert!(read["tsq"].is_u64() && read["jti"].is_string());
        assert!(read.get("vch").is_none(), "the sensor may not vouch");
    }
});
