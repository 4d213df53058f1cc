//! Tells the program for which target it was built: `doctor` compares it with the machine.
#![allow(clippy::disallowed_methods)] // a build script is an edge

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let target = std::env::var("TARGET").unwrap_or_else(|_| "unknown".to_owned());
    println!("cargo:rustc-env=EDGESEAL_TARGET={target}");
}
