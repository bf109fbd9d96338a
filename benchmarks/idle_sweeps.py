"""What a tick of each sweep costs a service in which nothing is due, in milliseconds of processor time.

    python -m benchmarks.idle_sweeps [--against CHECKOUT [--turns 15] [--least 0.93]]

Runs each sweep in this process on a migrated, empty database whose daily work is done. Prints the worker's
processor time and that of its database connection, and what both are for an average tick of beat's schedule.
Exits with 1 when a tick costs more than its limit on average.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack

from beat_schedule import SWEEPS
from benchmarks.comparison import add_options, compare
from benchmarks.databases import say
from benchmarks.turns import cost_of_ticks

#: Milliseconds of processor time of worker and database together, for an average tick.
MOST = 2.0
_TICKS = 100


def main() -> int:
    """Measure, print, judge."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_options(options)
    chosen = options.parse_args()
    if chosen.against is not None:
        return compare("idle_sweeps", chosen)
    with ExitStack() as stack:
        found = cost_of_ticks(stack)(_TICKS)
    for sweep, (worker, server) in sorted(found.items(), key=lambda one: -sum(one[1])):
        say(f"{sweep:<24}worker {worker:6.2f} ms   database {server:6.2f} ms")
    ticks = sum(1 / intervals for intervals in SWEEPS.values())
    average = sum(sum(found[sweep]) / intervals for sweep, intervals in SWEEPS.items()) / ticks
    say(f"an average tick: {average:.2f} ms (at most {MOST:g})")
    return 0 if average <= MOST else 1


if __name__ == "__main__":
    sys.exit(main())
