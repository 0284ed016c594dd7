//! Descriptions of displaced files, for the operator.

use std::fmt::{self, Display};
use std::path::PathBuf;

/// A file that was removed, replaced or overwritten while it was open.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the {part} {} {how} while it was open", path.display())]
pub(in crate::sqlite) struct Displaced {
    pub(super) part: Part,
    pub(super) path: PathBuf,
    pub(super) how: How,
}

/// The files of a database.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Part {
    Main,
    Log,
    Index,
}

/// The kinds of displacement.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum How {
    /// The path leads to no file.
    Removed,
    /// The path leads to another file.
    Replaced,
    /// The content of the file was changed by another program than SQLite.
    Overwritten,
}

impl Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Main => "database",
            Self::Log => "write-ahead log",
            Self::Index => "index of the write-ahead log,",
        })
    }
}

impl Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Removed => "was removed",
            Self::Replaced => "was replaced by another file",
            Self::Overwritten => "was overwritten or cut off",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_names_the_file_and_its_displacement() {
        for (part, how, told) in [
            (Part::Main, How::Removed, "database was removed"),
            (
                Part::Log,
                How::Replaced,
                "write-ahead log was replaced by another file",
            ),
            (
                Part::Index,
                How::Overwritten,
                "index of the write-ahead log, was overwritten or cut off",
            ),
        ] {
            assert_eq!(format!("{part} {how}"), told);
        }
    }
}
