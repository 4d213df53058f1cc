//! Exit codes of every verb. They are a promise to scripts: 0 to 2 as everywhere, the others from
//! BSD's `sysexits.h`.

use edgeseal_trust::store::StoreError;
use std::process::ExitCode;

/// How a verb ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exit {
    /// 78 (`EX_CONFIG`): the configuration, the identity or the state directory must be repaired
    /// first; trying again changes nothing.
    Configuration,
    /// 1: the question was answered, and the answer is no: a rejected token, an unknown device.
    No,
    /// 0: done, or the answer is yes.
    Ok,
    /// 77 (`EX_NOPERM`): this user may not.
    Permission,
    /// 75 (`EX_TEMPFAIL`): not now, later perhaps: clock not synchronized, throttled, state locked.
    TemporaryFailure,
    /// 69 (`EX_UNAVAILABLE`): something that is needed is not there: no agent runs, no trust yet.
    Unavailable,
    /// 2: the command line makes no sense.
    Usage,
}

impl Exit {
    /// The number that the process ends with.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::No => 1,
            Self::Usage => 2,
            Self::Unavailable => 69,
            Self::TemporaryFailure => 75,
            Self::Permission => 77,
            Self::Configuration => 78,
        }
    }
}

impl From<&StoreError> for Exit {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::RootPinned { .. } => Self::No,
            // The service does not try again after it: see RestartPreventExitStatus= of its unit.
            StoreError::UnknownFormat { .. } | StoreError::StateLost { .. } => Self::Configuration,
            _ => Self::TemporaryFailure,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_promised_numbers() {
        let all = [
            (Exit::Ok, 0),
            (Exit::No, 1),
            (Exit::Usage, 2),
            (Exit::Unavailable, 69),
            (Exit::TemporaryFailure, 75),
            (Exit::Permission, 77),
            (Exit::Configuration, 78),
        ];
        for (exit, number) in all {
            assert_eq!(exit.code(), number);
            assert_eq!(ExitCode::from(exit), ExitCode::from(number));
        }
    }
}
