//! Release builds for any target.

use super::run::{TaskError, io, on_path, output, root, say, wait};
use super::target::{Recipe, Target};
use std::path::PathBuf;
use std::process::Command;

/// Builds both programs and gives the directory that they lie in.
pub(crate) fn release(target: &Target) -> Result<PathBuf, TaskError> {
    let way = Way::choose(target)?;
    say(&format!("{}: {}", target.triple, way.in_words()))?;
    wait(way.command(target))?;
    let directory = target_directory().join(target.triple).join("release");
    for program in PROGRAMS {
        let path = directory.join(program);
        let metadata = std::fs::metadata(&path).map_err(io(&path.display().to_string()))?;
        say(&format!("{} octets  {}", metadata.len(), path.display()))?;
    }
    Ok(directory)
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

    const fn in_words(&self) -> &'static str {
        match self {
            Self::Cargo => "cargo, with the target that is installed",
            Self::Cross => "cross",
            Self::Recipe => "Debian's compilers",
        }
    }

    fn command(&self, target: &Target) -> Command {
        let mut command = match self {
            Self::Cargo => cargo("build", target),
            Self::Cross => {
                let mut command = program("cross", "build", target);
                command.env("CROSS_CONFIG", "cross.toml");
                command
            }
            Self::Recipe => recipe(target),
        };
        for program in PROGRAMS {
            command.args(["--package", program]);
        }
        command
    }
}

fn recipe(target: &Target) -> Command {
    let mut command = match target.recipe {
        Recipe::Host => cargo("build", target),
        Recipe::Debian { gcc, .. } => {
            let mut command = cargo("build", target);
            command.env(variable("CARGO_TARGET", target, "LINKER"), gcc);
            command.env(cc(target), gcc);
            command
        }
        Recipe::DebianBuildStd { gcc } => {
            let mut command = cargo("build", target);
            command.args(["-Z", BUILD_STD]).env("RUSTC_BOOTSTRAP", "1");
            command.env(variable("CARGO_TARGET", target, "LINKER"), gcc);
            command.env(cc(target), gcc);
            command
        }
        Recipe::Zig => {
            let mut command = program("cargo-zigbuild", "zigbuild", target);
            command.args(["-Z", BUILD_STD]).env("RUSTC_BOOTSTRAP", "1");
            // Without it the link lacks crt1.o: zig brings its own.
            let flags = variable("CARGO_TARGET", target, "RUSTFLAGS");
            command.env(flags, "-C link-self-contained=no");
            // Left over from another build these would silently replace zig.
            command.env_remove(variable("CARGO_TARGET", target, "LINKER"));
            command.env_remove(cc(target));
            command
        }
    };
    if target.recipe != Recipe::Host {
        command.env("RUSTC", "/usr/bin/rustc");
        command.env_remove("RUSTUP_TOOLCHAIN");
    }
    command
}

fn cargo(verb: &str, target: &Target) -> Command {
    program("cargo", verb, target)
}

fn program(program: &str, verb: &str, target: &Target) -> Command {
    let mut command = Command::new(program);
    command.args([verb, "--release", "--locked", "--target", target.triple]);
    command
}

fn rustup_has(target: &Target) -> bool {
    let mut rustup = Command::new("rustup");
    rustup.args(["target", "list", "--installed"]);
    output(rustup).is_ok_and(|list| list.lines().any(|line| line == target.triple))
}

/// `CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER`.
fn variable(prefix: &str, target: &Target, suffix: &str) -> String {
    let triple = target.triple.to_uppercase().replace('-', "_");
    format!("{prefix}_{triple}_{suffix}")
}

/// What the crate `cc` looks for.
fn cc(target: &Target) -> String {
    format!("CC_{}", target.triple.replace('-', "_"))
}

pub(crate) const PROGRAMS: &[&str] = &["edgeseal-agent", "edgeseal"];
/// The release profile unwinds.
const BUILD_STD: &str = "build-std=std,panic_unwind";
