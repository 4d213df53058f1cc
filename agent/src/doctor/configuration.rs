//! Configuration files, what they say, and the secrets that they name.

use super::State;
use super::{Facts, FileFacts, Finding};

pub(super) fn loads(facts: &Facts) -> Vec<Finding> {
    let found = &facts.configuration;
    let path = found.path.display();
    if found.forbidden {
        return Finding::unknown(
            format!("{path} may not be read by this user"),
            "sudo edgeseal-agent doctor",
        );
    }
    if !found.problems.is_empty() {
        let what = found.problems.join("; ");
        return Finding::broken(
            what,
            format!("sudoedit {path} && edgeseal-agent config check"),
        );
    }
    Finding::ok(match found.files.len() {
        0 => "no file: defaults hold".to_owned(),
        1 => format!("{path} is right"),
        count => format!("{path} and its drop-ins are right, {count} files"),
    })
}

pub(super) fn meaning(facts: &Facts) -> Vec<Finding> {
    let warnings = &facts.configuration.warnings;
    if warnings.is_empty() {
        return Finding::ok("nothing to point out");
    }
    let all = warnings.iter().map(|warning| {
        let what = format!("{} ({})", warning.message, warning.origin);
        Finding::new(State::Warning, what, "edgeseal-agent config check")
    });
    all.collect()
}

pub(super) fn files(facts: &Facts) -> Vec<Finding> {
    let loose = facts.configuration.files.iter().filter_map(|file| {
        let owner = file.found.as_ref().ok()?.as_ref()?;
        let path = file.path.display();
        if owner.mode & 0o022 != 0 {
            let what = format!("{path} can be written by others (mode {:04o})", owner.mode);
            return Some(Finding::new(
                State::Broken,
                what,
                format!("sudo chmod go-w {path}"),
            ));
        }
        let agents = facts.service_uid == Some(owner.uid) && owner.uid != 0;
        agents.then(|| {
            let what = format!("{path} belongs to the agent's own user");
            Finding::new(State::Warning, what, format!("sudo chown root {path}"))
        })
    });
    let loose: Vec<Finding> = loose.collect();
    match loose.is_empty() {
        true => Finding::ok("only their owner can write them"),
        false => loose,
    }
}

pub(super) fn secrets(facts: &Facts) -> Vec<Finding> {
    let bad: Vec<Finding> = facts
        .configuration
        .secrets
        .iter()
        .filter_map(secret)
        .collect();
    match (bad.is_empty(), facts.configuration.secrets.len()) {
        (false, _) => bad,
        (true, 0) => Finding::ok("the configuration names none"),
        (true, count) => Finding::ok(format!("closed to others, {count} files")),
    }
}

fn secret(file: &FileFacts) -> Option<Finding> {
    let path = file.path.display();
    match &file.found {
        Err(why) => Some(Finding::new(
            State::Unknown,
            format!("{path} cannot be seen: {why}"),
            "sudo edgeseal-agent doctor",
        )),
        Ok(None) => Some(Finding::new(
            State::Broken,
            format!("{path} is not there, but the configuration names it"),
            "edgeseal-agent config show",
        )),
        Ok(Some(owner)) if owner.mode & 0o077 != 0 => Some(Finding::new(
            State::Broken,
            format!(
                "{path} can be read or written by others (mode {:04o})",
                owner.mode
            ),
            format!("sudo chmod 0600 {path}; and change that key or password if others were here"),
        )),
        Ok(Some(_)) => None,
    }
}
