//! The measurements and their comparisons. Measurements that share a run stand side by side,
//! so that the run is done once for all of them.

mod fanout;

use super::program::{Program, Run};

/// A figure and its comparison.
#[derive(Debug)]
pub(super) struct Measurement {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    pub(super) value: Source,
    pub(super) against: &'static str,
    pub(super) against_value: Source,
    pub(super) goal: Goal,
    pub(super) better: Better,
    pub(super) effort: Effort,
}

/// The run that a figure is taken from, and the name of the figure in its output.
pub(super) type Source = (Run, &'static str);

/// The goal of a measurement.
#[derive(Clone, Copy, Debug)]
pub(super) enum Goal {
    /// None: the figure is for information.
    None,
    /// A ratio of the figure to its comparison.
    Ratio(f64),
    /// A value in the unit of the measurement.
    Value(f64),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Better {
    Higher,
    Lower,
}

/// The time that a measurement takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Effort {
    /// Seconds a round.
    Short,
    /// So long that a quick run skips it.
    Long,
    /// So long that it is taken only once.
    Once,
}

const CLIENTS_1: Run = (Program::Ironstar, &["commands", "--clients", "1"]);
const CLIENTS_8: Run = (Program::Ironstar, &["commands", "--clients", "8"]);
const CLIENTS_64: Run = (Program::Ironstar, &["commands", "--clients", "64"]);
const CLIENTS_256: Run = (Program::Ironstar, &["commands", "--clients", "256"]);

const POSTGRESQL_64: Run = (Program::Ironstar, &["postgres", "--clients", "64"]);
const POSTGRESQL_192: Run = (Program::Ironstar, &["postgres", "--clients", "192"]);
const POSTGRESQL_LOOP: Run = (Program::Ironstar, &["postgres-ceiling", "--batch", "64"]);

const NODES_EVENT: Run = (Program::Ironstar, &["nodes-event"]);
const TAKE_OVER: Run = (Program::Server, &["nodes-take-over"]);

const SCAN_400K: Run = (Program::Ironstar, &["scan", "--events", "400000"]);
const REBUILD: Run = (Program::Ironstar, &["rebuild", "--events", "400000"]);
const BUSY: Run = (Program::Ironstar, &["busy", "--events", "400000"]);
const BUSY_REBUILDING: Run = (
    Program::Ironstar,
    &["busy", "--events", "400000", "--rebuilds"],
);
const LAG: Run = (Program::Ironstar, &["lag"]);

const LOAD: &[&str] = &["--seconds", "5", "http", "--connections", "64"];
const HTTP: Run = (Program::Server, LOAD);
const HTTP_BARE: Run = (Program::BareServer, LOAD);
const FRAMES: &[&str] = &["frames"];
const SOAK: Run = (Program::Server, &["--seconds", "1800", "soak"]);

/// Returns all measurements, in the order in which they are taken.
pub(super) fn all() -> impl Iterator<Item = &'static Measurement> {
    MEASUREMENTS.iter().chain(fanout::MEASUREMENTS)
}

