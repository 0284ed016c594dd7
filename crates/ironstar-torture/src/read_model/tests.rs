use ironstar_app::projection::Projection;
use ironstar_app::test_kit::{Happened, given, happened};
use ironstar_domain::Aggregate;
use ironstar_fixtures::note::OPEN;
use ironstar_fixtures::remark::{RemarkEvent, RemarkState};
use ironstar_fixtures::remarks::{Line, RemarkProjection};
use ironstar_ports::{Document, Payload, StreamId};

use super::{compare, fold};
use crate::written::REMARK;

fn remark(event: RemarkEvent) -> Happened {
    happened::<RemarkState>(REMARK, event)
}

fn created() -> Happened {
    let text = "Milk".to_owned();
    remark(RemarkEvent::Created { note: OPEN, text })
}

fn key() -> String {
    StreamId::new(RemarkState::TYPE, REMARK.to_string()).to_string()
}

/// The line that the projection makes from these events.
fn line(events: Vec<Happened>) -> Line {
    let view = given(events).view::<RemarkProjection>();
    let line = view.document(&key());
    line.expect("a line").clone()
}

fn document(line: &Line) -> Document {
    Document {
        key: key(),
        place: RemarkProjection::place(line),
        body: Payload::of(line).expect("JSON"),
    }
}

/// The number of differences between documents and a log.
fn differences(documents: &[Document], log: Vec<Happened>) -> usize {
    let expected = fold(given(log).log()).expect("readable");
    compare(documents, &expected).expect("readable").len()
}

#[test]
fn read_model_of_the_same_events_has_no_difference() {
    let log = || vec![created(), remark(RemarkEvent::Closed)];
    assert_eq!(differences(&[document(&line(log()))], log()), 0);
}

#[test]
fn event_that_is_folded_twice_is_found() {
    let log = || vec![created(), remark(RemarkEvent::Closed)];
    let twice = line([log(), vec![remark(RemarkEvent::Closed)]].concat());
    assert!(twice.is_closed, "only the count differs");
    assert_eq!(differences(&[document(&twice)], log()), 1);
}

#[test]
fn event_that_is_left_out_is_found() {
    let log = vec![created(), remark(RemarkEvent::Closed)];
    assert_eq!(differences(&[document(&line(vec![created()]))], log), 1);
}

#[test]
fn line_that_stays_in_the_collection_of_open_lines_is_found() {
    let log = || vec![created(), remark(RemarkEvent::Closed)];
    let stays = Document {
        place: RemarkProjection::place(&line(vec![created()])),
        ..document(&line(log()))
    };
    assert_eq!(differences(&[stays], log()), 1);
}
