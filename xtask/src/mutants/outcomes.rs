//! The outcomes of mutants, read from the files that `cargo-mutants` writes during a run.

use std::fmt::{self, Display};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::Context;

/// The outcomes of the mutants of some packages.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Outcomes {
    /// The number of mutants.
    pub(super) mutants: usize,
    /// The number of mutants that made a test fail.
    pub(super) caught: usize,
    /// The number of mutants that made a test run for too long. They count as noticed.
    pub(super) timed_out: usize,
    /// The number of mutants that do not compile.
    pub(super) unviable: usize,
    /// The mutants that no test has noticed.
    pub(super) missed: Vec<String>,
}

impl Outcomes {
    /// Reads a folder of outcomes. A missing folder means that there were no mutants.
    pub(super) fn read(folder: &Path) -> anyhow::Result<Self> {
        let mutants = read(folder, "mutants.json")?;
        let mutants: Vec<serde_json::Value> = match &mutants[..] {
            "" => Vec::new(),
            text => serde_json::from_str(text).context("mutants.json has an unexpected format")?,
        };
        let count = |name| read(folder, name).map(|text| text.lines().count());
        Ok(Self {
            mutants: mutants.len(),
            caught: count("caught.txt")?,
            timed_out: count("timeout.txt")?,
            unviable: count("unviable.txt")?,
            missed: read(folder, "missed.txt")?
                .lines()
                .map(str::to_owned)
                .collect(),
        })
    }

    /// Adds the outcomes of another package.
    pub(super) fn add(&mut self, other: Self) {
        self.mutants += other.mutants;
        self.caught += other.caught;
        self.timed_out += other.timed_out;
        self.unviable += other.unviable;
        self.missed.extend(other.missed);
    }

    /// The number of mutants that were tested.
    pub(super) fn tested(&self) -> usize {
        self.caught + self.timed_out + self.unviable + self.missed.len()
    }

    /// The number of mutants that were not tested within the time limit.
    fn untested(&self) -> usize {
        self.mutants.saturating_sub(self.tested())
    }
}

impl Display for Outcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} mutants: {} caught, {} timed out, {} do not compile, {} missed, {} untested",
            self.mutants,
            self.caught,
            self.timed_out,
            self.unviable,
            self.missed.len(),
            self.untested()
        )
    }
}

/// Returns the text of a file, which is empty if the file is missing.
fn read(folder: &Path, name: &str) -> anyhow::Result<String> {
    let path = folder.join(name);
    match fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        read => read.with_context(|| format!("cannot read {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::Outcomes;

    #[test]
    fn outcomes_count_what_was_left_untested() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name, text| std::fs::write(folder.path().join(name), text).expect("written");
        write("mutants.json", "[{}, {}, {}, {}, {}, {}]");
        write("caught.txt", "a\nb\n");
        write("timeout.txt", "c\n");
        write("missed.txt", "d\n");
        let outcomes = Outcomes::read(folder.path()).expect("readable");
        assert_eq!(outcomes.missed, ["d"]);
        assert_eq!(
            outcomes.to_string(),
            "6 mutants: 2 caught, 1 timed out, 0 do not compile, 1 missed, 2 untested"
        );
    }

    #[test]
    fn folder_without_outcomes_has_no_mutants() {
        let folder = tempfile::tempdir().expect("a folder");
        let outcomes = Outcomes::read(&folder.path().join("mutants.out"));
        assert_eq!(outcomes.expect("readable"), Outcomes::default());
    }
}
