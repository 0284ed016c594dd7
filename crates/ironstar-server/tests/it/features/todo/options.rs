//! The operator's options for the todo application.

use super::server;
use crate::config::expect_options_in_help;
use crate::process::run_to_end;

#[test]
fn help_names_every_option_its_variable_and_its_default() {
    let own = [
        "--archive-done-lists-after",
        "IRONSTAR_ARCHIVE_DONE_LISTS_AFTER",
        "30days",
        "--home",
        "IRONSTAR_HOME",
        "shared",
    ];
    expect_options_in_help(&mut server(), &own);
}

#[test]
fn refusal_names_variable_of_option() {
    let output = run_to_end(server().env("IRONSTAR_HOME", "zz"));
    let message = String::from_utf8(output.stderr).expect("text");
    assert!(
        message.contains("'--home' comes from the variable IRONSTAR_HOME"),
        "{message}"
    );
}
