//! Projections that count the events of each stream.

use ironstar_app::projection::{Documents, FoldError, Projection};
use ironstar_ports::{Envelope, Place};
use serde::{Deserialize, Serialize};

/// The type of the streams.
pub(super) const AGGREGATE: &str = "Test";

/// The names of the projections.
pub(super) const NAMES: [&str; 5] = ["first", "second", "third", "fourth", "fifth"];

/// A projection, by its number.
#[derive(Debug)]
pub(super) struct Tally<const NUMBER: usize>;

/// The number of events of one stream.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Count {
    count: u64,
}

impl<const NUMBER: usize> Projection for Tally<NUMBER> {
    const NAME: &'static str = NAMES[NUMBER];
    const VERSION: u32 = 1;
    const AGGREGATES: &'static [&'static str] = &[AGGREGATE];

    type Document = Count;

    fn fold(event: &Envelope, documents: &mut Documents<Count>) -> Result<(), FoldError> {
        let key = &event.stream.aggregate_id;
        let before = documents.get(key)?.map_or(0, |before| before.count);
        documents.put(key.as_str(), Count { count: before + 1 })
    }

    fn place(_: &Count) -> Option<Place> {
        None
    }
}
