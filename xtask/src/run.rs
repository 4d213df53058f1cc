//! Other programs, run in the root of the repository.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Why a job was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TaskError {
    /// A program ended with a failure; it said why.
    #[error("{0} failed")]
    Failed(String),
    /// The system refused.
    #[error("{what}: {error}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        error: io::Error,
    },
    /// Something must be installed first.
    #[error("this machine lacks {0}")]
    Lacks(String),
    /// What was looked at is not as it should be.
    #[error("{0}")]
    Wrong(String),
}

/// Runs a program and lets it speak.
pub(crate) fn tool(program: &str, arguments: &[&str]) -> Result<(), TaskError> {
    let mut command = Command::new(program);
    command.args(arguments);
    wait(command)
}

/// Runs a command in the root of the repository.
pub(crate) fn wait(mut command: Command) -> Result<(), TaskError> {
    let shown = shown(&command);
    let status = command.current_dir(root()).status();
    let status = status.map_err(io(&format!("cannot run {shown}")))?;
    if status.success() {
        Ok(())
    } else {
        Err(TaskError::Failed(shown))
    }
}

/// Standard output of a command.
pub(crate) fn output(mut command: Command) -> Result<String, TaskError> {
    let shown = shown(&command);
    let output = command.current_dir(root()).output();
    let output = output.map_err(io(&format!("cannot run {shown}")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(TaskError::Failed(format!("{shown}: {}", said.trim())));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Where a program is, if it is on the path.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|path| path.is_file())
}

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}

pub(crate) fn say(line: &str) -> Result<(), TaskError> {
    use std::io::Write;
    writeln!(io::stdout(), "{line}").map_err(io("cannot write to standard output"))
}

pub(crate) fn io(what: &str) -> impl FnOnce(io::Error) -> TaskError + use<> {
    let what = what.to_owned();
    move |error| TaskError::Io { what, error }
}

fn shown(command: &Command) -> String {
    let program = command.get_program().to_string_lossy().into_owned();
    let arguments = command.get_args().map(|one| one.to_string_lossy());
    arguments.fold(program, |line, argument| format!("{line} {argument}"))
}
