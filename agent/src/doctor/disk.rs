//! Directories and the file systems that they lie on.

use super::{DirectoryFacts, Facts, Finding, Space};

pub(super) fn state_directory(facts: &Facts) -> Vec<Finding> {
    let path = facts.state.file.path.display();
    let owner = match &facts.state.file.found {
        Err(why) => return unseen(&facts.state, why),
        Ok(None) => {
            return Finding::broken(
                format!("{path} is not there"),
                format!("sudo install -d -m 0700 -o edgeseal -g edgeseal {path}"),
            );
        }
        Ok(Some(owner)) => owner,
    };
    if !owner.is_dir {
        return Finding::broken(
            format!("{path} is not a directory"),
            "edgeseal-agent config show",
        );
    }
    if owner.mode & 0o077 != 0 {
        return Finding::broken(
            format!("{path} is open to others (mode {:04o})", owner.mode),
            format!("sudo chmod 0700 {path}"),
        );
    }
    if let (Some(uid), Some(_)) = (facts.service_uid, &facts.service)
        && uid != owner.uid
    {
        return Finding::broken(
            format!(
                "{path} belongs to user {}, the service runs as user {uid}",
                owner.uid
            ),
            format!("sudo chown -R edgeseal:edgeseal {path}"),
        );
    }
    Finding::ok(format!("{path}, closed to others"))
}

pub(super) fn durable(facts: &Facts) -> Vec<Finding> {
    on_state(facts, |path, space| match space.volatile {
        Some(file_system) => Finding::broken(
            format!("{path} lies on {file_system}: a power cut empties it"),
            "put it on a data partition: sudo systemctl edit edgeseal-agent, see raspberry-pi.md \"Read-only root\"",
        ),
        None => Finding::ok("it outlives a power cut"),
    })
}

pub(super) fn writable(facts: &Facts) -> Vec<Finding> {
    on_state(facts, |path, space| {
        if space.read_only {
            Finding::broken(
                format!("{path} lies on a file system that is mounted read-only"),
                format!("sudo mount -o remount,rw \"$(findmnt -nT {path} -o TARGET)\""),
            )
        } else {
            Finding::ok("mounted writable")
        }
    })
}

pub(super) fn space(facts: &Facts) -> Vec<Finding> {
    on_state(facts, |path, space| space.judge(&path))
}

pub(super) fn runtime_directory(facts: &Facts) -> Vec<Finding> {
    let path = facts.runtime.file.path.display();
    match (&facts.runtime.file.found, facts.runtime.space) {
        (Err(why), _) => unseen(&facts.runtime, why),
        (Ok(Some(owner)), _) if owner.mode & 0o022 != 0 => Finding::broken(
            format!("{path} can be written by others (mode {:04o})", owner.mode),
            format!("sudo chmod go-w {path}"),
        ),
        (Ok(Some(_)), Some(Space { volatile: None, .. })) => Finding::warning(
            format!("{path} is no tmpfs: the memory against replays is written to disk"),
            "edgeseal-agent config show; runtime_directory of [agent] belongs below /run",
        ),
        (Ok(Some(_)), _) => Finding::ok(format!("{path}, in memory")),
        (Ok(None), _) => Finding::unknown(
            format!("{path} is not there; the agent makes it at its start"),
            "sudo systemctl start edgeseal-agent",
        ),
    }
}

fn on_state(facts: &Facts, judge: impl Fn(String, Space) -> Vec<Finding>) -> Vec<Finding> {
    let path = facts.state.file.path.display().to_string();
    match (&facts.state.file.found, facts.state.space) {
        (_, Some(space)) => judge(path, space),
        (Err(why), None) => unseen(&facts.state, why),
        (Ok(_), None) => Finding::unknown(format!("{path} is not there"), "edgeseal-agent init"),
    }
}

fn unseen(directory: &DirectoryFacts, why: &str) -> Vec<Finding> {
    Finding::unknown(
        format!("{} cannot be seen: {why}", directory.file.path.display()),
        "sudo edgeseal-agent doctor",
    )
}
