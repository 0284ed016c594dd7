//! A guest's lists become the user's at sign-in, whatever fails in between.

use std::time::Duration;

use axum::http::{Request, StatusCode};

use crate::accounts::{World, create_list};
use crate::app::TestApp;
use crate::held::Hold;
use crate::sessions::principal;

/// Waits until a visitor sees a list, which must be soon.
async fn sees(app: &TestApp, list: &str) {
    let sees = async {
        while app.get(list).await.status() != StatusCode::OK {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), sees)
        .await
        .expect("the visitor sees the list");
}

#[tokio::test]
async fn failed_hand_over_is_tried_again() {
    let world = World::new().await;
    let (laptop, phone) = (&world.app, &world.app.stranger());
    let list = create_list(laptop, "Groceries").await;
    world.held.fail(1);
    world.sign_in(laptop, "octocat").await;
    assert_eq!(world.held.broken(), 0);
    world.sign_in(phone, "octocat").await;
    sees(phone, &list).await;
}

#[tokio::test]
async fn failed_hand_over_is_tried_again_at_sign_out() {
    let world = World::new().await;
    let (laptop, phone) = (&world.app, &world.app.stranger());
    let list = create_list(laptop, "Groceries").await;
    let guest = principal(laptop).await;
    world.held.fail(1);
    world.sign_in(laptop, "octocat").await;
    laptop.form(Request::post("/sign-out"), "").await;
    assert_ne!(principal(laptop).await, guest);
    assert_eq!(laptop.get(&list).await.status(), StatusCode::NOT_FOUND);
    world.sign_in(phone, "octocat").await;
    assert_eq!(phone.get(&list).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn lists_stay_the_guests_if_every_hand_over_fails() {
    let world = World::new().await;
    let (laptop, phone) = (&world.app, &world.app.stranger());
    let list = create_list(laptop, "Groceries").await;
    let guest = principal(laptop).await;
    world.held.fail(u32::MAX);
    world.sign_in(laptop, "octocat").await;
    laptop.form(Request::post("/sign-out"), "").await;
    // The visitor is signed out, and is the same guest as before.
    assert_eq!(principal(laptop).await, guest);
    world.held.fail(0);
    world.sign_in(laptop, "octocat").await;
    world.sign_in(phone, "octocat").await;
    sees(phone, &list).await;
}

#[tokio::test]
async fn a_browser_that_goes_away_while_it_signs_in_loses_nothing() {
    let world = World::new().await;
    let (laptop, phone) = (&world.app, &world.app.stranger());
    let list = create_list(laptop, "Groceries").await;
    let callback = world.callback(laptop, "octocat").await;
    let (is_read, holder) = world.held.hold(Hold::Before);
    {
        let cut_off = std::pin::pin!(laptop.get(&callback));
        let under_way = futures::future::select(cut_off, is_read).await;
        assert!(matches!(under_way, futures::future::Either::Right(_)));
    }
    drop(holder);
    // The new cookie never arrived, and the old one is invalid.
    assert_eq!(principal(laptop).await, None);
    world.sign_in(phone, "octocat").await;
    sees(phone, &list).await;
}
