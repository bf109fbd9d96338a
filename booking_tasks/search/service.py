"""Searches free starts, page by page, and says why there are none."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.availability import store as ledger
from booking_tasks.availability.rules import has_specializations, spellings
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
from booking_tasks.search.rules import closest_reason, reasons


def search_slots(db: Session, ctx: Context, query: SearchSlots) -> SearchOutcome:
    """The first page of free starts, or the one after a cursor; an empty first page has the reason."""
    service_type = ledger.service_type(db, query.service_type_id)
    if service_type is None or not service_type.is_active:
        return SearchOutcome.refusal(
            RefusalCode.UNKNOWN_SERVICE_TYPE, "service_type_id", "names no active service type"
        )
    start, behind = cursor_place(query.after) if query.after else (query.start, None)
    rows = store.page(
        db,
        query.consultant_user_ids,
        _skills(db, query),
        service_type.id,
        max(start, query.start),
        query.end,
        ctx.now,
        behind,
        query.limit + 1,
    )
    if not rows and query.after is None:
        return _empty_outcome(db, ctx, query)
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
    """For each required specialization, the spellings that bookable consultants use."""
    required = query.required_specializations
    if not required:
        return []
    names = ledger.offered_specializations(db)
    return spellings(names, required, ledger.aliases(db, [*required, *names]))


def _with_skills(db: Session, among: Sequence[tuple[UUID, list[str]]], query: SearchSlots) -> list[UUID]:
    required = query.required_specializations
    names = (word for _, offered in among for word in offered)
    known = ledger.aliases(db, [*required, *names]) if required else {}
    return [who for who, offered in among if has_specializations(offered, required, known)]


def _empty_outcome(db: Session, ctx: Context, query: SearchSlots) -> SearchOutcome:
    everyone = ledger.bookable_consultants(db, query.service_type_id, query.consultant_user_ids)
    if not everyone:
        return SearchOutcome(result="done", empty_reason="no_consultant")
    if query.end is not None and query.end <= ctx.now:
        return SearchOutcome(result="done", empty_reason="range_over")
    skilled = _with_skills(db, everyone, query)
    found = store.blocking_reasons(db, skilled, query.service_type_id, query.start, query.end, ctx.now)
    counts = reasons(len(everyone) - len(skilled), skilled, found)
    return SearchOutcome(result="done", empty_reason=closest_reason(counts), counts=counts)
