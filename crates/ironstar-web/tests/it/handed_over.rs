//! A guest's notes become the user's at sign-in, whatever fails or dies in between.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{Request, StatusCode};

use ironstar_adapters::memory::MemoryProjectionStore;

use crate::accounts::{World, create_note, setup};
use crate::app::{Setup, TestApp};
use crate::mortal::{Life, Mortal};
use crate::sessions::principal;

/// Waits until a visitor sees a note, which must be soon.
async fn sees(app: &TestApp, note: &str) {
    let sees = async {
        while app.get(note).await.status() != StatusCode::OK {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), sees)
        .await
        .expect("the visitor sees the note");
}

#[tokio::test]
async fn failed_hand_over_is_tried_again() {
    let world = World::new().await;
    let (laptop, phone) = (&world.app, &world.app.stranger());
    let note = create_note(laptop, "Groceries").await;
    world.held.fail(1);
    world.sign_in(laptop, "octocat").await;
    assert_eq!(world.held.broken(), 0);
    world.sign_in(phone, "octocat").await;
    sees(phone, &note).await;
}

#[tokio::test]
async fn notes_reach_the_user_even_after_a_sign_out() {
    let world = World::new().await;
    let (laptop, phone) = (&world.app, &world.app.stranger());
    let note = create_note(laptop, "Groceries").await;
    let guest = principal(laptop).await;
    world.held.fail(u32::MAX);
    world.sign_in(laptop, "octocat").await;
    laptop.form(Request::post("/sign-out"), "").await;
    // The next visitor of this browser is another guest.
    assert_ne!(principal(laptop).await, guest);
    assert_eq!(laptop.get(&note).await.status(), StatusCode::NOT_FOUND);
    world.held.fail(0);
    world.sign_in(phone, "octocat").await;
    sees(phone, &note).await;
}

#[tokio::test]
async fn a_browser_that_goes_away_while_it_signs_in_loses_nothing() {
    let world = World::new().await;
    let life = Life::without_end();
    let laptop = &TestApp::with(Setup {
        life: life.clone(),
        ..setup(&world.github, Setup::default())
    })
    .await;
    let phone = &laptop.stranger();
    let note = create_note(laptop, "Groceries").await;
    let mut other_tab = laptop.stream("/api/sse/notes", None).await;
    let callback = world.callback(laptop, "octocat").await;
    let (is_recorded, holder) = life.hold_replacement();
    tokio::select! {
        _ = laptop.get(&callback) => panic!("the sign-in waits"),
        is_recorded = is_recorded => is_recorded.expect("the sign-in replaces the session"),
    }
    assert_eq!(count(laptop, "signed_in").await, 1);
    drop(holder);
    // The new cookie never arrives, the old one becomes invalid, and the other tab reloads.
    let told = other_tab.rest().await.expect("the sign-in goes on");
    let last = told.last().expect("an event");
    assert_eq!(last.event, "datastar-reload");
    assert_eq!(principal(laptop).await, None);
    world.sign_in(phone, "octocat").await;
    sees(phone, &note).await;
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
            ..setup(&world.github, Setup::default())
        })
        .await;
        let note = create_note(&first, "Groceries").await;
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
            ..setup(&world.github, Setup::default())
        })
        .await;
        let (browser, phone) = (next.with_cookie(first.cookie()), next.stranger());
        if count(&next, "signed_in").await == 0 {
            let guest = next.with_cookie(guest);
            assert_eq!(guest.get(&note).await.status(), StatusCode::OK, "{writes}");
        } else {
            world.sign_in(&phone, "octocat").await;
            sees(&phone, &note).await;
        }
        // The same browser tries again.
        world.sign_in(&browser, "octocat").await;
        sees(&browser, &note).await;
        next.shutdown.cancel();
        if is_whole {
            assert!(writes > 5, "{writes} writes");
            return;
        }
    }
}
