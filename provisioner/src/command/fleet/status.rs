//! `edgeseal fleet status`.

use super::heard::Heard;
use super::judge::{Attention, Row, View};
use super::snapshot::Snapshot;
use super::table;
use crate::clock;
use crate::command::{Context, Reach, duration, reach};
use crate::distribution::runtime;
use crate::error::{CommandError, Result};
use crate::mqtt::{Connection, Endpoint};
use crate::registry::Access;
use crate::render::{Report, line, notice};
use clap::ValueEnum;
use edgeseal_trust::carrier::{CarrierKind, filter};
use serde_json::Value;
use std::cmp::Reverse;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

/// What it is given.
#[derive(clap::Args)]
#[command(
    after_help = "A status is the device's word about itself; that there is none is no consent. Exit status 1: something\n\
    wants attention.\n\n\
    Examples:\n  edgeseal fleet status\n  edgeseal fleet status --only behind,silent --sort seen\n  edgeseal fleet status --watch"
)]
pub(crate) struct Args {
    #[command(flatten)]
    reach: Reach,
    /// Go on, and show the fleet again whenever something changes
    #[arg(long)]
    watch: bool,
    /// The order of the rows
    #[arg(long, value_enum, default_value_t = Sort::Device)]
    sort: Sort,
    /// Only devices with one of these: ahead, behind, clone, clock, never-seen, notice, offered, refused, silent; or all: any of them
    #[arg(long, value_name = "WHAT", value_delimiter = ',', value_parser = parse_only)]
    only: Vec<Only>,
    /// A status older than this is silence
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value = "20m")]
    silent_after: u64,
}

/// The order of the rows.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Sort {
    /// By what wants attention, most of it first.
    Attention,
    /// By id.
    Device,
    /// Who lags most first.
    Lag,
    /// Who refused most first.
    Refusals,
    /// Who was silent longest first.
    Seen,
}

#[derive(Clone, Copy, Debug)]
enum Only {
    Any,
    This(Attention),
}

/// Shows what the agents say of themselves.
///
/// # Errors
/// No broker, or the registry cannot be read.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Report> {
    let (snapshot, endpoint) = look(args, context)?;
    runtime()?.block_on(async {
        let mut line = Line::open(endpoint, &snapshot).await?;
        let mut heard = Heard::default();
        line.gather(&mut heard, &snapshot).await?;
        if args.watch {
            return watch(args, context, line, heard, snapshot).await;
        }
        line.close().await;
        Ok(show(args, &heard, &snapshot))
    })
}

/// A connection that statuses come in on.
pub(super) struct Line {
    connection: Connection,
    endpoint: Endpoint,
}

impl Line {
    /// Connects and subscribes.
    ///
    /// # Errors
    /// No connection, or the broker refuses the subscription.
    pub(super) async fn open(endpoint: Endpoint, snapshot: &Snapshot) -> Result<Self> {
        let id = format!("edgeseal-fleet-{}-{}", snapshot.domain, std::process::id());
        let statuses = filter(CarrierKind::Status, &snapshot.domain);
        let connection = Connection::open(&endpoint, &id, &[&statuses]).await;
        let connection = connection.map_err(|why| reach::failed(&why))?;
        Ok(Self {
            connection,
            endpoint,
        })
    }

    /// Takes what the broker keeps, which it sends at once. A broker that never stops is stopped.
    ///
    /// # Errors
    /// The connection has ended.
    pub(super) async fn gather(&mut self, heard: &mut Heard, snapshot: &Snapshot) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < LONGEST {
            let arrival = self.connection.receive(QUIET).await;
            let Some(arrival) = arrival.map_err(|why| reach::failed(&why))? else {
                break;
            };
            heard.take(&arrival.topic, &arrival.payload, snapshot);
        }
        Ok(())
    }

    /// Says goodbye.
    pub(super) async fn close(self) {
        self.connection.close().await;
    }
}

