//! `doctor`: what is wrong, and what repairs it.

use super::context::Context;
use super::output::{Complaint, print_json, print_line};
use crate::doctor::{self, Bundle, Report, State};
use crate::exit::Exit;
use clap::Args;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[derive(Args, Debug)]
pub(super) struct DoctorArgs {
    /// Write a report for support to a new file: no key, password, token or payload is in it
    #[arg(long, value_name = "FILE", conflicts_with = "for_image")]
    bundle: Option<PathBuf>,
    /// Only say whether this card may be copied to many devices
    #[arg(long)]
    for_image: bool,
}

pub(super) fn run(context: &Context, args: &DoctorArgs) -> Result<Exit, Complaint> {
    let cannot = |error: io::Error| Complaint::io("cannot start", &error);
    if args.for_image {
        let facts = doctor::gather_image(&context.config()?);
        return tell(context, &doctor::examine_image(&facts));
    }
    let found = doctor::gather(&context.location(), context.stated_socket()).map_err(cannot)?;
    let (facts, loaded) = found;
    let report = doctor::examine(&facts);
    if let Some(path) = &args.bundle {
        let bundle = Bundle::new(&report, &facts, &loaded, &journal());
        write_bundle(path, &bundle.text())?;
    }
    tell(context, &report)
}

fn tell(context: &Context, report: &Report) -> Result<Exit, Complaint> {
    if context.json() {
        print_json(report)?;
    } else {
        for line in report.lines() {
            print_line(&line)?;
        }
    }
    Ok(match report.state {
        State::Broken => Exit::No,
        _ => Exit::Ok,
    })
}

fn write_bundle(path: &Path, text: &str) -> Result<(), Complaint> {
    let mut fresh = OpenOptions::new();
    fresh.write(true).create_new(true).mode(0o600);
    let written = fresh
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Complaint::new(
            Exit::No,
            "file-exists",
            format!("{} exists: it is not overwritten", path.display()),
            "remove it, or name another file",
        ),
        _ => Complaint::io(&format!("cannot write {}", path.display()), &error),
    })
}

/// The last lines of the agent's log; nothing where there is no journal or this user may not see it.
fn journal() -> String {
    let output = Command::new("journalctl")
        .args([
            "-u",
            "edgeseal-agent",
            "-n",
            "200",
            "--no-pager",
            "-o",
            "short-iso",
        ])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).into_owned(),
    )
}
