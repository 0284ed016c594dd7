//! What the tasks print. Output that no reader takes is no reason to panic, as the
//! macros of the standard library do.

use std::fmt::{self, Display};
use std::io::{self, ErrorKind, Write, stderr, stdout};

/// Standard output does not take what a task has to say.
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

/// Prints a line to standard error, if standard error takes it: there is no other
/// place to report to.
pub(crate) fn complain(line: impl Display) {
    let _ = writeln!(stderr(), "{line}");
}

/// Shows what clap has to say: help, or a refusal of the command line.
///
/// # Errors
///
/// If standard output does not take the help.
pub(crate) fn show(error: &clap::Error) -> Result<(), OutputError> {
    let shown = error.print().and_then(|()| stdout().flush());
    match shown {
        Err(unwritten) if !error.use_stderr() => Err(OutputError(unwritten)),
        // There is no other place to report to.
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Whether an error only says that the reader of standard output has gone.
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
