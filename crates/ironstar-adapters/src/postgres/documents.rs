//! Documents of read models, one row for each, and the checkpoints of their builds.

use std::fmt::Write;

use ironstar_ports::{
    BuildId, CommitError, DocumentBatch, DocumentChange, DocumentPage, DocumentQuery,
    DocumentSource, Found, Lease, StoreError,
};
use sqlx::AssertSqlSafe;

use super::pool::{Pool, PoolFailure};
use crate::documents::{DocumentError, documents, put_row};
use crate::log::{integer, place};

/// Moves the checkpoint of a build ($1) from $2 with the mark $3 to $4 with the mark $5. If the
/// checkpoint was there, stores the documents in $6 to $9, column by column, and removes the
/// documents with the keys $10. Returns the build if the checkpoint was there.
///
/// If there is a lease $11, it must have the epoch $12, and keeps it until the commit.
///
/// If another server moves the same checkpoint at the same time, this statement waits for it, and
/// then finds the checkpoint elsewhere.
const COMMIT: &str = "
    WITH held AS (
        SELECT FROM leases WHERE name = $11 AND epoch = $12 FOR SHARE
    ), moved AS (
        UPDATE projections SET checkpoint = $4, mark = $5, failure = NULL
        WHERE id = $1 AND checkpoint = $2 AND mark IS NOT DISTINCT FROM $3
            AND state IN ('building', 'live')
            AND ($11::text IS NULL OR EXISTS (SELECT FROM held))
        RETURNING id
    ), put AS (
        INSERT INTO documents (projection, key, collection, sort, body)
        SELECT moved.id, document.key, document.collection, document.sort, document.body::json
        FROM moved, unnest($6::text[], $7::text[], $8::text[], $9::text[])
            AS document (key, collection, sort, body)
        ON CONFLICT (projection, key) DO UPDATE
        SET collection = excluded.collection, sort = excluded.sort, body = excluded.body
    ), removed AS (
        DELETE FROM documents USING moved
        WHERE documents.projection = moved.id AND documents.key = ANY ($10::text[])
    )
    SELECT id FROM moved";

const SELECT_CHECKPOINT: &str = "
    SELECT checkpoint, mark,
        $2::text IS NULL OR EXISTS (SELECT FROM leases WHERE name = $2 AND epoch = $3)
    FROM projections WHERE id = $1 AND state IN ('building', 'live')";

/// The whole answer to a query in one row, so that all of it is of the same moment: the build,
/// and two JSON arrays of documents, which are NULL instead of empty.
const FIND: &str = "
    SELECT id, version, checkpoint, mark, ({keyed})::text, ({page})::text
    FROM projections WHERE {source}";

const NOTHING: &str = "NULL";

/// The documents with some keys ($2).
const KEYED: &str = "
    SELECT json_agg(json_build_array(key, collection, sort, body::text)) FROM documents
    WHERE projection = projections.id AND key = ANY ($2)";

/// Up to $3 documents from some collections.
const PAGE: &str = "
    SELECT json_agg(json_build_array(key, collection, sort, body::text) ORDER BY sort, key)
    FROM (SELECT * FROM ({collections}) AS listed ORDER BY sort, key LIMIT $3) AS page";

/// Up to $3 documents of one collection.
const COLLECTION: &str = "
    (SELECT key, collection, sort, body FROM documents
     WHERE projection = projections.id AND collection = {collection}{after}
     ORDER BY sort, key LIMIT $3)";

/// The condition for documents after a place.
const AFTER: &str = " AND (sort, key) > ($4, $5)";

/// The number of the parameter for the first collection.
const FIRST_COLLECTION: usize = 6;

/// The columns of the answer to [`FIND`], in order.
type FoundRow = (
    i64,
    i64,
    i64,
    Option<String>,
    Option<String>,
    Option<String>,
);

/// Errors of reading or changing documents.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Pool(#[from] PoolFailure),
    #[error(transparent)]
    Document(#[from] DocumentError),
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        Self::unavailable(failure)
    }
}

/// Changes documents and moves the checkpoint, in its own transaction.
pub(super) async fn commit(
    pool: &Pool,
    lease: Option<&Lease>,
    batch: &DocumentBatch,
) -> Result<(), CommitError> {
    let is_committed = try_to_commit(pool, lease, batch).await;
    if is_committed.map_err(StoreError::from)? {
        return Ok(());
    }
    let refusal = refusal(pool, lease, batch.build).await;
    Err(refusal.map_err(StoreError::from)?)
}

