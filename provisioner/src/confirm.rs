//! Asking before something that cannot be undone.

use crate::error::{CommandError, Result};
use std::io::{self, BufRead, Write};

/// Asks `question` on standard error and reads the answer from standard input; anything but `y` or
/// `yes` is no, also the end of the input.
///
/// # Errors
/// The answer is no.
pub(crate) fn ask(question: &str) -> Result<()> {
    let mut stderr = io::stderr().lock();
    // A question that nobody can read is answered below: with no.
    let _ = write!(stderr, "{question} [y/N] ");
    let _ = stderr.flush();
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" if read.is_ok() => Ok(()),
        _ => {
            let _ = writeln!(stderr);
            Err(
                CommandError::no("not-confirmed", "not confirmed; nothing was changed")
                    .hint("answer y, or give --yes"),
            )
        }
    }
}
