//! The report of a benchmark, as lines of text and as JSON.

use serde_json::{Value, json};

use super::measurements::{Better, Goal, Measurement};
use crate::output::{OutputError, say};

/// The medians of a measurement and of its comparison.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) measurement: &'static Measurement,
    pub(super) value: f64,
    pub(super) against: f64,
}

impl Outcome {
    fn ratio(&self) -> f64 {
        self.value / self.against
    }

    /// Returns the goal and whether it is reached.
    fn verdict(&self) -> String {
        let (reached, goal) = match self.measurement.goal {
            Goal::None => return String::new(),
            Goal::Ratio(goal) => (self.ratio(), goal),
            Goal::Value(goal) => (self.value, goal),
        };
        let is_reached = match self.measurement.better {
            Better::Higher => reached >= goal,
            Better::Lower => reached <= goal,
        };
        let unit = match self.measurement.goal {
            Goal::None | Goal::Ratio(_) => "x",
            Goal::Value(_) => self.measurement.unit,
        };
        let verdict = if is_reached { "reached" } else { "missed" };
        format!("goal {goal:>5.2}{unit} {verdict}")
    }
}

/// Prints an outcome.
pub(super) fn print(outcome: &Outcome) -> Result<(), OutputError> {
    let measurement = outcome.measurement;
    let line = format!(
        "{:<36} {:>10} {:<11} {:>7.2}x {:<28} {:>10}   {}",
        measurement.name,
        number(outcome.value),
        measurement.unit,
        outcome.ratio(),
        measurement.against,
        number(outcome.against),
        outcome.verdict(),
    );
    say(line.trim_end())
}

/// Formats the outcomes as JSON.
pub(super) fn json(outcomes: &[Outcome]) -> String {
    let measurements: Vec<Value> = outcomes
        .iter()
        .map(|outcome| {
            let measurement = outcome.measurement;
            let (goal, goal_of) = match measurement.goal {
                Goal::None => (None, None),
                Goal::Ratio(goal) => (Some(goal), Some("ratio")),
                Goal::Value(goal) => (Some(goal), Some("value")),
            };
            json!({
                "name": measurement.name,
                "value": outcome.value,
                "unit": measurement.unit,
                "against": measurement.against,
                "ratio": outcome.ratio(),
                "goal": goal,
                "goal_of": goal_of,
                "better": match measurement.better {
                    Better::Higher => "higher",
                    Better::Lower => "lower",
                },
            })
        })
        .collect();
    format!("{:#}\n", json!({ "measurements": measurements }))
}

/// Formats a figure with its significant digits.
fn number(figure: f64) -> String {
    let digits = match figure {
        _ if figure >= 1_000.0 => 0,
        _ if figure >= 10.0 => 1,
        _ => 3,
    };
    format!("{figure:.digits$}")
}
