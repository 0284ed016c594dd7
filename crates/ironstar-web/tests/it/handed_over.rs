//! A guest's lists become the user's at sign-in, whatever fails or dies in between.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{Request, StatusCode};

use ironstar_adapters::memory::MemoryProjectionStore;

use crate::accounts::{World, create_list, setup};
use crate::app::{Setup, TestApp};
use crate::mortal::{Life, Mortal};
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
async fn lists_reach_the_user_even_after_a_sign_out() {
    let world = World::new().await;
    let (laptop, phone) = (&world.app, &world.app.stranger());
    let list = create_list(laptop, "Groceries").await;
    let guest = principal(laptop).await;
    world.held.fail(u32::MAX);
    world.sign_in(laptop, "octocat").await;
    laptop.form(Request::post("/sign-out"), "").await;
    // The next visitor of this browser is another guest.
    assert_ne!(principal(laptop).await, guest);
    assert_eq!(laptop.get(&list).await.status(), StatusCode::NOT_FOUND);
    world.held.fail(0);
    world.sign_in(phone, "octocat").await;
    sees(phone, &list).await;
}

#[tokio::test]
async fn a_browser_that_goes_away_while_it_signs_in_loses_nothing() {
    let world = World::new().await;
    let (laptop, phone) = (&world.app, &world.app.stranger());
    let list = create_list(laptop, "Groceries").await;
    let callback = world.callback(laptop, "octocat").await;
    let (mut is_read, holder) = world.held.hold_all();
    tokio::select! {
        _ = laptop.get(&callback) => panic!("the sign-in waits"),
        read = is_read.recv() => read.expect("the sign-in reads"),
    }
    // The new cookie never arrives, and the old one becomes invalid.
    let is_replaced = async {
        while principal(laptop).await.is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let is_replaced = tokio::time::timeout(Duration::from_secs(30), is_replaced);
    is_replaced.await.expect("the sign-in goes on");
    drop(holder);
    world.sign_in(phone, "octocat").await;
    sees(phone, &list).await;
}

/// The number of events of a type in the log.
async fn count(app: &TestApp, event_type: &str) -> usize {
    let log = app.store_log().await;
    let events = log.iter().filter(|event| event.event_type == event_type);
    events.count()
}

#[tokio::test]
async fn sign_in_survives_a_kill_between_any_two_writes() {
    let world = World::new().await;
    for writes in 0.. {
        let life = Life::without_end();
        let documents = Arc::new(MemoryProjectionStore::new());
        let first = TestApp::with(Setup {
            life: life.clone(),
            projections: Arc::new(Mortal {
                store: documents.clone(),
                life: life.clone(),
            }),
            ..setup(&world.github)
        })
        .await;
        let list = create_list(&first, "Groceries").await;
        let guest = first.cookie();
        let callback = world.callback(&first, "octocat").await;
        life.limit(writes);
        first.get(&callback).await;
        let step = async {
            while !life.is_over() && count(&first, "carried_out").await == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let step = tokio::time::timeout(Duration::from_secs(30), step);
        step.await.expect("the server ends the step or dies");
        let is_whole = !life.is_over();
        life.limit(0);
        first.shutdown.cancel();

        let next = TestApp::with(Setup {
            kept: first.kept(),
            projections: documents,
            ..setup(&world.github)
        })
        .await;
        let (browser, phone) = (next.with_cookie(first.cookie()), next.stranger());
        if count(&next, "signed_in").await == 0 {
            let guest = next.with_cookie(guest);
            assert_eq!(guest.get(&list).await.status(), StatusCode::OK, "{writes}");
        } else {
            world.sign_in(&phone, "octocat").await;
            sees(&phone, &list).await;
        }
        // The same browser tries again.
        world.sign_in(&browser, "octocat").await;
        sees(&browser, &list).await;
        next.shutdown.cancel();
        if is_whole {
            assert!(writes > 5, "{writes} writes");
            return;
        }
    }
}
