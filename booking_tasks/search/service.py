"""Searching: a page of what can be booked; when it is empty, why."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.availability.rules import has_specializations, spellings
from booking_tasks.availability.store import (
    aliases,
    bookable_consultants,
    offered_specializations,
    service_type,
)
from booking_tasks.context import Context
from booking_tasks.contracts import (
    FreeStart,
    SearchOutcome,
    SearchSlots,
    cursor_after,
    cursor_place,
)
from booking_tasks.enums import RefusalCode
from booking_tasks.kit.time_zones import zone as zone_named
from booking_tasks.search import store
from booking_tasks.search.rules import furthest, reasons


def search_slots(db: Session, ctx: Context, query: SearchSlots) -> SearchOutcome:
    """The first page of what can be booked, or the one behind a cursor; when there is nothing, why."""
    kind = service_type(db, query.service_type_id)
    if kind is None or not kind.is_active:
        return SearchOutcome.refusal(
            RefusalCode.UNKNOWN_SERVICE_TYPE, "service_type_id", "names no active service type"
        )
    start, behind = cursor_place(query.after) if query.after else (query.start, None)
    rows = store.page(
        db,
        query.consultant_user_ids,
        _skills(db, query),
        kind.id,
        max(start, query.start),
        query.end,
        ctx.now,
        behind,
        query.limit + 1,
    )
    if not rows and query.after is None:
        return _nothing(db, ctx, query)
    zone = zone_named(query.time_zone)
    page = tuple(
        FreeStart(
            consultant_user_id=who,
            start=begins.astimezone(UTC),
            end=ends.astimezone(UTC),
            day=begins.astimezone(zone).date(),
        )
        for who, begins, ends in rows[: query.limit]
    )
    more = cursor_after(page[-1].start, page[-1].consultant_user_id) if len(rows) > query.limit else None
    return SearchOutcome(result="done", starts=page, next=more)


def _skills(db: Session, query: SearchSlots) -> list[tuple[str, ...]]:
    """For each required specialization, how those who take bookings write it."""
    wanted = query.required_specializations
    if not wanted:
        return []
    words = offered_specializations(db)
    return spellings(words, wanted, aliases(db, [*wanted, *words]))


def _skilled(db: Session, among: Sequence[tuple[UUID, list[str]]], query: SearchSlots) -> list[UUID]:
    wanted = query.required_specializations
    words = (word for _, offered in among for word in offered)
    known = aliases(db, [*wanted, *words]) if wanted else {}
    return [who for who, offered in among if has_specializations(offered, wanted, known)]


def _nothing(db: Session, ctx: Context, query: SearchSlots) -> SearchOutcome:
    everyone = bookable_consultants(db, query.service_type_id, query.consultant_user_ids)
    if not everyone:
        return SearchOutcome(result="done", empty_reason="no_consultant")
    if query.end is not None and query.end <= ctx.now:
        return SearchOutcome(result="done", empty_reason="range_over")
    skilled = _skilled(db, everyone, query)
    found = store.obstacles(db, skilled, query.service_type_id, query.start, query.end, ctx.now)
    counts = reasons(len(everyone) - len(skilled), skilled, found)
    return SearchOutcome(result="done", empty_reason=furthest(counts), counts=counts)
