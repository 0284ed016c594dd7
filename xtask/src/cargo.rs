//! Cargo, as the tasks run it.

use std::process::Command;

/// A call of Cargo by its name. Rustup's stand-in then tells all compilers their toolchain.
/// Otherwise a package with a `rust-toolchain` file of its own could choose another one.
pub(crate) fn command() -> Command {
    Command::new("cargo")
}
