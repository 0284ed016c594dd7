//! Documents of read models, one row for each, and the checkpoints of their builds.

use std::fmt::Write;
use std::sync::Arc;

use ironstar_ports::{
    BuildId, CommitError, DocumentBatch, DocumentChange, DocumentPage, DocumentQuery,
    DocumentSource, Found, LogPlace,
};
use sqlx::AssertSqlSafe;
use sqlx::sqlite::{SqliteConnection, SqlitePool};

use super::transaction::roll_back_if_failed;
use crate::documents::{DocumentError, documents, put_row};
use crate::log::{integer, place};

/// Begins, and moves the checkpoint of a build (?1) from ?2 with the mark ?3 to ?4 with the
/// mark ?5. It changes no row if the checkpoint is elsewhere.
const BEGIN_AND_MOVE: &str = "
    BEGIN IMMEDIATE;
    UPDATE projections SET checkpoint = ?4, mark = ?5, failure = NULL
    WHERE id = ?1 AND checkpoint = ?2 AND mark IS ?3 AND state IN ('building', 'live')
    RETURNING id";

/// Stores documents (?2), given as JSON arrays in column order, removes the documents with
/// some keys (?3), and commits.
const CHANGE_AND_COMMIT: &str = "
    INSERT INTO documents (projection, key, collection, sort, body)
    SELECT ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM jsonb_each(?2) WHERE true
    ON CONFLICT DO UPDATE
    SET collection = excluded.collection, sort = excluded.sort, body = excluded.body;
    DELETE FROM documents
    WHERE projection = ?1 AND key IN (SELECT value FROM jsonb_each(?3));
    COMMIT";

const SELECT_CHECKPOINT: &str = "
    SELECT checkpoint, mark FROM projections WHERE id = ?1 AND state IN ('building', 'live')";

/// The whole answer to a query in one row: the build, and two JSON arrays of documents. The
/// arrays are bytes, because damaged text may not be UTF-8.
const FIND: &str = "
    SELECT id, version, checkpoint, mark, CAST(({keyed}) AS BLOB), CAST(({page}) AS BLOB)
    FROM projections WHERE {source}";

const NOTHING: &str = "'[]'";

/// The documents with some keys (?2).
const KEYED: &str = "
    SELECT json_group_array(json_array(key, collection, sort, body)) FROM documents
    WHERE projection = projections.id AND key IN (SELECT value FROM jsonb_each(?2))";

/// Up to ?3 documents from some collections.
const PAGE: &str = "
    SELECT json_group_array(json_array(key, collection, sort, body))
    FROM ({collections} ORDER BY sort, key LIMIT +?3)";

/// The documents of one collection. SQLite reads each collection in order from the index, and
/// merges them up to the limit.
const COLLECTION: &str = "
    SELECT key, collection, sort, body FROM documents
    WHERE projection = projections.id AND collection = ?";

/// The condition for documents after a place.
const AFTER: &str = " AND (sort, key) > (?4, ?5)";

/// The number of the parameter for the first collection.
const FIRST_COLLECTION: usize = 6;

/// The columns of the answer to [`FIND`], in order.
type FoundRow = (i64, i64, i64, Option<String>, Vec<u8>, Vec<u8>);

/// A batch in the format for SQLite.
#[derive(Debug)]
pub(super) struct Changes {
    build: BuildId,
    from: LogPlace,
    to: LogPlace,
    /// JSON arrays: documents in column order, and keys.
    puts: Arc<str>,
    removals: Arc<str>,
}

impl Changes {
    /// Converts a batch. The caller does this, so that the task that writes does not have to.
    pub(super) fn of(batch: &DocumentBatch) -> Result<Self, DocumentError> {
        let (mut puts, mut removals) = (Vec::new(), Vec::new());
        for change in &batch.changes {
            match change {
                DocumentChange::Put(document) => puts.push(put_row(document)),
                DocumentChange::Remove(key) => removals.push(&**key),
            }
        }
        // SQLite needs half the time if the keys are in order.
        puts.sort_unstable_by_key(|(key, ..)| *key);
        removals.sort_unstable();
        Ok(Self {
            build: batch.build,
            from: batch.from,
            to: batch.to,
            puts: serde_json::to_string(&puts)?.into(),
            removals: serde_json::to_string(&removals)?.into(),
        })
    }
}

/// Changes documents and moves the checkpoint, in its own transaction.
pub(super) async fn commit(
    connection: &mut SqliteConnection,
    changes: &Changes,
) -> Result<(), CommitError> {
    let committed = transact(connection, changes).await;
    roll_back_if_failed(connection, committed).await
}

