"""How long it takes to find and lease 500 due jobs among many, against the same among few.

    python -m benchmarks.due_jobs [--rows 10000000] [--baseline 10000]

Each round makes 500 jobs due, looks which kinds have work (`due_kinds`), leases them and settles them.
Prints typical times (lower quartile) and ratios: in a quiet table, and while a long transaction of
somebody else's keeps dead index entries from being tidied away. Exits with 1 when a ratio is above 3.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from benchmarks.ground import (
    GROWING_ID,
    Ground,
    fill,
    grounds,
    long_transactions,
    milliseconds,
    say,
    turns,
    typical,
    verdict,
)
from booking_tasks.database import transaction
from booking_tasks.identity import uuid7
from booking_tasks.jobs import store
from booking_tasks.jobs.rules import LeasedJob, NewJob

MOST = 3.0
DUE, ROUNDS = 500, 20

#: A tenth is still to come, the rest is done.
_ROWS = f"""
    INSERT INTO jobs (id, key, kind, subject_id, due_at, state, attempts, settled_at)
    SELECT {GROWING_ID}, 'k' || lpad(n::text, 9, '0'), 'send_reminder', gen_random_uuid(),
           now() + interval '1 day' * (CASE WHEN n %% 10 = 0 THEN 1 ELSE -1 END) * (1 + n %% 300),
           CASE WHEN n %% 10 = 0 THEN 'waiting' ELSE 'done' END, 1,
           CASE WHEN n %% 10 = 0 THEN NULL ELSE now() END
      FROM generate_series(1, %(rows)s) n
"""
_SETTLE = text(
    "UPDATE jobs SET state = 'done', settled_at = now(), lease_token = NULL, lease_until = NULL"
    " WHERE state = 'leased'"
)


def one_round(ground: Ground) -> tuple[float, float]:
    """Milliseconds of looking for kinds, and of leasing all that is due, commits included."""
    now = datetime.now(UTC)
    with transaction(ground.connection) as db:
        store.add(db, [NewJob("send_reminder", uuid7(), now - timedelta(seconds=1)) for _ in range(DUE)])

    def look() -> None:
        with transaction(ground.connection) as db:
            assert store.due_kinds(db, now) == {"send_reminder"}

    def lease() -> None:
        with transaction(ground.connection) as db:
            leased.extend(store.lease(db, "send_reminder", now, DUE, timedelta(minutes=5)))

    leased: list[LeasedJob] = []
    looked, took = milliseconds(look), milliseconds(lease)
    assert len(leased) == DUE
    with transaction(ground.connection) as db:
        db.execute(_SETTLE)
    return looked, took


def in_turns(both: list[Ground], rounds: int) -> list[tuple[float, float]]:
    """What looking and leasing typically take in each of them."""
    runs: list[list[tuple[float, float]]] = [[] for _ in both]
    for number in turns(len(both), rounds):
        runs[number].append(one_round(both[number]))
    return [(typical(looked for looked, _ in times), typical(took for _, took in times)) for times in runs]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--baseline", type=int, default=10_000)
    chosen = parser.parse_args()
    with grounds(chosen.baseline, chosen.rows) as both:
        for ground in both:
            fill(ground, "jobs", _ROWS)
        in_turns(both, 3)  # warm
        quiet = in_turns(both, ROUNDS)
        with long_transactions(both):
            in_turns(both, ROUNDS)
            held = in_turns(both, ROUNDS)
    worst = 0.0
    for when, (small, large) in (("", quiet), (f", {ROUNDS * DUE:,} dead entries before them", held)):
        worst = max(worst, verdict(f"which kinds are due{when}", small[0], large[0]))
        worst = max(worst, verdict(f"lease {DUE}{when}", small[1], large[1]))
    say(f"worst ratio {worst:.2f} (at most {MOST:g})")
    return 0 if worst <= MOST else 1


if __name__ == "__main__":
    raise SystemExit(main())
