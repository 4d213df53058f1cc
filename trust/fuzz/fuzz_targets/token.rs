//! A whole token against real keys: what is accepted must be a token that was signed here.
#![no_main]
#[allow(dead_code)]
#[path = "../../../tests/support/mod.rs"]
mod support;

use libfuzzer_sys::fuzz_target;
use std::collections::HashSet;
use std::sync::LazyLock;
use support::generate::{Honest, honest};
use support::judge::Judge;

static HONEST: LazyLock<Vec<Honest>> = LazyLock::new(honest);
static SIGNED: LazyLock<HashSet<Vec<u8>>> = LazyLock::new(|| {
    let vectors = support::corpus::tokens().into_iter();
    let lines = vectors.flat_map(|(_, vector)| vector.before.into_iter().chain([vector.line]));
    let tokens = lines.filter_map(|line| Some(line["token"].as_str()?.to_owned()));
    let honest = HONEST.iter().map(|message| message.token.clone());
    tokens.chain(honest).map(String::into_bytes).collect()
});

thread_local! {
    static JUDGE: std::cell::RefCell<Judge> = std::cell::RefCell::new(Judge::forgetful());
}

// The first octet says which message the token comes with.
fuzz_target!(|data: &[u8]| {
    let Some((which, token)) = data.split_first() else {
        return;
    };
    let message = &HONEST[usize::from(*which) % HONEST.len()];
    let verdict = JUDGE.with_borrow_mut(|judge| judge.judge_token(token, &message.line));
    assert!(verdict != "verified" || SIGNED.contains(token), "accepted");
});
