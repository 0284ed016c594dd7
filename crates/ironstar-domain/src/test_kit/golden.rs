//! Golden files: the stored form of every version of every event type, kept for ever.

use serde::Deserialize;
use serde_json::{Value, json};

use super::report::{Report, chain};
use super::shape::{Shape, shape_of};
use crate::schema::{read, schema_of, schemas_of};
use crate::{DomainEvent, EventSchema};

/// Compares events with their golden files. Each file is given as the event type, the version,
/// and the text of the file (by `include_str!`).
///
/// A file is JSON. It has the payload as that version stored it, and the payload of the same
/// event today:
///
/// ```json
/// {
///   "stored": {"type": "created", "text": "Buy milk"},
///   "reads_as": {"type": "created", "text": "Buy milk", "list": "shared"}
/// }
/// ```
///
/// - Each version of each event type has at least one file, and there are no other files.
/// - `stored` is read as the event whose JSON form is `reads_as`.
/// - In a file of the newest version, `stored` and `reads_as` are the same.
/// - The samples are events of today, of every type. Each of their fields is in a file of the
///   newest version, with the same JSON type. So the samples must have every optional field, as
///   those of a property test do.
///
/// To change a shape, leave each `stored` as it is. Add an upcaster and a file of the new
/// version, and bring `reads_as` in the older files up to date.
///
/// The keys of a map count as fields, so the samples can have only keys that are in the files.
///
/// # Panics
///
/// If any of these rules is broken. The message lists all violations and their remedies.
#[track_caller]
pub fn check_golden_files<E: DomainEvent>(
    files: &[(&str, u32, &str)],
    samples: impl IntoIterator<Item = E>,
) {
    let samples: Vec<Sample> = samples.into_iter().map(Sample::of).collect();
    let mut problems: Vec<Report> = files.iter().filter_map(unknown_file::<E>).collect();
    problems.extend(samples.iter().filter_map(unknown_sample::<E>));
    for schema in schemas_of::<E>() {
        problems.extend(problems_of::<E>(schema, files, &samples));
    }
    if !problems.is_empty() {
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        panic!("{}", told.join("\n\n"));
    }
}

/// An event of the newest version.
struct Sample {
    event_type: &'static str,
    payload: Value,
}

impl Sample {
    fn of(event: impl DomainEvent) -> Self {
        Self {
            event_type: event.event_type(),
            payload: written(&event),
        }
    }
}

/// The content of a golden file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    stored: Value,
    reads_as: Value,
}

fn unknown_file<E: DomainEvent>(file: &(&str, u32, &str)) -> Option<Report> {
    let (event_type, version, _) = file;
    let why = match schema_of::<E>(event_type).map(EventSchema::version) {
        Some(newest) if (1..=newest).contains(version) => return None,
        Some(newest) => format!("its versions go from 1 to {newest}: an upcaster may be missing"),
        None => "there is no such event type: one that was ever stored has to stay".to_owned(),
    };
    let headline = format!("there is a golden file of `{event_type}` version {version}");
    Some(Report::new(headline).finding("but", why))
}

fn unknown_sample<E: DomainEvent>(sample: &Sample) -> Option<Report> {
    let event_type = sample.event_type;
    if schema_of::<E>(event_type).is_some() {
        return None;
    }
    let headline = format!("`{event_type}` is not one of the event types");
    Some(Report::new(headline).finding("but a sample", pretty(&sample.payload)))
}

/// The violations for one event type.
fn problems_of<E: DomainEvent>(
    schema: &EventSchema,
    files: &[(&str, u32, &str)],
    samples: &[Sample],
) -> Vec<Report> {
    let event_type = schema.event_type;
    let newest = schema.version();
    let samples: Vec<&Value> = samples
        .iter()
        .filter(|sample| sample.event_type == event_type)
        .map(|sample| &sample.payload)
        .collect();

    let mut problems = Vec::new();
    if samples.is_empty() {
        let headline = format!("there is no `{event_type}` among the samples");
        problems.push(Report::new(headline));
    }
    let mut covered = Shape::new();
    for version in 1..=newest {
        let mut texts = files
            .iter()
            .filter(|file| (file.0, file.1) == (event_type, version))
            .map(|file| file.2)
            .peekable();
        if texts.peek().is_none() {
            problems.push(missing(schema, version, &samples));
        }
        for text in texts {
            match stored_as_golden::<E>(schema, version, text) {
                Ok(stored) if version == newest => covered.append(&mut shape_of(&stored)),
                Ok(_) => {}
                Err(problem) => problems.push(problem),
            }
        }
    }
    if problems.is_empty() {
        problems.extend(uncovered(schema, &covered, &samples));
    }
    problems
}

