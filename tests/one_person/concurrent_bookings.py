"""Fourteen people who consult and ask, and processes that book, move and end their sessions at once.

Each process draws its operations from a seed. Afterwards the rows are compared with the promises
(examination.py).
"""

from __future__ import annotations

import random
import time
from datetime import timedelta
from functools import partial
from multiprocessing import get_context

import psycopg
from sqlalchemy import text

from booking_tasks.kit import database
from booking_tasks.kit.database import transaction
from tests import builders
from tests.accounts import as_superuser
from tests.one_person.booker import DAYS, FIRST, HOUR, HOURS, PEOPLE, business_time
from tests.one_person.booking_operations import BookingOperations
from tests.one_person.examination import HISTORY, Findings, Report, examine
from tests.one_person.session_operations import SessionOperations
from tests.one_person.waiting_operations import WaitingOperations

BUFFER = timedelta(minutes=15)

#: Each operation and its share of all of them.
OPERATIONS = {
    "book": 4,
    "series": 2,
    "hold": 5,
    "renew": 1,
    "confirm": 3,
    "release": 1,
    "expire": 1,
    "give_up": 2,
    "move": 4,
    "cancel": 3,
    "reassign": 3,
    "plan": 1,
    "substitute": 1,
    "undo": 1,
    "announce": 1,
    "answer": 1,
    "wait": 3,
    "withdraw": 1,
    "assign": 1,
    "offer": 3,
    "accept": 3,
    "decline": 1,
    "lapse": 1,
    "confirm_request": 2,
    "decline_request": 1,
    "leave_unanswered": 1,
    "make_room": 2,
    "assign_together": 4,
}


class _Booker(BookingOperations, SessionOperations, WaitingOperations):
    """One process with all operations."""


def prepare(url: str) -> None:
    """Make the people with their hours, and remember from now on who is where; `url` is this process's.

    Bookings of the second service type must be confirmed by their consultant.
    """
    with psycopg.connect(as_superuser(url), autocommit=True) as superuser:
        superuser.execute(HISTORY.encode())
    buffer = BUFFER // timedelta(minutes=1)
    with transaction() as db:
        for must_confirm in (False, True):
            builders.service_type(
                db, buffer_after_minutes=buffer, slot_step_minutes=30, requires_confirmation=must_confirm
            )
        for _ in range(PEOPLE):
            who = builders.consultant(db).consultant_user_id
            builders.user(db, user_id=who)
            for day in range(DAYS):
                builders.window(db, who, FIRST + timedelta(days=day), HOURS)


def run(url: str, seed: int, processes: int, *, operations: int = 0, seconds: float = 0) -> Report:
    """Run so many operations in each process, or for so long, and examine what came about."""
    began = time.monotonic()
    work = partial(_worker, seed=seed, began=began, operations=operations, seconds=seconds)
    database.engine().dispose()
    findings = Findings()
    with get_context("fork").Pool(processes) as pool:
        for found in pool.map(work, range(processes), chunksize=1):
            findings.add(found)
    return examine(url, findings, business_time(began), HOUR + BUFFER)


def _worker(number: int, *, seed: int, began: float, operations: int, seconds: float) -> Findings:
    database.forget_inherited_connections()
    database.engine.cache_clear()
    service_types = "SELECT requires_confirmation, id FROM consultation_service_types"
    with transaction() as db:
        people = sorted(db.execute(text("SELECT consultant_user_id FROM consultant_profiles")).scalars())
        found = {row[0]: row[1] for row in db.execute(text(service_types))}
    draw = random.Random(f"{seed}/{number}")
    booker = _Booker(draw, began, people, found)
    names, shares = list(OPERATIONS), list(OPERATIONS.values())
    while booker.count < operations or time.monotonic() - began < seconds:
        booker.step(draw.choices(names, shares)[0])
    database.engine().dispose()
    return booker.findings
