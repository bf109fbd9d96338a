"""The soak: thousands of bookings while everything that can die dies, again and again.

    make soak                                              10,000 bookings with each of three seeds
    make soak ARGS="--bookings 300 --seeds 7"
    make soak ARGS="--broker rabbitmq"                     on the RabbitMQ that is installed

Every 0.1 to 0.4 s one process is ended by SIGKILL: a pool child, a worker, a beat, the broker, PostgreSQL
or one of its backends; a supervisor starts it again. Callers repeat themselves until they are answered, and
between two kills one of them is: on a slow machine, too, the work goes on.
Ends with 1 when a promise was broken, and says which and where.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from tests.faults.invariants import Ledger, examined
from tests.faults.random_kills import Storm
from tests.faults.running_service import RunningService, own_servers

#: Mostly pool children, so that between two deaths of a worker there is time to work.
SOAK = {"child": 60, "worker": 2, "beat": 1, "broker": 1, "database": 1}

#: A consultant takes an hour's half, and its buffer takes the other: 24 a day. Half of that is asked for.
_A_DAY = 12
_CONSULTANTS = 40

#: Where something is killed four times a second, eight tries are soon over.
_KNOBS = {"BOOKING_JOB_ATTEMPTS": "30", "BOOKING_MESSAGE_ATTEMPTS": "20"}

_HEAD = (
    "seed",
    "accepted",
    "terminal",
    "booked",
    "overlaps",
    "lost",
    "duplicates",
    "uncertain",
    "dead",
    "kills",
    "storm s",
    "recovery s",
)


def main() -> int:
    """Run every seed, print a line for each."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__.partition("\n")[0])
    parser.add_argument("--bookings", type=int, default=10_000, help="requests with each seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--broker", choices=("valkey", "rabbitmq"), default="valkey")
    chosen = parser.parse_args()
    _say("".join(f"{name:>11}" for name in _HEAD))
    return max([soak(seed, chosen.bookings, chosen.broker) for seed in chosen.seeds])


def soak(seed: int, bookings: int, broker: str = "valkey") -> int:
    """One storm; 1 when a promise was broken in it."""
    with tempfile.TemporaryDirectory(prefix="booking-soak-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)  # PostgreSQL runs as a user of its own
        with (
            own_servers(Path(folder), broker=broker) as servers,
            RunningService(*servers.fresh(), **(_KNOBS | servers.broker_settings)).open(
                _CONSULTANTS, 400
            ) as service,
        ):
            service.start()
            storm = Storm(service, servers, random.Random(seed), SOAK)
            days = 1 + bookings // (_CONSULTANTS * _A_DAY)
            began = time.monotonic()
            with storm.over(0.1, 0.4, answers=1):
                service.call(service.requests(bookings, storm.chance, days), seconds=3600)
            lasted = time.monotonic() - began
            storm.revive()
            recovery = service.calm(3600)
            ledger = examined(service)
            _report(seed, ledger, len(service.sessions()), storm, lasted, recovery)
    return 0 if _kept(ledger, bookings) and ledger.uncertain <= storm.kills.total() else 1


def _kept(ledger: Ledger, bookings: int) -> bool:
    return not ledger.wrong and ledger.dead == 0 and ledger.accepted == ledger.terminal == bookings


def _report(seed: int, ledger: Ledger, booked: int, storm: Storm, lasted: float, recovery: float) -> None:
    figures = (
        seed,
        ledger.accepted,
        ledger.terminal,
        booked,
        ledger.overlaps,
        ledger.lost,
        ledger.duplicates,
        ledger.uncertain,
        ledger.dead,
        storm.kills.total(),
    )
    _say("".join(f"{one:>11,}" for one in figures) + f"{lasted:>11.0f}{recovery:>11.1f}")
    kills = ", ".join(f"{count} {name}" for name, count in sorted(storm.kills.items()))
    _say(f"{'':>11} kills: {kills}; in all {timedelta(seconds=round(lasted + recovery))}")
    for one in ledger.wrong[:50]:
        _say(f"{'':>11} {one}")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
