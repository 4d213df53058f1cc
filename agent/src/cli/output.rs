//! What a person or a script sees.

use crate::client::{ClientError, exit_of};
use crate::config::{ConfigError, MAX_PROBLEMS};
use crate::daemon::StartError;
use crate::exit::Exit;
use crate::identity::IdentityError;
use crate::state_dir::StateDirError;
use crate::wire::{ErrorBody, ErrorClass};
use edgeseal_trust::store::StoreError;
use serde::Serialize;
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Why a verb did not do what was asked: what is wrong, and what to do next.
#[derive(Debug)]
pub(crate) struct Complaint {
    exit: Exit,
    code: Cow<'static, str>,
    reason: String,
    hint: Option<String>,
    /// Where several things are wrong: each of them.
    problems: Vec<Entry>,
}

/// One thing that is wrong, as both see it.
#[derive(Debug, Serialize)]
struct Entry {
    code: Cow<'static, str>,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

#[derive(Serialize)]
struct Form<'a> {
    error: &'static str,
    code: &'a str,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    problems: &'a [Entry],
}

impl Complaint {
    pub(crate) fn new(
        exit: Exit,
        code: impl Into<Cow<'static, str>>,
        reason: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            exit,
            code: code.into(),
            reason: reason.into(),
            hint: Some(hint.into()),
            problems: Vec::new(),
        }
    }

    /// From an error whose last line is its hint.
    pub(crate) fn of(
        exit: Exit,
        code: impl Into<Cow<'static, str>>,
        error: &dyn std::fmt::Display,
    ) -> Self {
        let text = error.to_string();
        let (reason, hint) = match text.split_once(HINT) {
            Some((reason, hint)) if !hint.contains(HINT) => {
                (reason.to_owned(), Some(hint.to_owned()))
            }
            _ => (text, None),
        };
        Self {
            exit,
            code: code.into(),
            reason,
            hint,
            problems: Vec::new(),
        }
    }

    pub(crate) fn io(what: &str, error: &io::Error) -> Self {
        let exit = match error.kind() {
            io::ErrorKind::PermissionDenied => Exit::Permission,
            io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists => Exit::Usage,
            _ => Exit::TemporaryFailure,
        };
        Self {
            exit,
            code: Cow::Borrowed("io"),
            reason: format!("{what}: {error}"),
            hint: None,
            problems: Vec::new(),
        }
    }

    /// Says it: to a person on standard error, to a script as JSON on standard output.
    pub(super) fn tell(&self, json: bool) -> Exit {
        if json {
            let form = Form {
                error: "refused",
                code: &self.code,
                reason: &self.reason,
                hint: self.hint.as_deref(),
                problems: &self.problems,
            };
            print_json(&form).ok();
        } else if self.problems.is_empty() {
            tell_person(&self.code, &self.reason, self.hint.as_deref());
        } else {
            for problem in &self.problems {
                tell_person(&problem.code, &problem.reason, problem.hint.as_deref());
            }
            if self.problems.len() > 1 {
                writeln!(io::stderr(), "edgeseal-agent: {}", self.reason).ok();
            }
        }
        self.exit
    }
}

impl From<ClientError> for Complaint {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Refused(body) => body.into(),
            error => {
                let code = error.code().to_owned();
                Self::of(error.exit(), code, &error)
            }
        }
    }
}

impl From<ErrorBody> for Complaint {
    fn from(body: ErrorBody) -> Self {
        Self {
            exit: exit_of(body.error),
            code: body.code,
            reason: body.reason,
            hint: body.hint.map(Cow::into_owned),
            problems: Vec::new(),
        }
    }
}

impl From<ConfigError> for Complaint {
    fn from(error: ConfigError) -> Self {
        let problems = error.problems.into_iter().map(|problem| Entry {
            code: Cow::Borrowed(problem.code.as_str()),
            reason: format!("{}{}", problem.place, problem.message),
            hint: problem.hint,
        });
        let problems: Vec<Entry> = problems.collect();
        let most = match problems.len() {
            MAX_PROBLEMS.. => ", or more",
            _ => "",
        };
        Self {
            exit: Exit::Configuration,
            code: Cow::Borrowed("config"),
            reason: format!("problems of the configuration: {}{most}", problems.len()),
            hint: None,
            problems,
        }
    }
}

impl From<StartError> for Complaint {
    fn from(error: StartError) -> Self {
        let exit = error.exit();
        match error {
            StartError::Config(error) => Self {
                exit,
                ..error.into()
            },
            error => Self::of(exit, error.code(), &error),
        }
    }
}

impl From<StateDirError> for Complaint {
    fn from(error: StateDirError) -> Self {
        Self::of(error.exit(), error.code(), &error)
    }
}

impl From<IdentityError> for Complaint {
    fn from(error: IdentityError) -> Self {
        Self::new(error.exit(), error.code(), error.reason(), error.hint())
    }
}

impl From<StoreError> for Complaint {
    fn from(error: StoreError) -> Self {
        Self::of(Exit::from(&error), error.code(), &error)
    }
}

/// How a verb ends that asked for a judgement and got none.
pub(super) fn exit_of_class(class: ErrorClass) -> Exit {
    exit_of(class)
}

fn tell_person(code: &str, reason: &str, hint: Option<&str>) {
    let hint = hint.map_or_else(String::new, |hint| format!("{HINT}{hint}"));
    let line = format!("edgeseal-agent: {reason} [{code}]{hint}\n");
    io::stderr().write_all(line.as_bytes()).ok();
}

/// One value as one line of JSON.
pub(crate) fn print_json<T: Serialize>(value: &T) -> Result<(), Complaint> {
    let mut text = serde_json::to_string(value)
        .map_err(|error| Complaint::io("cannot write the answer", &io::Error::from(error)))?;
    text.push('\n');
    print_octets(text.as_bytes())
}

/// A line for people.
pub(crate) fn print_line(line: &str) -> Result<(), Complaint> {
    print_octets(format!("{line}\n").as_bytes())
}

/// Octets as they are. That nobody reads them any more is no fault of ours.
pub(crate) fn print_octets(octets: &[u8]) -> Result<(), Complaint> {
    let mut out = io::stdout().lock();
    match out.write_all(octets).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Complaint::io("cannot write to standard output", &error))
        }
        _ => Ok(()),
    }
}

/// Octets into a new file, or to standard output for `-` and for no file. Nothing is overwritten.
pub(super) fn write_out(path: Option<&Path>, octets: &[u8]) -> Result<(), Complaint> {
    let Some(path) = path.filter(|path| path.as_os_str() != "-") else {
        return print_octets(octets);
    };
    let written = File::create_new(path).and_then(|mut file| file.write_all(octets));
    written.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Complaint::new(
            Exit::No,
            "file-exists",
            format!("{} exists: it is not overwritten", path.display()),
            "remove it, or name another file",
        ),
        _ => Complaint::io(&format!("cannot write {}", path.display()), &error),
    })
}

const HINT: &str = "\n  hint: ";
