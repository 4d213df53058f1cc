//! Tells root's `card-sync`, and where there is none whoever looks beside the join file, how the enrollment
//! stands.

use super::Agent;
use crate::card::{self, Directory, RESULT_FILE, Refusal, Report, Standing};
use crate::config::Config;
use crate::enroll::{EnrollState, edge};
use crate::trust_link::{LinkHandle, Pace};
use edgeseal_trust::clock::ClockState;
use edgeseal_trust::document::Digest;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};
use tracing::warn;

/// The task.
pub(super) struct CardReporter {
    agent: Arc<Agent>,
    link: LinkHandle,
    runtime: PathBuf,
    hand_over: PathBuf,
    /// The directory of the join file, where this process can reach it by itself.
    beside: Option<PathBuf>,
    told: Option<Report>,
    /// What is to be told, and since when it is the same.
    seen: Option<(Report, Duration)>,
    /// A card wears out, and a broker may come and go all day.
    pace: Pace,
    complained: bool,
}

impl CardReporter {
    pub(super) fn new(agent: Arc<Agent>, link: LinkHandle, config: &Config) -> Self {
        Self {
            agent,
            link,
            runtime: config.agent.runtime_directory.clone(),
            hand_over: config.enroll.card_directory.clone(),
            beside: config.enroll.join_file.parent().map(PathBuf::from),
            told: None,
            seen: None,
            pace: Pace::new(ONE_EVERY, AT_ONCE),
            complained: false,
        }
    }

    /// Works until the agent ends.
    pub(super) async fn run(mut self) {
        let mut enrolling = self.agent.enrolling.subscribe();
        let mut connected = self.link.connected();
        let mut link_lives = true;
        // Nothing is known before the first look; a state that does not last has none.
        let _ = timeout(FIRST_LOOK, enrolling.changed()).await;
        loop {
            self.tell().await;
            let again = self.again();
            tokio::select! {
                changed = enrolling.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                alive = connected.changed(), if link_lives => link_lives = alive.is_ok(),
                () = sleep(again) => {}
            }
        }
    }

    /// An enrolled device says the same for ever, and only other news wake it.
    fn again(&self) -> Duration {
        match (&self.told, &self.seen) {
            (Some(told), _) if told.is_enrolled() => LONG,
            (_, Some(_)) => SETTLED,
            _ => LOOK_EVERY,
        }
    }

    /// What keeps changing is told when it has settled, and not too often; the end at once.
    async fn tell(&mut self) {
        let report = self.report().await;
        if self.told.as_ref() == Some(&report) {
            self.seen = None;
            return;
        }
        if !report.is_enrolled() && !self.may_be_told(&report) {
            return;
        }
        let (runtime, beside) = (self.runtime.clone(), self.beside.clone());
        let told = report.clone();
        let written = tokio::task::spawn_blocking(move || {
            if let Some(beside) = beside {
                write_beside(&beside, &told.text());
            }
            told.write(&runtime)
        });
        match written
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
        {
            Ok(()) => {
                self.complained = false;
                self.seen = None;
                self.told = Some(report);
            }
            Err(error) if self.complained => drop(error),
            Err(error) => {
                warn!(
                    directory = %self.runtime.display(),
                    "the state of the enrollment cannot be told to card-sync: {error}"
                );
                self.complained = true;
            }
        }
    }

    fn may_be_told(&mut self, report: &Report) -> bool {
        let now = self.agent.since_start();
        match &self.seen {
            Some((seen, since)) if seen == report => {
                now >= since.saturating_add(SETTLED) && self.pace.take(now)
            }
            _ => {
                self.seen = Some((report.clone(), now));
                false
            }
        }
    }

    async fn report(&self) -> Report {
        let status = self.agent.status();
        let standing = Standing {
            device: status.engine.device,
            domain: status.engine.trust.map(|trust| trust.domain),
            key: status.engine.kid,
            not_signing: status.engine.signing.as_ref().map(Refusal::from),
            has_clock: status.engine.clock == ClockState::Synchronized.as_str(),
            ..Standing::default()
        };
        let standing = standing
            .with_enrollment(&status.enrollment)
            .with_link(&status.trust_link);
        let used = match status.enrollment.state {
            EnrollState::Finishing => self.used().await,
            _ => Vec::new(),
        };
        Report::new(used, standing)
    }

    /// A state directory that does not answer is asked again by the enrollment itself.
    async fn used(&self) -> Vec<Digest> {
        let dir = self.agent.state_dir().to_owned();
        let hand_over = self.hand_over.clone();
        let read = tokio::task::spawn_blocking(move || edge::handed_over(&dir, &hand_over));
        read.await
            .map(Result::unwrap_or_default)
            .unwrap_or_default()
    }
}

/// Where the directory is not to be reached, or not to be written, root does it.
fn write_beside(directory: &std::path::Path, text: &str) {
    let Ok(Some(directory)) = Directory::open(directory) else {
        return;
    };
    let lines = card::to_lines(text);
    let there = directory.read(RESULT_FILE, RESULT_OCTETS);
    if !matches!(there, Ok(Some(there)) if *there == lines) {
        let _ = directory.replace(RESULT_FILE, &lines, 0o644);
    }
}

/// The first look for a join file is a matter of milliseconds.
const FIRST_LOOK: Duration = Duration::from_secs(5);
/// For so long nothing else may have happened before it is told.
const SETTLED: Duration = Duration::from_secs(2);
/// How often it is looked at what brings no news: the clock, why there is no connection.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Reports that are not the end: some at once, then one in a while.
const AT_ONCE: u32 = 6;
const ONE_EVERY: Duration = Duration::from_secs(600);
const RESULT_OCTETS: usize = 64 << 10;
const LONG: Duration = Duration::from_secs(86_400);
