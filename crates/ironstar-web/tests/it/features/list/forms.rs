//! The page of all lists, and the forms on it and on the page of a list.

use axum::http::{Request, StatusCode, header};
use serde_json::json;

use super::list;
use crate::app::{json as body, text};
use crate::features;

#[tokio::test]
async fn forms_act_on_their_own_list_and_lead_back_to_it() {
    let app = features::app().await;
    let form = async |path: &str, body: &str| {
        let request = Request::post(path).header(header::ACCEPT, "text/html");
        let response = app.form(request, body.to_owned()).await;
        let location = response.headers().get(header::LOCATION).cloned();
        let location = location.map(|to| to.to_str().expect("text").to_owned());
        (response.status(), location, text(response).await)
    };
    let (status, location, _) = form("/lists", "name=Shopping").await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let page = location.expect("the list's page");
    let id = page.strip_prefix("/lists/").expect("an id").to_owned();
    let at = format!("?list={id}&show=active");
    let back = Some(format!("{page}/active"));
    assert_eq!(form(&format!("/todos{at}"), "text=Milk").await.1, back);
    assert_eq!(form(&format!("/todos/complete-all{at}"), "").await.1, back);
    assert!(form("/todos/paint", "").await.0 == StatusCode::NOT_FOUND);
    let (status, _, refused) = form(&format!("/todos{at}"), "text=%07").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(refused.contains("Shopping") && refused.contains("without control characters"));

    let (_, location, _) = form(&format!("{page}/rename"), "name=Groceries").await;
    assert_eq!(location.as_deref(), Some("/lists"));
    assert_eq!(
        form(&format!("{page}/archive"), "").await.0,
        StatusCode::SEE_OTHER
    );
    let lists = text(app.get("/lists").await).await;
    assert!(
        lists.contains("Groceries") && lists.contains("Restore"),
        "{lists}"
    );
    let (_, location, _) = form(&format!("{page}/restore"), "then=list").await;
    assert_eq!(location.as_ref(), Some(&page), "back to its own page");
    assert_eq!(form("/lists", "name=").await.0, StatusCode::BAD_REQUEST);
    let all = body(app.get("/api/lists").await).await;
    assert_eq!(all["open"][0]["name"], "Groceries");
    assert_eq!(all["archived"], json!([]));
}

#[tokio::test]
async fn a_list_that_is_created_twice_by_one_page_is_one() {
    let app = features::app().await;
    let page = text(app.get("/lists").await).await;
    let (_, key) = page.split_once("name=\"key\" value=\"").expect("a key");
    let (key, _) = key.split_once('"').expect("its end");
    let create = async |name: &str| {
        let form = format!("name={name}&key={key}");
        let response = app.form(Request::post("/lists"), form).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        response.headers()[header::LOCATION].clone()
    };
    let first = create("Groceries").await;
    assert_eq!(create("Groceries").await, first);
    // A visitor who comes back to an old page may mean another list.
    assert_ne!(create("Books").await, first);
    let lists = body(app.get("/api/lists").await).await;
    assert_eq!(lists["open"].as_array().map(Vec::len), Some(2), "{lists}");
}

#[tokio::test]
async fn page_of_lists_has_everyones_lists_and_names_the_owner_of_the_others() {
    let app = features::app().await;
    list(&app, "Groceries").await;
    let page = text(app.get("/lists").await).await;
    for shown in [
        "Everyone’s",
        "<a href=\"/lists/shared\">todos</a>",
        "Yours: only you see them, unless you share a link.",
        ">Groceries<",
    ] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
}

#[tokio::test]
async fn owner_creates_and_revokes_links_by_the_forms_of_the_page() {
    let app = features::app().await;
    let id = list(&app, "Groceries").await;
    let page = text(app.get(&format!("/lists/{id}")).await).await;
    for access in ["read", "edit"] {
        let button = format!("name=\"access\" value=\"{access}\"");
        assert!(page.contains(&button), "{button}: {page}");
    }
    let links = async || body(app.get("/api/lists").await).await["open"][0]["links"].clone();
    let form = async |path: String, fields: &'static str| {
        let request = Request::post(path).header(header::ACCEPT, "text/html");
        let response = app.form(request, fields).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        assert_eq!(response.headers()[header::LOCATION], format!("/lists/{id}"));
    };
    form(format!("/lists/{id}/links"), "access=read").await;
    let link = links().await[0]["id"].as_str().expect("an id").to_owned();
    form(format!("/lists/{id}/links/{link}/revoke"), "").await;
    assert_eq!(links().await, json!([]));
}
