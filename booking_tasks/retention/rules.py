"""How long what is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

#: The ledger of once-a-day work: long enough to look back at the same day last year.
SCHEDULE_RUNS = timedelta(days=400)


@dataclass(frozen=True)
class Retention:
    """How old a row may grow, as elapsed time since it was settled, finished, received or recorded.

    A job that nobody settled for certain (`uncertain`, `dead`) waits for a person and is kept twice as
    long as `jobs`. An inbox row is what makes a repeated message harmless: a message that comes again
    later than `inbox` runs again.
    """

    jobs: timedelta
    inbox: timedelta
    events: timedelta
    evidence: timedelta
    dead_letters: timedelta
