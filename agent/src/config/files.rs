//! The edge of the configuration: which files there are, their bytes within limits, and the
//! environment.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::error::{Place, Problem, ProblemCode};

/// Where the configuration lies.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Location {
    /// `/etc/edgeseal/config.toml`; that it is absent is no error, defaults hold.
    Default,
    /// A path that a person named by `--config` or `EDGESEAL_CONFIG`: that it is absent is an
    /// error.
    Named(PathBuf),
}

/// What a configuration is made of, read but not judged.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Files in the order in which they apply.
    pub files: Vec<SourceFile>,
    /// Variables beginning `EDGESEAL_`, sorted by name.
    pub environment: Vec<(OsString, OsString)>,
    /// What could not be read.
    pub problems: Vec<Problem>,
}

/// One file's text.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// The path it was opened by.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

impl Location {
    /// The place that `--config` names, else `EDGESEAL_CONFIG`, else the default.
    #[must_use]
    pub fn from_arguments(argument: Option<PathBuf>) -> Self {
        let named = argument.or_else(|| {
            std::env::var_os("EDGESEAL_CONFIG")
                .filter(|path| !path.is_empty())
                .map(PathBuf::from)
        });
        named.map_or(Self::Default, Self::Named)
    }

    /// Path of the main file.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Default => Path::new(DEFAULT_PATH),
            Self::Named(path) => path,
        }
    }
}

/// Reads the main file, the drop-ins beside it and the environment. What cannot be read is listed
/// in [`Sources::problems`].
#[must_use]
pub fn read_sources(location: &Location) -> Sources {
    let mut sources = Sources {
        environment: variables(),
        ..Sources::default()
    };
    let main = location.path();
    match read_bounded(main, MAX_FILE_BYTES) {
        Ok(Some(bytes)) => sources.add(main, bytes),
        Ok(None) if *location == Location::Default => {}
        Ok(None) => sources.refuse(
            main,
            ProblemCode::Unreadable,
            "this configuration file does not exist".to_owned(),
            "create it (an empty file means defaults), or correct --config or EDGESEAL_CONFIG",
        ),
        Err(refusal) => sources.refuse(main, refusal.code, refusal.message, refusal.hint),
    }
    let directory = main
        .parent()
        .unwrap_or(Path::new("/"))
        .join(DROP_IN_DIRECTORY);
    for path in drop_ins(&mut sources, &directory) {
        match read_bounded(&path, MAX_FILE_BYTES) {
            Ok(Some(bytes)) => sources.add(&path, bytes),
            Ok(None) => sources.refuse(
                &path,
                ProblemCode::Unreadable,
                "this link leads nowhere".to_owned(),
                "remove it or create what it names",
            ),
            Err(refusal) => sources.refuse(&path, refusal.code, refusal.message, refusal.hint),
        }
    }
    sources
}

/// A file that was not read, before its path is known to the reader of the message.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: ProblemCode,
    pub(super) message: String,
    pub(super) hint: &'static str,
}

/// The bytes of a regular file of at most `limit` octets; `None` if there is no such file. Devices
/// and pipes are not opened: reading them may never end.
pub(super) fn read_bounded(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, Refusal> {
    let unreadable = |error: io::Error| Refusal {
        code: ProblemCode::Unreadable,
        message: format!("cannot be read: {error}"),
        hint: "check owner and permissions of the file and its directories",
    };
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => {
            return Err(Refusal {
                code: ProblemCode::Unreadable,
                message: "is not a regular file".to_owned(),
                hint: "put a TOML file in its place",
            });
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    }
    let mut bytes = Vec::new();
    let read = File::open(path)
        .and_then(|file| file.take(limit.saturating_add(1)).read_to_end(&mut bytes))
        .map_err(unreadable)?;
    if u64::try_from(read).is_ok_and(|read| read <= limit) {
        Ok(Some(bytes))
    } else {
        Err(Refusal {
            code: ProblemCode::TooLarge,
            message: format!("is larger than {limit} bytes"),
            hint: "split it into drop-ins, or check that it is the right file",
        })
    }
}

impl Sources {
    fn add(&mut self, path: &Path, bytes: Vec<u8>) {
        match String::from_utf8(bytes) {
            Ok(text) => self.files.push(SourceFile {
                path: path.to_owned(),
                text,
            }),
            Err(error) => {
                let (line, column) =
                    super::document::position(error.as_bytes(), error.utf8_error().valid_up_to());
                self.problems.push(Problem {
                    code: ProblemCode::NotUtf8,
                    place: Place::Text {
                        path: path.to_owned(),
                        line,
                        column,
                    },
                    message: "this byte is not UTF-8".to_owned(),
                    hint: Some(
                        "save the file as UTF-8, for example with: iconv -f LATIN1 -t UTF-8"
                            .to_owned(),
                    ),
                });
            }
        }
    }

    fn refuse(&mut self, path: &Path, code: ProblemCode, message: String, hint: &str) {
        self.problems.push(Problem {
            code,
            place: Place::File(path.to_owned()),
            message,
            hint: Some(hint.to_owned()),
        });
    }
}

/// Drop-ins in lexical order of their bytes.
fn drop_ins(sources: &mut Sources, directory: &Path) -> Vec<PathBuf> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            sources.refuse(
                directory,
                ProblemCode::Unreadable,
                format!("cannot be read: {error}"),
                "check owner and permissions of the directory",
            );
            return Vec::new();
        }
    };
    let mut paths = Vec::new();
    for entry in entries {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                sources.refuse(
                    directory,
                    ProblemCode::Unreadable,
                    format!("cannot be read: {error}"),
                    "check the file system it lies on",
                );
                return Vec::new();
            }
        };
        let path = entry.path();
        let hidden = entry.file_name().as_encoded_bytes().first() == Some(&b'.');
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
            && !hidden
        {
            paths.push(path);
        }
        if paths.len() > MAX_DROP_INS {
            sources.refuse(
                directory,
                ProblemCode::TooLarge,
                format!("has more than {MAX_DROP_INS} drop-ins"),
                "merge some of them",
            );
            return Vec::new();
        }
    }
    paths.sort();
    paths
}

fn variables() -> Vec<(OsString, OsString)> {
    let mut found: Vec<_> = std::env::vars_os()
        .filter(|(name, _)| name.as_encoded_bytes().starts_with(b"EDGESEAL_"))
        .collect();
    found.sort();
    found
}

const DEFAULT_PATH: &str = "/etc/edgeseal/config.toml";
const DROP_IN_DIRECTORY: &str = "config.d";
/// Octets of one configuration file.
const MAX_FILE_BYTES: u64 = 64 * 1024;
const MAX_DROP_INS: usize = 64;
