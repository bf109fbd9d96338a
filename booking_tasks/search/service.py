"""Searches free starts, page by page, and says why there are none."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC
from uuid import UUID

from sqlalchemy.orm import Session

from booking_tasks.availability import store as ledger
from booking_tasks.availability.rules import has_specializations, spellings
from booking_tasks.availability.store import FreeStartRow
from booking_tasks.context import Context
from booking_tasks.contracts import (
    EmptyReason,
    FreeStart,
    SearchOutcome,
    SearchSlots,
    cursor_after,
    cursor_place,
)
from booking_tasks.enums import RefusalCode
from booking_tasks.kit.time_zones import zone as zone_named
from booking_tasks.search import store
from booking_tasks.search.rules import Requester, closest_reason, reasons


def search_slots(db: Session, ctx: Context, query: SearchSlots) -> SearchOutcome:
    """The first page of free starts, or the one after a cursor; an empty first page has the reason."""
    service_type = ledger.service_type(db, query.service_type_id)
    if service_type is None:
        return SearchOutcome.refusal(
            RefusalCode.UNKNOWN_SERVICE_TYPE, "service_type_id", "names no service type"
        )
    if not service_type.is_active:
        return SearchOutcome.refusal(
            RefusalCode.SERVICE_TYPE_INACTIVE, "service_type_id", "is not offered any more"
        )
    rows, unsuitable = _rows(db, ctx, query)
    if not rows and query.after is None:
        return _empty_outcome(db, ctx, query, unsuitable)
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


#: How many starts are read at once for a requester: those at which they are occupied are left out afterwards.
_READ_FOR_REQUESTER = 500


def _rows(db: Session, ctx: Context, query: SearchSlots) -> tuple[list[FreeStartRow], set[UUID]]:
    """The free starts of a page and one more, and whose starts do not suit the requester of the query."""
    start, behind = cursor_place(query.after) if query.after else (query.start, None)
    start, most = max(start, query.start), query.limit + 1
    skills, requester = _skills(db, query), _requester(db, ctx, query)
    read = most if requester is None else max(most, _READ_FOR_REQUESTER)
    found: list[FreeStartRow] = []
    unsuitable: set[UUID] = set()
    while True:
        rows = store.page(
            db,
            query.consultant_user_ids,
            query.company_id,
            skills,
            query.service_type_id,
            start,
            query.end,
            ctx.now,
            behind,
            read,
        )
        for who, begins, ends in rows:
            if requester is None or (who != requester.user_id and requester.is_free(begins, ends)):
                found.append((who, begins, ends))
            else:
                unsuitable.add(who)
        if len(rows) < read or len(found) >= most:
            return found[:most], unsuitable
        behind, start, _ = rows[-1]


def _requester(db: Session, ctx: Context, query: SearchSlots) -> Requester | None:
    who = query.requester_user_id
    if who is None:
        return None
    occupied = ledger.occupied_spans(db, [who], max(query.start, ctx.now), None, ctx.now)
    return Requester(who, occupied.get(who, ()))


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


def _ineligible(
    db: Session, ctx: Context, query: SearchSlots, everyone: Sequence[tuple[UUID, list[str]]]
) -> dict[UUID, EmptyReason]:
    """Who is not searched, each with the first reason that applies: company, specializations, capacity."""
    ids = [who for who, _ in everyone]
    skilled = set(_with_skills(db, everyone, query))
    found: dict[UUID, EmptyReason] = dict.fromkeys(store.at_capacity(db, ids, ctx.now), "at_capacity")
    found |= dict.fromkeys(set(ids) - skilled, "no_skill")
    return found | dict.fromkeys(store.for_other_companies(db, ids, query.company_id), "not_for_company")


def _empty_outcome(
    db: Session, ctx: Context, query: SearchSlots, unsuitable: Collection[UUID]
) -> SearchOutcome:
    bookable = ledger.bookable_consultants(db, query.service_type_id, query.consultant_user_ids)
    everyone = [one for one in bookable if one[0] != query.requester_user_id]
    if not everyone:
        return SearchOutcome(result="done", empty_reason="no_consultant")
    if query.end is not None and query.end <= ctx.now:
        return SearchOutcome(result="done", empty_reason="range_over")
    ineligible = _ineligible(db, ctx, query, everyone)
    eligible = [who for who, _ in everyone if who not in ineligible]
    found = store.blocking_reasons(db, eligible, query.service_type_id, query.start, query.end, ctx.now)
    found |= {who: ["requester"] for who in unsuitable}
    if query.start > ctx.now + ctx.policies.horizon:  # no hours are known so far ahead
        found = {who: ["horizon"] for who in eligible} | found
    counts = reasons(ineligible, eligible, found)
    return SearchOutcome(result="done", empty_reason=closest_reason(counts), counts=counts)
