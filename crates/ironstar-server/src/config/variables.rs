//! The environment variables of the options.
//!
//! A variable without a value, as compose files produce it, counts as not set. When a value
//! from a variable is refused, a note names the variable. Without the note, an operator would
//! look for an option that is not on the command line.

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, CommandFactory, FromArgMatches};

use super::CommandLine;
use crate::application::Application;
use crate::output;

/// A command line that gives no configuration: it is invalid, or asks for help.
#[derive(Debug)]
pub(crate) struct NoConfig(clap::Error);

impl<A: Application> CommandLine<A> {
    /// Parses the command line of this process, and its variables.
    ///
    /// # Errors
    ///
    /// If the command line or a variable is invalid, or if the operator asks for help.
    pub(crate) fn parse_here() -> Result<Self, NoConfig> {
        let is_blank = |variable: &OsStr| {
            std::env::var_os(variable)
                .is_some_and(|value| value.to_str().is_some_and(|value| value.trim().is_empty()))
        };
        let mut command = without_variables(Self::command(), &is_blank);
        let matches = command.try_get_matches_from_mut(std::env::args_os());
        matches
            .and_then(|matches| Self::from_arg_matches(&matches))
            .map_err(|error| NoConfig(without_secret(error, &command).format(&mut command)))
    }
}

/// Removes a refused value from an error if it may contain a password, as those of the options
/// that hide their variables.
fn without_secret(mut error: clap::Error, command: &Command) -> clap::Error {
    let is_secret = |option: &&Arg| {
        let name = format!("--{}", option.get_long().unwrap_or_default());
        option.is_hide_env_values_set() && refused_option(&error) == Some(&name)
    };
    if command.get_arguments().any(|option| is_secret(&option)) {
        let hidden = ContextValue::String("(not shown)".to_owned());
        error.insert(ContextKind::InvalidValue, hidden);
    }
    error
}

/// Returns the option that an error is about.
fn refused_option(error: &clap::Error) -> Option<&str> {
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(option)) => option.split([' ', '[']).next(),
        _ => None,
    }
}

impl NoConfig {
    /// Prints the reason and the variables that refused values come from. Returns the exit
    /// code.
    ///
    /// # Errors
    ///
    /// If standard output does not take the help.
    pub(crate) fn explain<A: Application>(self) -> anyhow::Result<ExitCode> {
        let Self(error) = self;
        output::show(&error)?;
        let typed: Vec<OsString> = std::env::args_os().collect();
        let is_set = |variable: &str| std::env::var_os(variable).is_some();
        for note in notes(&CommandLine::<A>::command(), &error, &typed, is_set) {
            output::complain(&note);
        }
        Ok(u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from))
    }
}

