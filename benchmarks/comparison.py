"""Compares this checkout with another one: their turns alternate in one run, on the same machine.

    python -m benchmarks.assigning --against CHECKOUT [--turns 15] [--least 0.93]

Each checkout has a process of its own, with its own code, its own migrations and its own database
(`benchmarks/turns.py`), and its own virtual environment where it has a `.venv`. A turn returns throughputs.
For each of them, prints the medians and quartiles of both checkouts, and of the ratios of the turns.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles
from types import TracebackType

from benchmarks.databases import say, turns

#: The least ratio of the throughputs, new to old, at which a comparison succeeds unless it names another.
RATIO_LEAST = 0.93
_HERE = Path(__file__).resolve().parent
Throughputs = dict[str, float]


class Checkout:
    """A process that measures turns of one benchmark with the code of one checkout."""

    def __init__(self, folder: Path, benchmark: str) -> None:
        python = folder / ".venv" / "bin" / "python"
        environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1"}
        for name in ("DATABASE_URL", "REDIS_URL"):
            environment.pop(name, None)
        self._process = subprocess.Popen(
            [str(python) if python.exists() else sys.executable, str(_HERE / "turns.py"), benchmark],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Checkout:
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()  # the end of its input ends the process

    def turn(self) -> Throughputs:
        """The throughputs of one turn."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("turn\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError("a checkout's process has ended; its error stands above")
        found: Throughputs = json.loads(answer)
        return found


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a comparison to those of a benchmark."""
    parser.add_argument("--against", type=Path, help="compare with this other checkout, in turns")
    parser.add_argument("--turns", type=int, default=15, help="how many turns each checkout has")
    parser.add_argument(
        "--least", type=float, default=RATIO_LEAST, help="the least ratio of the throughputs, new to old"
    )


def compare(benchmark: str, chosen: argparse.Namespace) -> int:
    """Compare the throughputs of this checkout with those of another one; 1 where a ratio is too low.

    `chosen` has the options of a comparison.
    """
    folders = {"new": _HERE.parent, "old": chosen.against.resolve()}
    found: dict[str, list[Throughputs]] = {name: [] for name in folders}
    with ExitStack() as stack:
        checkouts = {
            name: stack.enter_context(Checkout(folder, benchmark)) for name, folder in folders.items()
        }
        for checkout in checkouts.values():
            checkout.turn()  # not counted: caches are filled
        names = list(checkouts)
        for number in turns(len(names), chosen.turns):
            found[names[number]].append(checkouts[names[number]].turn())
    ratios = [
        _report(measure, chosen.least, *([one[measure] for one in found[name]] for name in ("new", "old")))
        for measure in found["new"][0]
    ]
    return 0 if min(ratios) >= chosen.least else 1


def _report(measure: str, least: float, new: list[float], old: list[float]) -> float:
    ratios = [one / other for one, other in zip(new, old, strict=True)]
    say(line(measure, "new", new))
    say(line(measure, "old", old))
    say(f"{line(measure, 'new/old', ratios)}   (median at least {least:g})")
    return median(ratios)


def line(measure: str, name: str, values: list[float]) -> str:
    """One line: the median of the values, and their quartiles."""
    low, _, high = quantiles(values, n=4) if len(values) > 1 else (values[0],) * 3
    return f"{measure:<24}{name:<9}median {median(values):9.3f}   quartiles {low:9.3f} {high:9.3f}"
