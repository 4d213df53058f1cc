//! The agent's program; all of it is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    edgeseal_agent::cli::main()
}