/// Returns the command with some options no longer reading their variables.
fn without_variables(command: Command, is_left_out: &impl Fn(&OsStr) -> bool) -> Command {
    let without = |option: Arg| match option.get_env() {
        Some(variable) if is_left_out(variable) => {
            let help = option.get_help().map(ToString::to_string);
            let help = help.unwrap_or_default();
            // The help still names the variable.
            let help = format!("{help} [env: {}=]", variable.to_string_lossy());
            option.env(None::<&'static str>).help(help)
        }
        Some(_) | None => option,
    };
    command
        .mut_args(without)
        .mut_subcommands(|command| without_variables(command, is_left_out))
}

/// Returns a note for each option of an error whose value comes from a variable.
fn notes(
    command: &Command,
    error: &clap::Error,
    typed: &[OsString],
    is_set: impl Fn(&str) -> bool,
) -> Vec<String> {
    let refused = refused_option(error);
    // clap names only the missing option, not the option that requires it. So every set
    // variable is a candidate.
    let is_any = error.kind() == ErrorKind::MissingRequiredArgument;
    let options = command.get_arguments().filter_map(|argument| {
        let variable = argument.get_env()?.to_str()?.to_owned();
        Some((format!("--{}", argument.get_long()?), variable))
    });
    options
        .filter(|(option, variable)| {
            let is_meant = refused == Some(option.as_str());
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

    use clap::{CommandFactory, Parser};

    use super::{notes, without_variables};
    use crate::application::tests::Bare;

    type Line = super::CommandLine<Bare>;

    fn told(typed: &[&str], set: &[&str]) -> Vec<String> {
        let typed: Vec<OsString> = std::iter::once(&"bare")
            .chain(typed)
            .map(OsString::from)
            .collect();
        let error = Line::try_parse_from(&typed).expect_err("it is refused");
        notes(&Line::command(), &error, &typed, |variable| {
            set.contains(&variable)
        })
    }

    #[test]
    fn note_names_variable_of_option_that_is_not_on_the_command_line() {
        let format = "note: '--log-format' comes from the variable IRONSTAR_LOG_FORMAT";
        let typed = &["--log-format", "zz"];
        assert_eq!(told(typed, &["IRONSTAR_LOG_FORMAT"]), [""; 0]);
        assert_eq!(
            told(&["--log-format=zz"], &["IRONSTAR_LOG_FORMAT"]),
            [""; 0]
        );
        // As clap sees it when the variable is set.
        let error = Line::try_parse_from(["bare", "--log-format", "zz"]);
        let error = error.expect_err("it is refused");
        let set = |variable: &str| ["IRONSTAR_LOG_FORMAT", "DATABASE_URL"].contains(&variable);
        assert_eq!(notes(&Line::command(), &error, &[], set), [format]);
        assert_eq!(notes(&Line::command(), &error, &[], |_| false), [""; 0]);
    }

    #[test]
    fn note_names_variable_of_option_that_requires_a_missing_one() {
        let error = Line::try_parse_from(["bare", "--github-client-secret", "x"]);
        let error = error.expect_err("it is refused");
        let set = |variable: &str| variable == "IRONSTAR_GITHUB_CLIENT_SECRET";
        let secret = "note: '--github-client-secret' comes from the variable \
                      IRONSTAR_GITHUB_CLIENT_SECRET";
        assert_eq!(notes(&Line::command(), &error, &[], set), [secret]);
    }

    #[test]
    fn every_option_has_a_variable_that_counts_as_not_set_when_it_is_empty() {
        let command = Line::command();
        let options = command.get_arguments().filter(|it| it.get_long().is_some());
        for option in options.filter(|it| !["help", "version"].contains(&it.get_id().as_str())) {
            assert!(option.get_env().is_some(), "{option} has no variable");
        }
        let mut command = without_variables(command, &|_| true);
        for option in command.get_arguments() {
            assert_eq!(option.get_env(), None, "{option} looks at its variable");
        }
        let help = command.render_help().to_string();
        assert!(help.contains("[env: IRONSTAR_LOG_FORMAT=]"), "{help}");
        let some = without_variables(Line::command(), &|it| it == "IRONSTAR_LOG_FORMAT");
        let looks = |id: &str| {
            some.get_arguments()
                .any(|it| it.get_id() == id && it.get_env().is_some())
        };
        assert!(looks("listen") && !looks("log_format"));
    }

    /// The words that operators use. The parser of an option also reads its variable.
    #[test]
    fn every_switch_takes_the_usual_words() {
        let mut switches = 0;
        for option in Line::command().get_arguments() {
            let is_switch =
                option.get_value_parser().type_id() == clap::value_parser!(bool).type_id();
            if !is_switch || option.get_env().is_none() {
                continue;
            }
            switches += 1;
            let id = option.get_id().as_str();
            let long = format!("--{}", option.get_long().expect("a name"));
            let parsed = |typed: &[&str]| {
                let typed = ["bare"].iter().chain(typed);
                let matches = Line::command().try_get_matches_from(typed);
                matches.map(|matches| matches.get_one::<bool>(id).copied())
            };
            let words = ["1", "yes", "TRUE", "on", "true", "y", "t"].map(|word| (word, true));
            let others = ["0", "no", "False", "OFF", "n", "f"].map(|word| (word, false));
            for (word, value) in words.into_iter().chain(others) {
                let option = format!("{long}={word}");
                assert_eq!(
                    parsed(&[&option]).expect("a switch"),
                    Some(value),
                    "{option}"
                );
            }
            assert_eq!(parsed(&[&long]).expect("a switch"), Some(true), "{long}");
            assert_eq!(parsed(&[]).expect("defaults"), Some(false), "{long}");
            parsed(&[&format!("{long}=maybe")]).expect_err("it is neither");
        }
        assert!(switches > 0);
    }
}
