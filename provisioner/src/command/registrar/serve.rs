//! `edgeseal registrar serve`: requests are judged as they come, and many make one manifest.
//!
//! The order of a batch is what survives a crash: uses of join tokens, devices, waiting requests; then the manifest, then the
//! broker, then the answers. Whatever is cut off, the same requests come again, and what is missing is made up for.

use super::accept::judged_clock;
use super::account::{Account, tell, told};
use super::line::{Incoming, Line};
use crate::clock;
use crate::command::publish::{Outcome, Signers, Wish, has_unpublished, is_prepared, sign_with};
use crate::command::{Context, Reach, Signing, duration};
use crate::distribution::{self, Shards};
use crate::enrollment::{DEFAULT_OVERLAP_SECONDS, Decision, Desk, Judged, next_due};
use crate::error::{CommandError, Exit, Result};
use crate::mqtt::Endpoint;
use crate::registry::{Access, Registry};
use crate::render::{Report, Style, notice};
use edgeseal_trust::id::TrustDomain;
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What it is given.
#[derive(clap::Args)]
#[command(
    after_help = "Devices with a join token are enrolled, keys are rotated where nothing is odd; everything else waits for a \
    person:\nedgeseal device pending. Ends with SIGTERM or Ctrl-C.\n\n\
    Example:\n  edgeseal registrar serve --keys ~/farm-keys --passphrase-file pass.txt --broker mqtts://broker.example"
)]
pub(crate) struct Args {
    #[command(flatten)]
    signing: Signing,
    #[command(flatten)]
    reach: Reach,
    /// How long a key that is replaced stays beside its successor
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value_t = DEFAULT_OVERLAP_SECONDS)]
    overlap: u64,
}

/// A registrar at work. The registry is locked only while it changes.
struct Registrar<'a> {
    args: &'a Args,
    context: &'a Context,
    domain: TrustDomain,
    endpoint: Endpoint,
    signers: Signers,
    runtime: Runtime,
    stop: Stop,
    account: Account,
    /// The broker may not have the newest manifest.
    is_behind: bool,
    /// When was looked last whether an overlap has ended.
    looked_at: Option<Instant>,
}

/// Why a round ended.
enum End {
    /// Somebody said so.
    Asked,
    /// The connection.
    Lost(CommandError),
}

/// Serves until it is told to stop.
///
/// # Errors
/// The clock, the keys, the registry, or the broker's settings. A broker that is away is waited for.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Report> {
    judged_clock(args.signing.unsynchronized_clock)?;
    let registry = context.open(Access::Read)?;
    let runtime = distribution::runtime()?;
    let mut registrar = Registrar {
        signers: Signers::open(&args.signing, registry.root()?.content())?,
        endpoint: super::broker_of(&args.reach, &registry)?,
        domain: registry.domain().clone(),
        stop: Stop::listen(&runtime)?,
        runtime,
        is_behind: registry.manifest()?.is_some(),
        account: Account::default(),
        looked_at: None,
        args,
        context,
    };
    drop(registry);
    registrar.serve()?;
    let text = format!("served {}: {}", registrar.domain, registrar.account.text());
    Ok(Report::new(
        text,
        json!({ "domain": registrar.domain, "account": registrar.account.json() }),
    ))
}

