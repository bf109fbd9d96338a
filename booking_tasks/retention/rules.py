"""How long rows are kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

#: The runs of daily work: long enough to compare with the same day of the year before.
SCHEDULE_RUNS = timedelta(days=400)
#: A choice that is stored so long after it began names nobody who was forgotten meanwhile: twice a day's run.
FORGOTTEN_LATELY = timedelta(days=2)


@dataclass(frozen=True)
class Retention:
    """How long a row is kept, as elapsed time since it was finished, received or recorded.

    An `uncertain` or `dead` job waits for a person and is kept twice as long as `jobs`. An inbox row makes a
    repeated message harmless: a message that is repeated later than `inbox` runs again. `details` are the
    texts of ended requests and sessions, `requests` the rows themselves with all that refers to them.
    """

    jobs: timedelta
    inbox: timedelta
    events: timedelta
    evidence: timedelta
    dead_letters: timedelta
    details: timedelta
    requests: timedelta
    people: timedelta
    decisions: timedelta
    credits: timedelta
    hours: timedelta
