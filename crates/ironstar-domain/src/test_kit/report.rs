//! The report of a failure: a headline, its context, and the findings.

use std::error::Error;
use std::fmt::{self, Debug, Display};
use std::iter::successors;

use super::difference::difference;

/// The parts of a failure's message.
#[derive(Debug)]
pub(super) struct Report {
    headline: String,
    given: Option<String>,
    when: Option<String>,
    findings: Vec<(String, String)>,
}

impl Report {
    pub(super) fn new(headline: impl Display) -> Self {
        Self {
            headline: headline.to_string(),
            given: None,
            when: None,
            findings: Vec::new(),
        }
    }

    /// Adds the history before the failure, one event on each line.
    pub(super) fn given(mut self, history: &[impl Debug]) -> Self {
        let lines: Vec<_> = history.iter().map(|event| format!("{event:?}")).collect();
        self.given = Some(or_nothing(&lines));
        self
    }

    /// Adds the command.
    pub(super) fn when(mut self, command: &impl Debug) -> Self {
        self.when = Some(format!("{command:?}"));
        self
    }

    /// Adds a finding.
    pub(super) fn finding(mut self, title: &str, body: impl Display) -> Self {
        self.findings.push((title.to_owned(), body.to_string()));
        self
    }

    /// Adds the difference between the expected and the found text.
    pub(super) fn difference(self, title: &str, expected: &str, found: &str) -> Self {
        if expected == found {
            let title = format!("{title} (both print like this, but are not equal)");
            return self.finding(&title, found);
        }
        let title = format!("{title} (- expected, + got)");
        self.finding(&title, difference(expected, found))
    }

    #[track_caller]
    pub(super) fn fail(self) -> ! {
        panic!("{self}")
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline)?;
        let given = self.given.iter().map(|given| ("given", given));
        let when = self.when.iter().map(|when| ("when", when));
        let findings = self.findings.iter().map(|(title, body)| (&**title, body));
        for (title, body) in given.chain(when).chain(findings) {
            write!(f, "\n{title}:")?;
            for line in body.lines() {
                write!(f, "\n    {line}")?;
            }
        }
        Ok(())
    }
}

/// Describes the decision of an aggregate.
pub(super) fn told(outcome: &Result<Vec<impl Debug>, impl Debug>) -> String {
    match outcome {
        Ok(events) => {
            let events: Vec<_> = events.iter().map(|event| format!("{event:#?}")).collect();
            or_nothing(&events)
        }
        Err(error) => format!("refused: {error:#?}"),
    }
}

/// Joins the message of an error and the messages of its causes.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let errors = successors(Some(error), |&error| error.source());
    let texts: Vec<_> = errors.map(ToString::to_string).collect();
    texts.join(": ")
}

fn or_nothing(lines: &[String]) -> String {
    if lines.is_empty() {
        return "nothing".to_owned();
    }
    lines.join("\n")
}
