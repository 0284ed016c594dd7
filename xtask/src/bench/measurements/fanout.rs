//! The service that very many clients get from one server, and its cost.

use super::{Better, Effort, Goal, Measurement};
use crate::bench::program::{Program, Run};

const FANOUT: Run = (
    Program::BothServers,
    &["--seconds", "10", "fanout", "--clients", "10000"],
);
const VIEWS: Run = (
    Program::Server,
    &["--seconds", "4", "views", "--clients", "10000"],
);
const SLOW: Run = (
    Program::BothServers,
    &["slow", "--clients", "1000", "--commands", "2000"],
);

pub(super) const MEASUREMENTS: &[Measurement] = &[
    Measurement {
        goal: Goal::Ratio(0.8),
        better: Better::Higher,
        ..beside_bare(FANOUT, "fanout", "frames/s", ("rate", "bare_rate"))
    },
    beside_bare(
        FANOUT,
        "fanout, processor time a frame",
        "µs",
        ("processor_us", "bare_processor_us"),
    ),
    beside_bare(
        FANOUT,
        "fanout, last client, p50",
        "ms",
        ("p50_ms", "bare_p50_ms"),
    ),
    Measurement {
        goal: Goal::Ratio(1.5),
        ..beside_bare(
            FANOUT,
            "fanout, last client, p99",
            "ms",
            ("p99_ms", "bare_p99_ms"),
        )
    },
    beside_bare(
        FANOUT,
        "fanout, 4 changes/s, last client, p50",
        "ms",
        ("paced_p50_ms", "bare_paced_p50_ms"),
    ),
    Measurement {
        goal: Goal::Ratio(1.5),
        ..beside_bare(
            FANOUT,
            "fanout, 4 changes/s, last client, p99",
            "ms",
            ("paced_p99_ms", "bare_paced_p99_ms"),
        )
    },
    Measurement {
        goal: Goal::Ratio(1.3),
        ..beside_bare(
            FANOUT,
            "fanout, memory a client",
            "KiB",
            ("client_kib", "bare_client_kib"),
        )
    },
    beside_bare(
        FANOUT,
        "fanout, connecting 10,000",
        "s",
        ("connect_s", "bare_connect_s"),
    ),
    change(
        "fanout, change, 100 views x 1 client",
        "views_x_one_ms",
        ("1 view x 100 clients", "one_x_few_ms"),
    ),
    change(
        "fanout, change, 1 view x 100 clients",
        "one_x_few_ms",
        ("1 view x 1 client", "one_x_one_ms"),
    ),
    change(
        "fanout, change, 100 views x 100",
        "views_x_few_ms",
        ("1 view x 100 clients", "one_x_few_ms"),
    ),
    change(
        "fanout, change, 100 views x 100",
        "views_x_few_ms",
        ("1 view x 10,000 clients", "one_x_all_ms"),
    ),
    change(
        "fanout, toggle, 3 filters, 100",
        "filters_x_few_ms",
        ("1 filter, 100 clients", "filter_x_few_ms"),
    ),
    change(
        "fanout, toggle, 3 filters, 10,000",
        "filters_x_all_ms",
        ("1 filter, 10,000 clients", "filter_x_all_ms"),
    ),
    beside_bare(
        SLOW,
        "fanout, a client that does not read",
        "KiB",
        ("opened_kib", "bare_opened_kib"),
    ),
    beside_bare(
        SLOW,
        "fanout, … after 2,000 changes, more",
        "KiB",
        ("grown_kib", "bare_grown_kib"),
    ),
    beside_bare(
        SLOW,
        "fanout, 1,000 of them catch up",
        "s",
        ("catch_up_s", "bare_catch_up_s"),
    ),
];

/// Compares two figures of one run: ironstar's and the bare server's.
const fn beside_bare(
    run: Run,
    name: &'static str,
    unit: &'static str,
    (figure, bare): (&'static str, &'static str),
) -> Measurement {
    Measurement {
        name,
        unit,
        value: (run, figure),
        against: "bare server, same bytes",
        against_value: (run, bare),
        goal: Goal::None,
        better: Better::Lower,
        effort: Effort::Long,
    }
}

/// The processor time of one change, by the number of views and clients.
const fn change(
    name: &'static str,
    figure: &'static str,
    (against, other): (&'static str, &'static str),
) -> Measurement {
    Measurement {
        against,
        ..beside_bare(VIEWS, name, "ms", (figure, other))
    }
}
