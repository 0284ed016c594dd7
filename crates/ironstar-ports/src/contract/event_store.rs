//! The promises of [`EventStore`].

mod appending;
mod commands;
mod concurrency;
mod reading;
mod support;

use std::sync::Arc;

use futures::FutureExt;

use super::Rule;
use crate::EventStore;

type Store = Arc<dyn EventStore>;

/// All rules, in reading order.
pub const RULES: &[Rule<Store>] = &[
    rule!("empty-store", appending::empty_store),
    rule!("round-trip", appending::round_trip),
    rule!("sequences", appending::sequences),
    rule!("positions", appending::positions),
    rule!("marks", appending::marks),
    rule!("expect-no-stream", appending::expect_no_stream),
    rule!("expect-exact", appending::expect_exact),
    rule!("expect-any", appending::expect_any),
    rule!(
        "conflict-appends-nothing",
        appending::conflict_appends_nothing
    ),
    rule!("empty-append", appending::empty_append),
    rule!("several-streams", appending::several_streams),
    rule!("all-or-none", appending::all_or_none),
    rule!("immutable", appending::immutable),
    rule!("one-winner", concurrency::one_winner),
    rule!(
        "contiguous-under-contention",
        concurrency::contiguous_under_contention
    ),
    rule!("visible-in-order", concurrency::visible_in_order),
    rule!("stream-paging", reading::stream_paging),
    rule!("stream-of-each-type", reading::stream_of_each_type),
    rule!("log-paging", reading::log_paging),
    rule!("command-answers-again", commands::answers_again),
    rule!("command-outcome-is-known", commands::outcome_is_known),
    rule!("command-key-is-not-reused", commands::key_is_not_reused),
    rule!(
        "command-with-nothing-to-change",
        commands::nothing_to_change
    ),
    rule!(
        "command-refusal-is-not-recorded",
        commands::refusal_is_not_recorded
    ),
    rule!("command-sent-many-times-at-once", commands::one_of_many),
    rule!("command-known-by-its-second-key", commands::second_key),
    rule!("command-known-by-an-earlier-key", commands::earlier_key),
    rule!(
        "command-earlier-key-of-another-command",
        commands::earlier_key_of_another_command
    ),
];
