use axum::http::{Request, StatusCode, header};
use serde_json::{Value, json};

use crate::app::{TestApp, json as body, text};

/// Creates a list, and returns its id.
pub(crate) async fn list(app: &TestApp, name: &str) -> String {
    let (status, answer) = post(app, "list", json!({"type": "create", "name": name})).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer["id"].as_str().expect("an id").to_owned()
}

pub(crate) async fn post(app: &TestApp, what: &str, command: Value) -> (StatusCode, Value) {
    let request = Request::post(format!("/api/commands/{what}"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(command.to_string().into())
        .expect("a request");
    let response = app.send(request).await;
    (response.status(), body(response).await)
}

pub(crate) async fn todo(app: &TestApp, list: &str, text: &str) -> String {
    let command = json!({"type": "create", "text": text, "list": list});
    let (status, answer) = app.command(command.to_string()).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer["id"].as_str().expect("an id").to_owned()
}

async fn complete(app: &TestApp, id: &str) {
    let command = json!({"type": "complete", "id": id});
    assert_eq!(app.command(command.to_string()).await.0, StatusCode::OK);
}

async fn query(app: &TestApp, query: &str) -> Value {
    let response = app.get(&format!("/api/todos?{query}")).await;
    assert_eq!(response.status(), StatusCode::OK, "{query}");
    body(response).await
}

fn texts(answer: &Value) -> Vec<&str> {
    let todos = answer["todos"].as_array().expect("todos");
    todos
        .iter()
        .map(|todo| todo["text"].as_str().expect("text"))
        .collect()
}

#[tokio::test]
async fn a_list_has_its_own_page_todos_and_stream() {
    let app = TestApp::init().await;
    let shopping = list(&app, "Shopping").await;
    app.create("Shared").await;
    let page = format!("/lists/{shopping}");
    let mut stream = app
        .stream(&format!("/api/sse/todos?list={shopping}"), None)
        .await;
    let whole = stream.next().await;
    assert!(!whole.data.contains("Shared"), "{}", whole.data);
    todo(&app, &shopping, "Milk").await;
    let summary = stream.next().await;
    assert!(summary.data.contains("<strong>1</strong> item left"));
    assert!(stream.next().await.data.contains(">Milk<"));

    let shown = text(app.get(&page).await).await;
    assert!(shown.contains("<h1 dir=\"auto\">Shopping</h1>"), "{shown}");
    assert!(shown.contains(">Milk<") && !shown.contains(">Shared<"));
    let shared = text(app.get("/").await).await;
    assert!(shared.contains(">Shared<") && !shared.contains(">Milk<"));
    // This stream sends no change of another list.
    app.create("Shared, too").await;
    todo(&app, &shopping, "Bread").await;
    assert!(stream.next().await.data.contains("<strong>2</strong>"));
    assert!(stream.next().await.data.contains(">Bread<"));
}

#[tokio::test]
async fn heading_of_a_list_is_live() {
    let app = TestApp::init().await;
    let id = list(&app, "Shopping").await;
    let other = list(&app, "Other").await;
    let mut streams = Vec::new();
    for part in ["", "&show=active"] {
        let path = format!("/api/sse/todos?list={id}{part}");
        let mut stream = app.stream(&path, None).await;
        let heading = stream.next_with("id=\"heading\"").await;
        assert!(heading.data.contains(">Shopping</h1>"), "{}", heading.data);
        streams.push(stream);
    }
    let told = json!({"type": "rename", "id": other, "name": "Groceries, but elsewhere"});
    assert_eq!(post(&app, "list", told).await.0, StatusCode::OK);
    for (command, expected) in [
        (
            json!({"type": "rename", "id": id, "name": "<b>"}),
            ">&lt;b&gt;</h1>",
        ),
        (
            json!({"type": "archive", "id": id}),
            "Archived: it takes no new",
        ),
        (json!({"type": "restore", "id": id}), "</p></div>"),
    ] {
        assert_eq!(post(&app, "list", command).await.0, StatusCode::OK);
        for stream in &mut streams {
            let heading = stream.next_with("id=\"heading\"").await;
            assert!(heading.data.contains(expected), "{}", heading.data);
        }
    }
}

#[tokio::test]
async fn unknown_list_is_not_found() {
    let app = TestApp::init().await;
    let unknown = "019337a4-7b2f-7c61-9d0e-2f5a8b1c3d4e";
    for path in [
        format!("/lists/{unknown}"),
        format!("/lists/{unknown}/active"),
        format!("/api/todos?list={unknown}"),
        "/lists/42".to_owned(),
        "/lists/shared/all".to_owned(),
        "/lists/shared/paint".to_owned(),
    ] {
        assert_eq!(
            app.get(&path).await.status(),
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
    let stream = app.get(&format!("/api/sse/todos?list={unknown}")).await;
    assert_eq!(stream.status(), StatusCode::NOT_FOUND);
    let all = json!({"type": "complete_all", "id": unknown});
    assert_eq!(post(&app, "todos", all).await.0, StatusCode::NOT_FOUND);
    let create = json!({"type": "create", "text": "Milk", "list": unknown});
    let (status, problem) = app.command(create.to_string()).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(problem["type"], "/problems/list-not-found");
    assert_eq!(app.get("/lists/shared").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn an_archived_list_takes_no_new_todos_until_it_is_restored() {
    let app = TestApp::init().await;
    let id = list(&app, "Shopping").await;
    todo(&app, &id, "Milk").await;
    let archive = json!({"type": "archive", "id": id});
    assert_eq!(post(&app, "list", archive.clone()).await.0, StatusCode::OK);
    assert_eq!(post(&app, "list", archive).await.0, StatusCode::CONFLICT);
    let create = json!({"type": "create", "text": "Bread", "list": id});
    let (status, problem) = app.command(create.to_string()).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(problem["type"], "/problems/list-archived");
    let page = text(app.get(&format!("/lists/{id}")).await).await;
    assert!(page.contains("Archived: it takes no new todos"), "{page}");
    let restore = json!({"type": "restore", "id": id});
    assert_eq!(post(&app, "list", restore).await.0, StatusCode::OK);
    todo(&app, &id, "Bread").await;
}

#[tokio::test]
async fn shared_list_can_be_neither_archived_nor_created() {
    let app = TestApp::init().await;
    for command in [
        json!({"type": "archive", "id": "shared"}),
        json!({"type": "create", "id": "shared", "name": "Mine"}),
    ] {
        let (status, problem) = post(&app, "list", command).await;
        assert_eq!(status, StatusCode::CONFLICT);
        assert_eq!(problem["type"], "/problems/list-shared");
    }
}

#[tokio::test]
async fn a_list_is_shown_in_part_and_in_pages() {
    let app = TestApp::init().await;
    for number in 1..=5 {
        let id = app.create(&format!("Todo {number}")).await;
        if number % 2 == 0 {
            complete(&app, &id).await;
        }
    }
    let active = text(app.get("/active").await).await;
    assert!(active.contains(">Todo 1<") && !active.contains(">Todo 2<"));
    assert!(
        active.contains("href=\"/active\" class=\"selected\" aria-current=\"page\""),
        "{active}"
    );
    let completed = text(app.get("/completed").await).await;
    assert!(completed.contains(">Todo 2<") && !completed.contains(">Todo 1<"));

    let all = query(&app, "").await;
    assert_eq!(
        texts(&all),
        ["Todo 1", "Todo 2", "Todo 3", "Todo 4", "Todo 5"]
    );
    assert_eq!(all["counts"], json!({"active": 3, "completed": 2}));
    assert_eq!(all["next"], Value::Null);
    let first = query(&app, "limit=2").await;
    assert_eq!(texts(&first), ["Todo 1", "Todo 2"]);
    let second = query(&app, &format!("limit=2&after={}", first["next"])).await;
    assert_eq!(texts(&second), ["Todo 3", "Todo 4"]);
    let third = query(&app, &format!("limit=2&after={}", second["next"])).await;
    assert_eq!(
        (texts(&third), &third["next"]),
        (vec!["Todo 5"], &Value::Null)
    );
    assert_eq!(
        texts(&query(&app, "show=completed").await),
        ["Todo 2", "Todo 4"]
    );
    for bad in [
        "limit=0",
        "limit=1001",
        "show=none",
        "list=x",
        "after=x",
        "lst=shared",
        "at_least=-1",
        "at_least=1.k3f9a",
    ] {
        let response = app.get(&format!("/api/todos?{bad}")).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{bad}");
    }
    let twice = app.get("/api/todos?show=all&show=all").await;
    assert_eq!(twice.status(), StatusCode::BAD_REQUEST);
    // Pages ignore parameters that other sites append to their address.
    let page = app.get("/active?utm_source=somewhere").await;
    assert_eq!(page.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn query_waits_for_a_position_but_not_for_ever() {
    let app = TestApp::init().await;
    app.create("One").await;
    let response = app.get("/api/todos?at_least=2").await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()[header::RETRY_AFTER], "1");
    assert_eq!(body(response).await["type"], "/problems/behind");
    let (late, _) = tokio::join!(query(&app, "at_least=2"), app.create("Two"));
    assert_eq!(texts(&late), ["One", "Two"]);
}

#[tokio::test]
async fn filtered_stream_shows_todos_that_match_again() {
    let app = TestApp::init().await;
    let milk = app.create("Milk").await;
    let bread = app.create("Bread").await;
    let mut active = app.stream("/api/sse/todos?show=active", None).await;
    active.next().await;
    complete(&app, &milk).await;
    assert!(
        active
            .next()
            .await
            .data
            .contains("<strong>1</strong> item left")
    );
    let removed = active.next().await;
    assert!(removed.data.contains("mode remove"), "{}", removed.data);
    let reopen = json!({"type": "reopen", "id": milk});
    app.command(reopen.to_string()).await;
    let counts = active.next().await;
    assert!(counts.data.contains("<strong>2</strong> items left"));
    let inserted = active.next().await;
    let place = format!("selector #todo-{bread}\nmode before\n");
    assert!(inserted.data.starts_with(&place), "{}", inserted.data);
    assert!(inserted.data.contains(">Milk<") && !inserted.data.contains(">Bread<"));
}

#[tokio::test]
async fn commands_on_a_list_are_one_append() {
    let app = TestApp::init().await;
    let shopping = list(&app, "Shopping").await;
    app.create("Shared").await;
    for text in ["Milk", "Bread", "Tea"] {
        todo(&app, &shopping, text).await;
    }
    let (status, answer) = post(
        &app,
        "todos",
        json!({"type": "complete_all", "id": shopping}),
    )
    .await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let place = app.store_log().await[7].place().to_string();
    let expected = json!({"status": "ok", "changed": 3, "position": 8, "place": place});
    assert_eq!(answer, expected);
    let shown = query(&app, &format!("list={shopping}&at_least=8")).await;
    assert_eq!(shown["counts"], json!({"active": 0, "completed": 3}));
    assert_eq!(
        query(&app, "").await["counts"],
        json!({"active": 1, "completed": 0})
    );

    let again = json!({"type": "clear_completed", "id": shopping, "command_id": "once"});
    for _ in 0..2 {
        let (status, answer) = post(&app, "todos", again.clone()).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let place = app.store_log().await[10].place().to_string();
        let expected = json!({"status": "ok", "changed": 3, "position": 11, "place": place});
        assert_eq!(answer, expected);
    }
    let (status, answer) = post(&app, "todos", json!({"type": "reopen_all"})).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(answer["changed"], 0);
    let (status, _) = post(
        &app,
        "todos",
        json!({"type": "reopen_all", "expected_sequence": 1}),
    )
    .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn page_with_many_changes_is_drawn_as_a_whole() {
    let app = TestApp::init().await;
    for number in 0..21 {
        app.create(&format!("Todo {number}")).await;
    }
    let mut stream = app.stream("/api/sse/todos", None).await;
    stream.next().await;
    let (_, answer) = post(&app, "todos", json!({"type": "complete_all"})).await;
    assert_eq!(answer["changed"], 21);
    let whole = stream.next().await;
    assert_eq!(whole.id, "42");
    assert!(whole.data.contains("<section id=\"todos\""));
    let checked = whole.data.matches("class=\"completed\"").count();
    assert_eq!(checked, 21);
}

#[tokio::test]
async fn a_page_of_a_long_list_is_patched_where_it_changes() {
    let app = TestApp::init().await;
    let mut ids = Vec::new();
    for number in 0..52 {
        ids.push(app.create(&format!("Todo {number}")).await);
    }
    let page = text(app.get("/").await).await;
    assert!(page.contains("href=\"/?after=50\" rel=\"next\""), "{page}");
    let place = app.store_log().await[51].place();
    let id = format!("'last-event-id': '{place}-50'");
    assert!(page.contains(&id), "{page}");
    let mut stream = app.stream("/api/sse/todos", None).await;
    let whole = stream.next().await;
    assert_eq!(whole.id, "52-50", "the page ends with the fiftieth todo");
    assert!(whole.data.contains("Todo 49") && !whole.data.contains("Todo 50"));
    // A browser that shows this page gets the changes. One that shows another page gets all.
    let mut same = app.stream("/api/sse/todos", Some("52-50")).await;
    let mut other = app.stream("/api/sse/todos", Some("52")).await;
    assert_eq!(other.next().await.data, whole.data);

    // A todo that is added behind the end of the page is counted, and not shown.
    app.create("Behind").await;
    for stream in [&mut stream, &mut same, &mut other] {
        let counts = stream.next().await;
        assert!(counts.data.contains("<strong>53</strong> items left"));
        assert!(!counts.data.contains("<li id"), "{}", counts.data);
        assert_eq!(counts.id, "53-50", "the change is complete");
    }
    for (command, expected) in [
        ("delete", format!("selector #todo-{}\nmode remove", ids[3])),
        ("complete", "class=\"completed\"".to_owned()),
    ] {
        let id = &ids[if command == "delete" { 3 } else { 4 }];
        app.command(json!({"type": command, "id": id}).to_string())
            .await;
        let patch = stream.next_with(&expected).await;
        assert!(patch.data.len() < 4_000, "{}", patch.data);
    }
    // A change on the next page is counted here, and not shown.
    app.command(json!({"type": "complete", "id": ids[51]}).to_string())
        .await;
    let counts = stream.next().await;
    assert!(
        counts.data.contains("<strong>50</strong>"),
        "{}",
        counts.data
    );
    assert!(!counts.data.contains("<li id"), "{}", counts.data);
}

#[tokio::test]
async fn forms_act_on_their_own_list_and_lead_back_to_it() {
    let app = TestApp::init().await;
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
    let app = TestApp::init().await;
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
    let app = TestApp::init().await;
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
    let app = TestApp::init().await;
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
