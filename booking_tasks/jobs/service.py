"""The job ledger's use cases beside running jobs: ring for what is due, recover, replay."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.database import ring_later
from booking_tasks.jobs import store
from booking_tasks.jobs.rules import KINDS


def ring_for_due(db: Session, now: datetime) -> int:
    """Ring for every kind of which something is due; returns how many kinds."""
    kinds = store.due_kinds(db, now)
    ring_later(db, kinds)
    return len(kinds)


def recover(db: Session) -> int:
    """Give back what vanished workers held; returns how many jobs. Policy per kind: rules.KINDS."""
    recovered = store.return_expired_leases(db)
    limits = {"repeat": None, "repeat_once": 2, "never": 0}
    for name, kind in KINDS.items():
        recovered += store.settle_lost_outcomes(db, name, limits[kind.lost_outcome])
    return recovered


def replay(db: Session, job_id: UUID) -> bool:
    """Run a dead or uncertain job again under its old key; False when it is neither."""
    return store.replay(db, job_id)
