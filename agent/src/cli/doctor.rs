//! `doctor`: what is wrong, and what repairs it.

use super::context::Context;
use super::output::{Complaint, print_json, print_line};
use crate::doctor::{self, Report, State};
use crate::exit::Exit;
use clap::Args;
use edgeseal_doctor::look;
use std::io;
use std::path::{Path, PathBuf};

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
        write_bundle(path, &doctor::bundle(&report, &facts, &loaded))?;
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
    look::write_new(path, text).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Complaint::new(
            Exit::No,
            "file-exists",
            format!("{} exists: it is not overwritten", path.display()),
            "remove it, or name another file",
        ),
        _ => Complaint::io(&format!("cannot write {}", path.display()), &error),
    })
}
