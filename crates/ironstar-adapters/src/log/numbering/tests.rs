use ironstar_ports::{Metadata, Payload};
use uuid::Uuid;

use super::*;

/// Parses appends, such as `a@3+1 b@new+2 | a@any+0`. The first appends one event to stream `a`
/// after sequence 3, and two to the new stream `b`. The second appends no event to `a`.
fn appends(text: &str) -> Vec<Append> {
    let event = |id| NewEvent {
        event_type: "happened".to_owned(),
        schema_version: 1,
        payload: Payload::from_text("{}".to_owned()).expect("JSON"),
        metadata: Metadata::new(Uuid::from_u128(id)),
    };
    let part = |part: &str| {
        let (id, rest) = part.split_once('@').expect("a stream");
        let (expected, count) = rest.split_once('+').expect("a number of events");
        StreamAppend {
            stream: StreamId::new("Test", id),
            expected: match expected {
                "any" => ExpectedSequence::Any,
                "new" => ExpectedSequence::NoStream,
                last => ExpectedSequence::Exact(Sequence::new(last.parse().expect("a number"))),
            },
            events: (1..=count.parse().expect("a number")).map(event).collect(),
        }
    };
    let append = |append: &str| Append {
        streams: append.split(' ').map(part).collect(),
        command: None,
    };
    text.split(" | ").map(append).collect()
}

fn key(key: &str) -> CommandKey {
    key.parse().expect("a key")
}

/// An append with a command of one or two keys, such as `k l`. `earlier` has the keys and
/// requests under which the command may have been stored before.
fn command(keys: &str, request: &str, earlier: &[(&str, &str)], append: &str) -> Append {
    let mut keys = keys.split(' ').map(key);
    let earlier = earlier.iter().map(|(earlier, request)| EarlierCommand {
        key: key(earlier),
        request: (*request).to_owned(),
    });
    let command = CommandRecord {
        key: keys.next().expect("a key"),
        second: keys.next(),
        request: request.to_owned(),
        earlier: earlier.collect(),
    };
    Append {
        command: Some(command),
        ..appends(append).remove(0)
    }
}

/// The text of answers, such as `a:4@18 b:0@19 | a is at 4`. The first append was accepted: its
/// streams end with sequences 4 and 0 at positions 18 and 19. The second conflicts.
fn text(answers: &Answers) -> String {
    let number = |sequence: Option<Sequence>| sequence.map_or("-".to_owned(), |it| it.to_string());
    let head = |head: &StreamHead| {
        let id = &head.stream.aggregate_id;
        format!("{id}:{}@{}", number(head.sequence), head.position)
    };
    let answers = answers.iter().map(|answer| match answer {
        Ok(appended) => {
            let heads: Vec<_> = appended.streams.iter().map(head).collect();
            heads.join(" ")
        }
        Err(AppendError::Conflict { stream, actual, .. }) => {
            format!("{} is at {}", stream.aggregate_id, number(*actual))
        }
        Err(AppendError::KeyReused) => "key reused".to_owned(),
        Err(other) => panic!("{other}"),
    });
    answers.collect::<Vec<_>>().join(" | ")
}

/// The text of new commands, such as `n(k) m`. The key `k` is an earlier key of the first.
fn command_text(numbering: &Numbering<'_>) -> String {
    let command = |command: &NewCommand<'_>| {
        let earlier = command.earlier.iter().map(|earlier| earlier.key.as_str());
        match earlier.collect::<Vec<_>>().join(" ") {
            none if none.is_empty() => command.key.as_str().to_owned(),
            earlier => format!("{}({earlier})", command.key.as_str()),
        }
    };
    let commands: Vec<_> = numbering.commands().iter().map(command).collect();
    commands.join(" ")
}

/// Checks a batch after position 17. Stream `a` ends with sequence 3 at position 9. The command
/// `k` was executed before, with the request `q` and the answer `old:7@5`.
fn check(name: &str, appends: &[Append], answers: &str, events: &str, commands: &str) {
    let (a, k) = (StreamId::new("Test", "a"), key("k"));
    let end = End {
        sequence: Sequence::new(3),
        place: Position::new(9).into(),
    };
    let old = StreamHead {
        sequence: Some(Sequence::new(7)),
        position: Position::new(5),
        ..StreamHead::empty(StreamId::new("Test", "old"))
    };
    let outcome = Outcome {
        request: "q".to_owned(),
        appended: Appended { streams: vec![old] },
    };
    let before = Known(Position::new(17), None);
    let known = HashMap::from([(&k, outcome)]);
    let mut numbering = Numbering::new(before, HashMap::from([(&a, end)]), known);
    assert_eq!(text(&numbering.answer_all(appends)), answers, "{name}");
    let rows = numbering.events().iter().map(|row| {
        let id = &row.stream.aggregate_id;
        format!("{id}:{}@{}", row.sequence, row.position)
    });
    assert_eq!(rows.collect::<Vec<_>>().join(" "), events, "{name}");
    assert_eq!(command_text(&numbering), commands, "{name}");
    assert_eq!(numbering.has_commands(), !commands.is_empty(), "{name}");
}

#[test]
fn events_follow_their_stream_and_the_log() {
    for (name, batch, answers, events) in [
        ("stream continues", "a@any+2", "a:5@19", "a:4@18 a:5@19"),
        ("new stream begins", "b@new+1", "b:0@18", "b:0@18"),
        (
            "second append follows the first",
            "a@3+1 | b@any+1 | a@4+1",
            "a:4@18 | b:0@19 | a:5@20",
            "a:4@18 b:0@19 a:5@20",
        ),
        (
            "append names a stream twice",
            "a@3+1 b@new+1 a@4+1",
            "a:4@18 b:0@19 a:5@20",
            "a:4@18 b:0@19 a:5@20",
        ),
        ("condition holds", "a@3+0 b@new+1", "a:3@9 b:0@18", "b:0@18"),
        (
            "stream stays empty",
            "b@new+0 | b@new+0",
            "b:-@0 | b:-@0",
            "",
        ),
    ] {
        check(name, &appends(batch), answers, events, "");
    }
}

