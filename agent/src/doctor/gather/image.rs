//! A card that is to be copied.

use super::super::{ImageFacts, Seen};
use super::{asked, files, system};
use crate::config::Config;
use crate::doctor::AgentFacts;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Looks at this card.
///
/// # Errors
/// The system gives no event queue.
pub fn gather_image(config: &Config) -> io::Result<ImageFacts> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()?;
    let asked = runtime.block_on(asked::ask(&config.api_socket()));
    Ok(ImageFacts {
        own: own(&config.agent.state_directory),
        machine_id: machine_id(Path::new("/")),
        join_files: files::join_files(Path::new("/")),
        agent_runs: !matches!(asked.agent, AgentFacts::NotRunning(_)),
        enabled: system::is_enabled(),
    })
}

/// Everything in the state directory belongs to one device, but for its lock.
fn own(state_dir: &Path) -> Seen<Vec<PathBuf>> {
    let entries = match fs::read_dir(state_dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| error.to_string())?,
    };
    let mut found: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    found.retain(|path| !path.ends_with("lock"));
    found.sort();
    Ok(found)
}

fn machine_id(root: &Path) -> Seen<Option<String>> {
    match fs::read_to_string(root.join("etc/machine-id")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some).map_err(|error| error.to_string()),
    }
}
