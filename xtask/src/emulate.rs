//! The programs of another target, run here by qemu.

use super::build::{self, target_directory, variable};
use super::run::{TaskError, io, on_path, output, say, wait};
use super::target::Target;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds for the target and runs it: the whole suite of `trust` with its vectors, and the agent through its API.
pub(crate) fn check(target: &Target) -> Result<(), TaskError> {
    let emulator = emulator(target)?;
    let programs = build::release(target)?;
    processor(target, &programs.join("edgeseal-agent"))?;
    say("== trust: every test and every vector")?;
    let mut suite = build::cargo_for(target, "test")?;
    suite.args(["--package", "edgeseal-trust"]);
    // Tests that try every cut and every altered bit take half an hour else.
    suite.env("CARGO_PROFILE_DEV_OPT_LEVEL", "2");
    let runner = variable("CARGO_TARGET", target, "RUNNER");
    suite.env(runner, emulator.join(" "));
    suite.env("EDGESEAL_TEST_EMULATOR", emulator.join(" ")); // for tests that start themselves again
    wait(suite)?;
    say("== the agent: signs, verifies, is killed, restarts")?;
    let wrapped = wrap(target, &emulator, &programs.join("edgeseal-agent"))?;
    let mut api = Command::new("cargo");
    api.args([
        "test",
        "--locked",
        "--package",
        "edgeseal-agent",
        "--test",
        "api",
    ]);
    api.env("EDGESEAL_BENCH_AGENT", wrapped);
    wait(api)
}

/// The emulator with its options; the first is a path.
pub(crate) fn emulator(target: &Target) -> Result<Vec<String>, TaskError> {
    let (program, options) = target
        .emulator
        .split_first()
        .ok_or_else(|| TaskError::Wrong(format!("{} has no emulator", target.triple)))?;
    let path = on_path(program)
        .ok_or_else(|| TaskError::Lacks(format!("{program} (apt install qemu-user-static)")))?;
    let mut words = vec![path.display().to_string()];
    words.extend(options.iter().map(|&option| option.to_owned()));
    Ok(words)
}

/// A program for ARMv7 dies with "Illegal instruction" on a Pi Zero, and a linker can slip its parts in.
fn processor(target: &Target, program: &Path) -> Result<(), TaskError> {
    let Some(wanted) = target.processor else {
        return Ok(());
    };
    let mut readelf = Command::new("readelf");
    readelf.arg("-A").arg(program);
    let attributes = output(readelf)?;
    let found = attributes
        .lines()
        .find_map(|line| line.trim().strip_prefix("Tag_CPU_arch: "));
    if found != Some(wanted) {
        return Err(TaskError::Wrong(format!(
            "{} is for ARM {found:?}, not {wanted}",
            program.display()
        )));
    }
    say(&format!("readelf -A: {wanted}"))
}

/// A script in the place of the program, for tests that start it by its path.
fn wrap(target: &Target, emulator: &[String], program: &Path) -> Result<PathBuf, TaskError> {
    let directory = target_directory().join("emulated").join(target.triple);
    std::fs::create_dir_all(&directory).map_err(io(&directory.display().to_string()))?;
    let path = directory.join("edgeseal-agent");
    let text = format!(
        "#!/bin/sh\nexec {} {} \"$@\"\n",
        emulator.join(" "),
        program.display()
    );
    let said = || io(&path.display().to_string());
    std::fs::write(&path, text).map_err(said())?;
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).map_err(said())?;
    Ok(path)
}
