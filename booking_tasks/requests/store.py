"""Reads and locks requests."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value

from booking_tasks.enums import RequestStatus
from booking_tasks.models import ConsultationRequest


def locked_request(db: Session, request_id: UUID) -> ConsultationRequest | None:
    """Return the request, locked for change. It is locked after its session and before its consultant."""
    return db.execute(
        select(ConsultationRequest)
        .where(ConsultationRequest.id == request_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).scalar_one_or_none()


def request_row(request: ConsultationRequest) -> dict[str, Any]:
    """Return the columns that are set on a request that is not in the database yet."""
    return {name: value for name, value in vars(request).items() if name in ConsultationRequest.__table__.c}


def mirror_written(
    request: ConsultationRequest, now: datetime, status: RequestStatus, **written: Any
) -> None:
    """Set on the object what an SQL function wrote to its row, without reading the row again.

    The function clears `status_reason`.
    """
    values = {**written, "status": status, "status_reason": None, "updated_at": now}
    for name, value in values.items():
        set_committed_value(request, name, value)
    # Marks the object as changed, so that a savepoint that is rolled back expires it; no UPDATE follows.
    request.updated_at = now
