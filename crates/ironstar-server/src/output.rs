//! What the program writes to standard output and to standard error.
//!
//! Output that no reader takes is no reason to die: the macros of the standard
//! library panic then, so the program uses the functions here instead. Whatever is
//! written goes through [`escape()`], because values that others have chosen must not
//! drive the terminal of a reader.

mod escape;

use std::io::{self, IsTerminal, Write};

use tracing_subscriber::fmt::MakeWriter;

pub(crate) use escape::Form;
use escape::escape;

/// Standard output does not take what the program has to say.
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

/// Writes a line to standard error, if standard error takes it: there is no other
/// place to report to.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(io::stderr(), "{}", escape(line, Form::Text));
}

/// Shows what clap has to say: help on standard output, and a refusal of the command
/// line, with the values that clap refuses, on standard error.
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
        // There is no other place to report to.
        let _ = writeln!(stderr, "{}", escape(line, form));
    }
    Ok(())
}

/// Whether an error only says that the reader of standard output has gone, as `head`
/// does when it has seen enough.
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

/// Standard error as a log that holds one event a line, with escapes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Log {
    /// How the log is written.
    pub(crate) form: Form,
}

/// The line of one event.
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
    /// Takes a whole line, which is how the log hands over an event.
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
