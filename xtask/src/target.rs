//! The targets: which boards they are for, how they are built, how their packages are called.

use super::run::{TaskError, on_path, say};
use std::path::Path;

/// One target.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) triple: &'static str,
    /// What the file names of its packages say instead, where the architecture could be mistaken.
    pub(crate) label: &'static str,
    pub(crate) boards: &'static str,
    pub(crate) recipe: Recipe,
    /// The program and options that run its programs here, on the oldest of its processors.
    pub(crate) emulator: &'static [&'static str],
    /// What `readelf -A` must call the processor, on 32-bit ARM.
    pub(crate) processor: Option<&'static str>,
}

/// How a target is built where rustup has it not installed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Recipe {
    /// Debian's compiler and Debian's standard library for the target.
    Debian {
        gcc: &'static str,
        library: &'static str,
    },
    /// Debian's compiler; the standard library is built, too.
    DebianBuildStd { gcc: &'static str },
    /// This machine's own.
    Host,
    /// zig as the linker, static; the standard library is built, too.
    Zig,
}

/// The target of this name.
pub(crate) fn find(name: &str) -> Result<&'static Target, TaskError> {
    let found = TARGETS
        .iter()
        .find(|target| target.triple == name || target.label == name);
    found.ok_or_else(|| {
        TaskError::Wrong(format!(
            "no target {name:?}; cargo xtask targets lists them"
        ))
    })
}

/// The targets of these names; all where none is named.
pub(crate) fn all(names: &[String]) -> Result<Vec<&'static Target>, TaskError> {
    if names.is_empty() {
        return Ok(TARGETS.iter().collect());
    }
    names.iter().map(|name| find(name)).collect()
}

pub(crate) fn list() -> Result<(), TaskError> {
    for target in TARGETS {
        let lacking = target.lacking();
        let state = if lacking.is_empty() {
            "ready".to_owned()
        } else {
            format!("lacks {}", lacking.join(", "))
        };
        say(&format!(
            "{:<30} {:<12} {:<40} {state}",
            target.triple, target.label, target.boards
        ))?;
    }
    Ok(())
}

impl Target {
    /// Whether the programs need no library of the system.
    pub(crate) fn is_static(&self) -> bool {
        self.triple.contains("musl")
    }

    /// Programs and files that the recipe needs and this machine has not, each with what brings it.
    pub(crate) fn lacking(&self) -> Vec<String> {
        let program = |name: &str, package: &str| {
            on_path(name)
                .is_none()
                .then(|| format!("{name} ({package})"))
        };
        let file = |path: &str, package: &str| {
            (!Path::new(path).exists()).then(|| format!("{path} ({package})"))
        };
        let debian_rust = || file("/usr/bin/cargo", "apt install rustc-web cargo-web");
        let source = || file(RUST_SOURCE, "apt install rust-web-src");
        let found = match self.recipe {
            Recipe::Host => Vec::new(),
            Recipe::Debian { gcc, library } => vec![
                debian_rust(),
                program(gcc, &format!("apt install {}", gcc_package(gcc))),
                file(library, "see docs/building.md"),
            ],
            Recipe::DebianBuildStd { gcc } => vec![
                debian_rust(),
                source(),
                program(gcc, &format!("apt install {}", gcc_package(gcc))),
            ],
            Recipe::Zig => vec![
                debian_rust(),
                source(),
                program(
                    "cargo-zigbuild",
                    "pip install ziglang==0.17.1 cargo-zigbuild==0.24.0",
                ),
            ],
        };
        found.into_iter().flatten().collect()
    }
}

/// `arm-linux-gnueabihf-gcc` comes with `gcc-arm-linux-gnueabihf`.
fn gcc_package(gcc: &str) -> String {
    format!("gcc-{}", gcc.trim_end_matches("-gcc"))
}

pub(crate) const TARGETS: &[Target] = &[
    Target {
        triple: "x86_64-unknown-linux-gnu",
        label: "amd64",
        boards: "PCs and servers",
        recipe: Recipe::Host,
        emulator: &["qemu-x86_64-static"],
        processor: None,
    },
    Target {
        triple: "aarch64-unknown-linux-gnu",
        label: "arm64",
        boards: "Pi 3, 4, 5, Zero 2 W; 64-bit system",
        recipe: Recipe::Debian {
            gcc: "aarch64-linux-gnu-gcc",
            library: "/usr/lib/rustlib/aarch64-unknown-linux-gnu",
        },
        emulator: &[
            "qemu-aarch64-static",
            "-cpu",
            "cortex-a53",
            "-L",
            "/usr/aarch64-linux-gnu",
        ],
        processor: None,
    },
    Target {
        triple: "aarch64-unknown-linux-musl",
        label: "arm64-static",
        boards: "the same, on any 64-bit Linux",
        recipe: Recipe::Zig,
        emulator: &["qemu-aarch64-static", "-cpu", "cortex-a53"],
        processor: None,
    },
    Target {
        triple: "armv7-unknown-linux-gnueabihf",
        label: "armhf",
        boards: "Pi 2 and later; 32-bit system",
        recipe: Recipe::DebianBuildStd {
            gcc: "arm-linux-gnueabihf-gcc",
        },
        emulator: &[
            "qemu-arm-static",
            "-cpu",
            "cortex-a7",
            "-L",
            "/usr/arm-linux-gnueabihf",
        ],
        processor: Some("v7"),
    },
    Target {
        triple: "arm-unknown-linux-musleabihf",
        label: "armhf-armv6",
        boards: "Pi Zero and Pi 1 (ARMv6), any 32-bit Pi",
        recipe: Recipe::Zig,
        emulator: &["qemu-arm-static", "-cpu", "arm1176"],
        processor: Some("v6"),
    },
];

const RUST_SOURCE: &str = "/usr/lib/rustlib/src/rust/library";

#[cfg(test)]
mod tests {
    use super::{Recipe, TARGETS, find};

    /// A package for ARMv6 must not be mistaken for Debian's armhf, which is ARMv7.
    #[test]
    fn no_two_targets_share_a_file_name_and_each_is_in_cross_toml() {
        let mut labels: Vec<_> = TARGETS.iter().map(|target| target.label).collect();
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), TARGETS.len());
        assert!(find("armhf-armv6").unwrap().triple.starts_with("arm-"));
        let cross = std::fs::read_to_string(super::super::run::root().join("cross.toml")).unwrap();
        for target in TARGETS
            .iter()
            .filter(|target| target.recipe != Recipe::Host)
        {
            assert!(
                cross.contains(&format!("[target.{}]", target.triple)),
                "{}",
                target.triple
            );
        }
        assert!(find("no-such-target").is_err());
    }
}
