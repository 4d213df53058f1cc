//! Release builds for any target.

use super::run::{TaskError, io, on_path, output, root, say, wait};
use super::target::{Recipe, Target};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds both programs and gives the directory that they lie in.
pub(crate) fn release(target: &Target) -> Result<PathBuf, TaskError> {
    let mut build = Way::choose(target)?.command(target, "build");
    build.arg("--release");
    for program in PROGRAMS {
        build.args(["--package", program]);
    }
    wait(build)?;
    let directory = target_directory().join(target.triple).join("release");
    for program in PROGRAMS {
        let path = directory.join(program);
        say(&format!("{} octets  {}", size(&path)?, path.display()))?;
    }
    Ok(directory)
}

/// A verb of cargo for this target, by who can compile for it here.
pub(crate) fn cargo_for(target: &Target, verb: &str) -> Result<Command, TaskError> {
    Ok(Way::choose(target)?.command(target, verb))
}

/// Octets of a file.
pub(crate) fn size(path: &Path) -> Result<u64, TaskError> {
    let metadata = std::fs::metadata(path).map_err(io(&path.display().to_string()))?;
    Ok(metadata.len())
}

/// Where cargo builds.
pub(crate) fn target_directory() -> PathBuf {
    let stated = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    stated.map_or_else(|| root().join("target"), |path| root().join(path))
}

/// Who compiles.
enum Way {
    /// cargo as it is: rustup has the target.
    Cargo,
    /// The tool `cross`, in a container.
    Cross,
    /// The recipe of the target, with Debian's compilers.
    Recipe,
}

impl Way {
    fn choose(target: &Target) -> Result<Self, TaskError> {
        if target.recipe == Recipe::Host || rustup_has(target) {
            return Ok(Self::Cargo);
        }
        if on_path("cross").is_some() {
            return Ok(Self::Cross);
        }
        let lacking = target.lacking();
        if lacking.is_empty() {
            return Ok(Self::Recipe);
        }
        Err(TaskError::Lacks(format!(
            "{}\n  or: cargo install cross; or: rustup target add {}",
            lacking.join(", "),
            target.triple
        )))
    }

    fn command(&self, target: &Target, verb: &str) -> Command {
        match self {
            Self::Cargo => cargo("cargo", target, verb),
            Self::Cross => {
                let mut cross = cargo("cross", target, verb);
                cross.env("CROSS_CONFIG", "cross.toml");
                cross
            }
            Self::Recipe => recipe(target, verb),
        }
    }
}

fn recipe(target: &Target, verb: &str) -> Command {
    let linker = variable("CARGO_TARGET", target, "LINKER");
    let mut command = match target.recipe {
        Recipe::Host => return cargo("cargo", target, verb),
        Recipe::Debian { gcc, .. } | Recipe::DebianBuildStd { gcc } => {
            let mut command = cargo(DEBIAN_CARGO, target, verb);
            command.env(linker, gcc).env(cc(target), gcc);
            command
        }
        Recipe::Zig => {
            let verb = if verb == "build" { "zigbuild" } else { verb };
            let mut command = cargo("cargo-zigbuild", target, verb);
            // Without it the link lacks crt1.o: zig brings its own.
            let flags = variable("CARGO_TARGET", target, "RUSTFLAGS");
            command.env(flags, "-C link-self-contained=no");
            // Left over from another build these would silently replace zig.
            command.env_remove(linker).env_remove(cc(target));
            command
        }
    };
    if !matches!(target.recipe, Recipe::Debian { .. }) {
        command.args(["-Z", BUILD_STD]).env("RUSTC_BOOTSTRAP", "1");
    }
    // Compiler, cargo and the source of the standard library must be of one version.
    command
        .env("RUSTC", DEBIAN_RUSTC)
        .env("CARGO", DEBIAN_CARGO);
    command.env_remove("RUSTUP_TOOLCHAIN");
    command
}

fn cargo(program: &str, target: &Target, verb: &str) -> Command {
    let mut command = Command::new(program);
    command.args([verb, "--locked", "--target", target.triple]);
    command
}

fn rustup_has(target: &Target) -> bool {
    let mut rustup = Command::new("rustup");
    rustup.args(["target", "list", "--installed"]);
    output(rustup).is_ok_and(|list| list.lines().any(|line| line == target.triple))
}

/// `CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER`.
pub(crate) fn variable(prefix: &str, target: &Target, suffix: &str) -> String {
    let triple = target.triple.to_uppercase().replace('-', "_");
    format!("{prefix}_{triple}_{suffix}")
}

/// What the crate `cc` looks for.
fn cc(target: &Target) -> String {
    format!("CC_{}", target.triple.replace('-', "_"))
}

pub(crate) const PROGRAMS: &[&str] = &["edgeseal-agent", "edgeseal"];
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
/// The release profile unwinds.
const BUILD_STD: &str = "build-std=std,panic_unwind";
