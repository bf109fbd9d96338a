"""One of several processes that book their share of the same starts: `python -m tests.availability.rival`.

Arguments: rank, of how many, starts of each consultant, service type, then the consultants. Waits for a line
on its input, books, prints what came of it as JSON: each start with its code, and every error it met.
"""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from uuid import UUID

from sqlalchemy.exc import DBAPIError

from booking_tasks.availability.service import Refusal
from booking_tasks.context import Context
from booking_tasks.kit.database import transaction
from booking_tasks.sessions import service as sessions
from tests import builders
from tests.builders import NOW

MOMENT = Context(now=NOW, actor="rival", entry_point="booking")
STEP = timedelta(minutes=5)


def book(service_type: UUID, who: UUID, number: int) -> str:
    """Book one start; the outcome's code, or the SQLSTATE of what went wrong."""
    start = NOW + timedelta(days=1) + number * STEP
    try:
        with transaction() as db:
            request = builders.request(db, service_type)
            agreed = sessions.schedule(db, MOMENT, request, who, start, start + timedelta(hours=1))
            return agreed.code if isinstance(agreed, Refusal) else "booked"
    except DBAPIError as error:
        return f"error {getattr(error.orig, 'sqlstate', None)}"


def main() -> None:
    """Book every start whose number is this process's."""
    rank, of, starts_each = map(int, sys.argv[1:4])
    service_type, *consultants = map(UUID, sys.argv[4:])
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    results = [
        (str(who), number, book(service_type, who, number))
        for number in range(starts_each)
        for place, who in enumerate(consultants)
        if (number + place) % of == rank
    ]
    sys.stdout.write(json.dumps(results) + "\n")


if __name__ == "__main__":
    main()
