//! The address of a database file.

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Where a SQLite database is: `sqlite:PATH`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SqliteUrl {
    path: PathBuf,
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
    /// It has parameters, and there are none.
    #[error("a SQLite database URL has no parameters; remove {parameters:?}")]
    Parameters {
        /// From the question mark on.
        parameters: String,
    },
}

impl SqliteUrl {
    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl From<PathBuf> for SqliteUrl {
    fn from(path: PathBuf) -> Self {
        Self { path }
    }
}

impl FromStr for SqliteUrl {
    type Err = UrlError;

    fn from_str(url: &str) -> Result<Self, UrlError> {
        let path = url.strip_prefix("sqlite:").ok_or(UrlError::Malformed)?;
        if path.contains(":memory:") || path.contains("mode=memory") {
            return Err(UrlError::InMemory);
        }
        if let Some(start) = path.find('?') {
            return Err(UrlError::Parameters {
                parameters: path[start..].to_owned(),
            });
        }
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() {
            return Err(UrlError::Malformed);
        }
        Ok(Self { path: path.into() })
    }
}

impl Display for SqliteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sqlite:{}", self.path.display())
    }
}

#[cfg(test)]
mod tests;