const MEASUREMENTS: &[Measurement] = &[
    rate(
        ("commands, 1 client", CLIENTS_1),
        "rusqlite, 1 a transaction",
        (Program::Ironstar, &["ceiling", "--batch", "1"]),
        0.7,
    ),
    rate(
        ("commands, 8 clients", CLIENTS_8),
        "tephra",
        (Program::Tephra, &["--clients", "8"]),
        0.5,
    ),
    rate(
        ("commands, 64 clients", CLIENTS_64),
        "cqrs-es, FULL",
        (Program::CqrsEs, &["--clients", "64", "--full"]),
        15.0,
    ),
    rate(
        ("commands, 64 clients", CLIENTS_64),
        "cqrs-es, NORMAL",
        (Program::CqrsEs, &["--clients", "64"]),
        8.0,
    ),
    rate(
        ("commands, 64 clients", CLIENTS_64),
        "tephra",
        (Program::Tephra, &["--clients", "64"]),
        0.5,
    ),
    rate(
        ("commands, 64 clients", CLIENTS_64),
        "rusqlite, 64 a transaction",
        (Program::Ironstar, &["ceiling", "--batch", "64"]),
        0.8,
    ),
    rate(
        ("commands, 256 clients", CLIENTS_256),
        "rusqlite, 256 a transaction",
        (Program::Ironstar, &["ceiling", "--batch", "256"]),
        0.8,
    ),
    rate(
        ("commands, 256 clients", CLIENTS_256),
        "tephra",
        (Program::Tephra, &["--clients", "256"]),
        0.5,
    ),
    rate(
        ("commands on PostgreSQL, 64 clients", POSTGRESQL_64),
        "cqrs-es",
        (Program::CqrsEs, &["--clients", "64", "--postgres"]),
        8.0,
    ),
    rate(
        ("commands on PostgreSQL, 64 clients", POSTGRESQL_64),
        "the same statement in a loop",
        POSTGRESQL_LOOP,
        0.8,
    ),
    rate(
        ("batches of 64 on PostgreSQL", POSTGRESQL_LOOP),
        "without the lock and the checks",
        (
            Program::Ironstar,
            &["postgres-ceiling", "--batch", "64", "--plain"],
        ),
        0.9,
    ),
    rate(
        (
            "commands of 3 nodes on PostgreSQL, 192 clients",
            (
                Program::Ironstar,
                &["postgres", "--nodes", "3", "--clients", "192"],
            ),
        ),
        "1 node",
        POSTGRESQL_192,
        0.9,
    ),
    Measurement {
        goal: Goal::Value(10.0),
        ..lag(
            (NODES_EVENT, "event at another node, p50"),
            "p50_ms",
            "command_p50_ms",
        )
    },
    Measurement {
        goal: Goal::Value(50.0),
        ..lag(
            (NODES_EVENT, "event at another node, p99"),
            "p99_ms",
            "command_p99_ms",
        )
    },
    Measurement {
        unit: "s",
        goal: Goal::Value(5.0),
        against_value: (TAKE_OVER, "stopped_seconds"),
        ..time(
            "leases of a killed server taken over",
            "killed_seconds",
            TAKE_OVER,
            "of one that stops",
            TAKE_OVER,
        )
    },
    Measurement {
        unit: "events/s",
        ..rate(
            (
                "replay",
                (Program::Ironstar, &["replay", "--events", "200000"]),
            ),
            "plain scan",
            (Program::Ironstar, &["scan", "--events", "200000"]),
            0.5,
        )
    },
    Measurement {
        unit: "events/s",
        ..rate(("rebuild", REBUILD), "plain scan", SCAN_400K, 0.4)
    },
    Measurement {
        unit: "events/s",
        value: (BUSY_REBUILDING, "rebuild_rate"),
        goal: Goal::None,
        ..rate(
            ("rebuild while commands run", BUSY_REBUILDING),
            "plain scan",
            SCAN_400K,
            0.0,
        )
    },
    rate(
        ("commands during a rebuild", BUSY_REBUILDING),
        "without one",
        BUSY,
        0.8,
    ),
    Measurement {
        value: (BUSY_REBUILDING, "rate_throughout"),
        ..rate(
            ("commands, rebuild after rebuild", BUSY_REBUILDING),
            "without one",
            BUSY,
            0.8,
        )
    },
    lag((LAG, "projection lag, p50"), "p50_ms", "command_p50_ms"),
    Measurement {
        goal: Goal::Value(50.0),
        ..lag((LAG, "projection lag, p99"), "p99_ms", "command_p99_ms")
    },
    Measurement {
        effort: Effort::Long,
        ..rate(
            (
                "commands on a stream of 10,000",
                (Program::Ironstar, &["stream", "--length", "10000"]),
            ),
            "on a stream of 10",
            (Program::Ironstar, &["stream", "--length", "10"]),
            // At most 1.5 times as long.
            1.0 / 1.5,
        )
    },
    Measurement {
        goal: Goal::Ratio(1.5),
        effort: Effort::Long,
        ..time(
            "first command on a stream of 10,000",
            "p50_ms",
            (Program::Ironstar, &["cold", "--length", "10000"]),
            "on a stream of 10",
            (Program::Ironstar, &["cold", "--length", "10"]),
        )
    },
    grown(
        "append to 1 million events",
        (Program::Ironstar, &["append", "--events", "1000000"]),
    ),
    grown(
        "append to 10 million events",
        (Program::Ironstar, &["append", "--events", "10000000"]),
    ),
    rate(
        ("HTTP, 64 connections", HTTP),
        "bare handler",
        HTTP_BARE,
        0.25,
    ),
    http_time("HTTP, 64 connections, p50", "p50_ms"),
    http_time("HTTP, 64 connections, p99", "p99_ms"),
    http_time("HTTP, 64 connections, p99.9", "p99.9_ms"),
    Measurement {
        goal: Goal::Value(2.0),
        ..frame_time("frame, after the answer", "after_answer_p50_ms")
    },
    frame_time("frame, after the command", "p50_ms"),
    frame_time("frame, after the command, p99", "p99_ms"),
    Measurement {
        name: "memory after 30 minutes",
        unit: "MiB",
        value: (SOAK, "last_mib"),
        against: "after the first minute",
        against_value: (SOAK, "first_mib"),
        goal: Goal::Ratio(1.2),
        better: Better::Lower,
        effort: Effort::Once,
    },
];

