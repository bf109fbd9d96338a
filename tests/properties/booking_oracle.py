"""Whether whoever has a piece of time may have it: asked of the rows, by none of the product's functions.

Only what is new since the last look is judged, by the profiles of then or of now: what was agreed stays
agreed when a profile changes. What a door does not ask stands in docs/assignment.md ("What each door asks").
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.orm import Session

Row = dict[str, Any]

#: All the time that anybody has; and whose a session is while a plan for it can still be undone.
_CLAIMS = """
    SELECT consultation_request_id AS request, consultant_user_id AS who, session_start_time AS start,
           session_end_time AS until, true AS counts, start_time >= :now OR end_time > :now AS ahead
      FROM consultant_availability_slots
     WHERE status = 'booked' OR (status = 'held' AND held_until > :now)
    UNION ALL
    SELECT consultation_request_id, consultant_user_id, scheduled_start_time, scheduled_end_time, false, false
      FROM scheduled_sessions WHERE status IN ('scheduled', 'in_progress')"""
#: What somebody was named for on an operator's word.
_NAMED = """
    SELECT consultation_request_id AS request, consultant_user_id AS who, start_time AS start
      FROM assignment_decisions
     WHERE reason = 'reassigned' AND candidates = '[]' AND inputs ->> 'absence_plan_id' IS NULL"""


class Claim(NamedTuple):
    """Who has which start for what."""

    request: UUID
    who: UUID
    start: datetime


@dataclass
class Scene:
    """The rows at one moment."""

    now: datetime
    consultants: dict[UUID, Row]
    kinds: dict[UUID, Row]
    requests: dict[UUID, Row]
    aliases: dict[str, str]
    claims: list[Row]
    named: set[Claim]

    @classmethod
    def of(cls, db: Session, now: datetime, consultants: dict[UUID, Row], claims: list[Row]) -> Scene:
        """As they stand."""
        return cls(
            now,
            consultants,
            {row["id"]: row for row in _rows(db, "SELECT * FROM consultation_service_types", now)},
            {row["id"]: row for row in _rows(db, "SELECT * FROM consultation_requests", now)},
            {
                row["alias"]: row["specialization"]
                for row in _rows(db, "SELECT * FROM specialization_aliases", now)
            },
            claims,
            {Claim(**row) for row in _rows(db, _NAMED, now)},
        )

    def specializations(self, of: Iterable[str]) -> set[str]:
        """Specializations under the one name that each has."""
        return {self.aliases.get(one.casefold(), one.casefold()) for one in of}


@dataclass
class Judge:
    """Remembers what it saw, and says what is wrong with what is new."""

    #: The profiles at the last look.
    before: dict[UUID, Row] = field(default_factory=dict)
    known: set[Claim] = field(default_factory=set)
    #: Requests for which somebody had time before: what their requester chose is over with that.
    served: dict[UUID, set[UUID]] = field(default_factory=dict)
    #: How many claims were judged, by door: a test that judges none proves nothing.
    judged: dict[str, int] = field(default_factory=dict)

    def check(self, db: Session, now: datetime) -> list[str]:
        """What is wrong with what came about since the last look."""
        rows = _rows(db, _CLAIMS, now)
        found = _rows(db, "SELECT * FROM consultant_profiles", now)
        consultants = {row["consultant_user_id"]: row for row in found}
        claims = {Claim(row["request"], row["who"], row["start"]) for row in rows}
        new, self.known = sorted(claims - self.known), claims
        before, self.before = self.before or consultants, consultants
        return self._wrong(Scene.of(db, now, consultants, rows), before, new) if new else []

    def _wrong(self, scene: Scene, before: dict[UUID, Row], new: list[Claim]) -> list[str]:
        wrong = _double(scene)
        for claim in new:
            entry = self._entry(scene, claim)
            self.judged[entry] = self.judged.get(entry, 0) + 1
            found = [
                _against(one[claim.who], scene, claim, entry)
                for one in (before, scene.consultants)
                if claim.who in one
            ]
            if all(found):
                wrong.append(f"{entry}: {claim.who} has {claim.start} of {claim.request}: {found[-1]}")
        for request, who, _ in new:
            self.served.setdefault(request, set()).add(who)
        return wrong

    def _entry(self, scene: Scene, claim: Claim) -> str:
        request, had = scene.requests[claim.request], self.served.get(claim.request, set())
        if claim in scene.named:
            return "named"
        if not had and (request["hold_token"] or request["series_id"]):
            return "chosen by the requester"
        session = request["scheduled_session_id"] is not None
        return "moved" if session and claim.who in had else "assigned"


def _rows(db: Session, query: str, now: datetime) -> list[Row]:
    return [dict(row) for row in db.execute(text(query), {"now": now}).mappings()]


def _double(scene: Scene) -> list[str]:
    wrong = []
    counted = [row for row in scene.claims if row["counts"]]
    people = [(row, row["who"]) for row in counted]
    people += [(row, scene.requests[row["request"]]["requester_user_id"]) for row in counted]
    ordered = sorted(people, key=lambda one: (one[1], one[0]["start"]))
    for (one, who), (other, whose) in pairwise(ordered):
        if who == whose and other["start"] < one["until"]:
            wrong.append(f"{who} is in two places at {other['start']}")
    return wrong


def _against(one: Row, scene: Scene, claim: Claim, entry: str) -> list[str]:
    """What speaks against a claim, by a profile of one moment and the time that is taken now."""
    request = scene.requests[claim.request]
    service_type = scene.kinds[request["consultation_service_type_id"]]
    wrong = []
    if not one["is_available_for_booking"]:
        wrong.append("takes no bookings")
    if one["service_type_ids"] is not None and service_type["id"] not in one["service_type_ids"]:
        wrong.append("does not offer this")
    if claim.who == request["requester_user_id"]:
        wrong.append("is the requester")
    wrong += _limits(one, service_type, scene, claim)
    if entry in {"named", "assigned"}:
        wrong += _unqualified(scene, one, request)
    if entry == "assigned":
        wrong += _unwanted(one, request, scene)
    return wrong


def _unqualified(scene: Scene, one: Row, request: Row) -> list[str]:
    wrong = []
    if one["company_ids"] is not None and request["company_id"] not in one["company_ids"]:
        wrong.append("is not for this company")
    missing = scene.specializations(request["required_specializations"]) - scene.specializations(
        one["specializations"]
    )
    if missing:
        wrong.append(f"does not know {missing}")
    spoken = [tag.lower() for tag in one["languages"]]
    languages = [tag.lower() for tag in request["languages"]]
    if languages and not any(tag == one or tag.startswith(one + "-") for one in languages for tag in spoken):
        wrong.append(f"speaks none of {languages}")
    if one["consultant_user_id"] in request["excluded_consultant_user_ids"]:
        wrong.append("is excluded")
    return wrong


def _unwanted(one: Row, request: Row, scene: Scene) -> list[str]:
    """What an operator who names somebody may leave aside: whom the requester prefers, and the capacity."""
    wrong = []
    who, preferred = one["consultant_user_id"], request["preferred_consultant_user_id"]
    if preferred not in {None, who}:
        waits = request["preferred_fallback"] == "wait" and scene.now < request["fallback_after"]
        if request["preferred_fallback"] == "only" or waits:
            wrong.append("is not the preferred one")
    ahead = sum(row["who"] == who and row["counts"] and row["ahead"] for row in scene.claims)
    if one["assignment_capacity"] is not None and ahead > one["assignment_capacity"]:
        wrong.append(f"has {ahead} ahead, and room for {one['assignment_capacity']}")
    return wrong


def _limits(one: Row, service_type: Row, scene: Scene, claim: Claim) -> list[str]:
    """Sessions and minutes in the day and week of a claim, in the consultant's zone: of all, of the kind."""
    zone = ZoneInfo(one["time_zone"])
    day = claim.start.astimezone(zone).date()
    monday = day - timedelta(days=day.weekday())
    wrong = []
    taken = [row for row in scene.claims if row["counts"] and row["who"] == claim.who]
    same = [
        row
        for row in taken
        if scene.requests[row["request"]]["consultation_service_type_id"] == service_type["id"]
    ]
    for limits, rows, what in ((one, taken, "all"), (service_type, same, "this kind")):
        for span, first, days in (("day", day, 1), ("week", monday, 7)):
            within = [
                row["until"] - row["start"]
                for row in rows
                if first <= row["start"].astimezone(zone).date() < first + timedelta(days=days)
            ]
            minutes = sum(within, timedelta()) / timedelta(minutes=1)
            for name, found in (("sessions", len(within)), ("minutes", minutes)):
                most = limits[f"max_{name}_per_{span}"]
                if most is not None and found > most:
                    wrong.append(f"{found} {name} of {what} in a {span}, and {most} are the most")
    return wrong
