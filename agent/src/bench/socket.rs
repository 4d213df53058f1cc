//! Signing over the socket: a server in this process, a client in another thread.

use super::Row;
use super::measure::{By, interleave};
use super::work::{Bench, RAW_SIGN, broken, request, row};
use crate::api::{Settings, Shared, Socket, serve};
use crate::cli::Complaint;
use crate::client::Client;
use crate::clock::SystemClock;
use crate::config::{Api, Config, NameDatabase};
use crate::daemon::Agent;
use crate::wire::{OneOrMany, SignRequest, Signed};
use ed25519_dalek::Signer;
use edgeseal_trust::store::Store;
use rustix::process::geteuid;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

pub(super) fn rows(rounds: u32, operations: u32) -> Result<Vec<Row>, Complaint> {
    let directory = tempfile::tempdir().map_err(|error| broken(&error))?;
    let (stop, stopping) = watch::channel(false);
    let bench = Bench::new()?;
    let (shared, config) = agent(&bench, directory.path())?;
    let runtime = runtime()?;
    let socket = {
        let _within = runtime.enter();
        Socket::listen(&config).map_err(|error| broken(&error))?
    };
    let server = thread::spawn(move || runtime.block_on(serve(socket, shared, stopping, None)));
    let measured = measure(&bench, &config.api_socket(), rounds, operations);
    stop.send_replace(true);
    server.join().ok();
    measured
}

fn measure(
    bench: &Bench,
    socket: &Path,
    rounds: u32,
    operations: u32,
) -> Result<Vec<Row>, Complaint> {
    let runtime = runtime()?;
    let mut client = runtime.block_on(Client::connect(socket, PATIENCE))?;
    let (input, _) = bench.signing_input()?;
    let key = bench.raw_key();
    let raw = |_| {
        black_box(key.sign(black_box(input.as_bytes())));
        Ok(())
    };
    let one = request();
    let single = interleave(By::WallTime, rounds, operations, raw, |_| {
        let signed = runtime.block_on(client.post::<_, Signed>(SIGN, &one))?;
        black_box(signed);
        Ok::<(), Complaint>(())
    })?;
    let array = OneOrMany::Many(vec![request(); ARRAY]);
    let raw = |_| {
        for _ in 0..ARRAY {
            black_box(key.sign(black_box(input.as_bytes())));
        }
        Ok(())
    };
    let arrays = (operations / 10).max(1);
    let mut many = interleave(By::WallTime, rounds, arrays, raw, |_| {
        sign_all(&runtime, &mut client, &array)
    })?;
    let each = f64::from(u16::try_from(ARRAY).unwrap_or(u16::MAX));
    many.ours /= each;
    many.raw /= each;
    Ok(vec![
        row("sign over the socket, one at a time", RAW_SIGN, single),
        row("sign over the socket, arrays of 64", RAW_SIGN, many),
    ])
}

fn sign_all(
    runtime: &Runtime,
    client: &mut Client,
    array: &OneOrMany<SignRequest>,
) -> Result<(), Complaint> {
    // A refusal in the place of a token is not read as one.
    let signed: Vec<Signed> = runtime.block_on(client.post(SIGN, array))?;
    if signed.len() != ARRAY {
        return Err(broken(&"not every message was signed"));
    }
    black_box(signed);
    Ok(())
}

/// An agent that is enrolled in a domain of its own, on an empty store.
fn agent(bench: &Bench, directory: &Path) -> Result<(Arc<Shared>, Config), Complaint> {
    let config = Config {
        api: Api {
            socket: Some(directory.join("api.sock")),
            ..Api::default()
        },
        ..Config::default()
    };
    let (store, _) = Store::open(directory)?;
    let engine = bench.engine(None)?;
    let agent = Arc::new(Agent::new(engine, store, SystemClock::start()));
    let settings = Settings::new(&config.api, geteuid().as_raw(), &NameDatabase::default());
    Ok((Arc::new(Shared::new(agent, settings)), config))
}

fn runtime() -> Result<Runtime, Complaint> {
    Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(|error| broken(&error))
}

const ARRAY: usize = 64;
const PATIENCE: Duration = Duration::from_secs(30);
const SIGN: &str = "/v1/sign";
