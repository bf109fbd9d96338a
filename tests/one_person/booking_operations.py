"""Requests, series and holds: what takes time for somebody new."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy.orm import Session

from booking_tasks.availability import service as availability
from booking_tasks.context import Context
from booking_tasks.contracts import BookSeries, ConfirmHold, HoldSlot, ReleaseHold, RenewHold, SubmitRequest
from booking_tasks.intake import service as intake
from tests.one_person.booker import FIRST, HOUR, HOURS, Booker


class BookingOperations(Booker):
    """Submits requests, books series, and makes, renews, confirms and releases holds."""

    def __init__(self, *values: Any) -> None:
        super().__init__(*values)
        self._holds: list[dict[str, Any]] = []

    def book(self, db: Session, ctx: Context) -> None:
        pair, start = self._pair(), self._start()
        window = {"preferred_start": start, "preferred_end": start + 2 * HOUR}
        values = {"requester_user_id": pair["requester_user_id"], "service_type_id": self._service_type()}
        preferred = pair["consultant_user_id"]
        self._send(
            db,
            ctx,
            SubmitRequest,
            request_id=uuid4(),
            preferred_consultant_user_id=preferred,
            **window | values,
        )

    def series(self, db: Session, ctx: Context) -> None:
        pair, start = self._pair(), self._start()
        starts = [start, start + timedelta(days=1) if start < FIRST + timedelta(days=1) else start + 2 * HOUR]
        starts = [one for one in starts if (one - FIRST) % timedelta(days=1) <= HOURS * HOUR - HOUR]
        people = list(pair.values())
        self._send(
            db,
            ctx,
            BookSeries,
            *((people, one) for one in starts),
            series_id=uuid4(),
            service_type_id=self._service_types[False],  # the other one is refused
            starts=starts,
            **pair,
        )

    def hold(self, db: Session, ctx: Context) -> None:
        pair, start = self._pair(), self._start()
        values = {"request_id": uuid4(), "service_type_id": self._service_type(), "start": start}
        held = self._send(db, ctx, HoldSlot, (list(pair.values()), start), **pair | values)
        if held.result == "done":
            self._holds.append({"request_id": held.request_id, "hold_token": held.hold_token})

    def _own_hold(self) -> dict[str, Any] | None:
        return self._draw.choice(self._holds[-6:]) if self._holds else None

    def renew(self, db: Session, ctx: Context) -> None:
        if hold := self._own_hold():
            self._send(db, ctx, RenewHold, **hold)

    def confirm(self, db: Session, ctx: Context) -> None:
        if hold := self._own_hold():
            self._send(db, ctx, ConfirmHold, **hold)

    def release(self, db: Session, ctx: Context) -> None:
        if hold := self._own_hold():
            self._send(db, ctx, ReleaseHold, **hold)

    def expire(self, db: Session, ctx: Context) -> None:
        self.findings.done["expired"] += availability.expire_holds(db, ctx)

    def give_up(self, db: Session, ctx: Context) -> None:
        overdue = intake.overdue_requests(db, ctx)
        if overdue:
            self.findings.done["given up"] += intake.give_up(db, ctx, self._draw.choice(overdue))
