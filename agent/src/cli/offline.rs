//! Judging without an agent, by a bundle file.

use super::context::Context;
use super::output::Complaint;
use super::trust::words;
use crate::clock::{Clock, SystemClock};
use crate::config;
use crate::daemon::engine_settings;
use crate::exit::Exit;
use crate::offline::{Offline, Options, Replay, Verifier};
use crate::wire::{Answer, Explanation, VerdictBody, VerifyRequest};
use clap::Args;
use edgeseal_trust::clock::ClockReading;
use edgeseal_trust::id::DeviceId;
use edgeseal_trust::time::UnixTime;
use std::fs::File;
use std::io::{self, BufReader, BufWriter};
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(super) struct OfflineArgs {
    /// Judge by this bundle file, without an agent
    #[arg(long, value_name = "FILE", help_heading = "Without an agent")]
    trust: Option<PathBuf>,
    /// The eight words of its first root
    #[arg(
        long,
        value_name = "WORDS",
        requires = "trust",
        help_heading = "Without an agent"
    )]
    root: Option<String>,
    /// The time of the verdict, in seconds since 1970 [default: this machine's clock]
    #[arg(
        long,
        value_name = "SECONDS",
        requires = "trust",
        help_heading = "Without an agent"
    )]
    now: Option<u64>,
    /// Judge as this device
    #[arg(
        long,
        value_name = "ID",
        requires = "trust",
        help_heading = "Without an agent"
    )]
    device: Option<String>,
    /// Read JSON lines from standard input, write one verdict line each
    #[arg(long, requires = "trust", conflicts_with_all = ["token", "token_file", "envelope", "payload", "file"], help_heading = "Without an agent")]
    pub(super) batch: bool,
    /// Remember nothing between messages
    #[arg(long, requires = "trust", help_heading = "Without an agent")]
    no_replay: bool,
}

impl OfflineArgs {
    /// Whether a bundle is named.
    pub(super) fn is_stated(&self) -> bool {
        self.trust.is_some()
    }
}

/// A verifier, and the time that it judges at.
pub(super) struct Judge {
    verifier: Verifier,
    now: Option<UnixTime>,
    clock: SystemClock,
}

/// Opens the bundle file, if one was named.
pub(super) fn open(context: &Context, args: &OfflineArgs) -> Result<Option<Judge>, Complaint> {
    let Some(path) = &args.trust else {
        return Ok(None);
    };
    let device = args.device.as_deref().map(DeviceId::parse).transpose();
    let options = Options {
        root: args.root.as_deref().map(words).transpose()?,
        device: device.map_err(|why| {
            let hint = "for example: --device pump-1";
            Complaint::new(Exit::Usage, "device", format!("--device: {why}"), hint)
        })?,
        replay: if args.no_replay {
            Replay::Forget
        } else {
            Replay::Remember
        },
    };
    // A machine without an agent need not have its configuration.
    let config = config::load(&context.location())?.config;
    let file = File::open(path)
        .map_err(|error| Complaint::io(&format!("cannot read {}", path.display()), &error))?;
    let verifier = Verifier::open(BufReader::new(file), engine_settings(&config), &options)
        .map_err(|why| Complaint::of(why.exit(), why.code(), &why))?;
    Ok(Some(Judge {
        verifier,
        now: args.now.map(UnixTime::from_seconds),
        clock: SystemClock::start(),
    }))
}

impl Judge {
    pub(super) fn verify(&mut self, request: &VerifyRequest) -> Offline<Answer<VerdictBody>> {
        let now = self.verifier.now(self.reading());
        self.verifier.verify(request, &now)
    }

    pub(super) fn explain(&mut self, request: &VerifyRequest) -> Offline<Explanation> {
        let now = self.verifier.now(self.reading());
        self.verifier.explain(request, &now)
    }

    /// 0 if every line was verified, 1 otherwise; 2 if a line was no request.
    pub(super) fn batch(mut self, _: &Context) -> Result<Exit, Complaint> {
        let (now, clock) = (self.now, self.clock);
        let summary = self
            .verifier
            .batch(
                io::stdin().lock(),
                BufWriter::new(io::stdout().lock()),
                || reading(now, &clock),
            )
            .map_err(|error| Complaint::io("the batch was cut off", &error))?;
        Ok(match summary {
            summary if summary.bad > 0 => Exit::Usage,
            summary if summary.failed > 0 => Exit::TemporaryFailure,
            summary if summary.rejected > 0 => Exit::No,
            _ => Exit::Ok,
        })
    }

    fn reading(&self) -> ClockReading {
        reading(self.now, &self.clock)
    }
}

/// A time that somebody states counts as synchronized: it is what the question is about.
fn reading(now: Option<UnixTime>, clock: &SystemClock) -> ClockReading {
    match now {
        Some(time) => ClockReading {
            time,
            synchronized: true,
        },
        None => {
            let reading = clock.read();
            ClockReading {
                time: UnixTime::from_seconds(reading.unix_seconds),
                synchronized: reading.synchronized,
            }
        }
    }
}
