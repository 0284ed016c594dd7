//! Pages of lists that were in the background while something about their visitor changed.

use super::LIST;
use crate::away::{reload_for_another_identity, reload_when_gone};
use crate::features;

#[tokio::test]
async fn page_of_lists_reloads_if_its_visitor_has_another_identity_by_now() {
    let streams = ["/api/sse/todos", "/api/sse/lists"];
    reload_for_another_identity(features::setup(), "/lists", streams).await;
}

#[tokio::test]
async fn page_of_a_list_that_is_gone_reloads() {
    reload_when_gone(&LIST).await;
}
