use ironstar_ports::Position;
use uuid::Uuid;

use super::Log;
use crate::remarks::Witness;
use crate::server::{Answer, Reply};
use crate::written::{
    REMARK, Written, carried_out, closed, created, envelopes, reopened, rewritten,
};

/// Returns the violations of a log if a client has this reply to a command.
fn compare(log: &[Written], key: &str, reply: &Reply) -> Vec<String> {
    let mut read = Log::default();
    for envelope in envelopes(log) {
        read.see(&envelope).expect("readable");
    }
    let witness = Witness::default();
    assert_eq!(witness.note(key, reply), None);
    read.compare_with(&witness);
    read.violations
}

/// Returns the violations of a log if the command `close` was refused. The client's last event of
/// the remark is at this position.
fn refuse(log: &[Written], last: u64) -> Vec<String> {
    let id = REMARK.to_string();
    let last = Position::new(last);
    compare(log, "close", &Reply::AlreadyClosed { id, last })
}

fn accepted(id: Uuid, sequence: u64) -> Reply {
    Reply::Accepted(Answer {
        id: id.to_string(),
        sequence,
        position: sequence + 1,
    })
}

/// A remark that a step closes at position 2.
fn closed_by_step() -> Vec<Written> {
    vec![
        created(REMARK),
        closed(REMARK, Some("closing/1.0")),
        carried_out("closing/1.0"),
    ]
}

#[test]
fn remark_that_a_step_has_closed_may_refuse_to_be_closed() {
    let none: [&str; 0] = [];
    assert_eq!(refuse(&closed_by_step(), 1), none);
    let log = [closed_by_step(), vec![rewritten(REMARK)]].concat();
    assert_eq!(refuse(&log, 4), none, "it was rewritten after that");
    let again = vec![
        reopened(REMARK),
        closed(REMARK, Some("closing/4.0")),
        carried_out("closing/4.0"),
    ];
    let log = [closed_by_step(), again].concat();
    assert_eq!(refuse(&log, 1), none, "it was reopened later");
    assert_eq!(refuse(&log, 4), none, "it was closed twice");
}

#[test]
fn open_remark_that_refuses_to_be_closed_is_found() {
    assert_eq!(refuse(&[created(REMARK)], 1).len(), 1);
    let log = [closed_by_step(), vec![reopened(REMARK)]].concat();
    assert_eq!(refuse(&log, 4).len(), 1, "it was closed before that");
    let log = [
        created(REMARK),
        rewritten(REMARK),
        closed(REMARK, Some("closing/2.0")),
        carried_out("closing/2.0"),
    ];
    assert_eq!(refuse(&log, 1).len(), 1, "it was closed later");
    assert_eq!(refuse(&log, 2).len(), 0);
}

#[test]
fn refusal_after_the_client_itself_has_closed_the_remark_is_found() {
    let log = [created(REMARK), closed(REMARK, None)];
    assert_eq!(refuse(&log, 2).len(), 1);
    assert_eq!(refuse(&log, 1).len(), 1);
}

#[test]
fn reply_that_differs_from_the_log_is_found() {
    let log = [created(REMARK)];
    let find = |key, reply| compare(&log, key, &reply).len();
    assert_eq!(find("key-1", accepted(REMARK, 0)), 0);
    assert_eq!(find("key-1", accepted(REMARK, 1)), 1);
    assert_eq!(find("key-2", accepted(REMARK, 1)), 1);
    let (id, last) = (REMARK.to_string(), Position::START);
    assert_eq!(find("key-1", Reply::AlreadyClosed { id, last }), 1);
}
