//! `edgeseal registrar accept`: enrollment without a network.

use super::account::{Account, report};
use crate::clock;
use crate::command::{Context, duration};
use crate::enrollment::{DEFAULT_OVERLAP_SECONDS, Decision, Desk, Judged};
use crate::error::{CommandError, Exit, Result};
use crate::input;
use crate::registry::Access;
use crate::render::Report;
use edgeseal_trust::clock::ClockReading;
use edgeseal_trust::time::UnixTime;
use std::path::PathBuf;

/// What it is given.
#[derive(clap::Args)]
#[command(
    after_help = "A file holds one request a line. What a join token or the devices' own keys prove is done; the rest \
    waits:\nedgeseal device pending. Then: edgeseal publish --keys DIR --to FILE\n\n\
    Example:\n  edgeseal registrar accept /media/usb/*.request"
)]
pub(crate) struct Args {
    /// Files of requests: enrollments with or without a join token, and rotations
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// How long a key that is replaced stays beside its successor
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value_t = DEFAULT_OVERLAP_SECONDS)]
    overlap: u64,
    /// Judge join tokens although the kernel does not call this clock synchronized
    #[arg(long)]
    unsynchronized_clock: bool,
}

/// Judges every request of the files; one that is refused keeps none of the others from being done.
///
/// # Errors
/// The clock, a file that cannot be read, or the registry. Refused requests are no error but a report whose answer is no.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Report> {
    let now = judged_clock(args.unsynchronized_clock)?;
    let mut requests: Vec<Vec<u8>> = Vec::new();
    for path in &args.files {
        let octets = input::read(path, LONGEST_OCTETS)
            .map_err(|why| CommandError::io("read", path, &why))?;
        let lines = octets.split(|octet| *octet == b'\n');
        let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        requests.extend(lines.filter(|line| !line.is_empty()).map(<[u8]>::to_vec));
    }
    let mut desk = Desk::open(context.open(Access::Edit)?, args.overlap)?;
    let judged: Vec<Judged> = requests
        .iter()
        .map(|request| desk.take(request, None, now))
        .collect();
    desk.commit()?;
    let mut report = report(&judged, Account::default());
    report.is_no = judged
        .iter()
        .any(|judged| matches!(judged.decision, Decision::Refused(_)));
    Ok(report)
}

/// The time by which join tokens are judged: this clock alone says whether one has expired.
///
/// # Errors
/// The clock is not synchronized, and nobody said that it is fine.
pub(crate) fn judged_clock(unsynchronized_is_fine: bool) -> Result<UnixTime> {
    judge(clock::read(), unsynchronized_is_fine)
}

fn judge(reading: ClockReading, unsynchronized_is_fine: bool) -> Result<UnixTime> {
    if reading.synchronized || unsynchronized_is_fine {
        return Ok(reading.time);
    }
    let reason = format!(
        "this clock, which says whether a join token has expired, is not synchronized; it shows {}",
        reading.time.date()
    );
    Err(
        CommandError::new(Exit::TemporaryFailure, "clock-unsynchronized", reason).hint(
            "wait for NTP (timedatectl), or compare it with a watch and give --unsynchronized-clock",
        ),
    )
}

/// Some 100,000 requests.
const LONGEST_OCTETS: usize = 128 << 20;

#[cfg(test)]
mod tests {
    use super::judge;
    use edgeseal_trust::clock::ClockReading;
    use edgeseal_trust::time::UnixTime;

    #[test]
    fn an_unsynchronized_clock_judges_no_token_unless_told_to() {
        let reading = |synchronized| ClockReading {
            time: UnixTime::from_seconds(7),
            synchronized,
        };
        assert!(judge(reading(true), false).is_ok());
        assert!(judge(reading(false), true).is_ok());
        let refused = judge(reading(false), false).unwrap_err();
        assert_eq!(
            (refused.code, refused.exit.code()),
            ("clock-unsynchronized", 75)
        );
    }
}