#[test]
fn append_at_another_sequence_conflicts_and_gets_no_numbers() {
    for (name, batch, answers, events) in [
        ("stream exists", "a@new+1", "a is at 3", ""),
        ("stream does not exist", "b@0+1", "b is at -", ""),
        (
            "earlier append of the batch was quicker",
            "a@3+1 | a@3+1 | b@new+1",
            "a:4@18 | a is at 4 | b:0@19",
            "a:4@18 b:0@19",
        ),
        (
            "second stream of the append conflicts",
            "b@new+2 a@9+1 | b@new+1",
            "a is at 3 | b:0@18",
            "b:0@18",
        ),
        (
            "append conflicts with itself",
            "a@3+1 a@3+1",
            "a is at 4",
            "",
        ),
        ("condition does not hold", "b@new+1 a@2+0", "a is at 3", ""),
        (
            "earlier append breaks the condition",
            "a@3+1 | a@3+0 b@new+1",
            "a:4@18 | a is at 4",
            "a:4@18",
        ),
    ] {
        check(name, &appends(batch), answers, events, "");
    }
}

#[test]
fn new_command_is_stored_with_each_of_its_keys() {
    let (one, two) = ("n", "n m");
    let lost = command("n", "q", &[], "a@2+1");
    for (name, batch, answers, events, commands) in [
        (
            "one key",
            vec![command("n", "q", &[], "b@new+1")],
            "b:0@18",
            "b:0@18",
            one,
        ),
        (
            "two keys",
            vec![command("n m", "q", &[], "b@new+1")],
            "b:0@18",
            "b:0@18",
            two,
        ),
        (
            "no events",
            vec![command("n", "q", &[], "a@any+0")],
            "a:3@9",
            "",
            one,
        ),
        (
            "earlier key belongs to another request",
            vec![command("n", "q", &[("k", "other")], "b@new+1")],
            "b:0@18",
            "b:0@18",
            one,
        ),
        (
            "conflict leaves the key free",
            vec![lost, command("n", "other", &[], "b@new+1")],
            "a is at 3 | b:0@18",
            "b:0@18",
            one,
        ),
    ] {
        check(name, &batch, answers, events, commands);
    }
}

#[test]
fn repeated_command_gets_the_first_answer() {
    for (keys, request, earlier, answer) in [
        ("k", "q", &[][..], "old:7@5"),
        ("n k", "q", &[], "old:7@5"),
        ("n", "new", &[("m", "q"), ("k", "q")], "old:7@5"),
        ("k", "other", &[], "key reused"),
        ("k", "other", &[("k", "q")], "key reused"),
    ] {
        // A repetition is recognised before its streams are compared.
        let repetition = command(keys, request, earlier, "a@2+1");
        check(keys, &[repetition], answer, "", "");
    }
}

#[test]
fn command_is_repeated_within_a_batch() {
    let batch = [
        command("n m", "q", &[], "b@new+1"),
        command("n", "q", &[], "b@new+1"),
        command("m", "q", &[], "b@new+1"),
        command("o", "new", &[("n", "q")], "b@new+1"),
        command("m", "other", &[], "b@new+1"),
    ];
    let answers = "b:0@18 | b:0@18 | b:0@18 | b:0@18 | key reused";
    check("repetitions", &batch, answers, "b:0@18", "n m");
}

#[test]
fn log_ends_with_the_last_accepted_event() {
    let before = Known(Position::new(17), Some("before".to_owned()));
    let last = Known(Position::new(19), Some(Uuid::from_u128(2).to_string()));
    for (batch, expected) in [("b@0+1", &before), ("b@new+2 | b@new+1", &last)] {
        let batch = appends(batch);
        let mut numbering = Numbering::new(before.clone(), HashMap::new(), HashMap::new());
        numbering.answer_all(&batch);
        assert_eq!(numbering.before(), &before);
        assert_eq!(&numbering.after(), expected);
    }
}

#[test]
fn batch_guesses_the_sequences_that_callers_name() {
    let before = Known(Position::new(17), None);
    for (batch, answers) in [
        ("a@new+1", Some("a:0@18")),
        ("a@3+1", Some("a:4@18")),
        // The expectations of later appends follow from the first.
        ("a@3+1 | a@4+1 | a@any+1", Some("a:4@18 | a:5@19 | a:6@20")),
        ("a@any+1", None),
        ("a@3+1 b@any+1", None),
        ("a@new+0", None),
        ("a@3+1 | a@4+0", None),
    ] {
        let batch = appends(batch);
        let guessed = Numbering::guess(&before, &batch).map(|mut guess| {
            assert_eq!(guess.before(), &before);
            text(&guess.answer_all(&batch))
        });
        assert_eq!(guessed.as_deref(), answers);
    }
}

/// The insertion has to compare keys that the batch has not read.
#[test]
fn guess_names_the_earlier_keys_of_each_command() {
    let batch = [command("n m", "q", &[("k", "q"), ("l", "q")], "b@new+1")];
    let mut guess = Numbering::guess(&Known::default(), &batch).expect("a guess");
    guess.answer_all(&batch);
    assert_eq!(command_text(&guess), "n(k l) m(k l)");
}
