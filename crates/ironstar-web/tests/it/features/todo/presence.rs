//! The number of people who have a list open.

use crate::app::text;
use crate::features;
use crate::sessions::begin;

const STREAM: &str = "/api/sse/todos";

/// The part of an event that holds the number of people.
const PRESENCE: &str = "id=\"presence\"";

#[tokio::test]
async fn subscriber_of_a_list_gets_the_number_of_people() {
    let app = features::app().await;
    let page = text(app.get("/").await).await;
    assert!(page.contains("<p class=\"presence\" id=\"presence\"></p>"));
    let mut one = app.stream(STREAM, None).await;
    let told = one.next_with(PRESENCE).await;
    assert!(told.data.contains(">Only you are here<"), "{}", told.data);
    let filtered = format!("{STREAM}?show=active");
    let mut other = app.stream(&filtered, None).await;
    while !one
        .next_with(PRESENCE)
        .await
        .data
        .contains(">2 people are here<")
    {}
    while !other.next_with(PRESENCE).await.data.contains(">2 people") {}
    drop(other);
    let told = one.next_with(PRESENCE).await;
    assert!(told.data.contains(">Only you are here<"), "{}", told.data);
}

#[tokio::test]
async fn presence_counts_visitors_and_not_their_pages() {
    let app = features::app().await;
    begin(&app).await;
    let mut one = app.stream(STREAM, None).await;
    let _same = app.stream(STREAM, None).await;
    assert!(
        one.next_with(PRESENCE)
            .await
            .data
            .contains("Only you are here")
    );
    let _other = app.stranger().stream(STREAM, None).await;
    let told = one.next_with(PRESENCE).await.data;
    assert!(told.contains("2 people are here"), "{told}");
}
