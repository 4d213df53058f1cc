//! Man pages and shell completions, from the same clap that parses the command lines.

use super::build::PROGRAMS;
use super::run::{TaskError, io, output, root, say, tool};
use clap::Command;
use clap_complete::Shell;
use std::fs;
use std::path::Path;

/// Writes them into `target/pages`, man pages compressed as Debian wants them.
pub(crate) fn write() -> Result<(), TaskError> {
    let directory = root().join("target/pages");
    if directory.exists() {
        fs::remove_dir_all(&directory).map_err(io("cannot empty target/pages"))?;
    }
    for command in commands() {
        into(&directory, command)?;
    }
    for program in PROGRAMS {
        let path = directory.join("man").join(program);
        for page in fs::read_dir(&path).map_err(io(&path.display().to_string()))? {
            let page = page.map_err(io(&path.display().to_string()))?.path();
            tool("gzip", &["-9n", &page.display().to_string()])?;
        }
    }
    say(&format!("pages in {}", directory.display()))
}

/// Whether every option and verb that `--help` of the programs names is in its man page, and whether every
/// shell completes it.
pub(crate) fn check() -> Result<(), TaskError> {
    tool(
        "cargo",
        &[
            "build",
            "--quiet",
            "--locked",
            "--package",
            "edgeseal-agent",
            "--package",
            "edgeseal",
        ],
    )?;
    let directory = tempfile::tempdir().map_err(io("cannot make a directory"))?;
    let mut pages: usize = 0;
    for command in commands() {
        let name = command.get_name().to_owned();
        into(directory.path(), command.clone())?;
        let bash = read(
            &directory
                .path()
                .join("completions")
                .join(format!("{name}.bash")),
        )?;
        check_verb(directory.path(), &bash, &[&name], &command, &mut pages)?;
    }
    say(&format!("{pages} man pages say what --help says"))
}

fn check_verb(
    directory: &Path,
    bash: &str,
    path: &[&str],
    command: &Command,
    pages: &mut usize,
) -> Result<(), TaskError> {
    let (program, verbs) = path.split_first().unwrap_or((&"", &[]));
    let page = directory
        .join("man")
        .join(program)
        .join(format!("{}.1", path.join("-")));
    // Man pages escape dashes.
    let page = read(&page)?.replace("\\-", "-");
    let binary = super::build::target_directory().join("debug").join(program);
    let mut help = std::process::Command::new(binary);
    help.args(verbs).arg("--help");
    let help = output(help)?;
    for option in options(&help) {
        for (what, text) in [("man page", page.as_str()), ("completion", bash)] {
            if !text.contains(&option) {
                let verb = path.join(" ");
                return Err(TaskError::Wrong(format!(
                    "{verb}: the {what} lacks {option}"
                )));
            }
        }
    }
    *pages = pages.saturating_add(1);
    for verb in command
        .get_subcommands()
        .filter(|verb| verb.get_name() != "help")
    {
        let below: Vec<&str> = path.iter().copied().chain([verb.get_name()]).collect();
        check_verb(directory, bash, &below, verb, pages)?;
    }
    Ok(())
}

/// The long options that a help text lists.
fn options(help: &str) -> Vec<String> {
    let listed = help.lines().filter_map(|line| {
        let line = line.trim_start();
        let begins = line.starts_with("--") || line.starts_with('-') && line.contains(", --");
        let (_, rest) = line.split_once("--").filter(|_| begins)?;
        let end = rest.find(|part: char| !(part.is_ascii_alphanumeric() || part == '-'));
        Some(format!("--{}", rest.get(..end.unwrap_or(rest.len()))?))
    });
    listed.collect()
}

fn into(directory: &Path, mut command: Command) -> Result<(), TaskError> {
    let name = command.get_name().to_owned();
    let (man, completions) = (
        directory.join("man").join(&name),
        directory.join("completions"),
    );
    for path in [&man, &completions] {
        fs::create_dir_all(path).map_err(io(&path.display().to_string()))?;
    }
    clap_mangen::generate_to(command.clone(), &man).map_err(io("man pages"))?;
    for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
        clap_complete::generate_to(shell, &mut command, &name, &completions)
            .map_err(io("completions"))?;
    }
    Ok(())
}

fn commands() -> [Command; 2] {
    let commands = [edgeseal_agent::cli::command(), edgeseal::command_line()];
    debug_assert!(
        commands
            .iter()
            .map(Command::get_name)
            .eq(PROGRAMS.iter().copied())
    );
    commands
}

fn read(path: &Path) -> Result<String, TaskError> {
    fs::read_to_string(path).map_err(io(&path.display().to_string()))
}

#[cfg(test)]
mod tests {
    use super::options;

    #[test]
    fn options_are_read_from_help_and_prose_is_not() {
        let help = "Usage: x [OPTIONS]\n\nOptions:\n      --json      Answer\n  -o, --output <FILE>  Where, not --there\n  prose with --dashes\n";
        assert_eq!(options(help), ["--json", "--output"]);
    }
}
