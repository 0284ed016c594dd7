//! A guest's lists become the user's at sign-in.

use axum::http::StatusCode;
use serde_json::json;

use super::{LIST, list};
use crate::accounts::World;
use crate::app::{json as body, text};
use crate::features;
use crate::kinds::at;
use crate::sessions::principal;

#[tokio::test]
async fn lists_of_a_guest_are_the_users_on_every_device_after_the_sign_in() {
    let world = World::on(features::setup()).await;
    let (laptop, phone) = (&world.app, world.app.stranger());
    world.sign_in(&phone, "octocat").await;
    let id = list(laptop, "Groceries").await;
    let page = at(LIST.page, &id, None);
    assert_eq!(phone.get(&page).await.status(), StatusCode::NOT_FOUND);

    let mut events = phone.stream("/api/events", None).await;
    world.sign_in(laptop, "octocat").await;
    let told = events.next_with("handed_over").await;
    assert!(told.data.contains(&id), "{}", told.data);
    let shown = text(phone.get(&page).await).await;
    assert!(shown.contains(">Groceries</h1>"), "{shown}");
    let lists = body(phone.get("/api/lists").await).await;
    let user = principal(&phone).await.expect("a user");
    let (shown, owner) = (&lists["open"][0]["id"], &lists["open"][0]["owner"]);
    assert_eq!((shown, owner), (&json!(id), &json!(user)), "{lists}");
}
