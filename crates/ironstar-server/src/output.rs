//! Standard output and standard error of the program.
//!
//! A closed or full output is no reason to end: the macros of the standard library would
//! panic, so the program uses the functions here instead. All text goes through [`escape()`],
//! so that values from outside cannot control the terminal of a reader.

mod escape;

use std::io::{self, IsTerminal, Write};

use tracing_subscriber::fmt::MakeWriter;

pub(crate) use escape::Form;
use escape::escape;

/// Standard output has not taken a line.
#[derive(Debug)]
pub(crate) struct OutputError(io::Error);

/// Writes a line to standard output.
///
/// # Errors
///
/// If standard output does not take the line.
pub(crate) fn say(line: &str) -> Result<(), OutputError> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{}", escape(line, Form::Text))
        .and_then(|()| stdout.flush())
        .map_err(OutputError)
}

/// Writes a line to standard error. An error is ignored: there is no other place to report it
/// to.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(io::stderr(), "{}", escape(line, Form::Text));
}

/// Shows the output of clap: help on standard output, and a refusal of the command line, with
/// the refused values, on standard error.
///
/// # Errors
///
/// If standard output does not take the help.
pub(crate) fn show(error: &clap::Error) -> Result<(), OutputError> {
    if !error.use_stderr() {
        let printed = error.print().and_then(|()| io::stdout().flush());
        return printed.map_err(OutputError);
    }
    let mut stderr = io::stderr();
    let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let (text, form) = if stderr.is_terminal() && !is_plain {
        (error.render().ansi().to_string(), Form::Coloured)
    } else {
        (error.render().to_string(), Form::Text)
    };
    for line in text.lines() {
        // There is no other place to report an error to.
        let _ = writeln!(stderr, "{}", escape(line, form));
    }
    Ok(())
}

/// Returns true if an error only means that the reader of standard output has closed it, as
/// `head` does once it has enough lines.
pub(crate) fn reader_has_gone(error: &anyhow::Error) -> bool {
    let output = error.downcast_ref::<OutputError>();
    output.is_some_and(|OutputError(error)| error.kind() == io::ErrorKind::BrokenPipe)
}

impl std::fmt::Display for OutputError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cannot write to standard output")
    }
}

impl std::error::Error for OutputError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

/// Standard error as a log with one event a line, with escapes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Log {
    /// The format of the log.
    pub(crate) form: Form,
}

/// The writer of one event.
#[derive(Debug)]
pub(crate) struct LogLine {
    form: Form,
}

impl MakeWriter<'_> for Log {
    type Writer = LogLine;

    fn make_writer(&self) -> LogLine {
        LogLine { form: self.form }
    }
}

impl Write for LogLine {
    /// Takes a whole line: the log writes each event in one call.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let escaped = escape(text, self.form) + "\n";
        io::stderr().write_all(escaped.as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