fn missing(schema: &EventSchema, version: u32, samples: &[&Value]) -> Report {
    let event_type = schema.event_type;
    let headline = format!("there is no golden file of `{event_type}` version {version}");
    let report = Report::new(headline);
    match samples.first() {
        Some(payload) if version == schema.version() => {
            let golden = json!({"stored": payload, "reads_as": payload});
            report.finding("it could be", pretty(&golden))
        }
        _ => report.finding("to do", "write one with a payload that was really stored"),
    }
}

/// Returns the stored payload, if it is read as its golden file says.
fn stored_as_golden<E: DomainEvent>(
    schema: &EventSchema,
    version: u32,
    text: &str,
) -> Result<Value, Report> {
    let event_type = schema.event_type;
    let golden: Golden = serde_json::from_str(text).map_err(|error| {
        let headline = format!("a golden file of `{event_type}` version {version} is invalid");
        Report::new(headline).finding("because", error)
    })?;
    let newest = version == schema.version();
    let written = match read::<E>(event_type, version, &golden.stored.to_string()) {
        Ok(event) => written(&event),
        Err(error) => {
            let report = if newest {
                changed(schema)
            } else {
                read_otherwise(schema, version)
            };
            let report = report.finding("stored", pretty(&golden.stored));
            return Err(report.finding("is refused", chain(&error)));
        }
    };
    if newest && golden.stored != written {
        let (stored, written) = (pretty(&golden.stored), pretty(&written));
        return Err(changed(schema).difference("written as", &stored, &written));
    }
    if golden.reads_as != written {
        let (reads_as, written) = (pretty(&golden.reads_as), pretty(&written));
        let report = read_otherwise(schema, version);
        return Err(report.difference("read as", &reads_as, &written));
    }
    Ok(golden.stored)
}

/// Reports the fields of the samples that are in no golden file of the newest version.
fn uncovered(schema: &EventSchema, covered: &Shape, samples: &[&Value]) -> Option<Report> {
    let sampled: Shape = samples.iter().flat_map(|sample| shape_of(sample)).collect();
    let fields: Vec<_> = sampled.difference(covered).map(String::as_str).collect();
    if fields.is_empty() {
        return None;
    }
    let version = schema.version();
    let title = format!("in no golden file of version {version}");
    let otherwise = format!("if version {version} has always had them, add them to a file of it");
    let report = changed(schema).finding("otherwise", otherwise);
    Some(report.finding(&title, fields.join("\n")))
}

fn changed(schema: &EventSchema) -> Report {
    let (event_type, version) = (schema.event_type, schema.version());
    let next = version + 1;
    let to_do = format!(
        "leave version {version} as it is, add an upcaster and a golden file of version {next}"
    );
    Report::new(format_args!("the shape of `{event_type}` has changed")).finding("to do", to_do)
}

fn read_otherwise(schema: &EventSchema, version: u32) -> Report {
    let event_type = schema.event_type;
    let to_do = "leave `stored` as it is, and correct the upcasters; \
        if the newest version is new, bring `reads_as` up to date";
    let headline =
        format!("`{event_type}` version {version} does not read as its golden file says");
    Report::new(headline).finding("to do", to_do)
}

fn written(event: &impl DomainEvent) -> Value {
    serde_json::to_value(event).expect("an event has a JSON form, since it is stored in it")
}

fn pretty(payload: &Value) -> String {
    format!("{payload:#}")
}

#[cfg(test)]
mod tests;
