"""What a caller pays to import the client, against importing pydantic and Celery.

    python -m benchmarks.imports [--turns 15]

Each import runs in an interpreter of its own, in turns. The figures are medians of CPU times (user and
system) without the start of the interpreter. Exit code 1 when the client's ratio is above the limit.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path

LIMIT = 1.3
_ROOT = Path(__file__).resolve().parent.parent
_START = "pass"
#: What a caller of both libraries imports. `import celery` alone imports next to nothing.
_LIBRARIES = "from pydantic import BaseModel; from celery import Celery"
_CLIENT = "from booking_tasks.client import BookingClient"
_COMMAND = f"{_CLIENT}; from booking_tasks.contracts import SubmitRequest"
_ALL = f"{_CLIENT}; from booking_tasks.contracts import PUBLIC"


def cpu_seconds(statement: str) -> float:
    """The CPU time of an interpreter that runs the statement and ends."""
    process = subprocess.Popen([sys.executable, "-c", statement], cwd=_ROOT)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{statement!r} ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def measure(turns: int) -> dict[str, float]:
    """The median of each statement over the turns, without the interpreter's own start."""
    statements = (_START, _LIBRARIES, _CLIENT, _COMMAND, _ALL)
    times: dict[str, list[float]] = {one: [] for one in statements}
    for one in statements:
        cpu_seconds(one)  # writes bytecode and fills the system's cache
    for _ in range(turns):
        for one in statements:
            times[one].append(cpu_seconds(one))
    medians = {one: statistics.median(found) for one, found in times.items()}
    return {one: median - medians[_START] for one, median in medians.items() if one != _START}


def main() -> None:
    """Print the times and their ratios."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.imports")
    parser.add_argument("--turns", type=int, default=15)
    found = measure(parser.parse_args().turns)
    libraries = found[_LIBRARIES]
    rows = {"pydantic and Celery": libraries, "the client": found[_CLIENT]}
    rows |= {"the client and one command": found[_COMMAND], "the client and all contracts": found[_ALL]}
    for name, seconds in rows.items():
        print(f"{name:30}  {seconds:6.3f} s   {seconds / libraries:.2f} times")
    ratio = found[_CLIENT] / libraries
    print(f"ratio of the client: {ratio:.2f} (at most {LIMIT})")
    sys.exit(1 if ratio > LIMIT else 0)


if __name__ == "__main__":
    main()
