"""What was charged for a session is kept, with what stood there before."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking_tasks.attendance import service
from booking_tasks.context import Context
from booking_tasks.contracts import RecordBilling
from booking_tasks.enums import RefusalCode
from booking_tasks.models import Event
from tests.builders import booked_session


def bill(session_id: UUID, amount: str) -> RecordBilling:
    return RecordBilling(
        message_id=uuid4(), actor="billing", session_id=session_id, billed_amount=Decimal(amount)
    )


def test_a_bill_is_kept_with_what_was_before(db: Session, ctx: Context) -> None:
    session = booked_session(db, status="completed")
    assert service.record_billing(db, ctx, bill(session.id, "40")).result == "done"
    assert service.record_billing(db, ctx, bill(session.id, "40.00")).result == "already_done"
    assert service.record_billing(db, ctx, bill(session.id, "35.50")).result == "done"
    db.refresh(session)
    assert session.billed_amount == Decimal("35.50")
    events = db.execute(
        select(Event).where(Event.scheduled_session_id == session.id).order_by(Event.position)
    ).scalars()
    assert [(event.type, event.before, event.after) for event in events] == [
        ("session.billed", {"billed_amount": None}, {"billed_amount": "40.00"}),
        ("session.billed", {"billed_amount": "40.00"}, {"billed_amount": "35.50"}),
    ]


def test_a_bill_for_an_unknown_session_is_refused(db: Session, ctx: Context) -> None:
    assert service.record_billing(db, ctx, bill(uuid4(), "1.00")).code == RefusalCode.UNKNOWN_SESSION
