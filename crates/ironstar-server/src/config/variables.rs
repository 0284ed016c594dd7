//! Where an option comes from that is refused: whoever has never typed it looks for it
//! in vain.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Parser};

use super::Config;

impl Config {
    /// What the operator has decided. Ends the program if that makes no sense, or if
    /// they have asked for help.
    #[expect(clippy::print_stderr, reason = "this is what the operator sees")]
    pub(crate) fn from_command_line() -> Self {
        Self::try_parse().unwrap_or_else(|error| {
            // If that does not work, there is nobody to tell.
            let _ = error.print();
            let typed: Vec<OsString> = std::env::args_os().collect();
            let is_set = |variable: &str| std::env::var_os(variable).is_some();
            for note in notes(&error, &typed, is_set) {
                eprintln!("{note}");
            }
            std::process::exit(error.exit_code())
        })
    }
}

/// Which of the options that an error is about come from variables.
fn notes(error: &clap::Error, typed: &[OsString], is_set: impl Fn(&str) -> bool) -> Vec<String> {
    let refused = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(option)) => Some(option),
        _ => None,
    };
    // What is missing is asked for by another option, whichever that is.
    let is_any = error.kind() == ErrorKind::MissingRequiredArgument;
    let command = Config::command();
    let options = command.get_arguments().filter_map(|argument| {
        let variable = argument.get_env()?.to_str()?.to_owned();
        Some((format!("--{}", argument.get_long()?), variable))
    });
    options
        .filter(|(option, variable)| {
            let is_meant = refused.is_some_and(|it| it.split(' ').next() == Some(&**option));
            (is_meant || is_any) && is_set(variable) && !is_typed(option, typed)
        })
        .map(|(option, variable)| format!("note: '{option}' comes from the variable {variable}"))
        .collect()
}

fn is_typed(option: &str, typed: &[OsString]) -> bool {
    let mut typed = typed.iter().filter_map(|typed| typed.to_str());
    typed.any(|typed| typed.split('=').next() == Some(option))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use clap::Parser;

    use super::{Config, notes};

    fn told(typed: &[&str], set: &[&str]) -> Vec<String> {
        let typed: Vec<OsString> = std::iter::once(&"ironstar-server")
            .chain(typed)
            .map(OsString::from)
            .collect();
        let error = Config::try_parse_from(&typed).expect_err("it is refused");
        notes(&error, &typed, |variable| set.contains(&variable))
    }

    #[test]
    fn an_option_that_nobody_typed_is_told_by_its_variable() {
        let home = "note: '--home' comes from the variable IRONSTAR_HOME";
        let typed = &["--home", "zz"];
        assert_eq!(told(typed, &["IRONSTAR_HOME"]), [""; 0]);
        assert_eq!(told(&["--home=zz"], &["IRONSTAR_HOME"]), [""; 0]);
        // As clap sees it when the variable is set.
        let error = Config::try_parse_from(["ironstar-server", "--home", "zz"]);
        let error = error.expect_err("it is refused");
        let set = |variable: &str| ["IRONSTAR_HOME", "DATABASE_URL"].contains(&variable);
        assert_eq!(notes(&error, &[], set), [home]);
        assert_eq!(notes(&error, &[], |_| false), [""; 0]);
    }

    #[test]
    fn what_asks_for_an_option_that_is_missing_is_told() {
        let error = Config::try_parse_from(["ironstar-server", "--github-client-secret", "x"]);
        let error = error.expect_err("it is refused");
        let set = |variable: &str| variable == "IRONSTAR_GITHUB_CLIENT_SECRET";
        let secret = "note: '--github-client-secret' comes from the variable \
                      IRONSTAR_GITHUB_CLIENT_SECRET";
        assert_eq!(notes(&error, &[], set), [secret]);
    }
}
