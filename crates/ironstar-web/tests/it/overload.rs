use std::sync::Arc;

use async_trait::async_trait;
use axum::http::{Request, StatusCode, header};
use ironstar_ports::contract::doubles::AroundEventStore;
use ironstar_ports::{Append, AppendError, Appended, EventStore};

use crate::app::{COMMAND, TestApp, json};

/// A store that has no room for appends.
#[derive(Debug)]
struct FullStore(Arc<dyn EventStore>);

#[async_trait]
impl AroundEventStore for FullStore {
    fn inner(&self) -> &dyn EventStore {
        &*self.0
    }

    async fn append(&self, _: Append) -> Result<Appended, AppendError> {
        Err(AppendError::Overloaded)
    }
}

#[tokio::test]
async fn programs_and_people_are_told_when_to_try_again() {
    let app = TestApp::with_commands_on(|store| Arc::new(FullStore(store))).await;
    let command = Request::post(COMMAND)
        .header(header::CONTENT_TYPE, "application/json")
        .body(r#"{"type":"create","text":"Milk"}"#.into())
        .expect("a request");
    let response = app.send(command).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()[header::RETRY_AFTER], "1");
    assert_eq!(json(response).await["type"], "/problems/overloaded");

    let response = app.form(Request::post("/"), "text=Milk").await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()[header::RETRY_AFTER], "1");
    assert_eq!(app.get("/").await.status(), StatusCode::OK, "reads go on");
}
