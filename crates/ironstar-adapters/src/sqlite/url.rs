//! The address of a database file.

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// What has a meaning in a URL, or none in a line of text.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%').add(b'?');

/// Where a SQLite database is: `sqlite:PATH`.
///
/// The forms of sqlx's tools are understood, too: `sqlite://PATH`, `%` with two digits
/// for a character, and `?mode=rwc`, which is what this does in any case.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SqliteUrl {
    path: PathBuf,
    /// The path with its escapes, if it has any: the file that versions without escapes
    /// opened.
    literal: Option<PathBuf>,
}

/// Why a text is not a [`SqliteUrl`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum UrlError {
    /// It names no SQLite file.
    #[error("a database URL looks like sqlite:ironstar.db or sqlite:/var/lib/ironstar.db")]
    Malformed,
    /// A database in memory cannot be durable.
    #[error("a SQLite database in memory loses every event; name a file, as in sqlite:ironstar.db")]
    InMemory,
    /// It has parameters that would change what is opened.
    #[error("a SQLite database URL has no parameters but ?mode=rwc; write {form}")]
    Parameters {
        /// The URL without its parameters.
        form: String,
    },
    /// sqlx or SQLite would take it for an address of another kind.
    #[error(
        "{prefix} is not part of a database URL; write {form}, or sqlite:./ before the name of a \
         file that begins with {prefix}"
    )]
    Prefix {
        /// What the path begins with.
        prefix: &'static str,
        /// The URL without it.
        form: String,
    },
    /// A percent sign stands by itself.
    #[error(
        "in a database URL, % begins an escape such as %20 for a space; write %25 for the sign \
         itself"
    )]
    Escape,
    /// No file is meant to be named like that.
    #[error("a database URL has no control characters, such as a line break; remove them")]
    ControlCharacter,
}

impl SqliteUrl {
    /// The file, as it was named.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file that is named so letter by letter, if the name has escapes.
    pub(super) fn literal(&self) -> Option<&Path> {
        self.literal.as_deref()
    }
}

impl From<PathBuf> for SqliteUrl {
    fn from(path: PathBuf) -> Self {
        Self {
            path,
            literal: None,
        }
    }
}

impl FromStr for SqliteUrl {
    type Err = UrlError;

    fn from_str(url: &str) -> Result<Self, UrlError> {
        let named = url.strip_prefix("sqlite:").ok_or(UrlError::Malformed)?;
        let named = named.strip_prefix("//").unwrap_or(named);
        let (path, parameters) = named.split_once('?').unwrap_or((named, "mode=rwc"));
        let literal = path.contains('%').then(|| path.into());
        let path = decoded(path)?;
        let is_in_memory = parameters.split('&').any(|one| one == "mode=memory");
        if is_in_memory || matches!(&*path, ":memory:" | "file::memory:") {
            return Err(UrlError::InMemory);
        }
        if path.is_empty() {
            return Err(UrlError::Malformed);
        }
        for prefix in ["file:", "sqlite:"] {
            if let Some(rest) = path.strip_prefix(prefix) {
                let form = form(rest.strip_prefix("//").unwrap_or(rest));
                return Err(UrlError::Prefix { prefix, form });
            }
        }
        if parameters != "mode=rwc" {
            return Err(UrlError::Parameters { form: form(&path) });
        }
        let path = path.into();
        Ok(Self { path, literal })
    }
}

impl Display for SqliteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&form(&self.path.to_string_lossy()))
    }
}

/// The URL of a path.
fn form(path: &str) -> String {
    // Without a path, an example helps more than what is left.
    let path = if path.is_empty() { "ironstar.db" } else { path };
    // Two slashes at the start would be taken for those of `sqlite://`.
    let slashes = if path.starts_with("//") { "//" } else { "" };
    format!("sqlite:{slashes}{}", utf8_percent_encode(path, ESCAPED))
}

fn decoded(path: &str) -> Result<String, UrlError> {
    let is_escape = |rest: &str| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if !path.split('%').skip(1).all(is_escape) {
        return Err(UrlError::Escape);
    }
    let decoded = percent_decode_str(path).decode_utf8();
    let decoded = decoded.map_err(|_| UrlError::Escape)?;
    if decoded.contains(char::is_control) {
        return Err(UrlError::ControlCharacter);
    }
    Ok(decoded.into_owned())
}

#[cfg(test)]
mod tests;
