"""Kills a worker at each point of each scenario: `python -m tests.crashpoints`; exits 1 on a violation."""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from booking_tasks.ops.servers import Postgres, Valkey
from tests.crashpoints.harness import Death, Lane, Scene, Verdict
from tests.crashpoints.people import build_template
from tests.crashpoints.run import Ledger, both, deaths, run_scenario, some
from tests.crashpoints.scenarios import SCENARIOS

_TEMPLATE = "booking_crash_template"


def main() -> int:
    """Run the scenarios named, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.crashpoints", description=__doc__)
    parser.add_argument(
        "scenarios", nargs="*", metavar="SCENARIO", help=f"one of {', '.join(SCENARIOS)}; all if none"
    )
    parser.add_argument("--lanes", type=int, default=2, help="runs at the same time")
    parser.add_argument("--some", type=int, default=0, help="only so many deaths of each scenario")
    parser.add_argument("--both", action="store_true", help="recover from each death in both orders")
    parser.add_argument("--seed", type=int, default=1, help="which ones")
    chosen = parser.parse_args()
    began = time.monotonic()
    with ExitStack() as exit_:
        enter = exit_.enter_context
        folder = Path(enter(tempfile.TemporaryDirectory(prefix="booking-crash-", ignore_cleanup_errors=True)))
        postgres = enter(Postgres(folder / "postgres", durable=False))
        valkey = enter(Valkey(folder / "valkey", durable=False))
        build_template(postgres.url(), _TEMPLATE)
        lanes = [enter(Lane(postgres.url(), _TEMPLATE, valkey.url(number))) for number in range(chosen.lanes)]
        points = partial(_chosen, chosen)
        ledgers = []
        for scenario in chosen.scenarios or SCENARIOS:
            count = itertools.count(1)
            ledgers.append(run_scenario(scenario, lanes, points, partial(_tell, count)))
            _say(ledgers[-1].line())
    total = Ledger("all", sum(one.points for one in ledgers), [v for one in ledgers for v in one.verdicts])
    _say(f"{total.line()}  in {time.monotonic() - began:.0f} s")
    return 1 if total.violations else 0


def _chosen(arguments: argparse.Namespace, scenes: Sequence[Scene]) -> list[Death]:
    found = both(scenes) if arguments.both else deaths(scenes)
    return some(found, arguments.some, arguments.seed) if arguments.some else found


def _tell(count: Iterator[int], verdict: Verdict) -> None:
    deaths_so_far = next(count)
    if deaths_so_far % 100 == 0:
        _say(f"  {verdict.scenario}: {deaths_so_far} deaths so far")
    if verdict.wrong or not verdict.died:
        where = f"{verdict.scenario}, step {verdict.step}, point {verdict.point} ({verdict.name})"
        _say(f"  {where}, {verdict.after} first:")
        for line in verdict.wrong or ["the point was not reached"]:
            _say(f"    {line[:500]}")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
