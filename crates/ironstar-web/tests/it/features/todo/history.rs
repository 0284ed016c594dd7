//! Places of another history of the log, which pages and programs name after a restore.

use crate::features::list::LIST;
use crate::history::{
    expect_no_query_of_another_history, expect_places_that_queries_take,
    expect_whole_view_after_another_history,
};

#[tokio::test]
async fn page_of_todos_gets_the_whole_view_after_a_place_of_another_history() {
    expect_whole_view_after_another_history(&LIST).await;
}

#[tokio::test(start_paused = true)]
async fn query_for_todos_is_refused_at_once_for_a_place_of_another_history() {
    expect_no_query_of_another_history(&LIST).await;
}

#[tokio::test]
async fn command_on_todos_answers_a_place_that_queries_take() {
    expect_places_that_queries_take(&LIST).await;
}
