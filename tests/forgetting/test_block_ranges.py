"""A large table is read in ranges of blocks: every row is in one of them, and no statement reads all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import event as orm_event
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.contracts import ExportUser
from booking_tasks.forgetting import block_ranges as ranges
from booking_tasks.forgetting.export import export_user
from booking_tasks.forgetting.store import trace
from booking_tasks.models import AssignmentDecision, Event, InboxMessage, Job
from tests import builders
from tests.builders import NOW
from tests.forgetting.people import event, forget, job
from tests.forgetting.search import places_with

#: Fills about five blocks with a hundred rows.
PADDING = {"note": "x" * 400}


@pytest.fixture(autouse=True)
def _one_block_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "BLOCKS", 1)


def _events(db: Session, who: UUID) -> None:
    for number in range(100):
        event(db, actor=str(who) if number % 10 == 0 else "a", after=PADDING)


def _messages(db: Session, who: UUID) -> None:
    for number in range(100):
        named = {"requester_user_id": str(who)} if number % 10 == 0 else {}
        db.add(
            InboxMessage(
                message_id=uuid4(),
                task="submit_request",
                body_hash="0" * 64,
                entry_point="booking",
                state="received",
                body=PADDING | named,
            )
        )
    db.flush()


def _jobs(db: Session, who: UUID) -> None:
    for number in range(100):
        recipient = who if number % 10 == 0 else uuid4()
        job(db, "send_invite", uuid4(), recipient, "done", last_error="x" * 400)


FILLED: dict[str, tuple[Any, Callable[[Session, UUID], None]]] = {
    "events": (Event.id, _events),
    "inbox": (InboxMessage.message_id, _messages),
    "jobs": (Job.id, _jobs),
}


@pytest.mark.parametrize("table", FILLED)
def test_every_row_is_in_one_range(db: Session, table: str) -> None:
    key, fill = FILLED[table]
    fill(db, uuid4())
    place = text(f"{table}.ctid >= CAST(:first AS tid) AND {table}.ctid < CAST(:behind AS tid)")
    found = [
        one
        for bounds in ranges.block_ranges(db, table)
        for one in db.execute(select(key).where(place), bounds).scalars()
    ]

    assert len(list(ranges.block_ranges(db, table))) > 3
    assert sorted(found) == sorted(db.scalars(select(key)))


@pytest.mark.parametrize("table", ["events", "inbox"])
def test_whoever_is_named_in_any_block_is_forgotten(db: Session, ctx: Context, table: str) -> None:
    who = builders.user(db).user_id
    FILLED[table][1](db, who)
    assert len(places_with(db, [str(who)])) > 1
    forget(db, ctx, who)

    assert places_with(db, [str(who)]) == []


@pytest.mark.parametrize("table", FILLED)
def test_an_export_has_the_rows_of_every_block(db: Session, ctx: Context, table: str) -> None:
    who = builders.user(db).user_id
    FILLED[table][1](db, who)
    found = export_user(db, ctx, ExportUser(user_id=who)).tables[table]

    assert len(found) == 10


def test_a_consultant_is_replaced_in_the_explanations_of_every_block(db: Session, ctx: Context) -> None:
    who = builders.consultant(db).consultant_user_id
    request = builders.request(db, builders.service_type(db).id)
    for number in range(60):
        db.add(
            AssignmentDecision(
                consultation_request_id=request.id,
                decided_at=NOW,
                policy_version="1",
                reason="x",
                inputs=PADDING,
                candidates=[{"consultant_user_id": str(who)}] if number % 10 == 0 else [],
            )
        )
    db.flush()
    assert len(list(ranges.block_ranges(db, "assignment_decisions"))) > 2
    forget(db, ctx, who)

    assert places_with(db, [str(who)]) == []


def test_no_statement_that_looks_for_a_person_reads_a_whole_large_table(db: Session, ctx: Context) -> None:
    """Each one is planned as a scan of its range."""
    who = builders.user(db).user_id
    for _, fill in FILLED.values():
        fill(db, who)
    db.execute(text("ANALYZE events, inbox, jobs, assignment_decisions"))
    seen: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, ___: Any, ____: Any) -> None:
        seen.append((statement, parameters))

    connection = db.connection()
    orm_event.listen(connection, "before_cursor_execute", note)
    trace(db, who, uuid4())
    export_user(db, ctx, ExportUser(user_id=who))
    orm_event.remove(connection, "before_cursor_execute", note)

    plans = [
        "\n".join(row[0] for row in connection.exec_driver_sql(f"EXPLAIN {statement}", parameters))
        for statement, parameters in seen
        if statement.lstrip().startswith(("SELECT", "--"))
    ]
    assert [plan for plan in plans if "Seq Scan on events" in plan or "Seq Scan on inbox" in plan] == []
    assert sum("Tid Range Scan" in plan for plan in plans) > 10
