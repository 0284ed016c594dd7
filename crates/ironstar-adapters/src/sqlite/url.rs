//! The address of a database file.

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// Characters that have a meaning in a URL, or that must not be in a line of text.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%').add(b'?');

/// The address of a SQLite database: `sqlite:PATH`.
///
/// The forms of sqlx's tools are accepted, too: `sqlite://PATH`, `%` with two digits for a
/// character, and `?mode=rwc`, which is the default here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SqliteUrl {
    path: PathBuf,
    /// The path with its escapes undecoded, if it has any. Versions without support for
    /// escapes opened that file.
    literal: Option<PathBuf>,
}

/// Reasons why a text is not a [`SqliteUrl`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum UrlError {
    /// The text names no SQLite file.
    #[error("a database URL looks like sqlite:ironstar.db or sqlite:/var/lib/ironstar.db")]
    Malformed,
    /// The database would be in memory, where it cannot be durable.
    #[error("a SQLite database in memory loses every event; name a file, as in sqlite:ironstar.db")]
    InMemory,
    /// The URL has parameters that would change how the file is opened.
    #[error("a SQLite database URL has no parameters but ?mode=rwc; write {form}")]
    Parameters {
        /// The URL without its parameters.
        form: String,
    },
    /// sqlx or SQLite would read the path as a URL of another kind.
    #[error(
        "{prefix} is not part of a database URL; write {form}, or sqlite:./ before the name of a \
         file that begins with {prefix}"
    )]
    Prefix {
        /// The prefix of the path that causes this.
        prefix: &'static str,
        /// The URL without the prefix.
        form: String,
    },
    /// A percent sign does not begin an escape.
    #[error(
        "in a database URL, % begins an escape such as %20 for a space; write %25 for the sign \
         itself"
    )]
    Escape,
    /// The path has control characters.
    #[error("a database URL has no control characters, such as a line break; remove them")]
    ControlCharacter,
}

impl SqliteUrl {
    /// The path of the file, as the operator named it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path with its escapes undecoded, if it has any.
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
    // If the path is empty, an example helps more than an empty URL.
    let path = if path.is_empty() { "ironstar.db" } else { path };
    // Two slashes at the start would be read as those of `sqlite://`.
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
