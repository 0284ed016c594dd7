//! The costs of commands on todos and lists.

use crate::app::{Setup, TestApp};
use crate::features;
use crate::limits::{expect_costs, limits};

#[tokio::test]
async fn each_command_of_the_todo_application_costs_what_its_route_states() {
    let app = TestApp::with(Setup {
        limits: limits(),
        ..features::setup()
    })
    .await;
    let id = "0190a5a1-0000-7000-8000-000000000001";
    let light = [
        "/api/commands/todo".to_owned(),
        "/api/commands/list".to_owned(),
        "/todos".to_owned(),
        format!("/todos/{id}/complete"),
        "/first".to_owned(),
        "/lists".to_owned(),
        format!("/lists/{id}/rename"),
        format!("/lists/{id}/links"),
        format!("/lists/{id}/links/{id}/revoke"),
    ];
    let heavy = [
        "/api/commands/todos",
        "/todos/complete-all",
        "/todos/complete%2Dall",
    ];
    expect_costs(&app, &light, &heavy.map(str::to_owned)).await;
}
