"""What a consultant got is written once, and taken back once."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from booking_tasks.credits import service
from booking_tasks.models import AssignmentCredit
from booking_tasks.occasion import Occasion
from tests import builders


def credits_of(db: Session, consultant: UUID) -> Decimal:
    total = select(func.coalesce(func.sum(AssignmentCredit.amount), 0))
    return db.execute(total.where(AssignmentCredit.consultant_user_id == consultant)).scalar_one()


def test_a_request_gives_one_credit_however_often_it_is_written(db: Session, moment: Occasion) -> None:
    who = builders.consultant(db).consultant_user_id
    request = builders.request(db, builders.service_type(db).id)
    assert service.give(db, moment, request, who)
    assert not service.give(db, moment, request, who)
    assert credits_of(db, who) == 1


def test_what_was_given_is_taken_back_once_and_may_be_given_again(db: Session, moment: Occasion) -> None:
    first, second = (builders.consultant(db).consultant_user_id for _ in range(2))
    request = builders.request(db, builders.service_type(db).id)
    service.give(db, moment, request, first)
    assert service.take_back(db, moment, request.id, "reassigned") == 1
    assert service.take_back(db, moment, request.id, "reassigned") == 0
    service.give(db, moment, request, second)
    service.take_back(db, moment, request.id, "reassigned")
    service.give(db, moment, request, first)
    assert (credits_of(db, first), credits_of(db, second)) == (Decimal(1), Decimal(0))