impl Registrar<'_> {
    fn serve(&mut self) -> Result<()> {
        let mut pause = SHORTEST_PAUSE;
        loop {
            let begun = Instant::now();
            match self.round()? {
                End::Asked => return Ok(()),
                End::Lost(why) => notice(self.style(), &format!("{}; trying again", why.reason)),
            }
            if begun.elapsed() > LONGEST_PAUSE {
                pause = SHORTEST_PAUSE;
            }
            if self.runtime.block_on(self.stop.is_asked(pause)) {
                return Ok(());
            }
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        }
    }

    /// One connection, until it or the work ends.
    fn round(&mut self) -> Result<End> {
        let connected = self.runtime.block_on(async {
            tokio::select! {
                line = Line::connect(&self.endpoint, &self.domain) => line.map(Some),
                _ = self.stop.is_asked(Duration::MAX) => Ok(None),
            }
        });
        let mut line = match connected {
            Ok(Some(line)) => line,
            Ok(None) => return Ok(End::Asked),
            Err(why) => return Ok(End::Lost(why)),
        };
        let mut asked_at = Instant::now();
        let (domain, url) = (&self.domain, self.endpoint.url());
        notice(self.style(), &format!("serving {domain} at {url}"));
        loop {
            let batch = self.runtime.block_on(async {
                tokio::select! {
                    batch = line.batch(PATIENCE, &mut self.account) => batch.map(Some),
                    _ = self.stop.is_asked(Duration::MAX) => Ok(None),
                }
            });
            let batch = match batch {
                Ok(Some(batch)) => batch,
                Ok(None) => {
                    self.runtime.block_on(line.close());
                    return Ok(End::Asked);
                }
                Err(why) => return Ok(End::Lost(why)),
            };
            let turn = self.turn(&batch, &mut line).and_then(|()| {
                if asked_at.elapsed() < ASK {
                    return Ok(());
                }
                asked_at = Instant::now();
                self.runtime.block_on(line.look_again())
            });
            match turn {
                Ok(()) => {}
                Err(why) if why.exit == Exit::Configuration => return Err(why),
                // The broker sends the requests again over the next connection.
                Err(why) => return Ok(End::Lost(why)),
            }
        }
    }

    /// Judges a batch, makes its manifest, publishes it, and answers.
    fn turn(&mut self, batch: &[Incoming], line: &mut Line) -> Result<()> {
        let now = clock::now();
        let is_idle = batch.is_empty() && !self.is_behind;
        let has_looked = self.looked_at.is_some_and(|at| at.elapsed() < LOOK);
        if is_idle && has_looked {
            return self.runtime.block_on(line.take_back_old(now));
        }
        let now = judged_clock(self.args.signing.unsynchronized_clock)?;
        let begun = Instant::now();
        let mut desk = Desk::open(self.open()?, self.args.overlap)?;
        let judged: Vec<Judged> = batch
            .iter()
            .map(|incoming| desk.take(&incoming.octets, Some(incoming.kid), now))
            .collect();
        desk.commit()?;
        let signed = self.sign(&mut desk, &judged)?;
        if self.is_behind {
            let shards = Shards::Changed;
            distribution::publish(desk.registry(), &self.endpoint, shards, self.style())?;
            self.is_behind = false;
        }
        self.looked_at = Some(Instant::now());
        drop(desk);
        self.tell(&judged, begun);
        let answered = judged
            .iter()
            .filter(|judged| signed || !judged.decision.is_believed());
        self.runtime.block_on(line.answer(answered, now))
    }

    /// Signs the next manifest where one is due; `false` while it waits for the signatures of others.
    fn sign(&mut self, desk: &mut Desk, judged: &[Judged]) -> Result<bool> {
        let is = |wanted: &[Decision]| {
            judged
                .iter()
                .any(|judged| wanted.contains(&judged.decision))
        };
        let now = clock::now();
        let is_new = is(&[Decision::Enrolled, Decision::Rotated]);
        let is_cut_off = is(&[Decision::Again]) && has_unpublished(desk.registry())?;
        let is_due = next_due(desk.registry()).is_some_and(|at| at <= now);
        if !(is_new || is_cut_off || is_due) {
            return Ok(true);
        }
        if !is_new && !is_due && is_prepared(desk.registry())? {
            // Another one in its place would cost the signatures that it has by now.
            return Ok(false);
        }
        let wish = Wish::default();
        match sign_with(desk.registry_mut(), &self.signers, &wish, self.style())? {
            Outcome::Signed(_) => {
                self.is_behind = true;
                Ok(true)
            }
            Outcome::Prepared(prepared) => {
                let waits = prepared.waits("the requests are judged; ");
                notice(self.style(), &waits.reason);
                Ok(false)
            }
        }
    }

    /// Opens the registry to change it; another program that works on it is waited for.
    fn open(&self) -> Result<Registry> {
        let begun = Instant::now();
        loop {
            match self.context.open(Access::Edit) {
                Err(why) if why.code == "registry-locked" && begun.elapsed() < LOCK_PATIENCE => {
                    std::thread::sleep(LOCK_PAUSE);
                }
                opened => return opened,
            }
        }
    }

    fn tell(&mut self, judged: &[Judged], begun: Instant) {
        for judged in judged {
            self.account.enter(judged);
            if self.context.style.json {
                // Nobody may read on: the work is done all the same.
                let _ = crate::render::line(&told(judged).to_string());
            } else if !matches!(judged.decision, Decision::Again) {
                notice(self.style(), &tell(judged));
            }
        }
        if !judged.is_empty() {
            let (count, took) = (judged.len(), begun.elapsed().as_millis());
            let line = format!(
                "{count} requests in {took} ms; so far: {}",
                self.account.text()
            );
            notice(self.style(), &line);
        }
    }

    const fn style(&self) -> Style {
        self.context.style
    }
}

/// The signals that end the work. Listened to from first to last: one that comes while a batch is judged is seen after it.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn listen(runtime: &Runtime) -> Result<Self> {
        let failed =
            |why: std::io::Error| CommandError::io("wait for signals in", "/".as_ref(), &why);
        let _inside = runtime.enter();
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(failed)?,
            interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
        })
    }

    /// Whether one comes within this time, or has come.
    async fn is_asked(&mut self, patience: Duration) -> bool {
        let asked = async {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
            }
        };
        tokio::time::timeout(patience, asked).await.is_ok()
    }
}

const PATIENCE: Duration = Duration::from_secs(5);
const SHORTEST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often is looked whether an overlap has ended.
const LOOK: Duration = Duration::from_secs(60);
/// How often the broker is asked for all that it keeps.
const ASK: Duration = Duration::from_secs(600);
const LOCK_PATIENCE: Duration = Duration::from_secs(20);
const LOCK_PAUSE: Duration = Duration::from_millis(50);
