//! Tests of the features of the todo application.

mod list;
mod todo;

use ironstar_app::features::FEATURES;
use ironstar_web::features::{Home, features};

use crate::app::{Setup, Subject, TestApp};

/// Todos on the list that everyone shares.
const TODOS: Subject = Subject {
    command: "/api/commands/todo",
    query: "/api/todos",
    sides: &["id=\"presence\"", "id=\"heading\"", "<title>"],
};

/// The todo application, whose start page is the list that everyone shares.
pub(crate) fn setup() -> Setup {
    Setup {
        subject: TODOS,
        features: FEATURES,
        site_features: features(Home::Shared),
        ..Setup::default()
    }
}

pub(crate) async fn app() -> TestApp {
    TestApp::with(setup()).await
}
