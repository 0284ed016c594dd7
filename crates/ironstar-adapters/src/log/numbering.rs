//! Numbers the events of a batch, and answers its appends.
//!
//! This is a pure function of the ends of the log and the streams before the batch, and of the
//! commands that were executed before. Each append moves these on for the next, so the answers
//! are the same as if the appends came one by one.

use std::collections::{HashMap, HashSet};

use ironstar_ports::{
    Append, AppendError, Appended, CommandKey, CommandRecord, EarlierCommand, ExpectedSequence,
    LogPlace, NewEvent, Outcome, Position, Sequence, StreamAppend, StreamHead, StreamId,
};

use super::{Answers, Known};

/// The ends of the log and of the batch's streams, the known commands of the batch, and the
/// rows to insert.
#[derive(Debug, Default)]
pub(crate) struct Numbering<'a> {
    /// The last event of the log before the batch.
    before: Known,
    streams: HashMap<&'a StreamId, End>,
    commands: HashMap<&'a CommandKey, Outcome>,
    events: Vec<NumberedEvent<'a>>,
    /// The commands to insert. Their outcomes are in `commands`.
    new_commands: Vec<(&'a CommandKey, &'a CommandRecord)>,
    /// True if the batch has read nothing from the database.
    is_guess: bool,
}

/// The end of a stream that has events.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct End {
    pub(crate) sequence: Sequence,
    pub(crate) place: LogPlace,
}

/// An event with its numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NumberedEvent<'a> {
    pub(crate) position: Position,
    pub(crate) stream: &'a StreamId,
    pub(crate) sequence: Sequence,
    pub(crate) event: &'a NewEvent,
}

/// A command to insert.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewCommand<'a> {
    pub(crate) key: &'a CommandKey,
    pub(crate) outcome: &'a Outcome,
    /// Earlier keys of the command, which must not be known.
    pub(crate) earlier: &'a [EarlierCommand],
}

impl<'a> Numbering<'a> {
    /// Begins after the last event of the log, with the ends of streams and the commands that
    /// the database has.
    pub(crate) fn new(
        before: Known,
        streams: HashMap<&'a StreamId, End>,
        commands: HashMap<&'a CommandKey, Outcome>,
    ) -> Self {
        Self {
            before,
            streams,
            commands,
            ..Self::default()
        }
    }

    /// Begins with the sequences that callers expect, or returns `None` if a caller does not
    /// say enough.
    pub(crate) fn guess(before: &Known, appends: &'a [Append]) -> Option<Self> {
        let mut streams = HashMap::new();
        let mut said = HashSet::new();
        for append in appends.iter().flat_map(|append| &append.streams) {
            if append.events.is_empty() {
                // An append without events answers with its stream's present end, which no
                // caller has named.
                return None;
            }
            if !said.insert(&append.stream) {
                continue;
            }
            match append.expected {
                ExpectedSequence::Any => return None,
                ExpectedSequence::NoStream => {}
                ExpectedSequence::Exact(sequence) => {
                    let place = LogPlace::START;
                    streams.insert(&append.stream, End { sequence, place });
                }
            }
        }
        Some(Self {
            before: before.clone(),
            streams,
            is_guess: true,
            ..Self::default()
        })
    }

    /// Numbers the events of all appends. An append that is refused gets an error as its
    /// answer, and its events get no numbers.
    pub(crate) fn answer_all(&mut self, appends: &'a [Append]) -> Answers {
        appends.iter().map(|append| self.answer(append)).collect()
    }

    /// The last event of the log before the batch.
    pub(crate) fn before(&self) -> &Known {
        &self.before
    }

    /// The last event of the log after the batch.
    pub(crate) fn after(self) -> Known {
        match self.events.last() {
            Some(event) => Known(
                event.position,
                Some(event.event.metadata.event_id.to_string()),
            ),
            None => self.before,
        }
    }

    /// The events to insert.
    pub(crate) fn events(&self) -> &[NumberedEvent<'a>] {
        &self.events
    }

    /// Returns true if there are commands to insert.
    pub(crate) fn has_commands(&self) -> bool {
        !self.new_commands.is_empty()
    }

    /// The commands to insert.
    pub(crate) fn commands(&self) -> Vec<NewCommand<'_>> {
        let commands = self.new_commands.iter();
        commands
            .map(|(key, command)| {
                // If the batch is not a guess, the earlier keys were read and compared already.
                let unread = if self.is_guess {
                    &*command.earlier
                } else {
                    &[]
                };
                NewCommand {
                    key,
                    outcome: &self.commands[key],
                    earlier: unread,
                }
            })
            .collect()
    }

    fn answer(&mut self, append: &'a Append) -> Result<Appended, AppendError> {
        let Some(command) = &append.command else {
            return self.number(append);
        };
        if let Some(known) = self.known(command)? {
            return Ok(known);
        }
        let appended = self.number(append)?;
        for key in command.keys() {
            let outcome = Outcome {
                request: command.request.clone(),
                appended: appended.clone(),
            };
            self.commands.insert(key, outcome);
            self.new_commands.push((key, command));
        }
        Ok(appended)
    }

    /// Returns the answer to a command that was executed before.
    fn known(&self, command: &CommandRecord) -> Result<Option<Appended>, AppendError> {
        if let Some(known) = command.keys().find_map(|key| self.commands.get(key)) {
            if known.request != command.request {
                return Err(AppendError::KeyReused);
            }
            return Ok(Some(known.appended.clone()));
        }
        Ok(command.earlier.iter().find_map(|earlier| {
            let known = self.commands.get(&earlier.key)?;
            (known.request == earlier.request).then(|| known.appended.clone())
        }))
    }

    /// Numbers the events of an append, or returns a conflict if a stream is not at the
    /// expected sequence.
    fn number(&mut self, append: &'a Append) -> Result<Appended, AppendError> {
        let start = self.events.len();
        let mut moved: HashMap<&StreamId, End> = HashMap::new();
        let mut heads = Vec::with_capacity(append.streams.len());
        for part in &append.streams {
            let stream = &part.stream;
            let end = moved.get(stream).or(self.streams.get(stream)).copied();
            let actual = end.map(|end| end.sequence);
            if !part.expected.admits(actual) {
                self.events.truncate(start);
                return Err(AppendError::Conflict {
                    stream: stream.clone(),
                    expected: part.expected,
                    actual,
                });
            }
            let end = self.add(part, end);
            if let Some(end) = end {
                moved.insert(stream, end);
            }
            heads.push(head_of(stream, end));
        }
        self.streams.extend(moved);
        Ok(Appended { streams: heads })
    }

    /// Adds the events of one stream after its end, and returns the new end.
    fn add(&mut self, append: &'a StreamAppend, mut end: Option<End>) -> Option<End> {
        for event in &append.events {
            let last = self.events.last().map(|event| event.position);
            let position = last.unwrap_or(self.before.0).next();
            let sequence = end.map_or(Sequence::FIRST, |end| end.sequence.next());
            let place = LogPlace::of(position, event.metadata.event_id);
            end = Some(End { sequence, place });
            self.events.push(NumberedEvent {
                position,
                stream: &append.stream,
                sequence,
                event,
            });
        }
        end
    }
}

fn head_of(stream: &StreamId, end: Option<End>) -> StreamHead {
    let place = end.map_or(LogPlace::START, |end| end.place);
    StreamHead {
        stream: stream.clone(),
        sequence: end.map(|end| end.sequence),
        position: place.position,
        mark: place.mark,
    }
}

#[cfg(test)]
mod tests;
