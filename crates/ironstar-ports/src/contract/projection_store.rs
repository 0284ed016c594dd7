//! The promises of [`ProjectionStore`].

mod builds;
mod commits;
mod documents;
mod failures;
mod pages;
mod promotion;
mod support;

use std::sync::Arc;

use futures::FutureExt;

use super::Rule;
use crate::ProjectionStore;

type Store = Arc<dyn ProjectionStore>;

/// All rules, in reading order.
pub const RULES: &[Rule<Store>] = &[
    rule!("document-round-trip", documents::round_trip),
    rule!("document-put-again", documents::put_again),
    rule!("document-removed", documents::removed),
    rule!("documents-by-key", documents::by_key),
    rule!("documents-of-each-build", documents::of_each_build),
    rule!("commit-moves-the-checkpoint", commits::moves_the_checkpoint),
    rule!("commit-from-elsewhere", commits::from_elsewhere),
    rule!("commit-in-another-history", commits::in_another_history),
    rule!("commit-one-winner", commits::one_winner),
    rule!("commit-seen-whole", commits::seen_whole),
    rule!("commit-to-a-stopped-build", commits::to_a_stopped_build),
    rule!("build-begins-empty", builds::begins_empty),
    rule!("build-goes-on", builds::goes_on),
    rule!(
        "build-goes-on-after-a-cancellation",
        builds::goes_on_after_a_cancellation
    ),
    rule!("build-of-another-version", builds::of_another_version),
    rule!("build-numbers", builds::numbers),
    rule!("builds-in-order", builds::in_order),
    rule!("build-cancelled", builds::cancelled),
    rule!("build-that-has-ended", builds::that_has_ended),
    rule!("build-discarded", builds::discarded),
    rule!("promote-the-first", promotion::of_the_first),
    rule!("promote-the-next", promotion::of_the_next),
    rule!("promote-not-behind", promotion::not_behind),
    rule!(
        "promote-only-a-build-in-progress",
        promotion::of_a_build_in_progress
    ),
    rule!("failure-reported", failures::reported),
    rule!("failure-over", failures::over),
    rule!("failure-skipped", failures::skipped),
    rule!("failure-of-that-position", failures::of_that_position),
    rule!("failure-at-a-skipped-event", failures::at_a_skipped_event),
    rule!("failure-at-a-passed-event", failures::at_a_passed_event),
    rule!("page-in-order", pages::in_order),
    rule!("page-after-a-place", pages::after_a_place),
    rule!("page-limit", pages::limit),
    rule!("page-of-several-collections", pages::of_several_collections),
];