/// Returns false if the checkpoint or the lease does not allow the commit.
async fn try_to_commit(
    pool: &Pool,
    lease: Option<&Lease>,
    batch: &DocumentBatch,
) -> Result<bool, Failure> {
    let (mut puts, mut removals) = (Vec::new(), Vec::new());
    for change in &batch.changes {
        match change {
            DocumentChange::Put(document) => puts.push(put_row(document)),
            DocumentChange::Remove(key) => removals.push(&**key),
        }
    }
    // Two servers that change the same documents lock them in the same order.
    puts.sort_unstable_by_key(|(key, ..)| *key);
    let query = sqlx::query_as(COMMIT)
        .bind(integer(batch.build.get()))
        .bind(integer(batch.from.position.get()))
        .bind(batch.from.mark.map(|mark| mark.to_string()))
        .bind(integer(batch.to.position.get()))
        .bind(batch.to.mark.map(|mark| mark.to_string()))
        .bind(puts.iter().map(|put| put.0).collect::<Vec<_>>())
        .bind(puts.iter().map(|put| put.1).collect::<Vec<_>>())
        .bind(puts.iter().map(|put| put.2).collect::<Vec<_>>())
        .bind(puts.iter().map(|put| put.3).collect::<Vec<_>>())
        .bind(removals)
        .bind(lease.map(|lease| &*lease.name))
        .bind(lease.map(|lease| integer(lease.epoch)));
    let moved: Option<(i64,)> = pool.row(query).await?;
    Ok(moved.is_some())
}

/// The reason why a commit was refused.
async fn refusal(
    pool: &Pool,
    lease: Option<&Lease>,
    build: BuildId,
) -> Result<CommitError, Failure> {
    let query = sqlx::query_as(SELECT_CHECKPOINT)
        .bind(integer(build.get()))
        .bind(lease.map(|lease| &*lease.name))
        .bind(lease.map(|lease| integer(lease.epoch)));
    let checkpoint: Option<(i64, Option<String>, bool)> = pool.row(query).await?;
    Ok(match checkpoint {
        Some((_, _, false)) => CommitError::LeaseOver,
        Some((checkpoint, mark, true)) => CommitError::Moved {
            checkpoint: place(checkpoint, mark.as_deref()).map_err(DocumentError::from)?,
        },
        None => CommitError::Ended,
    })
}

/// Finds documents with one statement, so that all of them are of the same moment.
pub(super) async fn find(
    pool: &Pool,
    source: &DocumentSource,
    query: &DocumentQuery,
) -> Result<Option<Found>, Failure> {
    let page = query.page.as_ref();
    let after = page.and_then(|page| page.after.as_ref());
    // The statement consists of constants and numbers only.
    let mut find = sqlx::query_as(AssertSqlSafe(find_statement(source, query)));
    find = match source {
        DocumentSource::Live(name) => find.bind(name),
        DocumentSource::Build(id) => find.bind(integer(id.get())),
    };
    find = find
        .bind(&query.keys)
        .bind(integer(page.map_or(0, |page| page.limit as u64)))
        .bind(after.map(|(sort, _)| sort))
        .bind(after.map(|(_, key)| key));
    for collection in page.iter().flat_map(|page| &page.collections) {
        find = find.bind(collection);
    }
    let row: Option<FoundRow> = pool.row(find).await?;
    Ok(row.map(found).transpose()?)
}

fn found(row: FoundRow) -> Result<Found, DocumentError> {
    let (id, version, checkpoint, mark, keyed, page) = row;
    let parse = |rows: Option<String>| documents(rows.as_deref().unwrap_or("[]").as_bytes());
    Ok(Found {
        build: BuildId::new(id.unsigned_abs()),
        version: u32::try_from(version).map_err(|_| DocumentError::Version(version))?,
        checkpoint: place(checkpoint, mark.as_deref())?,
        keyed: parse(keyed)?,
        page: parse(page)?,
    })
}

/// Builds the statement for a query. It depends on the parts of the query and the number of
/// collections, but not on their names. It has all parameters up to [`FIRST_COLLECTION`], used or
/// not, because PostgreSQL must know their types.
fn find_statement(source: &DocumentSource, query: &DocumentQuery) -> String {
    let source = match source {
        DocumentSource::Live(_) => "name = $1 AND state = 'live'",
        DocumentSource::Build(_) => "id = $1 AND state <> 'ended'",
    };
    let types = " AND (($2::text[], $3::bigint, $4::text, $5::text) IS NULL) IS NOT NULL";
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
    let statement = FIND
        .replace("{source}", source)
        .replace("{keyed}", keyed)
        .replace("{page}", page.as_deref().unwrap_or(NOTHING));
    statement + types
}

fn page_statement(page: &DocumentPage) -> String {
    let after = if page.after.is_some() { AFTER } else { "" };
    let mut collections = String::new();
    for index in 0..page.collections.len() {
        if index > 0 {
            collections.push_str(" UNION ALL ");
        }
        let number = FIRST_COLLECTION + index;
        let collection = COLLECTION
            .replace("{collection}", &format!("${number}"))
            .replace("{after}", after);
        write!(collections, "{collection}").expect("a string takes any text");
    }
    PAGE.replace("{collections}", &collections)
}
