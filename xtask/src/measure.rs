//! Size, and instructions for each signed and each verified message, of a target.

use super::build::{self, target_directory};
use super::emulate::emulator;
use super::run::{TaskError, io, output, say, wait};
use super::target::Target;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

/// Builds and prints both. The counts are exact and the same on every machine; they are no milliseconds.
pub(crate) fn print(target: &Target) -> Result<(), TaskError> {
    let emulator = emulator(target)?;
    build::release(target)?;
    let mut example = build::cargo_for(target, "build")?;
    example.args([
        "--release",
        "--package",
        "edgeseal-trust",
        "--example",
        "instructions",
    ]);
    wait(example)?;
    let program = target_directory()
        .join(target.triple)
        .join("release/examples/instructions");
    for work in ["sign", "verify"] {
        let count = |times| instructions(&emulator, &program, work, times);
        let (few, many) = (count(FEW)?, count(MANY)?);
        let each = many.saturating_sub(few) / (MANY - FEW);
        say(&format!(
            "{each:>10} instructions to {work} a message of 256 octets"
        ))?;
    }
    Ok(())
}

/// All that the program executes, from its start to its end.
fn instructions(
    emulator: &[String],
    program: &Path,
    work: &str,
    times: usize,
) -> Result<usize, TaskError> {
    let (qemu, options) = emulator
        .split_first()
        .ok_or_else(|| TaskError::Lacks("qemu".to_owned()))?;
    let mut help = Command::new(qemu);
    help.arg("-help");
    // The option was renamed in qemu 8.1.
    let known = output(help)?.contains("-one-insn-per-tb");
    let single = if known {
        "-one-insn-per-tb"
    } else {
        "-singlestep"
    };
    let mut run = Command::new(qemu);
    run.args(options)
        .args([single, "-d", "nochain,exec"])
        .arg(program);
    run.args([work, &times.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = run.spawn().map_err(io(qemu))?;
    let mut lines: usize = 0;
    if let Some(mut log) = child.stderr.take() {
        let mut block = vec![0; 1 << 16];
        loop {
            let read = log.read(&mut block).map_err(io(qemu))?;
            let Some(read) = block.get(..read).filter(|read| !read.is_empty()) else {
                break;
            };
            // One line for each instruction.
            lines = lines.saturating_add(read.iter().filter(|&&octet| octet == b'\n').count());
        }
    }
    let status = child.wait().map_err(io(qemu))?;
    if status.success() {
        Ok(lines)
    } else {
        Err(TaskError::Failed(format!("{} {work}", program.display())))
    }
}

const FEW: usize = 2;
const MANY: usize = 12;
