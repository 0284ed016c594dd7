//! A caller has exactly the rights that the owner has given it, at any moment.
//!
//! The test plays random histories of callers, aggregates, links, revocations and hand-overs.
//! After each deed, every caller presents each link that it has ever got, and none. It asks for
//! its access, tries a command, asks for permits, and listens to the events. Permits end with
//! their right.
//!
//! Each aggregate has a twin: an aggregate of another type with the same id and links, which
//! belongs to a stranger. No caller may know of it.

use ironstar_app::CommandError;
use ironstar_app::access::{Audition, NoRefusal, Permit, Resource};
use ironstar_domain::Access;
use ironstar_fixtures::note::NoteState;
use ironstar_ports::{Envelope, EventStore, Position};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime;

use crate::support::SOON;

use super::history::{Deed, Player, any_deed, certain_deeds};
use super::letter::Letter;
use super::specimen::Specimen;
use super::trial::{Asker, Trial, execute, id};

impl Trial {
    /// All callers try everything, also on an aggregate that does not exist.
    async fn examine<A: Specimen, B: Specimen>(&mut self) {
        for index in 0..self.askers.len() {
            for item in 0..=self.model.items.len() {
                let Asker { player, link, .. } = self.askers[index];
                let access = self.model.access(item, player, link);
                let permits = self.ask::<A>(&self.askers[index], item, access).await;
                self.askers[index].keep(item, permits);
                let access = self.model.access_to_twin(item, player);
                self.ask::<B>(&self.askers[index], item, access).await;
            }
        }
    }

    /// Checks that a caller has exactly this access to an aggregate. Returns its permits.
    async fn ask<A: Specimen>(
        &self,
        asker: &Asker,
        item: usize,
        expected: Access,
    ) -> Vec<(Access, Permit)> {
        let told = format!("{:?} by {:?}, {} {item}", asker.player, asker.link, A::TYPE);
        let (id, caller) = (id::<A>(item), &asker.caller);
        let text = self.model.items.get(item);
        // The text is already the same, so an accepted command changes nothing.
        let command = A::rename(text.map_or("text", |item| &item.text));
        let outcome = execute::<A>(&self.elsewhere, item, &command, caller);
        let refusal = match outcome.await {
            Ok(_) => None,
            Err(CommandError::Refused(refusal)) => Some(refusal),
            Err(error) => panic!("{told}: {error}"),
        };
        let expected_refusal = match expected {
            Access::None => Some(A::NOT_FOUND),
            Access::Read | Access::Edit => Some(A::not_owner()),
            Access::Own => None,
        };
        assert_eq!(refusal, expected_refusal, "{told}");
        let seen = self.elsewhere.see::<A, NoRefusal>(&id).await.expect("read");
        assert_eq!(caller.access(&id, &seen.state), expected, "{told}");
        let resource = Resource::of::<A>(&id);
        let mut permits = Vec::new();
        for least in [Access::Read, Access::Edit, Access::Own] {
            let permit = self.gates.permit(&resource, caller.clone(), least).await;
            let permit = permit.expect("read");
            assert_eq!(permit.is_some(), expected >= least, "{told}: {least:?}");
            let Some(permit) = permit else { break };
            assert_eq!(permit.access(), expected, "{told}");
            permits.push((least, permit));
        }
        permits
    }

    /// Checks that exactly the permits without a right have ended.
    async fn check_permits(&mut self) {
        let head = self.world.events.head().await.expect("read");
        for asker in &mut self.askers {
            for held in std::mem::take(&mut asker.permits) {
                let access = self.model.access(held.item, asker.player, asker.link);
                let is_right = access >= held.least;
                let told = format!("{:?} by {:?}, {}", asker.player, asker.link, held.item);
                let holds = soon(held.permit.holds_at(head)).await;
                assert_eq!(holds, is_right, "{told}");
                assert_eq!(held.permit.is_refused(), !is_right, "{told}");
                if is_right {
                    assert!(!held.ended.is_finished(), "{told}");
                    asker.permits.push(held);
                } else {
                    soon(held.ended).await.expect("the task runs");
                }
            }
        }
    }

    /// Every caller listens to the whole log.
    async fn listen_from_the_start<A: Specimen, B: Specimen>(&self) {
        for asker in &self.askers {
            let mut audition = self.audition(&asker.caller);
            let audition = &mut audition;
            self.listen::<A, B>(asker, audition, Position::START, Position::START)
                .await;
        }
    }

