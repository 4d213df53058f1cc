//! The log: where it goes, and how text from peers and floods of refusals are kept from harming it.

mod escaped;
mod refusals;

use std::io::{self, IsTerminal};

use rustix::fs::fstat;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

pub use escaped::{DEFAULT_LIMIT_CHARS, Escaped};
pub use refusals::{RefusalLog, RefusalSummary, Repeat};

use crate::config::{Log, LogFormat, LogLevel};

/// Starts logging for the whole process.
///
/// Fields reach the journal as `EDGESEAL_<NAME>`. Text goes to standard error, in colour only on a
/// terminal and without `NO_COLOR`. Of other libraries, warnings and errors are logged at most.
///
/// # Errors
/// The journal cannot be reached although the format is `journald`, or logging was started before.
pub fn start(log: Log) -> Result<LogHandle, LogError> {
    let form = resolve(log.format, &JournalStream::of_process());
    let (filter, handle) = reload::Layer::new(targets(log.level));
    let output: Box<dyn Layer<Registry> + Send + Sync> = match form {
        Form::Journald => {
            let journal = tracing_journald::layer().map_err(LogError::Journal)?;
            Box::new(journal.with_field_prefix(Some("EDGESEAL".to_owned())))
        }
        Form::Text => {
            let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            let ansi = io::stderr().is_terminal() && !no_color;
            Box::new(fmt::layer().with_writer(io::stderr).with_ansi(ansi))
        }
    };
    tracing_subscriber::registry()
        .with(output.with_filter(filter))
        .try_init()
        .map_err(|_| LogError::AlreadyStarted)?;
    Ok(LogHandle {
        filter: handle,
        form,
    })
}

/// Logging that was started.
pub struct LogHandle {
    filter: reload::Handle<Targets, Registry>,
    form: Form,
}

impl LogHandle {
    /// Changes the level, as a reload of the configuration does. The form stays until a restart.
    pub fn set_level(&self, level: LogLevel) {
        // Fails only when the subscriber is gone, at the end of the process.
        self.filter.reload(targets(level)).ok();
    }

    /// Where the log goes.
    #[must_use]
    pub fn form(&self) -> Form {
        self.form
    }
}

/// Where the log goes, decided.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// systemd's journal.
    Journald,
    /// Lines on standard error.
    Text,
}

/// Logging could not be started. Exit code: [`crate::exit::Exit::Unavailable`].
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Called twice in one process.
    #[error("logging was started already")]
    AlreadyStarted,
    /// No journal here.
    #[error("the journal cannot be reached: {0}\n  hint: set format = \"text\" in [log]")]
    Journal(io::Error),
}

/// What systemd says of standard error, and what it is: systemd.exec(5), `$JOURNAL_STREAM`.
#[derive(Debug, Default)]
struct JournalStream {
    /// Content of `JOURNAL_STREAM`: device and inode number.
    variable: Option<String>,
    /// Device and inode number of standard error.
    standard_error: Option<(u64, u64)>,
}

impl JournalStream {
    fn of_process() -> Self {
        Self {
            variable: std::env::var("JOURNAL_STREAM").ok(),
            standard_error: fstat(io::stderr())
                .ok()
                .map(|stat| (stat.st_dev, stat.st_ino)),
        }
    }

    /// Standard error may have been redirected since systemd set the variable, so both must agree.
    fn is_standard_error(&self) -> bool {
        let stated = self.variable.as_deref().and_then(|text| {
            let (device, inode) = text.split_once(':')?;
            Some((device.parse().ok()?, inode.parse().ok()?))
        });
        stated.is_some() && stated == self.standard_error
    }
}

fn resolve(format: LogFormat, stream: &JournalStream) -> Form {
    match format {
        LogFormat::Journald => Form::Journald,
        LogFormat::Auto if stream.is_standard_error() => Form::Journald,
        LogFormat::Auto | LogFormat::Text => Form::Text,
    }
}

fn targets(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Trace => LevelFilter::TRACE,
        LogLevel::Warn => LevelFilter::WARN,
    };
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target(OWN_TARGETS, level)
}

/// Prefix of the targets of both of the agent's crates.
const OWN_TARGETS: &str = "edgeseal";

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn auto_is_the_journal_only_when_standard_error_is_connected_to_it() {
        let stream = |variable: Option<&str>, standard_error| JournalStream {
            variable: variable.map(str::to_owned),
            standard_error,
        };
        let auto = |stream: JournalStream| resolve(LogFormat::Auto, &stream);
        assert_eq!(
            auto(stream(Some("9:1234"), Some((9, 1234)))),
            Form::Journald
        );
        assert_eq!(auto(stream(Some("9:1234"), Some((9, 1235)))), Form::Text);
        assert_eq!(auto(stream(Some("9:1234"), None)), Form::Text);
        assert_eq!(auto(stream(None, Some((9, 1234)))), Form::Text);
        assert_eq!(auto(stream(Some("rubbish"), None)), Form::Text);
        let connected = stream(Some("9:1"), Some((9, 1)));
        assert_eq!(resolve(LogFormat::Text, &connected), Form::Text);
        assert_eq!(
            resolve(LogFormat::Journald, &JournalStream::default()),
            Form::Journald
        );
    }

    #[test]
    fn libraries_are_heard_at_warn_at_most() {
        let info = targets(LogLevel::Info);
        assert!(info.would_enable("edgeseal_agent::api", &Level::INFO));
        assert!(info.would_enable("edgeseal_trust", &Level::INFO));
        assert!(!info.would_enable("edgeseal_agent::api", &Level::DEBUG));
        assert!(!info.would_enable("rumqttc", &Level::INFO));
        assert!(info.would_enable("rumqttc", &Level::WARN));
        let error = targets(LogLevel::Error);
        assert!(!error.would_enable("rumqttc", &Level::WARN));
        assert!(!error.would_enable("edgeseal_agent", &Level::WARN));
    }
}
