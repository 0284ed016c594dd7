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

/// Names a rule after its function.
macro_rules! rule {
    ($module:ident :: $function:ident, $name:literal) => {
        Rule {
            name: $name,
            check: |store| $module::$function(store).boxed(),
        }
    };
}

/// Every rule, in reading order.
pub const RULES: &[Rule<Store>] = &[
    rule!(appending::empty_store, "empty-store"),
    rule!(appending::round_trip, "round-trip"),
    rule!(appending::sequences, "sequences"),
    rule!(appending::positions, "positions"),
    rule!(appending::expect_no_stream, "expect-no-stream"),
    rule!(appending::expect_exact, "expect-exact"),
    rule!(appending::expect_any, "expect-any"),
    rule!(
        appending::conflict_appends_nothing,
        "conflict-appends-nothing"
    ),
    rule!(appending::empty_append, "empty-append"),
    rule!(appending::several_streams, "several-streams"),
    rule!(appending::all_or_none, "all-or-none"),
    rule!(appending::immutable, "immutable"),
    rule!(concurrency::one_winner, "one-winner"),
    rule!(
        concurrency::contiguous_under_contention,
        "contiguous-under-contention"
    ),
    rule!(concurrency::visible_in_order, "visible-in-order"),
    rule!(reading::stream_paging, "stream-paging"),
    rule!(reading::log_paging, "log-paging"),
    rule!(commands::answers_again, "command-answers-again"),
    rule!(commands::outcome_is_known, "command-outcome-is-known"),
    rule!(commands::key_is_not_reused, "command-key-is-not-reused"),
    rule!(
        commands::nothing_to_change,
        "command-with-nothing-to-change"
    ),
    rule!(
        commands::refusal_is_not_recorded,
        "command-refusal-is-not-recorded"
    ),
    rule!(commands::one_of_many, "command-sent-many-times-at-once"),
];
