//! Prints what a store of many keys costs: `cargo run --release --example store_figures -- 100000`.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

#[path = "../tests/domain/mod.rs"]
mod domain;

use domain::{Domain, devices, kid};
use edgeseal_trust::key::KeyId;
use edgeseal_trust::registry::DeviceState;
use edgeseal_trust::store::Store;
use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

fn main() {
    let arguments: Vec<String> = env::args().collect();
    match arguments.as_slice() {
        [_, dir, keys] => read(Path::new(dir), keys.parse().expect("a number of keys")),
        [program, keys] => write(program, keys.parse().expect("a number of keys")),
        _ => write(&arguments[0], 100_000),
    }
}

/// Applies a first bundle and a change of one device, then measures in a fresh process.
fn write(program: &str, keys: u64) {
    let dir = tempfile::tempdir().unwrap();
    let domain = Domain::new();
    let mut fleet = devices(0..keys);
    let shards = (keys / 100).next_power_of_two().clamp(1, 4096) as u32;
    let first = domain.bundle(1, shards, &fleet);
    fleet[0].state = DeviceState::Suspended;
    let second = domain.bundle(2, shards, &fleet);
    let (store, _) = Store::open(dir.path()).unwrap();
    let words = domain.words();
    let taken = timed(|| drop(store.apply_bundle(&first[..], Some(&words)).unwrap()));
    println!(
        "{keys} keys in {shards} shards, bundle {} KiB",
        first.len() >> 10
    );
    println!("first bundle applied in    {taken:>10.1?}");
    let taken = timed(|| drop(store.apply_bundle(&second[..], None).unwrap()));
    println!("one device changed in      {taken:>10.1?}");
    drop(store);
    println!(
        "index on disk              {:>8} KiB",
        size(&dir.path().join("index")) >> 10
    );
    println!(
        "documents on disk          {:>8} KiB",
        size(&dir.path().join("trust")) >> 10
    );
    let status = Command::new(program)
        .args([dir.path().as_os_str(), keys.to_string().as_ref()])
        .status();
    assert!(status.unwrap().success());
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    let taken = timed(|| drop(Store::open(dir.path()).unwrap()));
    println!("index rebuilt in           {taken:>10.1?}");
}

fn read(dir: &Path, keys: u64) {
    let kids: Vec<KeyId> = (0..1000).map(|n| kid(n * 7919 % keys)).collect();
    let before = resident_kib();
    let mut opened = None;
    let taken = timed(|| opened = Some(Store::open(dir).unwrap()));
    let (store, report) = opened.unwrap();
    println!(
        "open and ready in          {taken:>10.1?}  {:?}",
        report.index
    );
    println!(
        "memory after open          {:>8} KiB more",
        resident_kib() - before
    );
    let look_up = || {
        for kid in &kids {
            store.key(*kid).unwrap().unwrap();
        }
    };
    println!(
        "a cold key in              {:>10.1?}",
        timed(look_up) / 1000
    );
    println!(
        "a cached key in            {:>10.1?}",
        timed(look_up) / 1000
    );
    for number in 0..keys {
        store.key(kid(number * 104_729 % keys)).unwrap().unwrap();
    }
    println!(
        "memory after every key     {:>8} KiB more",
        resident_kib() - before
    );
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn size(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).unwrap().map(Result::unwrap);
    let size = entries.map(|entry| match entry.path().is_dir() {
        true => size(&entry.path()),
        false => entry.metadata().unwrap().len(),
    });
    size.sum()
}

fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let figure = line.and_then(|line| line.split_whitespace().nth(1));
    figure.unwrap().parse().unwrap()
}
