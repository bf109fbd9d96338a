"""What the tests of forgetting share."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from booking_tasks.context import Context
from booking_tasks.contracts import (
    ForgetUser,
    ForgetUserOutcome,
)
from booking_tasks.forgetting import service
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import (
    Event,
    Job,
)
from tests.builders import NOW
from tests.conftest import check_deferred_keys

CANARY = "canary-5d1f"


def forget(db: Session, ctx: Context, user_id: UUID) -> ForgetUserOutcome:
    command = ForgetUser(message_id=uuid4(), actor="desk", user_id=user_id)
    outcome = service.forget_user(db, replace(ctx, message_id=command.message_id), command)
    db.flush()
    check_deferred_keys(db)
    db.expire_all()
    return outcome


def event(db: Session, **values: Any) -> Event:
    row = Event(
        **{"type": "session.started", "occurred_at": NOW, "actor": "a", "entry_point": "sweep"} | values
    )
    db.add(row)
    db.flush()
    return row


def job(
    db: Session, job_type: str, subject: UUID, recipient: UUID, state: str = "waiting", **values: Any
) -> Job:
    finished = state in {"done", "skipped", "uncertain", "dead"}
    leased = state in {"leased", "sending"}
    row = Job(
        **{
            "key": f"{job_type}:{subject}:0:{recipient}",
            "job_type": job_type,
            "subject_id": subject,
            "args": {"session_id": str(subject), "revision": 0, "recipient": str(recipient)},
            "due_at": NOW,
            "state": state,
            "finished_at": NOW if finished else None,
            "lease_token": uuid7() if leased else None,
            "lease_until": NOW + timedelta(days=3650) if leased else None,
        }
        | values
    )
    db.add(row)
    db.flush()
    return row
