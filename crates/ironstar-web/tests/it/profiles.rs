//! The data that comes from the provider of a sign-in, and the requests that go there.

use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use ironstar_github::Person;
use ironstar_web::Limits;
use serde_json::json;

use crate::accounts::{World, name, page};
use crate::app::{Setup, TestApp, json as body};

#[tokio::test]
async fn profile_is_used_as_far_as_it_is_valid() {
    let world = World::new().await;
    let zalgo = format!("Z{}", "\u{303}".repeat(100));
    for (login, called, shown) in [
        ("zoe", Some(&*zalgo), "zoe"),
        ("sue", Some("\u{3164}"), "sue"),
        ("zed", Some("Zoe\u{308}"), "Zoë"),
        ("ada", Some("Ada \u{202e}Lovelace\u{2069}"), "Ada Lovelace"),
        ("bob", Some("  "), "bob"),
        ("eve", Some("a\nb"), "eve"),
        ("max", None, "max"),
    ] {
        world.github.know(Person {
            id: 7,
            login: login.to_owned(),
            name: called.map(str::to_owned),
        });
        let app = world.app.stranger();
        world.sign_in(&app, login).await;
        assert_eq!(name(&app).await.as_deref(), Some(shown));
    }
    // Every name is text on the page.
    world.github.know(Person {
        id: 7,
        login: "mallory".to_owned(),
        name: Some("<b>Mallory</b>".to_owned()),
    });
    world.sign_in(&world.app, "mallory").await;
    let (_, shown) = page(&world.app, "/").await;
    assert!(shown.contains("&lt;b&gt;Mallory&lt;/b&gt;"), "{shown}");
}

#[tokio::test]
async fn forms_may_lead_to_github_and_nowhere_else() {
    let world = World::new().await;
    let policy = |response: &Response| {
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str();
        policy.expect("text").to_owned()
    };
    let with = policy(&world.app.get("/").await);
    let allowed = format!("form-action 'self' {}", world.github.url());
    assert!(with.ends_with(&allowed), "{with}");
    let without = policy(&TestApp::init().await.get("/").await);
    assert!(without.ends_with("form-action 'self'"), "{without}");
}

#[tokio::test]
async fn storm_of_sign_ins_is_limited() {
    let limits = Limits {
        command_rate: 20,
        ..Limits::default()
    };
    let world = World::on(Setup {
        limits,
        ..Setup::default()
    })
    .await;
    let begin = async || {
        let response = world.app.form(Request::post("/sign-in"), "").await;
        response.status()
    };
    let mut passed = 0;
    let refused = loop {
        match begin().await {
            StatusCode::SEE_OTHER => passed += 1,
            refused => break refused,
        }
        assert!(passed <= 20, "no sign-in is refused");
    };
    assert_eq!(refused, StatusCode::TOO_MANY_REQUESTS);
    assert!(passed >= 10, "{passed}");
}

#[tokio::test]
async fn site_without_a_provider_has_no_sign_in() {
    let app = TestApp::init().await;
    let (_, shown) = page(&app, "/").await;
    assert!(!shown.contains("Sign in"), "{shown}");
    let begin = app.form(Request::post("/sign-in"), "").await;
    assert_eq!(begin.status(), StatusCode::NOT_FOUND);
    let callback = app.get("/sign-in/callback?code=x&state=y").await;
    assert_eq!(callback.status(), StatusCode::NOT_FOUND);
    assert_eq!(app.sessions.count(), 0);
    app.create("Milk").await;
    let answer = body(app.get("/api/remarks").await).await;
    assert_eq!(answer["remarks"][0]["text"], json!("Milk"));
}
