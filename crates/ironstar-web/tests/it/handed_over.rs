//! What a guest has made becomes the user's, whatever comes in between.

use std::time::Duration;

use axum::http::{Request, StatusCode};

use crate::accounts::{World, create_list};
use crate::app::TestApp;
use crate::held::Hold;
use crate::sessions::principal;

/// Waits until somebody sees a list, which must be soon.
async fn sees(app: &TestApp, list: &str) {
    let sees = async {
        while app.get(list).await.status() != StatusCode::OK {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), sees)
        .await
        .expect("they see it");
}

#[tokio::test]
async fn lists_that_could_not_be_handed_over_are_in_a_while() {
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
async fn lists_that_could_not_be_handed_over_are_at_the_latest_at_sign_out() {
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
async fn lists_that_could_never_be_handed_over_stay_the_guests() {
    let world = World::new().await;
    let (laptop, phone) = (&world.app, &world.app.stranger());
    let list = create_list(laptop, "Groceries").await;
    let guest = principal(laptop).await;
    world.held.fail(u32::MAX);
    world.sign_in(laptop, "octocat").await;
    laptop.form(Request::post("/sign-out"), "").await;
    // They are signed out, and are who they were.
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
    // The new cookie never came, and the old one is nobody's.
    assert_eq!(principal(laptop).await, None);
    world.sign_in(phone, "octocat").await;
    sees(phone, &list).await;
}
