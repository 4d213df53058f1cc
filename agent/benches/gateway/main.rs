//! What a pair of gateways costs: `cargo bench -p edgeseal-agent --bench gateway`.
//!
//! A publisher and a subscriber in this process, mosquitto, and between them nothing, two plain proxies, or the gateways of
//! two enrolled agents (the shipped program). Clients that sign and verify themselves stand beside them: in Rust with jsonwebtoken,
//! in Python with paho and PyJWT, where `target/bench-python` is a virtual environment that has both.
//! Rounds are interleaved; medians and ratios of one run are what counts.
//!
//! `EDGESEAL_BENCH_ROUNDS`, `EDGESEAL_BENCH_MESSAGES` say how much; `EDGESEAL_BENCH_FLAT` how many messages the memory is
//! watched over; `EDGESEAL_BENCH_AGENT` names another agent program; `EDGESEAL_BENCH_ONLY=gateways` runs that row alone.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    dead_code,
    unused_imports,
    missing_docs,
    unreachable_pub
)]

mod clients;
#[path = "../../tests/api/domain.rs"]
mod domain;
#[path = "../../tests/api/http.rs"]
mod http;
mod memory;
mod naive;
#[path = "../../tests/api/place.rs"]
mod place;
mod process;
mod python;
mod raw;
mod routes;

use clients::{Load, Sample};
use routes::{Route, World};
use rumqttc::v5::mqttbytes::QoS;
use std::collections::BTreeMap;

fn main() {
    let words: Vec<String> = std::env::args().collect();
    if let [_, verb, from, to] = words.as_slice()
        && verb == "proxy"
    {
        return routes::serve_proxy(from.parse().unwrap(), to.parse().unwrap());
    }
    let raw = raw::measure();
    println!(
        "raw sign {:.1} us, raw verify_strict {:.1} us\n",
        raw.sign, raw.verify
    );
    let world = World::start();
    let rows = throughput(&world);
    show(&rows);
    let latencies = latency(&world);
    let python = python::rates(world.broker_port());
    judge(&raw, &rows, &latencies, &python);
    memory::measure(&world);
}

/// Samples of each row, by route, QoS.
type Rows = BTreeMap<(Route, u8), Vec<Sample>>;

fn throughput(world: &World) -> Rows {
    let mut rows = Rows::new();
    for round in 0..=setting("ROUNDS", 5) {
        for route in wanted() {
            for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
                let load = Load {
                    qos,
                    messages: setting("MESSAGES", 20_000),
                    window: 1024,
                    batch: 64,
                };
                let sample = clients::run(world, route, load);
                if round > 0 {
                    rows.entry((route, qos as u8)).or_default().push(sample);
                }
            }
        }
    }
    rows
}

fn latency(world: &World) -> BTreeMap<Route, f64> {
    let mut medians: BTreeMap<Route, Vec<f64>> = BTreeMap::new();
    for _ in 0..setting("ROUNDS", 5) {
        for route in wanted() {
            let load = Load {
                qos: QoS::AtMostOnce,
                messages: 1000,
                window: 1,
                batch: 1,
            };
            let sample = clients::run(world, route, load);
            medians.entry(route).or_default().push(sample.latency_us);
        }
    }
    let median = |(route, mut all): (Route, Vec<f64>)| (route, median(&mut all));
    medians.into_iter().map(median).collect()
}

fn show(rows: &Rows) {
    println!(
        "| route | QoS | messages/s | CPU us between the clients |\n| --- | --- | ---: | ---: |"
    );
    for ((route, qos), samples) in rows {
        let (rate, cpu) = (of(samples, |one| one.rate), of(samples, |one| one.cpu_us));
        println!("| {} | {qos} | {rate:.0} | {cpu:.1} |", route.name());
    }
}

fn judge(raw: &raw::Raw, rows: &Rows, latencies: &BTreeMap<Route, f64>, python: &[Option<f64>; 2]) {
    println!("\n| work | bar | measured |\n| --- | --- | --- |");
    let rate = |route, qos| rows.get(&(route, qos)).map(|all| of(all, |one| one.rate));
    let cpu = |route, qos| rows.get(&(route, qos)).map(|all| of(all, |one| one.cpu_us));
    let both = raw.sign + raw.verify;
    for (qos, bar) in [(0, 1.3), (1, 1.5)] {
        if let (Some(ours), Some(plain)) = (cpu(Route::Gateways, qos), cpu(Route::Proxies, qos)) {
            let ratio = (ours - plain) / both;
            row(
                &format!("CPU above plain proxies, QoS {qos}"),
                bar,
                ratio,
                ratio <= bar,
            );
        }
    }
    for (qos, bar) in [(0, 1.0), (1, 0.85)] {
        if let (Some(ours), Some(naive)) = (rate(Route::Gateways, qos), rate(Route::Naive, qos)) {
            let ratio = ours / naive;
            row(
                &format!("rate against naive Rust, QoS {qos}"),
                bar,
                ratio,
                ratio >= bar,
            );
        }
    }
    for (qos, bar) in [(0, 3.0), (1, 2.5)] {
        if let (Some(ours), Some(paho)) = (rate(Route::Gateways, qos), python[usize::from(qos)]) {
            let ratio = ours / paho;
            row(
                &format!("rate against paho and PyJWT ({paho:.0}/s), QoS {qos}"),
                bar,
                ratio,
                ratio >= bar,
            );
        }
    }
    for (route, latency) in latencies {
        println!("| one at a time, {} | | {latency:.0} us |", route.name());
    }
    if let (Some(ours), Some(direct)) = (
        latencies.get(&Route::Gateways),
        latencies.get(&Route::Direct),
    ) {
        let (bar, added) = (both + 150.0, ours - direct);
        row("added latency, us", bar, added, added <= bar);
    }
}

fn row(work: &str, bar: f64, measured: f64, holds: bool) {
    let word = if holds { "holds" } else { "missed" };
    println!("| {work} | {bar:.2} | {measured:.2}: {word} |");
}

fn wanted() -> Vec<Route> {
    let only = std::env::var("EDGESEAL_BENCH_ONLY").ok();
    let all = Route::ALL.into_iter();
    all.filter(|route| only.as_deref().is_none_or(|only| only == route.name()))
        .collect()
}

fn of(samples: &[Sample], figure: impl Fn(&Sample) -> f64) -> f64 {
    median(&mut samples.iter().map(figure).collect::<Vec<_>>())
}

fn median(all: &mut [f64]) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn setting(name: &str, default: usize) -> usize {
    let value = std::env::var(format!("EDGESEAL_BENCH_{name}")).ok();
    value.map_or(default, |value| value.parse().unwrap())
}
