//! The news of a read model, for its subscribers.

use std::collections::HashMap;
use std::sync::Arc;

use ironstar_ports::{LogPlace, Position};

use super::documents::Changed;

/// The changes of a read model by the events of a batch.
#[derive(Debug)]
pub struct Changes<D> {
    /// The start of the changes: the last position before the first change of a document.
    pub from: Position,
    /// The end of the changes.
    pub to: LogPlace,
    /// The documents that have changed. Documents that changed and changed back are left out:
    /// they have no news at the end, although they had some in between.
    pub documents: HashMap<String, Changed<D>>,
}

/// News of a read model.
#[derive(Debug)]
pub enum News<D> {
    /// Events have changed these documents.
    Changed(Arc<Changes<D>>),
    /// The read model is at this place now, and its changes are unknown.
    Jumped(LogPlace),
}

impl<D> Clone for News<D> {
    fn clone(&self) -> Self {
        match self {
            Self::Changed(changes) => Self::Changed(Arc::clone(changes)),
            Self::Jumped(place) => Self::Jumped(*place),
        }
    }
}