/// Shows the fleet again and again, until somebody stops it or nobody reads it.
async fn watch(
    args: &Args,
    context: &Context,
    mut fleet: Line,
    mut heard: Heard,
    mut snapshot: Snapshot,
) -> Result<Report> {
    let on_terminal = !context.style.json && io::stdout().is_terminal();
    let mut shown = None;
    loop {
        let report = show(args, &heard, &snapshot);
        let now = Some(without_ages(&report.json));
        if on_terminal || now != shown {
            let text = match context.style.json {
                true => report.json.to_string(),
                false => report.text.clone(),
            };
            let begin = if on_terminal { CLEAR } else { "" };
            if line(&format!("{begin}{text}")).is_err() {
                return Ok(report); // nobody reads on
            }
            shown = now;
        }
        let begun = Instant::now();
        while begun.elapsed() < ROUND {
            match fleet.connection.receive(QUIET).await {
                Ok(Some(arrival)) => {
                    heard.take(&arrival.topic, &arrival.payload, &snapshot);
                }
                Ok(None) => {}
                Err(why) => {
                    notice(context.style, &format!("{why}; once more"));
                    fleet = reconnect(fleet.endpoint, &snapshot, context).await;
                }
            }
        }
        match look(args, context) {
            Ok((newer, _)) => snapshot = newer,
            Err(why) if why.code == "registry-locked" => {} // as it was, for another round
            Err(why) => return Err(why),
        }
    }
}

async fn reconnect(endpoint: Endpoint, snapshot: &Snapshot, context: &Context) -> Line {
    let mut pause = FIRST_PAUSE;
    loop {
        tokio::time::sleep(pause).await;
        match Line::open(endpoint.clone(), snapshot).await {
            Ok(line) => return line,
            Err(why) => notice(context.style, &format!("{}; once more", why.reason)),
        }
        pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
    }
}

fn look(args: &Args, context: &Context) -> Result<(Snapshot, Endpoint)> {
    let registry = context.open(Access::Read)?;
    let endpoint = args.reach.endpoint(&registry)?.ok_or_else(|| {
        CommandError::usage("no-broker", "no broker is named and none is set")
            .hint("give --broker URL, or set one: edgeseal domain broker URL --ca FILE")
    })?;
    Ok((Snapshot::of(&registry)?, endpoint))
}

fn show(args: &Args, heard: &Heard, snapshot: &Snapshot) -> Report {
    let view = View::of(heard, snapshot, clock::now(), args.silent_after);
    let mut rows: Vec<&Row> = view.rows.iter().filter(|row| wanted(args, row)).collect();
    match args.sort {
        Sort::Device => {}
        Sort::Attention => rows.sort_by_key(|row| Reverse(row.attention.len())),
        // Another root is the longest way of all; who was never heard comes before everybody.
        Sort::Lag => rows.sort_by_key(|row| Reverse(row.lag.unwrap_or(u64::MAX))),
        Sort::Refusals => rows.sort_by_key(|row| Reverse(row.refusals())),
        Sort::Seen => rows.sort_by_key(|row| Reverse(row.age_seconds.unwrap_or(u64::MAX))),
    }
    let mut report = Report::new(
        table::text(&view, &rows, heard, snapshot),
        table::json(&view, &rows, heard, snapshot),
    );
    report.is_no = view.wants_attention();
    report
}

/// That time passes is no news.
fn without_ages(shown: &Value) -> Value {
    let mut shown = shown.clone();
    let devices = shown.get_mut("devices").and_then(Value::as_array_mut);
    for device in devices.into_iter().flatten() {
        device
            .as_object_mut()
            .map(|device| device.remove("age_seconds"));
    }
    shown
}

fn wanted(args: &Args, row: &Row) -> bool {
    args.only.is_empty()
        || args.only.iter().any(|only| match only {
            Only::Any => !row.attention.is_empty(),
            Only::This(attention) => row.attention.contains(attention),
        })
}

fn parse_only(text: &str) -> std::result::Result<Only, String> {
    if text == "all" {
        return Ok(Only::Any);
    }
    let known = Attention::ALL
        .into_iter()
        .find(|known| known.as_str() == text);
    known.map(Only::This).ok_or_else(|| {
        let all: Vec<&str> = Attention::ALL.iter().map(|known| known.as_str()).collect();
        format!("one of all, {}", all.join(", "))
    })
}

/// A status that is older is silence, unless somebody says otherwise.
pub(super) const SILENT_AFTER_SECONDS: u64 = 20 * 60;
/// A broker sends what it keeps at once.
const QUIET: Duration = Duration::from_millis(500);
/// So long at most what it keeps is taken.
const LONGEST: Duration = Duration::from_secs(60);
/// Between two looks at registry and clock.
const ROUND: Duration = Duration::from_secs(2);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Clears a terminal and begins at its top.
const CLEAR: &str = "\u{1b}[2J\u{1b}[H";
