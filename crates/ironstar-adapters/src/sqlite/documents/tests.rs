use ironstar_ports::{BuildId, DocumentPage, DocumentQuery, DocumentSource};
use sqlx::AssertSqlSafe;
use tempfile::TempDir;

use super::find_statement;
use crate::sqlite::SqliteDatabase;

/// SQLite's plan for a query.
async fn plan(source: &DocumentSource, query: &DocumentQuery) -> Vec<String> {
    let directory = TempDir::new().expect("a directory");
    let url = directory.path().join("ironstar.db").into();
    let database = SqliteDatabase::open(&url).await.expect("a database");
    let explain = format!("EXPLAIN QUERY PLAN {}", find_statement(source, query));
    let steps: Vec<(i64, i64, i64, String)> = sqlx::query_as(AssertSqlSafe(explain))
        .fetch_all(database.readers.pool())
        .await
        .expect("a plan");
    steps.into_iter().map(|(.., step)| step).collect()
}

fn query(collections: &[&str], is_after: bool) -> DocumentQuery {
    DocumentQuery {
        keys: vec!["a".to_owned()],
        page: Some(DocumentPage {
            collections: collections.iter().map(|&name| name.to_owned()).collect(),
            after: is_after.then(|| ("1".to_owned(), "a".to_owned())),
            limit: 20,
        }),
    }
}

/// SQLite must look documents up in an index, without scans and without sorting.
#[tokio::test]
async fn query_reads_only_the_documents_that_it_finds() {
    let sources = [
        DocumentSource::Live("todo-list".to_owned()),
        DocumentSource::Build(BuildId::new(1)),
    ];
    for source in sources {
        for collections in [&["open"][..], &["open", "closed"], &["a", "b", "c"]] {
            for (is_after, after) in [(false, ""), (true, " AND (sort,key)>(?,?)")] {
                let plan = plan(&source, &query(collections, is_after)).await;
                let count = |step: &str| plan.iter().filter(|actual| *actual == step).count();
                let by_key = "SEARCH documents USING PRIMARY KEY (projection=? AND key=?)";
                let by_place = format!(
                    "SEARCH documents USING INDEX documents_by_place \
                     (projection=? AND collection=?{after})"
                );
                assert_eq!(count(by_key), 1, "{plan:#?}");
                assert_eq!(count(&by_place), collections.len(), "{plan:#?}");
                let touches = plan.iter().filter(|step| step.contains(" documents"));
                assert_eq!(touches.count(), 1 + collections.len(), "{plan:#?}");
                let sorts = plan.iter().filter(|step| step.contains("B-TREE"));
                assert_eq!(sorts.count(), 0, "{plan:#?}");
            }
        }
    }
}
