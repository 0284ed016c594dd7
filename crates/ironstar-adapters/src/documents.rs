//! Documents as rows, which are the same for every technology.

use ironstar_ports::{
    CommitError, Document, LogPlaceError, Payload, PayloadError, Place, StoreError,
};
use serde::Deserialize;

/// Errors of reading or changing documents.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DocumentError {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    NotABody(#[from] PayloadError),
    #[error(transparent)]
    Mark(#[from] LogPlaceError),
    #[error("the version {0} of a build is invalid")]
    Version(i64),
}

impl From<DocumentError> for StoreError {
    fn from(error: DocumentError) -> Self {
        Self::unavailable(error)
    }
}

impl From<DocumentError> for CommitError {
    fn from(error: DocumentError) -> Self {
        Self::Store(error.into())
    }
}

/// The columns of a document, in order.
#[derive(Debug, Deserialize)]
struct DocumentRow(String, Option<String>, Option<String>, String);

/// The columns of a document.
pub(crate) fn put_row(document: &Document) -> (&str, Option<&str>, Option<&str>, &str) {
    let place = document.place.as_ref();
    (
        &document.key,
        place.map(|place| &*place.collection),
        place.map(|place| &*place.sort),
        document.body.as_str(),
    )
}

/// Converts a JSON array of rows.
pub(crate) fn documents(rows: &[u8]) -> Result<Vec<Document>, DocumentError> {
    let rows: Vec<DocumentRow> = serde_json::from_slice(rows)?;
    rows.into_iter().map(document).collect()
}

fn document(row: DocumentRow) -> Result<Document, DocumentError> {
    let DocumentRow(key, collection, sort, body) = row;
    let place = collection.zip(sort);
    Ok(Document {
        key,
        place: place.map(|(collection, sort)| Place { collection, sort }),
        body: Payload::from_text(body)?,
    })
}