impl Measurement {
    pub(super) fn runs(&self) -> [Run; 2] {
        [self.value.0, self.against_value.0]
    }

    pub(super) fn shares_a_run_with(&self, other: &Self) -> bool {
        self.runs().iter().any(|run| other.runs().contains(run))
    }
}

/// A number of commands a second.
const fn rate(
    (name, run): (&'static str, Run),
    against: &'static str,
    against_run: Run,
    goal: f64,
) -> Measurement {
    Measurement {
        name,
        unit: "commands/s",
        value: (run, "rate"),
        against,
        against_value: (against_run, "rate"),
        goal: Goal::Ratio(goal),
        better: Better::Higher,
        effort: Effort::Short,
    }
}

/// A number of appends a second to a log that has grown.
const fn grown(name: &'static str, run: Run) -> Measurement {
    Measurement {
        unit: "events/s",
        effort: Effort::Long,
        ..rate(
            (name, run),
            "to none",
            (Program::Ironstar, &["append", "--events", "0"]),
            0.9,
        )
    }
}

/// A duration.
const fn time(
    name: &'static str,
    figure: &'static str,
    run: Run,
    against: &'static str,
    against_run: Run,
) -> Measurement {
    Measurement {
        name,
        unit: "ms",
        value: (run, figure),
        against,
        against_value: (against_run, figure),
        goal: Goal::None,
        better: Better::Lower,
        effort: Effort::Short,
    }
}

/// The time from a command's answer until its event is seen, at half the maximum rate.
const fn lag(
    (run, name): (Run, &'static str),
    figure: &'static str,
    command: &'static str,
) -> Measurement {
    Measurement {
        against_value: (run, command),
        ..time(name, figure, run, "a command at that rate", run)
    }
}

const fn http_time(name: &'static str, figure: &'static str) -> Measurement {
    time(name, figure, HTTP, "bare handler", HTTP_BARE)
}

const fn frame_time(name: &'static str, figure: &'static str) -> Measurement {
    let (run, bare) = ((Program::Server, FRAMES), (Program::BareServer, FRAMES));
    time(name, figure, run, "bare broadcast", bare)
}

#[cfg(test)]
mod tests {
    use super::{Measurement, all};

    #[test]
    fn measurements_that_share_a_run_stand_side_by_side() {
        let measurements: Vec<&Measurement> = all().collect();
        let groups: Vec<&[&Measurement]> = measurements
            .chunk_by(|one, next| one.shares_a_run_with(next))
            .collect();
        for (index, group) in groups.iter().enumerate() {
            for other in groups[index + 1..].iter().copied().flatten() {
                assert!(
                    !group.iter().any(|one| one.shares_a_run_with(other)),
                    "{other:?} stands apart from a measurement with the same run"
                );
            }
        }
    }
}
