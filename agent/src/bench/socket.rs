//! Signing over the socket: a server in another thread, a caller in this one.

use super::Row;
use super::caller::Caller;
use super::measure::{By, interleave};
use super::work::{Bench, RAW_SIGN, broken, request, row};
use crate::api::{Settings, Shared, Socket, serve};
use crate::cli::Complaint;
use crate::clock::SystemClock;
use crate::config::{Api, Config, NameDatabase};
use crate::daemon::Agent;
use crate::wire::{OneOrMany, SignRequest, Signed};
use ed25519_dalek::Signer;
use edgeseal_trust::store::Store;
use rustix::process::{Pid, geteuid};
use rustix::thread::{CpuSet, gettid, sched_getaffinity, sched_getcpu, sched_setaffinity};
use std::hint::black_box;
use std::path::Path;
use std::sync::{Arc, mpsc};
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
    let (tell, told) = mpsc::channel();
    let server = thread::spawn(move || {
        tell.send(gettid()).ok();
        runtime.block_on(serve(socket, shared, stopping, None));
    });
    let measured = told
        .recv()
        .map_err(|error| broken(&error))
        .and_then(|server| measure(&bench, &config.api_socket(), server, rounds, operations));
    stop.send_replace(true);
    server.join().ok();
    measured
}

fn measure(
    bench: &Bench,
    socket: &Path,
    server: Pid,
    rounds: u32,
    operations: u32,
) -> Result<Vec<Row>, Complaint> {
    let mut caller = Caller::connect(socket, PATIENCE).map_err(|error| broken(&error))?;
    let (input, _) = bench.signing_input()?;
    let key = bench.raw_key();
    let raw = |_| {
        black_box(key.sign(black_box(input.as_bytes())));
        Ok(())
    };
    let one = request();
    let mut one_at_a_time = || {
        interleave(By::WallTime, rounds, operations, raw, |_| {
            let signed: Signed = caller.post(SIGN, &one)?;
            black_box(signed);
            Ok::<(), Complaint>(())
        })
    };
    let single = one_at_a_time()?;
    let together = on_one_processor(server, &mut one_at_a_time)??;
    let array = OneOrMany::Many(vec![request(); ARRAY]);
    let raw = |_| {
        for _ in 0..ARRAY {
            black_box(key.sign(black_box(input.as_bytes())));
        }
        Ok(())
    };
    let arrays = (operations / 10).max(1);
    let mut many = interleave(By::WallTime, rounds, arrays, raw, |_| {
        sign_all(&mut caller, &array)
    })?;
    let each = f64::from(u16::try_from(ARRAY).unwrap_or(u16::MAX));
    many.ours /= each;
    many.raw /= each;
    Ok(vec![
        row("sign over the socket, one at a time", RAW_SIGN, single),
        row("the same, all on one processor", RAW_SIGN, together),
        row("sign over the socket, arrays of 64", RAW_SIGN, many),
    ])
}

/// Works while the server and this thread share a processor: nobody then waits for another one to
/// wake up, which on some machines takes longer than the signature.
fn on_one_processor<T>(server: Pid, work: impl FnOnce() -> T) -> Result<T, Complaint> {
    let both = |processors: &CpuSet| {
        sched_setaffinity(None, processors)
            .and_then(|()| sched_setaffinity(Some(server), processors))
            .map_err(|error| broken(&error))
    };
    let all = sched_getaffinity(None).map_err(|error| broken(&error))?;
    let mut this = CpuSet::new();
    this.set(sched_getcpu());
    both(&this)?;
    let worked = work();
    both(&all)?;
    Ok(worked)
}

fn sign_all(caller: &mut Caller, array: &OneOrMany<SignRequest>) -> Result<(), Complaint> {
    // A refusal in the place of a token is not read as one.
    let signed: Vec<Signed> = caller.post(SIGN, array)?;
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
