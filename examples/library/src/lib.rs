//! A lending library: the application of `docs/FIRST_AGGREGATE.md`. A test of `xtask` checks
//! that the guide shows exactly this code.

#![expect(missing_docs, reason = "the guide explains the code")]

pub mod book;
pub mod loans;
pub mod page;
pub mod recall;
