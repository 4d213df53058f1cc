//! The configuration, and the files that it names.

use super::super::ConfigurationFacts;
use super::files::file;
use crate::config::{
    Config, Credentials, Loaded, Location, ProblemCode, load, read_sources, warnings,
};
use std::path::{Path, PathBuf};

/// What was found, and the configuration to go on with: the defaults where it is wrong.
pub(super) fn read(location: &Location) -> (ConfigurationFacts, Loaded) {
    let mut facts = ConfigurationFacts {
        path: location.path().to_owned(),
        ..ConfigurationFacts::default()
    };
    match load(location) {
        Ok(loaded) => {
            facts.warnings = warnings(&loaded);
            facts.files = loaded.files.iter().map(|path| file(path)).collect();
            facts.secrets = secrets(&loaded.config)
                .iter()
                .map(|path| file(path))
                .collect();
            (facts, loaded)
        }
        Err(refusal) => {
            let problems = refusal.problems.iter();
            facts.forbidden = problems
                .clone()
                .all(|problem| problem.code == ProblemCode::Unreadable)
                && file(location.path()).found.is_err();
            facts.problems = problems
                .map(|problem| format!("{}{}", problem.place, problem.message))
                .collect();
            let sources = read_sources(location).files;
            facts.files = sources.iter().map(|source| file(&source.path)).collect();
            (facts, Loaded::default())
        }
    }
}

fn secrets(config: &Config) -> Vec<PathBuf> {
    let upstreams = config.gateway.upstreams.iter();
    let named = upstreams.flat_map(|upstream| {
        let password = match &upstream.credentials {
            Credentials::Password { password_file, .. } => Some(password_file.as_path()),
            _ => None,
        };
        let tls = upstream.tls.as_ref();
        let key = tls.and_then(|tls| Some(tls.client.as_ref()?.key_file.as_path()));
        [password, key].into_iter().flatten()
    });
    let mut paths: Vec<PathBuf> = named.map(Path::to_owned).collect();
    paths.sort();
    paths.dedup();
    paths
}
