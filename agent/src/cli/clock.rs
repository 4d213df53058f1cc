//! `clock-watch`: what `edgeseal-clock.service` runs.

use super::output::Complaint;
use crate::clock::watch;
use crate::exit::Exit;
use crate::notify;
use clap::Args;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(super) struct WatchArgs {
    /// Directory on tmpfs where the agent looks
    #[arg(long, value_name = "DIR", default_value = watch::DIRECTORY)]
    directory: PathBuf,
    /// Tell it once and end
    #[arg(long)]
    once: bool,
}

/// Writes what the kernel says until it is ended. It keeps no state: any signal may do that.
pub(super) fn watch(args: &WatchArgs) -> Result<Exit, Complaint> {
    let told = || {
        watch::write(&args.directory)
            .map_err(|error| Complaint::io("cannot tell of the clock", &error))
    };
    told()?;
    notify::ready("");
    if args.once {
        return Ok(Exit::Ok);
    }
    loop {
        std::thread::sleep(watch::PERIOD);
        told()?;
    }
}
