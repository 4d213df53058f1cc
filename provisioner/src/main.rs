//! The operator's program. All of it is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    edgeseal::run(std::env::args_os())
}