async fn transact(connection: &mut SqliteConnection, changes: &Changes) -> Result<(), CommitError> {
    if !begin_and_move(connection, changes).await? {
        return Err(why_not(connection, changes.build).await?);
    }
    sqlx::query(CHANGE_AND_COMMIT)
        .bind(integer(changes.build.get()))
        .bind(Arc::clone(&changes.puts))
        .bind(Arc::clone(&changes.removals))
        .execute(connection)
        .await
        .map_err(DocumentError::from)?;
    Ok(())
}

/// Returns true if the checkpoint was at the expected place.
async fn begin_and_move(
    connection: &mut SqliteConnection,
    changes: &Changes,
) -> Result<bool, DocumentError> {
    let moved: Option<i64> = sqlx::query_scalar(BEGIN_AND_MOVE)
        .bind(integer(changes.build.get()))
        .bind(integer(changes.from.position.get()))
        .bind(changes.from.mark.map(|mark| mark.to_string()))
        .bind(integer(changes.to.position.get()))
        .bind(changes.to.mark.map(|mark| mark.to_string()))
        .fetch_optional(connection)
        .await?;
    Ok(moved.is_some())
}

async fn why_not(
    connection: &mut SqliteConnection,
    build: BuildId,
) -> Result<CommitError, DocumentError> {
    let checkpoint: Option<(i64, Option<String>)> = sqlx::query_as(SELECT_CHECKPOINT)
        .bind(integer(build.get()))
        .fetch_optional(connection)
        .await?;
    Ok(match checkpoint {
        Some((checkpoint, mark)) => CommitError::Moved {
            checkpoint: place(checkpoint, mark.as_deref())?,
        },
        None => CommitError::Ended,
    })
}

/// Finds documents with one statement, so that all of them are of the same moment.
pub(super) async fn find(
    readers: &SqlitePool,
    source: &DocumentSource,
    query: &DocumentQuery,
) -> Result<Option<Found>, DocumentError> {
    let page = query.page.as_ref();
    let after = page.and_then(|page| page.after.as_ref());
    // The statement consists of constants and numbers only.
    let statement = AssertSqlSafe(find_statement(source, query));
    let mut find = sqlx::query_as(statement);
    find = match source {
        DocumentSource::Live(name) => find.bind(name),
        DocumentSource::Build(id) => find.bind(integer(id.get())),
    };
    find = find
        .bind(serde_json::to_string(&query.keys)?)
        .bind(integer(page.map_or(0, |page| page.limit as u64)))
        .bind(after.map(|(sort, _)| sort))
        .bind(after.map(|(_, key)| key));
    for collection in page.iter().flat_map(|page| &page.collections) {
        find = find.bind(collection);
    }
    let row: Option<FoundRow> = find.fetch_optional(readers).await?;
    let Some((id, version, checkpoint, mark, keyed, page)) = row else {
        return Ok(None);
    };
    Ok(Some(Found {
        build: BuildId::new(id.unsigned_abs()),
        version: u32::try_from(version).map_err(|_| DocumentError::Version(version))?,
        checkpoint: place(checkpoint, mark.as_deref())?,
        keyed: documents(&keyed)?,
        page: documents(&page)?,
    }))
}

/// Builds the statement for a query. It depends on the parts of the query and the number of
/// collections, but not on their names.
fn find_statement(source: &DocumentSource, query: &DocumentQuery) -> String {
    let source = match source {
        DocumentSource::Live(_) => "name = ?1 AND state = 'live'",
        DocumentSource::Build(_) => "id = ?1 AND state <> 'ended'",
    };
    let keyed = if query.keys.is_empty() {
        NOTHING
    } else {
        KEYED
    };
    let page = query
        .page
        .as_ref()
        .filter(|page| !page.collections.is_empty());
    let page = page.map(page_statement);
    FIND.replace("{source}", source)
        .replace("{keyed}", keyed)
        .replace("{page}", page.as_deref().unwrap_or(NOTHING))
}

fn page_statement(page: &DocumentPage) -> String {
    let mut collections = String::new();
    for index in 0..page.collections.len() {
        if index > 0 {
            collections.push_str(" UNION ALL ");
        }
        let number = FIRST_COLLECTION + index;
        write!(collections, "{COLLECTION}{number}").expect("a string takes any text");
        if page.after.is_some() {
            collections.push_str(AFTER);
        }
    }
    PAGE.replace("{collections}", &collections)
}

#[cfg(test)]
mod tests;
