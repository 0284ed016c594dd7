//! The documents that a projection makes from events.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Debug;
use std::num::NonZeroUsize;

use ironstar_domain::test_kit::difference;
use ironstar_ports::{Envelope, Position};

use super::{Given, Happened};
use crate::projection::Projection;
use crate::projection::{Documents, FoldError, chain};

/// More documents than a test makes.
const DOCUMENTS: NonZeroUsize = NonZeroUsize::new(1 << 16).expect("it is not zero");

/// The documents that a projection makes from the given events.
#[derive(Debug)]
pub struct View<P: Projection> {
    past: Given,
    documents: Kept<P>,
    stuck: Option<(Position, String)>,
}

/// Documents by their keys.
type Kept<P> = BTreeMap<String, <P as Projection>::Document>;

impl<P: Projection> View<P> {
    #[track_caller]
    pub(super) fn of(past: Given) -> Self {
        let (documents, stuck) = fold_warm::<P>(&past.log);
        let (cold, _) = fold_cold::<P>(&past.log);
        let view = Self {
            past,
            documents,
            stuck,
        };
        if view.documents != cold {
            view.fail(
                "the result depends on which documents are in memory",
                &told(&view.documents),
                &told(&cold),
            );
        }
        view
    }

    /// The document with this key, if there is one.
    #[must_use]
    pub fn document(&self, key: &str) -> Option<&P::Document> {
        self.documents.get(key)
    }

    /// The documents of a collection, in order.
    #[must_use]
    pub fn listed(&self, collection: &str) -> Vec<&P::Document> {
        let mut listed: Vec<_> = self
            .documents
            .iter()
            .filter_map(|(key, document)| {
                let place = P::place(document)?;
                (place.collection == collection).then_some((place.sort, key, document))
            })
            .collect();
        listed
            .sort_by(|(sort, key, _), (other, other_key, _)| (sort, key).cmp(&(other, other_key)));
        listed.into_iter().map(|(.., document)| document).collect()
    }

    /// Expects that every event is folded, and that the result is exactly these documents.
    ///
    /// # Panics
    ///
    /// If there are other documents, or an event cannot be folded.
    #[track_caller]
    pub fn then<K: Into<String>>(
        self,
        documents: impl IntoIterator<Item = (K, P::Document)>,
    ) -> Self {
        let documents = documents.into_iter();
        let expected: Kept<P> = documents.map(|(key, body)| (key.into(), body)).collect();
        self.fail_if_stuck(&told(&expected));
        if self.documents != expected {
            self.fail(
                "the projection holds other documents",
                &told(&expected),
                &told(&self.documents),
            );
        }
        self
    }

    /// Expects that there is no document.
    ///
    /// # Panics
    ///
    /// If there is a document, or an event cannot be folded.
    #[track_caller]
    pub fn then_nothing(self) -> Self {
        self.then::<String>([])
    }

    /// Expects that the event at this position cannot be folded, and that all events before it
    /// can. Returns the reason.
    ///
    /// # Panics
    ///
    /// If another event cannot be folded, or every event can.
    #[track_caller]
    pub fn then_stuck(&self, position: u64) -> String {
        match &self.stuck {
            Some((at, reason)) if at.get() == position => reason.clone(),
            Some((at, reason)) => self.fail(
                "another event cannot be folded",
                &format!("stuck at position {position}"),
                &format!("stuck at position {at}: {reason}"),
            ),
            None => self.fail(
                "every event is folded",
                &format!("stuck at position {position}"),
                &told(&self.documents),
            ),
        }
    }

    /// Adds further events.
    ///
    /// # Panics
    ///
    /// As [`Given::view`].
    #[must_use]
    #[track_caller]
    pub fn and(self, events: impl IntoIterator<Item = Happened>) -> Self {
        Self::of(self.past.and(events))
    }

    #[track_caller]
    pub(super) fn fail_if_stuck(&self, expected: &str) {
        if let Some((position, reason)) = &self.stuck {
            let found = format!("stuck at position {position}: {reason}");
            self.fail("an event cannot be folded", expected, &found);
        }
    }

    #[track_caller]
    pub(super) fn fail(&self, headline: &str, expected: &str, found: &str) -> ! {
        let events = self.past.log.iter().map(|event| {
            let (position, stream, payload) = (event.position, &event.stream, &event.payload);
            let (name, version) = (&event.event_type, event.schema_version);
            format!("{position}: {stream} {name} v{version} {payload:?}")
        });
        let given = or_nothing(events.collect());
        let difference = difference(expected, found);
        panic!(
            "{headline}\ngiven:{}\nthen (- expected, + got):{}",
            indented(&given),
            indented(&difference)
        )
    }
}

/// Folds with all documents in memory, as a new build does.
fn fold_warm<P: Projection>(log: &[Envelope]) -> (Kept<P>, Option<(Position, String)>) {
    let mut documents = Documents::new(DOCUMENTS, true);
    let mut stuck = None;
    for event in of_interest::<P>(log) {
        if let Err(error) = P::fold(event, &mut documents) {
            documents.undo_edits();
            stuck = Some((event.position, chain(&error)));
            break;
        }
        documents.keep_edits();
    }
    let mut kept = Kept::<P>::new();
    take_over::<P>(&mut kept, &documents);
    (kept, stuck)
}

/// Folds with no document in memory before each event, as after a restart.
fn fold_cold<P: Projection>(log: &[Envelope]) -> (Kept<P>, Option<(Position, String)>) {
    let mut kept = Kept::<P>::new();
    for event in of_interest::<P>(log) {
        let mut documents = Documents::new(DOCUMENTS, false);
        let mut loaded = HashSet::new();
        while let Err(error) = P::fold(event, &mut documents) {
            documents.undo_edits();
            if let FoldError::NotLoaded(key) = &error
                && loaded.insert(key.clone())
            {
                documents.load(key.clone(), kept.get(key).cloned());
                continue;
            }
            return (kept, Some((event.position, chain(&error))));
        }
        documents.keep_edits();
        take_over::<P>(&mut kept, &documents);
    }
    (kept, None)
}

fn of_interest<P: Projection>(log: &[Envelope]) -> impl Iterator<Item = &Envelope> {
    log.iter()
        .filter(|event| P::is_about(&event.stream.aggregate_type))
}

fn take_over<P: Projection>(kept: &mut Kept<P>, documents: &Documents<P::Document>) {
    for (key, changed) in documents.changed() {
        match &changed.after {
            Some(document) => kept.insert(key.clone(), (**document).clone()),
            None => kept.remove(key),
        };
    }
}

fn told(documents: &BTreeMap<String, impl Debug>) -> String {
    let told = documents
        .iter()
        .map(|(key, document)| format!("{key}: {document:#?}"));
    or_nothing(told.collect())
}

fn or_nothing(lines: Vec<String>) -> String {
    if lines.is_empty() {
        return "nothing".to_owned();
    }
    lines.join("\n")
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("\n    {line}")).collect()
}

#[cfg(test)]
mod tests;