    /// Every caller listens to the events since it listened last.
    async fn listen_on<A: Specimen, B: Specimen>(&mut self) {
        let mut auditions = std::mem::take(&mut self.auditions);
        for (asker, audition) in self.askers.iter().zip(&mut auditions) {
            self.listen::<A, B>(asker, audition, self.heard, self.before)
                .await;
        }
        self.auditions = auditions;
        self.heard = self.world.events.head().await.expect("read");
    }

    /// A caller listens to the events after a position. A listener that lags behind may miss
    /// events from before it got its right.
    async fn listen<A: Specimen, B: Specimen>(
        &self,
        asker: &Asker,
        audition: &mut Audition,
        after: Position,
        behind: Position,
    ) {
        let log = self.world.events.load_after(after, 1_000).await;
        for event in log.expect("read") {
            let expected = self.may_hear::<A, B>(&event, asker.player, asker.link);
            let hears = hears(audition, &event, asker.player).await;
            let told = format!("{:?} by {:?}, {event:?}", asker.player, asker.link);
            if hears || event.position > behind {
                assert_eq!(hears, expected, "{told}");
            }
        }
    }

    fn may_hear<A: Specimen, B: Specimen>(
        &self,
        event: &Envelope,
        player: Player,
        link: Option<usize>,
    ) -> bool {
        let parent = event.metadata.parent.as_ref();
        let stream = parent.unwrap_or(&event.stream);
        let mut items = 0..self.model.items.len();
        let item = items.find(|item| id::<A>(*item).to_string() == stream.aggregate_id);
        let access = match item {
            Some(item) if stream.aggregate_type == A::TYPE => self.model.access(item, player, link),
            // The twin declares no parts.
            Some(item) if parent.is_none() => self.model.access_to_twin(item, player),
            Some(_) | None => Access::None,
        };
        access >= Access::Read
    }
}

/// Returns true if an audition lets an event through.
async fn hears(audition: &mut Audition, event: &Envelope, player: Player) -> bool {
    audition.takes_note_of(event);
    let hears = soon(audition.may_hear(event)).await.expect("known");
    let origin = &event.metadata.origin;
    let told = audition.told(event);
    let is_own = |actor: &String| {
        player
            .principals()
            .iter()
            .any(|own| own.to_string() == *actor)
    };
    let keeps_id = origin.actor.as_ref().is_some_and(is_own);
    let id = origin.correlation_id.as_ref().filter(|_| keeps_id);
    assert_eq!(
        told.metadata.origin.correlation_id.as_ref(),
        id,
        "{player:?}"
    );
    hears
}

/// The output of a future that must be ready soon.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    let what = tokio::time::timeout(SOON, what);
    what.await.expect("the future is ready soon")
}

async fn check_history<A: Specimen, B: Specimen>(deeds: Vec<(Deed, bool)>) {
    let mut trial = Trial::new::<A, B>().await;
    for (deed, is_asked_at_once) in deeds {
        trial.play::<A, B>(&deed).await;
        // A question makes the gates read the log, and so does a listener.
        if is_asked_at_once {
            trial.examine::<A, B>().await;
            trial.check_permits().await;
        } else {
            trial.check_permits().await;
            trial.examine::<A, B>().await;
            trial.listen_on::<A, B>().await;
        }
        trial.listen_from_the_start::<A, B>().await;
    }
}

fn play<A: Specimen, B: Specimen>(deeds: Vec<(Deed, bool)>) {
    let runtime = runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(check_history::<A, B>(deeds));
}

/// Checks that callers have the right access to aggregates of type `A`, with twins of type `B`.
pub(crate) fn check_privacy<A: Specimen, B: Specimen>() {
    let certain = certain_deeds();
    let inverted = certain
        .iter()
        .map(|(deed, at_once)| (deed.clone(), !at_once));
    play::<A, B>(inverted.collect());
    play::<A, B>(certain);
    let mut runner = TestRunner::new(Config {
        cases: 16,
        failure_persistence: None,
        ..Config::default()
    });
    let deeds = prop::collection::vec((any_deed(), any::<bool>()), 1..12);
    let played = runner.run(&deeds, |deeds| {
        play::<A, B>(deeds);
        Ok(())
    });
    if let Err(failure) = played {
        panic!("{failure}");
    }
}

#[test]
fn caller_has_exactly_its_rights_to_a_note() {
    check_privacy::<NoteState, Letter>();
}
