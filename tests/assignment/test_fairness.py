"""Fairness under load: what is promised holds with twenty workers at once, in any order of arrival."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from booking_tasks.assignment import service
from booking_tasks.assignment.rules import Criteria
from booking_tasks.assignment.store import lock_pool
from booking_tasks.context import Context
from booking_tasks.contracts import CancelSession, SubmitRequest
from booking_tasks.credits.service import calibrate, credit_absence, reverse_credit
from booking_tasks.kit.database import transaction
from booking_tasks.models import (
    AssignmentBalance,
    AssignmentCredit,
    Consultant,
    ConsultationRequest,
    ScheduledSession,
)
from booking_tasks.sessions import service as sessions
from tests import builders
from tests.builders import NOW
from tests.invariants import of_rows

TOMORROW = NOW + timedelta(days=1)
MOMENT = Context(now=NOW, actor="rival", entry_point="booking")
WORKERS = 20


@pytest.fixture(autouse=True)
def _wide_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOOKING_DATABASE_POOL_SIZE", str(WORKERS))


def _pool(db: Session, people: int, hours: float = 24, **values: Any) -> tuple[UUID, list[UUID]]:
    service_type_id = builders.service_type(db, default_duration_minutes=15, slot_step_minutes=15).id
    return service_type_id, [_member(db, hours, **values) for _ in range(people)]


def _member(db: Session, hours: float = 24, **values: Any) -> UUID:
    who = builders.consultant(db, **values).consultant_user_id
    builders.window(db, who, TOMORROW, hours)
    return who


def _ask(db: Session, service_type_id: UUID, **values: Any) -> UUID | None:
    command = SubmitRequest(
        message_id=uuid4(),
        actor="mira",
        request_id=uuid4(),
        requester_user_id=uuid4(),
        service_type_id=service_type_id,
        **values,
    )
    return service.submit(db, MOMENT, command).consultant_user_id


def _at_once(work: list[Callable[[Session], Any]]) -> list[Any]:
    """Each in a transaction and a thread of its own, twenty at a time, all beginning together."""
    gate = threading.Barrier(min(WORKERS, len(work)))

    def run(numbered: tuple[int, Callable[[Session], Any]]) -> Any:
        if numbered[0] < WORKERS:
            gate.wait(30)
        with transaction() as db:
            return numbered[1](db)

    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(run, enumerate(work)))


def _requests(service_type_id: UUID, count: int, chance: random.Random) -> list[Callable[[Session], Any]]:
    """Requests that want different parts of the day, so that their first starts differ."""

    def one(hour: int) -> Callable[[Session], Any]:
        since = TOMORROW + timedelta(hours=hour)
        window = {"preferred_start": since, "preferred_end": since + timedelta(hours=8)}
        return lambda db: _ask(db, service_type_id, **window)

    return [one(chance.randint(0, 16)) for _ in range(count)]


@pytest.mark.parametrize("seed", range(2))
def test_equal_consultants_are_never_more_than_one_apart_whoever_comes_first(
    own_database: str, seed: int
) -> None:
    chance = random.Random(seed)
    with transaction() as db:
        service_type_id, people = _pool(db, 7)
    got = Counter(_at_once(_requests(service_type_id, 60, chance)))
    assert sum(got.values()) == 60
    assert set(got) == set(people)
    assert max(got.values()) - min(got.values()) <= 1
    with transaction() as db:
        assert of_rows(db) == []


@pytest.mark.long
@pytest.mark.parametrize("seed", range(20))
def test_equal_consultants_are_never_more_than_one_apart_twenty_times(own_database: str, seed: int) -> None:
    test_equal_consultants_are_never_more_than_one_apart_whoever_comes_first(own_database, seed)


def test_with_weights_everyone_is_within_one_of_their_share_under_load(own_database: str) -> None:
    with transaction() as db:
        service_type_id, _ = _pool(db, 0)
        weights = {
            _member(db, assignment_weight=Decimal(weight)): weight for weight in ("0.5", "1", "1", "3")
        }
    got = Counter(_at_once(_requests(service_type_id, 50, random.Random(3))))
    whole = sum(Decimal(weight) for weight in weights.values())
    for who, weight in weights.items():
        assert abs(got[who] - 50 * Decimal(weight) / whole) < 1


def test_what_is_taken_back_while_others_are_assigned_is_counted_once(own_database: str) -> None:
    with transaction() as db:
        service_type_id, people = _pool(db, 4)
        for _ in range(20):
            _ask(db, service_type_id)
        cancelled = list(db.scalars(select(ScheduledSession.id).limit(10)))

    def cancel(session_id: UUID) -> Callable[[Session], Any]:
        command = CancelSession(
            message_id=uuid4(), actor="mira", session_id=session_id, cancelled_by="user", reason="x"
        )
        return lambda db: sessions.cancel(db, MOMENT, command).result

    results = _at_once([*map(cancel, cancelled), *_requests(service_type_id, 10, random.Random(1))])
    assert results[:10] == ["done"] * 10
    with transaction() as db:
        for _ in range(10):  # what the cancelled ones lost is made good
            _ask(db, service_type_id)
        standings = lock_pool(db, Criteria(uuid4(), service_type_id), NOW).balances
        counts = [standings[who].credits for who in people]
        assert sum(counts) == 30
        assert max(counts) - min(counts) <= 1
        assert of_rows(db) == []


def test_a_cancellation_does_not_wait_for_the_pool(own_database: str) -> None:
    with transaction() as db:
        service_type_id, _ = _pool(db, 1)
        _ask(db, service_type_id)
        request = db.scalars(select(ConsultationRequest.id)).one()
    with transaction() as rival:
        lock_pool(rival, Criteria(uuid4(), service_type_id), NOW)
        with transaction() as db:
            db.execute(text("SET LOCAL lock_timeout = '1s'"))
            assert reverse_credit(db, MOMENT, request, "cancelled") == 1


def test_a_newcomer_starts_where_the_others_are(db: Session) -> None:
    service_type_id, people = _pool(db, 2)
    for _ in range(10):
        _ask(db, service_type_id)
    newcomer = _member(db, assignment_weight=Decimal(2))
    got = Counter(_ask(db, service_type_id) for _ in range(8))
    assert got == {people[0]: 2, people[1]: 2, newcomer: 4}
    entry = db.scalars(select(AssignmentCredit).where(AssignmentCredit.credit_type == "newcomer")).one()
    assert (entry.consultant_user_id, entry.amount) == (newcomer, Decimal(10))


def test_a_new_weight_holds_from_now_on(db: Session) -> None:
    service_type_id, people = _pool(db, 2)
    for _ in range(10):
        _ask(db, service_type_id)
    calibrate(db, MOMENT, people[0], Decimal(1), Decimal(3))
    db.get_one(Consultant, people[0]).assignment_weight = Decimal(3)
    db.flush()
    assert Counter(_ask(db, service_type_id) for _ in range(8)) == {people[0]: 6, people[1]: 2}


def test_who_was_away_comes_back_to_their_turn_not_to_everyones(db: Session) -> None:
    service_type_id, people = _pool(db, 3)
    away = builders.consultant(db).consultant_user_id
    for _ in range(12):
        _ask(db, service_type_id)
    cause = uuid4()
    for times in (1, 0):
        assert credit_absence(db, MOMENT, away, NOW, NOW + timedelta(hours=1), cause, "leave") == times
    builders.window(db, away, TOMORROW, 24)
    got = Counter(_ask(db, service_type_id) for _ in range(8))
    assert got == dict.fromkeys([*people, away], 2)


def test_ties_go_to_the_longest_idle(db: Session, ctx: Context) -> None:
    service_type_id, people = _pool(db, 3)
    order = []
    for minute in range(6):
        request = builders.request(db, service_type_id)
        later = replace(ctx, now=NOW + timedelta(minutes=minute))
        order.append(service.assign(db, later, request.id).consultant_user_id)
    assert order == [*people, *people]


def test_the_balances_are_the_sums_of_the_counted_entries(db: Session) -> None:
    service_type_id, _ = _pool(db, 3)
    for _ in range(5):
        _ask(db, service_type_id)
    lock_pool(db, Criteria(uuid4(), service_type_id), NOW)
    counted = db.execute(select(func.count()).where(AssignmentCredit.is_counted)).scalar_one()
    assert counted == db.execute(select(func.sum(AssignmentBalance.credits))).scalar_one() == 5
    assert of_rows(db) == []
