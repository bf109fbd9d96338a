"""What was charged for a session is recorded, corrected and published, once it can be charged at all."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import ValidationError
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from booking_tasks.attendance import service
from booking_tasks.context import Context
from booking_tasks.contracts import RecordBilling
from booking_tasks.enums import RefusalCode
from booking_tasks.events.service import cloud_event
from booking_tasks.models import Event, Job, ScheduledSession
from booking_tasks.outbox.job_args import JobType
from tests.builders import NOW, booked_session


def bill(session_id: UUID, amount: str, currency: str = "EUR") -> RecordBilling:
    return RecordBilling(
        message_id=uuid4(),
        actor="billing",
        session_id=session_id,
        currency=currency,
        billed_amount=Decimal(amount),
    )


def recorded(db: Session, session: ScheduledSession) -> list[Event]:
    return list(
        db.scalars(select(Event).where(Event.scheduled_session_id == session.id).order_by(Event.position))
    )


def test_a_bill_is_recorded_once_and_corrected_with_what_was_before(db: Session, ctx: Context) -> None:
    session = booked_session(db, status="completed")
    assert service.record_billing(db, ctx, bill(session.id, "40")).result == "done"
    assert service.record_billing(db, ctx, bill(session.id, "40.00")).result == "already_done"
    assert service.record_billing(db, ctx, bill(session.id, "35.50")).result == "done"
    assert service.record_billing(db, ctx, bill(session.id, "35.50", "CHF")).result == "done"
    db.refresh(session)
    assert (session.billed_amount, session.billed_currency) == (Decimal("35.50"), "CHF")
    first, second, third = (
        {"billed_amount": amount, "billed_currency": currency}
        for amount, currency in (("40.00", "EUR"), ("35.50", "EUR"), ("35.50", "CHF"))
    )
    assert [(event.type, event.before, event.after) for event in recorded(db, session)] == [
        ("session.billed", {"billed_amount": None, "billed_currency": None}, first),
        ("session.billed", first, second),
        ("session.billed", second, third),
    ]


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        ("1500", "JPY", "1500"),
        ("1.234", "KWD", "1.234"),
        ("9.5", "EUR", "9.50"),
        ("12345678", "JPY", "12345678"),
    ],
)
def test_a_bill_is_published_with_amount_and_currency(
    db: Session, ctx: Context, amount: str, currency: str, shown: str
) -> None:
    session = booked_session(db, status="completed")
    service.record_billing(db, ctx, bill(session.id, amount, currency))
    service.record_billing(db, ctx, bill(session.id, amount, currency))
    [event] = recorded(db, session)
    published = cloud_event(db, event.id, "/booking", "booking")
    assert published is not None
    assert published.type == "booking.session.billed.v1"
    assert published.data["after"] == {"billed_amount": shown, "billed_currency": currency}
    jobs = db.scalars(select(Job.args["event_id"].astext).where(Job.job_type == JobType.PUBLISH_EVENT))
    assert list(jobs).count(str(event.id)) == 1


def test_an_amount_that_the_old_column_cannot_have_is_not_rounded_there(db: Session, ctx: Context) -> None:
    session = booked_session(db, status="completed")
    assert service.record_billing(db, ctx, bill(session.id, "1.234", "KWD")).result == "done"
    assert service.record_billing(db, ctx, bill(session.id, "1.234", "KWD")).result == "already_done"
    assert service.record_billing(db, ctx, bill(session.id, "1.235", "KWD")).result == "done"
    db.refresh(session)
    assert (session.billed_amount, session.billed_minor_units) == (None, 1235)


def test_an_amount_of_before_currencies_stays_readable(db: Session, ctx: Context) -> None:
    session = booked_session(db, status="completed", billed_amount=Decimal("40.00"))
    assert service.record_billing(db, ctx, bill(session.id, "40.00")).result == "done"
    [event] = recorded(db, session)
    assert event.before == {"billed_amount": "40.00", "billed_currency": None}


def test_the_database_refuses_a_currency_without_its_exact_amount(db: Session) -> None:
    session = booked_session(db, status="completed")
    for column, value in (("billed_currency", "'EUR'"), ("billed_minor_units", "4000")):
        with pytest.raises(IntegrityError, match="billed_currency"), db.begin_nested():
            db.execute(
                text(f"UPDATE scheduled_sessions SET {column} = {value} WHERE id = :id"), {"id": session.id}
            )


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("scheduled", RefusalCode.NOT_STARTED),
        ("cancelled_by_user", RefusalCode.CANCELLED),
        ("cancelled_by_consultant", RefusalCode.CANCELLED),
        ("attendance_unknown", RefusalCode.ATTENDANCE_UNKNOWN),
    ],
)
def test_what_cannot_be_charged_is_refused(db: Session, ctx: Context, status: str, code: RefusalCode) -> None:
    session = booked_session(db, status=status)
    outcome = service.record_billing(db, ctx, bill(session.id, "40.00"))
    assert (outcome.result, outcome.code) == ("refused", code)
    db.refresh(session)
    assert (session.billed_amount, session.billed_currency) == (None, None)
    assert recorded(db, session) == []


@pytest.mark.parametrize("status", ["in_progress", "completed", "no_show_user", "no_show_consultant"])
def test_what_has_begun_can_be_charged(db: Session, ctx: Context, status: str) -> None:
    session = booked_session(db, status=status)
    assert service.record_billing(db, ctx, bill(session.id, "40.00")).result == "done"


def test_a_session_can_be_charged_at_its_start_before_the_sweep_starts_it(db: Session, ctx: Context) -> None:
    due = booked_session(db, start=NOW)
    assert service.record_billing(db, ctx, bill(due.id, "40.00")).result == "done"
    ahead = booked_session(db, start=NOW + timedelta(seconds=1))
    assert service.record_billing(db, ctx, bill(ahead.id, "40.00")).code == RefusalCode.NOT_STARTED


def test_a_bill_for_an_unknown_session_is_refused(db: Session, ctx: Context) -> None:
    assert service.record_billing(db, ctx, bill(uuid4(), "1.00")).code == RefusalCode.UNKNOWN_SESSION


@pytest.mark.parametrize(
    ("values", "field", "problem"),
    [
        ({"billed_amount": "40.00"}, "currency", "Field required"),
        ({"billed_amount": "40.00", "currency": "eur"}, "currency", "write its three capital letters"),
        ({"billed_amount": "40.00", "currency": "DEM"}, "currency", "no active currency"),
        ({"billed_amount": "1.00", "currency": "XXX"}, "currency", "no active currency"),
        ({"billed_amount": "1.5", "currency": "JPY"}, "billed_amount", "at most 0 decimals in JPY"),
        ({"billed_amount": "1.2345", "currency": "KWD"}, "billed_amount", "at most 3 decimals in KWD"),
        ({"billed_amount": "1.234", "currency": "EUR"}, "billed_amount", "at most 2 decimals in EUR"),
        ({"billed_amount": "-1", "currency": "EUR"}, "billed_amount", "greater than or equal to 0"),
        ({"billed_amount": "123456789", "currency": "JPY"}, "billed_amount", "no more than 8 digits"),
    ],
)
def test_a_wrong_amount_or_currency_is_named_with_its_remedy(
    values: dict[str, Any], field: str, problem: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        RecordBilling(message_id=uuid4(), actor="billing", session_id=uuid4(), **values)
    [error] = caught.value.errors()
    assert error["loc"] == (field,)
    assert problem in error["msg"]
