//! The output of the tasks. A closed or full output is no reason to panic, as the macros of
//! the standard library do.

use std::fmt::{self, Display};
use std::io::{self, ErrorKind, Write, stderr, stdout};

/// Standard output has not taken a line.
#[derive(Debug)]
pub(crate) struct OutputError(io::Error);

/// Prints a line.
///
/// # Errors
///
/// If standard output does not take the line.
pub(crate) fn say(line: impl Display) -> Result<(), OutputError> {
    let mut stdout = stdout().lock();
    writeln!(stdout, "{line}")
        .and_then(|()| stdout.flush())
        .map_err(OutputError)
}

/// Prints a line to standard error. An error is ignored: there is no other place to report it
/// to.
pub(crate) fn complain(line: impl Display) {
    let _ = writeln!(stderr(), "{line}");
}

/// Shows the output of clap: help, or a refusal of the command line.
///
/// # Errors
///
/// If standard output does not take the help.
pub(crate) fn show(error: &clap::Error) -> Result<(), OutputError> {
    let shown = error.print().and_then(|()| stdout().flush());
    match shown {
        Err(unwritten) if !error.use_stderr() => Err(OutputError(unwritten)),
        // There is no other place to report an error to.
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Returns true if an error only means that the reader of standard output has closed it.
pub(crate) fn reader_has_gone(error: &anyhow::Error) -> bool {
    let output = error.downcast_ref::<OutputError>();
    output.is_some_and(|OutputError(error)| error.kind() == ErrorKind::BrokenPipe)
}

impl Display for OutputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot write to standard output")
    }
}

impl std::error::Error for OutputError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}
